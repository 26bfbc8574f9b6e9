"""A charger whose firmware was set back: its flash has records of a later version. They are kept,
passed on as they are, shown to the operator, and the charger goes on selling.
"""

import asyncio
import struct
import zlib

import pytest

from board.host_flash import FileFlash
from firmware.ledger.codec import encode, find_row
from firmware.ledger.ledger import Ledger
from firmware.ledger.ring import HEAD
from hostsim.world import CHARGER_ID
from tests.worlds import act, agree, charging, settled, started, until_state

pytestmark = pytest.mark.timeout(300)
AT = 1763800000000


def raw(ledger, payload):
    """Appends bytes as a later firmware may have written them (in frames of this version: others
    are refused by the mount, tests/pure/test_ledger_walk.py)."""
    frame = bytearray(struct.pack("<BBHQ", 0xA7, 1, len(payload), ledger.next_seq))
    frame += payload
    frame += struct.pack("<I", zlib.crc32(frame))
    frame += b"\xff" * (-len(frame) % 4)
    ledger.ring.append(memoryview(frame), ledger.next_seq, 0)
    ledger.next_seq += 1


def payload(kind, **fields):
    buf = memoryview(bytearray(1008))
    return bytes(buf[: encode(buf, find_row(1, kind), AT, fields)])


def later_flash(path):
    flash = FileFlash(str(path), sectors=64)
    ledger = Ledger(flash, lambda: AT)
    ledger.mount()
    ledger.append("boot", firmware="9.0", reason="upgrade", safe=0)
    alarm = payload("alarm", code="later", sess=0, detail="")
    raw(ledger, alarm[:1] + b"\x05" + alarm[2:] + b"\x07more")
    raw(ledger, b"\x63\x03\x01\x02\x03")
    raw(ledger, b"\x64\x01anything")
    ledger.append("boot", firmware="9.0", reason="power", safe=0)
    assert HEAD == 12
    flash.close()


def test_records_of_later_versions_are_kept_passed_on_and_shown(tmp_path):
    files = tmp_path / "charger"
    files.mkdir()
    later_flash(files / "flash.bin")

    async def scenario():
        async with started(str(tmp_path), wanted_wh=300) as world:
            await charging(world)
            await until_state(world, "paused")
            await act(world, "unplug")
            await settled(world)
            agree(world)
            assert world.back_office
            there = world.back_office.records(CHARGER_ID)
            kinds = [r["type"] for r in there[:5]]
            assert kinds == ["boot", "alarm", "unknown", "unknown", "boot"]
            assert there[1]["code"] == "later" and there[1]["version"] == 5
            assert bytes.fromhex(there[1]["payload"]) == b"\x07more"
            assert bytes.fromhex(there[2]["payload"]) == b"\x63\x03\x01\x02\x03"
            assert bytes.fromhex(there[3]["payload"]) == b"\x64\x01anything"
            seen = {(p["seq"], p["code"]) for p in world.back_office.problems(CHARGER_ID)}
            assert seen >= {(2, "later_record"), (3, "unknown_record"), (4, "unknown_record")}
            # still in flash for the firmware that knows them
            kept = [r for r in world.charger_records() if r["seq"] in (2, 3, 4)]
            assert [r["seq"] for r in kept] == [2, 3, 4]
            world.mqtt.clear()  # today's schemas are not for them

    asyncio.run(scenario())

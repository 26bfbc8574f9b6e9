"""Safe mode on a charger that a board's /main.py has sent there: said on the screen and to the
back office, the ledger as it was.
"""

import json
import struct
import zlib
from pathlib import Path

import pytest

from hostsim.charger import Machine
from hostsim.world import World
from tests import worlds

_command = Machine.command


def in_safe_mode(machine: Machine) -> list[str]:
    return [*_command(machine), "safe starts"]


def later_format(flash: Path) -> None:
    """The headers of all sectors in use become those of a later firmware's ledger."""
    image = bytearray(flash.read_bytes())
    changed = 0
    for at in range(16, len(image), 4096):
        if image[at : at + 4] == b"FcLg":
            image[at + 4] += 1
            struct.pack_into("<I", image, at + 24, zlib.crc32(image[at : at + 24]))
            changed += 1
    assert changed
    flash.write_bytes(image)


def newest_status(world: World) -> dict[str, object]:
    statuses = [m for m in world.mqtt if m["topic"].endswith("/status")]
    status: dict[str, object] = json.loads(statuses[-1]["payload"])
    return status


def test_safe_mode_says_that_the_ledger_is_a_later_firmwares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(world: World) -> None:
        await worlds.act(world, "power", on=False)
        flash = world.files / "flash.bin"
        later_format(flash)
        before = flash.read_bytes()
        await worlds.act(world, "power", on=True)
        why = world.files / "why"
        await world.until(
            lambda: why.exists() and why.read_text() == "ledger_later", worlds.STEP_S, "the reason"
        )
        await worlds.act(world, "power", on=False)
        monkeypatch.setattr(Machine, "command", in_safe_mode)
        await worlds.act(world, "power", on=True)
        await world.until(
            lambda: newest_status(world).get("reason") == "ledger_later", worlds.STEP_S, "status"
        )
        await world.until(
            lambda: "Ledger of a later version" in worlds.screen(world), worlds.STEP_S, "screen"
        )
        assert newest_status(world)["state"] == "safe_mode"
        assert flash.read_bytes() == before

    worlds.run(scenario, config={"languages": ["en"]})


def test_safe_mode_says_so_sells_nothing_and_leaves_the_ledger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(world: World) -> None:
        before = world.charger_records()
        monkeypatch.setattr(Machine, "command", in_safe_mode)
        await worlds.act(world, "power", on=False)
        await worlds.act(world, "power", on=True)

        def said() -> bool:
            newest = newest_status(world)
            return bool(newest.get("state") == "safe_mode" and newest["reason"] == "starts")

        await world.until(said, worlds.STEP_S, "the status")
        await world.until(
            lambda: "Starting failed three times" in worlds.screen(world),
            worlds.STEP_S,
            "the screen",
        )
        assert world.evse.screen["light"] == "blink-red"
        world.terminal.present_card("visa")
        await worlds.act(world, "plug")
        assert not world.evse.contactor
        assert not world.terminal.reader.awaiting
        assert world.charger_records() == before

    worlds.run(scenario, config={"languages": ["en"]})

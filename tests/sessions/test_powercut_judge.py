"""The power-cut campaign's judge of what is written first, and its sample."""

import json
import random
import struct
import zlib
from typing import Any

from hostsim.powercut.cuts import Cut
from hostsim.powercut.order import Order
from hostsim.powercut.sample import Moment, draw
from hostsim.terminal import codec

ASKED = {"seq": 11, "kind": "hold_asked", "sess": 1}
AUTHORISED = {"seq": 12, "kind": "authorised", "sess": 1, "amount_minor": 6000}
ENERGISING = {"seq": 13, "kind": "energising", "sess": 1}
PRICED = {"seq": 14, "kind": "priced", "sess": 1, "total_minor": 42}
REFUND = {"seq": 15, "kind": "refund_asked", "sess": 1, "refund": "R-1", "way": "reversal"}
CAPTURE = codec.frame(codec.join(0x0623, bytes.fromhex("1940870001")))
QUERY = codec.frame(codec.join(0x0623, bytes.fromhex("87ffff")))
RELEASE = codec.frame(codec.join(0x0625, bytes.fromhex("1940870001")))
REVERSE = codec.frame(codec.join(0x0630, bytes.fromhex("123456870002")))
RESERVE = codec.frame(codec.join(0x0622, bytes.fromhex("040000000060004909781940")))
APPROVED = codec.frame(codec.join(0x040F, bytes.fromhex("2700")))
DECLINED = codec.frame(codec.join(0x040F, bytes.fromhex("2705")))
OK = codec.frame(codec.join(0x8000))


def order(*records: dict[str, Any]) -> Order:
    return Order(lambda: list(records), 10)


def test_power_on_needs_the_sessions_own_energising() -> None:
    for records, right in (
        ((ASKED, AUTHORISED, ENERGISING), True),
        ((ASKED, AUTHORISED), False),
        ((ENERGISING, {"seq": 14, "kind": "captured", "sess": 1}, ASKED), False),
        ((ASKED, ENERGISING, PRICED), False),
    ):
        judged = order(*records)
        judged.lines(b"contactor 1\noffer 16000\ncontactor 0\n")
        assert (judged.broken == []) is right, records
        assert judged.judged == {"power on": 1, "current offered": 1}


def test_an_approval_is_acknowledged_only_with_its_record_in_flash() -> None:
    for records, word, right in (
        ((ASKED, AUTHORISED), APPROVED, True),
        ((ASKED,), APPROVED, False),
        ((ASKED,), DECLINED, True),
    ):
        known: list[dict[str, Any]] = [ASKED]
        judged = Order(known.copy, 10)
        judged.heard(RESERVE)
        judged.said(word)
        known[:] = records
        judged.heard(OK)
        assert (judged.broken == []) is right, records


def test_money_moves_only_with_its_decision_in_flash() -> None:
    open_bill = (ASKED, AUTHORISED, ENERGISING, PRICED)
    for act, records, right in (
        (RESERVE, (), False),
        (CAPTURE, open_bill, True),
        (CAPTURE, open_bill[:3], False),
        (RELEASE, (ASKED, AUTHORISED), True),
        (RELEASE, open_bill[:3], False),
        (RELEASE, open_bill, False),
        (RELEASE, (*open_bill[:3], PRICED | {"total_minor": 0}), True),
        (REVERSE, (REFUND,), True),
        (REVERSE, (), False),
        (REVERSE, (REFUND, {"seq": 16, "kind": "refunded", "refund": "R-1"}), False),
    ):
        judged = order(*records)
        judged.heard(act)
        assert (judged.broken == []) is right, (act.hex(), records)


def test_a_capture_whose_outcome_is_open_is_asked_for_before_it_is_repeated() -> None:
    bill = (ASKED, AUTHORISED, ENERGISING, PRICED)
    blind, asking, refused, resent = order(*bill), order(*bill), order(*bill), order(*bill)
    for judged in (blind, asking, refused, resent):
        judged.heard(CAPTURE)
    refused.said(codec.frame(codec.join(0x061E, b"\xb7")))
    for judged in (blind, asking, refused):
        judged.forget()
    asking.heard(QUERY)
    for judged in (blind, asking, resent):
        judged.heard(CAPTURE)
    assert len(blind.broken) == 1 and "the same again without asking" in blind.broken[0]
    assert asking.broken == refused.broken == resent.broken == []


def test_a_record_is_sent_only_as_it_is_in_flash_and_erased_only_when_acknowledged() -> None:
    judged = order(PRICED)
    record = {"type" if name == "kind" else name: value for name, value in PRICED.items()}
    judged.published("forecourt/v1/x/records", json.dumps(record).encode())
    assert judged.broken == []
    judged.published("forecourt/v1/x/records", json.dumps(record | {"total_minor": 41}).encode())
    judged.published("forecourt/v1/x/records", json.dumps(record | {"seq": 15}).encode())
    assert len(judged.broken) == 2
    judged.acknowledged(b'{"epoch":1,"seq":15}')
    assert judged.acked == 15


def sector(*frames: tuple[int, bytes]) -> bytes:
    """In use from record 11 on; frames by number and payload."""
    header = struct.pack("<4sB3xIIQ", b"FcLg", 1, 7, 3, 11)
    body = b"\xff" * 16 + header + struct.pack("<I", zlib.crc32(header)) + b"\xff" * 20
    for number, payload in frames:
        frame = struct.pack("<BBHQ", 0xA7, 1, len(payload), number) + payload
        frame += struct.pack("<I", zlib.crc32(frame))
        body += frame + b"\xff" * (-len(frame) % 4)
    return body.ljust(4096, b"\xff")


def test_a_note_in_a_sector_that_is_erased_is_no_record() -> None:
    """A note has the number of the record before it."""
    note, record = (11, b"\x81\x01\x00\x0a"), (12, b"\x01\x01\x00")
    for frames, broken in (((note,), 0), ((note, record), 1), ((), 0)):
        judged = order()
        judged.acked = 10
        judged.erases(sector(*frames))
        assert len(judged.broken) == broken, frames
        assert judged.judged == ({f"record {12 if broken else 0} erased": 1})
        judged.acked = 12
        judged.erases(sector(*frames))
        assert len(judged.broken) == broken, frames


def moments() -> list[Moment]:
    found = [(Cut("c", 1, done, "erase"), 3) for done in range(4096)]
    for place in range(2, 300):
        what = ("program", "to the terminal", "from the terminal", "packet")[place % 4]
        found += [(Cut("ct"[place % 2], place, done, what), place // 20) for done in range(4)]
    return [*found, (Cut("c", 300, 0, "datagram"), 0)]


def test_a_sample_is_spread_over_kinds_and_intervals_with_few_in_erases() -> None:
    for count in (1, 8, 24, 60, 1000):
        drawn = draw(moments(), count, random.Random(3))
        assert len(drawn) == len({str(cut) for cut, _ in drawn}) == count
        assert sum(cut.what == "erase" for cut, _ in drawn) == count // 10
    sixty = draw(moments(), 60, random.Random(3))
    assert {cut.what for cut, _ in sixty} == {cut.what for cut, _ in moments()}
    assert len({records for cut, records in sixty if cut.what == "program"}) > 10
    assert sixty == draw(moments(), 60, random.Random(3)) != draw(moments(), 60, random.Random(4))


def test_a_sample_larger_than_all_that_is_no_erase_is_filled_from_erases() -> None:
    assert len(draw(moments(), 3000, random.Random(1))) == 3000

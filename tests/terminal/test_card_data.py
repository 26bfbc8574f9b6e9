"""Card data from the terminal to every place that keeps something: none of it arrives.

A terminal that gives away all it knows: whole card number, tracks 1 to 3 and the holder's name in
every message and every kind of field, on a session, a reversal, a refund to the card, a decline
and through a crash. Then flash, files, logs, MQTT, database and crash output are searched.
"""

import asyncio
import itertools

import pytest

from hostsim.terminal import codec
from hostsim.terminal import fields as f
from hostsim.terminal.dialogue import Dialogue
from tests.pure.test_terminal_masking import NAME, PAN, TRACK1, TRACK2, _ll, _pack
from tests.sessions.test_refunds import AT_TERMINAL, order, sold, until_refund
from tests.worlds import act, agree, run, screen, tap, until_state

pytestmark = pytest.mark.timeout(300)
ALL = f"{PAN} {TRACK2} {TRACK1} {NAME}".encode()
AMEX = "378282246310005"  # 15 digits, as a merchant number has
TRACK3 = "01" + PAN + "D280280"
SECRETS = (
    PAN.encode(),
    bytes.fromhex(PAN),
    PAN[4:12].encode() + PAN[12:14].encode(),
    TRACK2.encode(),
    bytes.fromhex(TRACK2[:32]),
    TRACK2[17:].encode(),
    TRACK3.encode(),
    AMEX.encode(),
    AMEX[5:14].encode(),
    b"MUSTERMA",
    b"ERIKA",
)


def leaks() -> bytes:
    """BMPs of every kind that can hold it."""
    plain = (
        b"\x23" + _ll(_pack(TRACK2))
        + b"\x24" + _ll(_pack(TRACK3), 3)
        + b"\x2d" + _ll(TRACK1.encode())
        + b"\x3c" + _ll(ALL, 3)
        + b"\x8b" + _ll(NAME.encode() + b" " + PAN.encode() + b"\x00")
        + b"\x2a" + AMEX.encode()
        + b"\x3b" + NAME[:8].encode()
        + b"\xa7" + _ll(ALL[:60])
    )  # fmt: skip
    return plain


def containers() -> bytes:
    """TLV of every tag that a card or terminal might use, and of some that nobody knows."""
    tags = (0x5A, 0x57, 0x5F20, 0x5F24, 0x56, 0x07, 0x1F07, 0x1F10, 0x1F17, 0x1F45, 0x45, 0x9F6B)
    pieces = itertools.cycle((PAN, TRACK2, NAME, TRACK1))
    found = b"".join(f.tlv(tag, next(pieces).encode()) for tag in tags)
    return f.container(found + f.tlv(0x60, f.tlv(0x44, PAN.encode())) + f.tlv(0x24, _texts()))


def _texts() -> bytes:
    return b"".join(f.tlv(0x07, text.encode()) for text in (PAN, TRACK2, TRACK1, NAME))


def giving_away(apdu: bytes) -> bytes:
    """The terminal's message with all of it in it."""
    command = int.from_bytes(apdu[:2])
    body = apdu[5:] if apdu[2] == 0xFF else apdu[3:]
    if command in (0x040F, 0x061E):
        has_tlv = b"\x06" in body[-90:]
        body += leaks() + (b"" if has_tlv else containers())
    elif command == 0x04FF and len(body) == 1:
        body += b"\x00" + f.container(f.tlv(0x24, _texts()))
    return codec.join(command, body)


@pytest.fixture
def gossip(monkeypatch):
    """How often the terminal gave it away, by command."""
    told: dict[str, int] = {}
    say, paper = Dialogue.say, Dialogue.print

    async def telling(self, apdu):
        made = giving_away(apdu)
        if len(made) > len(apdu):
            told[made[:2].hex()] = told.get(made[:2].hex(), 0) + 1
        return await say(self, made)

    async def printing(self, lines, kind, *, admin=False):
        told["print"] = told.get("print", 0) + 1
        await paper(self, [*lines, PAN, TRACK2, TRACK1, NAME], kind, admin=admin)

    monkeypatch.setattr(Dialogue, "say", telling)
    monkeypatch.setattr(Dialogue, "print", printing)
    return told


def kept(world) -> dict[str, bytes]:
    """Everything that is kept or said anywhere outside the terminal."""
    found = {
        "log and crash output": "\n".join(world.log).encode(),
        "mqtt": "\n".join(m["topic"] + m["payload"] for m in world.mqtt).encode(),
        "receipt": "\n".join(world.receipt).encode(),
        "screen": screen(world).encode(),
        "office": repr((world.back_office.logs, world.back_office.sessions())).encode(),
        "records": repr(world.charger_records()).encode(),
    }
    for path in world.options.directory.rglob("*"):
        if path.is_file() and "terminal" not in path.name:
            found[str(path.relative_to(world.options.directory))] = path.read_bytes()
    return found


def test_nothing_of_a_card_is_kept_anywhere(gossip):
    async def scenario(world):
        world.terminal.set_fault("unmasked")
        bill = await sold(world, "mastercard")
        refund = order(world, bill, 5, card=True)
        await world.until(lambda: "card you paid with" in screen(world), 60, "the words")
        await tap(world, "mastercard")
        await until_refund(world, refund, "done", "failed")
        await act(world, "remove_card")
        await until_state(world, "free")
        await tap(world, "declined")
        await world.until(lambda: "declined" in world.records, 60, "the decline")
        world.evse._say("speed nonsense")  # the board's task cannot read it, and crashes
        await asyncio.sleep(2)
        await until_state(world, "free", "declined")
        agree(world)
        assert gossip["040f"] >= 4 and gossip["04ff"] and gossip["061e"] and gossip["print"]
        assert "Traceback" in "\n".join(world.log)
        places = kept(world)
        assert {"charger/flash.bin", "backoffice.db"} <= places.keys()
        for where, data in places.items():
            for secret in SECRETS:
                assert secret not in data, (where, secret)

    run(scenario, wanted_wh=20000, config=AT_TERMINAL)

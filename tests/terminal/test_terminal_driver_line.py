"""The driver's transport and conversation on real MicroPython against a scripted peer.

The peer sits in the same process behind an in-memory UART and plays one flow to the byte: lost
acknowledgements, repeated frames, collisions, damage, silence, results that cannot be read.
"""

import json
import textwrap
from typing import Any

import pytest

from tests import mpy

SCRIPT = """
import asyncio, io, json, sys, time
from firmware.errors import *
from firmware.serialio import Serial
from firmware.terminal import framing, profiles
from firmware.terminal.link import CAPACITY, SerialLink
from firmware.terminal.zvt import ZvtTerminal

class Wire(io.IOBase):
    def __init__(self):
        self.rx = bytearray()
        self.tx = bytearray()
        self.closed = False

    def readinto(self, buf):
        if not self.rx:
            return 0 if self.closed else None
        n = min(len(buf), len(self.rx))
        buf[:n] = self.rx[:n]
        self.rx = self.rx[n:]
        return n

    def write(self, data):
        self.tx.extend(data)
        return len(data)

    def ioctl(self, request, arg):
        if request == 3:
            return arg & (4 | (1 if self.rx or self.closed else 0))
        return -22

class Peer:
    def __init__(self, wire):
        self.wire = wire

    async def byte(self, seconds=20):
        for _ in range(seconds * 1000):
            if self.wire.tx:
                b = self.wire.tx[0]
                self.wire.tx = self.wire.tx[1:]
                return b
            await asyncio.sleep_ms(1)
        raise RuntimeError("the driver sent nothing")

    async def frame(self, seconds=20):
        receiver = framing.Receiver(300)
        while True:
            n = receiver.feed(await self.byte(seconds))
            if n > 0:
                return bytes(receiver.data[:n])

    def put(self, apdu):
        out = bytearray(2 * len(apdu) + 6)
        n = framing.encode(apdu, out)
        self.wire.rx.extend(out[:n])

    def raw(self, data):
        self.wire.rx.extend(data)

    async def control(self):
        return await self.byte()

    async def take(self, start):
        got = await self.frame()
        assert got.hex().startswith(start), got.hex()
        self.raw(b"\\x06")
        return got

    async def say(self, text):
        self.put(bytes.fromhex(text))
        assert await self.control() == 6, text
        await self.take("80")

    async def answer(self, text="800000"):
        self.put(bytes.fromhex(text))
        assert await self.control() == 6, text

    async def come_up(self):
        await self.take("0600")
        await self.answer()
        await self.say("060f0a19102952523535490978")
        await self.take("0501")
        await self.answer()
        await self.say("060f0100")

class Clock:
    def uptime_ms(self):
        return 1234

RESULT = "040f1f2700040000000050004909788702310b00097529525235350c1200000d0405"
out = {"commits": 0}

def commit(a):
    out["commits"] += 1

async def until(condition, seconds=20):
    began = time.ticks_ms()
    while not condition():
        if time.ticks_diff(time.ticks_ms(), began) > seconds * 1000:
            raise RuntimeError("waited too long")
        await asyncio.sleep_ms(5)

def view(o):
    keys = ("ok", "certain", "code", "text", "receipt", "trace", "amount_minor", "at_ms")
    return {k: getattr(o, k) for k in keys if hasattr(o, k)}

async def ready():
    wire = Wire()
    peer = Peer(wire)
    t = ZvtTerminal(Serial(wire), profiles.load("generic"), 978, "123456", b"salt", Clock())
    task = asyncio.create_task(t.run())
    await peer.come_up()
    await until(lambda: t.ready)
    return wire, peer, t

async def main():
BODY
    print("OUT" + json.dumps(out))

asyncio.run(main())
"""


def play(body: str, timeout: float = 60) -> dict[str, Any]:
    """Run `body` on MicroPython; give its `out`."""
    script = SCRIPT.replace("BODY", textwrap.indent(textwrap.dedent(body), "    "))
    which = "micropython32" if mpy.has_32_bit() else "micropython"
    result = mpy.run_mpy(which, script, heap="512k", timeout=timeout)
    rows = [row for row in result.stdout.splitlines() if row.startswith("OUT")]
    assert rows, result.stdout + result.stderr
    said: dict[str, Any] = json.loads(rows[0][3:])
    return said


AUTHORISE = """
wire, peer, t = await ready()
ask = asyncio.create_task(t.authorise(5000, "FC01", commit))
await peer.take("0622")
await peer.answer()
"""


def test_approval_is_committed_once_and_described() -> None:
    out = play(
        AUTHORISE
        + """
await peer.say("04ff010a")
await peer.say(RESULT)
await peer.say("060f00")
out["a"] = view(await ask)
"""
    )
    assert out["commits"] == 1
    assert out["a"] == {
        "ok": True, "certain": True, "code": 0, "text": "approved", "receipt": 231, "trace": 975,
        "amount_minor": 5000, "at_ms": 1234,
    }  # fmt: skip


def test_refused_frame_is_sent_again_at_once() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.pending())
first = await peer.frame()
peer.raw(b"\\x15")
second = await peer.frame(1)
peer.raw(b"\\x06")
await peer.answer()
await peer.say("061e04b8870231")
out["same"] = first == second
out["pending"] = list(await ask)
"""
    )
    assert out["same"] and out["pending"] == [231]


def test_unacknowledged_frame_is_sent_three_times_in_all() -> None:
    out = play(
        """
wire = Wire()
link = SerialLink(Serial(wire))
began = time.ticks_ms()
try:
    await link.send(b"\\x06\\x70\\x00")
except TerminalTimeout as e:
    out["error"] = str(e)
out["ms"] = time.ticks_diff(time.ticks_ms(), began)
out["frames"] = bytes(wire.tx).count(b"\\x10\\x02\\x06\\x70")
"""
    )
    assert out["frames"] == 3 and out["error"] == "not acknowledged"
    assert 14800 < out["ms"] < 18000


def test_answer_without_acknowledgement_stands_for_it() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.pending())
await peer.frame()
await peer.answer()
await peer.say("061e04b887ffff")
out["pending"] = list(await ask)
"""
    )
    assert out["pending"] == []


def test_an_answer_that_does_not_tell_holds_is_not_taken_for_none() -> None:
    out = play(
        """
wire, peer, t = await ready()
out["said"] = []
for answer in ("060f00", "061e01b8", "061e02b800"):
    ask = asyncio.create_task(t.pending())
    await peer.frame()
    peer.raw(b"\\x06")
    await peer.answer()
    await peer.say(answer)
    try:
        out["said"].append(list(await ask))
    except TerminalError as e:
        out["said"].append(str(e))
"""
    )
    assert out["said"][:2] == ["pending reservations not told"] * 2
    assert out["said"][2] == "terminal refused: -1 terminal_error"  # cannot be read at all


def test_result_repeated_after_a_lost_acknowledgement_is_committed_once() -> None:
    out = play(
        AUTHORISE
        + """
peer.put(bytes.fromhex(RESULT))
assert await peer.control() == 6
first = await peer.frame()       # our answer: the peer acts as if neither had come
peer.put(bytes.fromhex(RESULT))
assert await peer.control() == 6
again = await peer.take("800000")
await peer.say("060f00")
out["a"] = view(await ask)
"""
    )
    assert out["commits"] == 1 and out["a"]["ok"] and out["a"]["certain"]


def test_result_repeated_on_purpose_is_answered_again() -> None:
    out = play(
        AUTHORISE
        + """
await peer.say(RESULT)
await peer.say(RESULT)
await peer.say("060f00")
out["a"] = view(await ask)
"""
    )
    assert out["commits"] == 1 and out["a"]["ok"]


def test_terminal_that_talks_first_is_served_first() -> None:
    out = play(
        """
wire, peer, t = await ready()
when = []
t.on_time = lambda *a: when.append(a)
ask = asyncio.create_task(t.pending())
await peer.frame()
peer.put(bytes.fromhex("040108aa2604050c225558"))
assert await peer.control() == 6
await peer.take("800000")
await peer.take("0623")
await peer.answer()
await peer.say("061e04b887ffff")
out["pending"] = list(await ask)
out["when"] = when
"""
    )
    assert out["pending"] == [] and out["when"] == [[2026, 4, 5, 22, 55, 58]]


def test_torn_frame_is_refused_after_t1_and_taken_whole() -> None:
    out = play(
        AUTHORISE
        + """
whole = bytes.fromhex(RESULT)
buf = bytearray(200)
n = framing.encode(whole, buf)
peer.raw(buf[: n // 2])
began = time.ticks_ms()
out["nak"] = await peer.control()
out["ms"] = time.ticks_diff(time.ticks_ms(), began)
await peer.say(RESULT)
await peer.say("060f00")
out["a"] = view(await ask)
"""
    )
    assert out["nak"] == 0x15 and 150 < out["ms"] < 900
    assert out["a"]["ok"] and out["commits"] == 1


@pytest.mark.parametrize("damage", ["frame[6] ^= 1", "frame[n - 1] ^= 0x80", "frame[7] = 0x10"])
def test_damaged_frame_is_refused_and_taken_the_second_time(damage: str) -> None:
    out = play(
        AUTHORISE
        + f"""
frame = bytearray(200)
n = framing.encode(bytes.fromhex(RESULT), frame)
{damage}
peer.raw(frame[:n])
out["nak"] = await peer.control()
await peer.say(RESULT)
await peer.say("060f00")
out["a"] = view(await ask)
"""
    )
    assert out["nak"] == 0x15 and out["a"]["ok"] and out["commits"] == 1


def test_frame_longer_than_the_buffer_is_refused() -> None:
    out = play(
        AUTHORISE
        + """
size = CAPACITY + 10
peer.put(bytes((6, 0xD3, 0xFF, size & 0xFF, size >> 8)) + bytes(size))
out["nak"] = await peer.control()
await peer.say(RESULT)
await peer.say("060f00")
out["a"] = view(await ask)
"""
    )
    assert out["nak"] == 0x15 and out["a"]["ok"]


def test_result_that_cannot_be_read_is_not_kept() -> None:
    out = play(
        AUTHORISE
        + """
peer.put(bytes.fromhex("040f0427007f00"))
assert await peer.control() == 6
await peer.say("061e016c")
try:
    await ask
except TerminalError as e:
    out["error"] = str(e)
"""
    )
    assert "unknown BMP 7F at 5" in out["error"] and out["commits"] == 0


def test_unreadable_result_of_a_capture_leaves_the_word_to_the_completion() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.capture(231, 5000, 1200))
await peer.take("0623")
await peer.answer()
await peer.say("040f0427007f00")
await peer.say("060f00")
out["o"] = view(await ask)
"""
    )
    assert out["o"]["ok"] and out["o"]["certain"] and out["o"]["amount_minor"] == 1200


def test_a_capture_gives_what_the_terminal_says_when_that_is_more() -> None:
    out = play(
        """
wire, peer, t = await ready()
out["amounts"] = []
for told in ("000000005000", "000000001200", "000000003800", "000000000001"):
    ask = asyncio.create_task(t.capture(231, 5000, 1200))
    await peer.take("0623")
    await peer.answer()
    await peer.say("040f092700" + "04" + told)
    await peer.say("060f00")
    out["amounts"].append((await ask).amount_minor)
ask = asyncio.create_task(t.cancel(231))
await peer.take("0625")
await peer.answer()
await peer.say("040f09270004000000005000")
await peer.say("060f00")
out["cancelled"] = (await ask).amount_minor
"""
    )
    assert out["amounts"] == [5000, 1200, 1200, 1200]  # 3800: what was released
    assert out["cancelled"] == 0


def test_a_capture_above_what_was_asked_is_proven_by_a_terminal_that_told_a_captured_sum() -> None:
    out = play(
        """
wire, peer, t = await ready()
out["proven"] = []
for asked, told in ((1200, 5000), (1200, 3800), (5000, 5000), (2500, 2500), (1200, 5000),
                    (1200, 1200), (1200, 5000), (1200, 1300), (1200, 5001)):
    ask = asyncio.create_task(t.capture(231, 5000, asked))
    await peer.take("0623")
    await peer.answer()
    await peer.say("040f09270004%012d" % told)
    await peer.say("060f00")
    out["proven"].append((await ask).proven)
"""
    )
    # the hold, the release, all of it, the half: none is told by the captured sum's name only;
    # more than was held is nobody's captured sum
    assert out["proven"] == [False, False, False, False, False, False, True, True, False]


def test_card_that_cannot_be_understood_is_no_card() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.read_card(10))
await peer.take("06c0")
await peer.answer()
await peer.say("040f0427007f00")
out["c"] = await ask
out["ready"] = t.ready
"""
    )
    assert out["c"] is None and out["ready"]


def test_refused_commit_is_met_with_silence() -> None:
    out = play(
        """
wire, peer, t = await ready()
def full(a):
    raise LedgerFull("ring is full")
ask = asyncio.create_task(t.authorise(5000, "FC01", full))
await peer.take("0622")
await peer.answer()
peer.put(bytes.fromhex(RESULT))
assert await peer.control() == 6
await asyncio.sleep_ms(1500)
out["silent"] = not wire.tx
await peer.say("061e016c")
try:
    await ask
except TerminalError as e:
    out["error"] = str(e)
"""
    )
    assert out == {"silent": True, "error": "ring is full", "commits": 0}


def test_terminal_lost_after_the_commit_is_an_approval_not_certain() -> None:
    out = play(
        AUTHORISE
        + """
await peer.say(RESULT)
wire.closed = True
out["a"] = view(await ask)
out["ready"] = t.ready
"""
    )
    assert out["commits"] == 1
    assert out["a"]["ok"] and not out["a"]["certain"] and not out["ready"]


def test_terminal_lost_before_the_result_is_not_certain() -> None:
    out = play(
        AUTHORISE
        + """
wire.closed = True
out["a"] = view(await ask)
"""
    )
    assert not out["a"]["ok"] and not out["a"]["certain"] and out["a"]["text"] == "terminal_off"


def test_terminal_that_reverses_after_the_commit_is_told() -> None:
    out = play(
        AUTHORISE
        + """
await peer.say(RESULT)
await peer.say("061e016c")
out["a"] = view(await ask)
"""
    )
    assert out["commits"] == 1
    assert not out["a"]["ok"] and out["a"]["certain"] and out["a"]["text"] == "cancelled"


def test_terminal_silent_on_a_capture_is_not_certain() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.capture(231, 5000, 1200))
out["sent"] = (await peer.take("0623")).hex()
await peer.answer()
await peer.say("04ff0117")
wire.closed = True
out["o"] = view(await ask)
"""
    )
    assert out["sent"] == "06230f1940870231490978040000000038 00".replace(" ", "")
    assert not out["o"]["ok"] and not out["o"]["certain"]


def test_busy_terminal_is_asked_again() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.pending())
await peer.take("0623")
await peer.answer("849c00")
await peer.take("0623")
await peer.answer()
await peer.say("061e04b887ffff")
out["pending"] = list(await ask)
"""
    )
    assert out["pending"] == []


def test_a_command_from_before_our_reset_is_ended_at_once() -> None:
    out = play(
        """
wire = Wire()
peer = Peer(wire)
t = ZvtTerminal(Serial(wire), profiles.load("generic"), 978, "123456", b"salt", Clock())
task = asyncio.create_task(t.run())
await peer.take("0600")
await peer.answer("849c00")
out["next"] = (await peer.take("06b0")).hex()
await peer.answer()
await peer.say("061e016c")
await peer.come_up()
await until(lambda: t.ready)
out["ready"] = t.ready
"""
    )
    assert (out["next"], out["ready"]) == ("06b000", True)


def test_a_result_of_a_command_from_before_our_reset_is_not_kept() -> None:
    out = play(
        """
wire = Wire()
peer = Peer(wire)
t = ZvtTerminal(Serial(wire), profiles.load("generic"), 978, "123456", b"salt", Clock())
task = asyncio.create_task(t.run())
await peer.take("0600")
await peer.answer()  # to the command before: its first acknowledgement was lost
await peer.answer("849c00")
peer.put(bytes.fromhex(RESULT))
assert await peer.control() == 6
await asyncio.sleep_ms(800)
out["silent"] = not wire.tx
await peer.say("061e016c")  # the terminal has reversed
await peer.come_up()
await until(lambda: t.ready)
out["ready"] = t.ready
"""
    )
    assert out == {"commits": 0, "silent": True, "ready": True}


def test_no_last_receipt_is_named_after_an_answer_was_lost() -> None:
    out = play(
        """
wire, peer, t = await ready()
t.last_receipt = 230
ask = asyncio.create_task(t.capture(231, 5000, 700))
await peer.take("0623")
await peer.answer()
wire.closed = True
out["o"] = view(await ask)
wire.closed = False
await peer.take("06b0")
await peer.answer()
await peer.come_up()
await until(lambda: t.ready)
ask = asyncio.create_task(t.authorise(5000, "FC01", commit))
out["sent"] = (await peer.take("0622")).hex()
await peer.answer()
await peer.say(RESULT)
await peer.say("060f00")
await ask
"""
    )
    assert not out["o"]["ok"] and not out["o"]["certain"]
    assert "1f1f" not in out["sent"]


def test_refused_command_is_certain() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.reverse(231))
out["sent"] = (await peer.take("0630")).hex()
await peer.answer("84b400")
out["o"] = view(await ask)
"""
    )
    assert out["sent"] == "063006123456870231"
    assert (out["o"]["ok"], out["o"]["certain"], out["o"]["code"]) == (False, True, 0xB4)
    assert out["o"]["text"] == "already_reversed"


def test_unknown_command_of_the_terminal_is_refused_politely() -> None:
    out = play(
        AUTHORISE
        + """
peer.put(bytes.fromhex("06e700"))
assert await peer.control() == 6
out["answer"] = (await peer.take("84")).hex()
await peer.say(RESULT)
await peer.say("060f00")
out["a"] = view(await ask)
"""
    )
    assert out["answer"] == "848300" and out["a"]["ok"]


def test_print_lines_and_blocks_are_kept_for_the_receipt() -> None:
    out = play(
        AUTHORISE
        + """
await peer.say(RESULT)
await peer.say("06d10400" + b"Hi ".hex())
await peer.say("06d3" + "0e" + "060c" + "1f070102" + "2506" + "0704" + b"Visa".hex())
await peer.say("06d3" + "0e" + "060c" + "1f070101" + "2506" + "0704" + b"Shop".hex())
for _ in range(60):
    await peer.say("06d11f00" + (b"x" * 30).hex())
await peer.say("060f00")
await ask
out["text"] = t.receipt_text
"""
    )
    assert out["text"].split("\n")[:3] == ["Hi", "Visa", "x" * 30]
    assert "Shop" not in out["text"] and len(out["text"]) == 1500


def test_result_nobody_asked_for_is_not_kept() -> None:
    out = play(
        """
wire, peer, t = await ready()
peer.put(bytes.fromhex(RESULT))
assert await peer.control() == 6
await asyncio.sleep_ms(800)
out["silent"] = not wire.tx
"""
    )
    assert out["silent"]


def test_mirror_carries_the_last_receipt() -> None:
    out = play(
        """
wire, peer, t = await ready()
for turn in range(2):
    ask = asyncio.create_task(t.authorise(5000, "FC01", commit))
    out[str(turn)] = (await peer.take("0622")).hex()
    await peer.answer()
    await peer.say(RESULT)
    await peer.say("060f00")
    await ask
"""
    )
    assert "1f1f" not in out["0"] and "1f1f020231" in out["1"]


def test_silent_terminal_is_tried_again_and_comes_back() -> None:
    out = play(
        """
wire = Wire()
peer = Peer(wire)
t = ZvtTerminal(Serial(wire), profiles.load("generic"), 978, "123456", b"salt", Clock())
task = asyncio.create_task(t.run())
await asyncio.sleep_ms(400)
out["first"] = t.state
await until(lambda: t.state == "off", 25)
out["o"] = view(await t.cancel(231))
wire.tx = bytearray()
await peer.take("06b000")
await peer.answer("848300")
await peer.come_up()
await until(lambda: t.ready)
out["state"] = t.state
"""
    )
    assert out["first"] == "registering" and out["state"] == "ready"
    assert (out["o"]["ok"], out["o"]["certain"], out["o"]["text"]) == (False, True, "terminal_off")


def test_commands_wait_for_each_other() -> None:
    out = play(
        """
wire, peer, t = await ready()
a = asyncio.create_task(t.cancel(1))
b = asyncio.create_task(t.cancel(2))
first = await peer.take("0625")
await peer.answer()
await asyncio.sleep_ms(300)
out["quiet"] = not wire.tx
await peer.say("040f022700")
await peer.say("060f00")
second = await peer.take("0625")
await peer.answer()
await peer.say("040f022705")
await peer.say("061e0105")
out["order"] = [first.hex(), second.hex()]
out["a"] = view(await a)
out["b"] = view(await b)
"""
    )
    assert out["quiet"] and out["order"] == [
        "0625081940870001490978", "0625081940870002490978",
    ]  # fmt: skip
    assert out["a"]["ok"] and not out["b"]["ok"] and out["b"]["code"] == 5


@pytest.mark.parametrize(
    ("told", "amount"), [("2000", 7000), ("7000", 7000), ("", 7000), ("1500", 0), ("6500", 0)]
)
def test_of_an_extension_only_the_step_or_the_new_sum_is_understood(
    told: str, amount: int
) -> None:
    """A part was not asked for, and could be read both ways: not acknowledged, so not kept."""
    out = play(
        AUTHORISE
        + f"""
await peer.say(RESULT)
await peer.say("060f00")
a = await ask
out["commits"] = 0
ask = asyncio.create_task(t.extend(a, 2000, commit))
await peer.take("0622")
await peer.answer()
TOLD, AMOUNT = {told!r}, {amount}
bmp = "04%012d" % int(TOLD) if TOLD else ""
apdu = "2700" + bmp + "49097887023129525235350b000976"
text = "040f%02x" % (len(apdu) // 2) + apdu
if AMOUNT:
    await peer.say(text)
    await peer.say("060f00")
else:
    peer.put(bytes.fromhex(text))
    assert await peer.control() == 6
    await peer.answer("061e016c")  # silence of ours: it takes it back
try:
    out["amount"] = (await ask).amount_minor
except TerminalError as e:
    out["amount"] = 0
    out["why"] = str(e)
"""
    )
    assert (out["amount"], out["commits"]) == (amount, 1 if amount else 0)
    assert amount or told in out["why"]

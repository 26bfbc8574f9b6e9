"""The driver's transport: frames that are lost, torn, damaged, repeated or too long."""

import pytest

from tests.terminal.scripted import AUTHORISE, play


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

"""What else a terminal says to the driver: prints, states, silence, sums of an extension."""

import pytest

from tests.terminal.scripted import AUTHORISE, play


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


def test_a_number_over_two_printed_lines_is_not_kept() -> None:
    out = play(
        AUTHORISE
        + """
await peer.say(RESULT)
await peer.say("06d10900" + b"41111111".hex())
await peer.say("06d10900" + b"11111111".hex())
await peer.say("060f00")
await ask
out["text"] = t.receipt_text
"""
    )
    assert out["text"] == "411111**\n****1111\n"


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

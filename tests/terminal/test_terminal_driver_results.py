"""What the driver takes for a command's result, keeps, and of what it is not certain."""

from tests.terminal.scripted import AUTHORISE, play


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


def test_a_terminal_that_has_forgotten_us_is_registered_again_and_refuses_no_driver() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.read_card(10))
await peer.take("06c0")
await peer.answer()
await peer.say("061e016b")
out["c"] = await ask
out["ready"] = t.ready
await peer.take("0600")
"""
    )
    assert out["c"] is None and not out["ready"]


def test_a_read_that_is_refused_at_once_is_told_a_moment_later() -> None:
    out = play(
        """
wire, peer, t = await ready()
ask = asyncio.create_task(t.read_card(10))
await peer.take("06c0")
await peer.answer()
await peer.say("061e0171")
await asyncio.sleep_ms(300)
out["at once"] = ask.done()
c = await ask
out["c"] = [c.kind, c.code]
out["ready"] = t.ready
"""
    )
    assert out == {"at once": False, "c": ["unreadable", 0x71], "ready": True, "commits": 0}


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

"""The terminal driver on real MicroPython against the simulated terminal, over a pty and TCP.

Each test gives a piece of MicroPython that uses `t` (a ZvtTerminal that is ready) and puts what it
saw into `out`; afterwards the terminal's own books are asked.
"""

import asyncio
import json
import textwrap
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from hostsim.clock import WorldClock
from hostsim.line import PtyLine
from hostsim.terminal.pt import TerminalSim
from tests import mpy

SCRIPT = """
import asyncio, json, sys, time, gc
sys.path.insert(0, {root!r})
from board.host_uart import UART
from firmware.errors import *
from firmware.serialio import Serial
from firmware.terminal import profiles
from firmware.terminal.zvt import ZvtTerminal

class Clock:
    def uptime_ms(self):
        return time.ticks_ms()

out = {{}}
texts = []
traced = []
times = []
commits = []
WHERE = {where!r}

def show(direction, masked, name):
    traced.append(direction + " " + masked + " " + name)

def commit(a):
    commits.append([a.amount_minor, a.receipt, a.pan])

def view(o):
    keys = ("ok", "certain", "code", "text", "receipt", "trace", "amount_minor", "kind", "pan",
            "card", "uid_hash", "terminal_id", "vu", "auth_code", "count", "first", "last")
    return {{k: getattr(o, k) for k in keys if hasattr(o, k)}}

async def until(condition, seconds=20):
    began = time.ticks_ms()
    while not condition():
        if time.ticks_diff(time.ticks_ms(), began) > seconds * 1000:
            raise RuntimeError("waited too long")
        await asyncio.sleep_ms(10)

async def main():
    profile = profiles.load({profile!r})
    if isinstance(WHERE, str):
        uart = UART(WHERE, 9600, 8, None, 2)
        t = ZvtTerminal(Serial(uart), profile, 978, "123456", b"salt", Clock(), show)
    else:
        t = ZvtTerminal(None, profile, 978, "123456", "salt", Clock(), show, WHERE)
    t.on_text = texts.append
    t.on_time = lambda *a: times.append(a)
    task = asyncio.create_task(t.run())
    if {ready}:
        await until(lambda: t.ready)
{body}
    out["texts"] = texts
    out["commits"] = commits
    out["traced"] = traced
    out["times"] = times
    print("OUT" + json.dumps(out))

asyncio.run(main())
"""

Scene = Callable[[TerminalSim, Any], Coroutine[Any, Any, None]]


async def _until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - the simulated terminal tells nobody
        await asyncio.sleep(0.02)


async def _play(
    body: str,
    tap: str | None,
    scene: Scene | None,
    faults: dict[str, Any],
    profile: str,
    ready: bool,
    tcp: bool,
    bank_s: float,
) -> tuple[dict[str, Any], TerminalSim]:
    sim = TerminalSim(WorldClock(), profile=profile, auto_tap=tap, bank_s=bank_s)
    for name, param in faults.items():
        sim.set_fault(name, param)
    where: str | tuple[str, int]
    if tcp:
        door = await sim.serve_tcp("127.0.0.1", 0)
        where = ("127.0.0.1", door.port)
        task = None
        line = None
    else:
        line = PtyLine(baud=9600, bits_per_byte=11)
        where = line.path
        task = asyncio.create_task(sim.serve(line, True))
    script = SCRIPT.format(
        root=str(mpy.ROOT),
        where=where,
        profile=profile,
        ready=ready,
        body=textwrap.indent(textwrap.dedent(body), "    "),
    )
    which = "micropython32" if mpy.has_32_bit() else "micropython"
    process = await asyncio.create_subprocess_exec(
        str(mpy.interpreter(which)), "-X", "heapsize=512k", "-c", script, cwd=mpy.ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    played = asyncio.create_task(scene(sim, line)) if scene else None
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 100)
    finally:
        for each in (played, task):
            if each is not None:
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each
        if process.returncode is None:
            process.kill()
            await process.wait()
        if tcp:
            await door.close()
        elif line is not None:
            line.close()
    text = said.decode()
    marked = [row for row in text.splitlines() if row.startswith("OUT")]
    assert marked, text
    return json.loads(marked[0][3:]), sim


def play(
    body: str,
    *,
    tap: str | None = "visa",
    scene: Scene | None = None,
    faults: dict[str, Any] | None = None,
    profile: str = "generic",
    ready: bool = True,
    tcp: bool = False,
    bank_s: float = 0.1,
) -> tuple[dict[str, Any], TerminalSim]:
    """Run `body` on MicroPython against a simulated terminal; give `out` and the terminal."""
    return asyncio.run(_play(body, tap, scene, faults or {}, profile, ready, tcp, bank_s))


AUTHORISE = """
a = await t.authorise(5000, "FC000231", commit)
out["a"] = view(a)
"""
CAPTURE = """
out["o"] = view(await t.capture(a.receipt, a.amount_minor, 1234))
out["pending"] = list(await t.pending())
"""


def test_comes_up_and_says_ready() -> None:
    out, _ = play('out["state"] = t.state\nout["busy"] = t.ready', tap=None)
    assert (out["state"], out["busy"]) == ("ready", True)


@pytest.mark.parametrize("profile", ["generic", "feig-cvend", "ccv-opm-c60"])
@pytest.mark.parametrize("tcp", [False, True], ids=["serial", "tcp"])
def test_hold_and_capture(profile: str, tcp: bool) -> None:
    out, sim = play(AUTHORISE + CAPTURE, profile=profile, tcp=tcp)
    assert out["a"]["ok"] and out["a"]["amount_minor"] == 5000
    assert out["a"]["pan"] == "411111******1111"
    assert out["o"]["ok"] and out["o"]["certain"] and out["o"]["amount_minor"] == 1234
    assert out["pending"] == []
    books = sim.books.summary()
    assert (books["captured_minor"], books["released_minor"], books["pending"]) == (1234, 3766, [])
    assert out["commits"] == [[5000, out["a"]["receipt"], "411111******1111"]]


def test_nothing_used_cancels_the_hold() -> None:
    out, sim = play(AUTHORISE + 'out["o"] = view(await t.capture(a.receipt, 5000, 0))')
    assert out["o"]["ok"]
    assert sim.books.summary()["pending"] == []
    assert sim.books.summary()["captured_minor"] == 0


def test_capture_beyond_the_hold_is_never_sent() -> None:
    out, _ = play(
        AUTHORISE
        + """
try:
    await t.capture(a.receipt, 5000, 5001)
except TerminalError as e:
    out["error"] = str(e)
"""
    )
    assert "5001" in out["error"]
    assert not any("partial reversal" in row for row in out["traced"])


def test_pending_lists_open_holds() -> None:
    out, sim = play(AUTHORISE + 'out["pending"] = list(await t.pending())')
    assert out["pending"] == [out["a"]["receipt"]]
    assert len(sim.books.summary()["pending"]) == 1


def test_several_pending_holds_are_all_listed() -> None:
    out, _ = play(AUTHORISE + AUTHORISE + AUTHORISE + 'out["pending"] = list(await t.pending())')
    assert len(out["pending"]) == 3
    assert [row[1] for row in out["commits"]] == sorted(out["pending"])


@pytest.mark.parametrize(
    ("card", "key"),
    [
        ("declined", "try_another_card"),
        ("insufficient", "try_another_card"),
        ("expired", "try_another_card"),
    ],
)
def test_decline_has_the_drivers_words(card: str, key: str) -> None:
    out, sim = play(AUTHORISE, tap=card)
    assert (out["a"]["ok"], out["a"]["certain"], out["a"]["text"]) == (False, True, key)
    assert out["a"]["code"] > 0 and out["commits"] == []
    assert sim.books.summary()["pending"] == []


def test_partial_approval_holds_what_was_approved() -> None:
    out, sim = play(AUTHORISE, tap="partial", profile="feig-cvend")
    assert out["a"]["ok"] and 0 < out["a"]["amount_minor"] < 5000
    assert out["commits"][0][0] == out["a"]["amount_minor"]
    assert sim.books.summary()["authorised_minor"] == out["a"]["amount_minor"]


def test_commit_that_fails_lets_the_terminal_reverse() -> None:
    out, sim = play(
        """
def refuse(a):
    raise LedgerFull("no room")
try:
    await t.authorise(5000, "FC000231", refuse)
except TerminalError as e:
    out["error"] = str(e)
await until(lambda: t.ready)
out["pending"] = list(await t.pending())
"""
    )
    assert out["error"] == "no room"
    assert out["pending"] == []
    assert sim.books.summary()["pending"] == []


def test_commit_that_is_slow_asks_for_time() -> None:
    out, sim = play(
        """
def slow(a):
    time.sleep_ms(3500)
    commit(a)
a = await t.authorise(5000, "FC000231", slow)
out["a"] = view(a)
"""
    )
    assert out["a"]["ok"] and out["a"]["certain"]
    assert len(out["commits"]) == 1
    assert any("849c00" in row for row in out["traced"])
    assert len(sim.books.summary()["pending"]) == 1


def test_no_card_is_told() -> None:
    async def nobody(sim: TerminalSim, line: Any) -> None:
        sim.card_timeout_s = 1.5

    out, _ = play(AUTHORISE, tap=None, scene=nobody)
    assert (out["a"]["ok"], out["a"]["text"], out["commits"]) == (False, "no_card", [])


READ = """
c = await t.read_card(20)
out["c"] = view(c) if c else None
"""


def test_bank_card_is_read_and_masked() -> None:
    out, _ = play(READ, tap="visa", profile="feig-cvend", faults={"unmasked": True})
    assert out["c"]["kind"] == "bank"
    assert out["c"]["pan"] == "411111******1111"
    assert len(out["c"]["uid_hash"]) == 16
    assert "4111111111111111" not in json.dumps(out)


def test_same_card_is_known_again_and_another_is_not() -> None:
    async def taps(sim: TerminalSim, line: Any) -> None:
        for name in ("visa", "visa", "mastercard"):
            await _until(lambda: sim.reader.awaiting)
            sim.present_card(name)
            await _until(lambda: not sim.reader.awaiting)

    out, _ = play(
        """
out["cards"] = []
for _ in range(3):
    c = await t.read_card(20)
    out["cards"].append(c.uid_hash)
""",
        tap=None,
        scene=taps,
    )
    first, second, third = out["cards"]
    assert first == second != third


def test_abort_ends_a_read_within_a_moment() -> None:
    out, _ = play(
        """
async def stop():
    await asyncio.sleep_ms(700)
    t.abort()
asyncio.create_task(stop())
began = time.ticks_ms()
out["c"] = await t.read_card(60)
out["ms"] = time.ticks_diff(time.ticks_ms(), began)
out["state"] = t.state
out["pending"] = list(await t.pending())
""",
        tap=None,
    )
    assert out["c"] is None and 600 < out["ms"] < 2500
    assert out["state"] == "ready" and out["pending"] == []


def test_money_command_ends_a_waiting_read() -> None:
    out, _ = play(
        """
read = asyncio.create_task(t.read_card(60))
await asyncio.sleep_ms(800)
out["pending"] = list(await t.pending())
out["c"] = await read
""",
        tap=None,
    )
    assert out["pending"] == [] and out["c"] is None


def test_cancelled_read_leaves_the_line_clean() -> None:
    out, _ = play(
        """
read = asyncio.create_task(t.read_card(60))
await asyncio.sleep_ms(800)
read.cancel()
await asyncio.sleep_ms(10)
out["pending"] = list(await t.pending())
out["state"] = t.state
""",
        tap=None,
    )
    assert out["pending"] == [] and out["state"] == "ready"


def test_reverse_refund_and_end_of_day() -> None:
    out, sim = play(
        AUTHORISE
        + CAPTURE
        + """
b = await t.authorise(4000, "FC000232", commit)
out["b"] = view(await t.capture(b.receipt, 4000, 4000))
out["r"] = view(await t.refund(500, "FC000232"))
out["v"] = view(await t.reverse(b.receipt))
d = await t.end_of_day()
out["d"] = view(d)
"""
    )
    assert out["b"]["ok"] and out["r"]["ok"] and out["v"]["ok"], out
    assert out["d"]["ok"] and out["d"]["count"] > 0
    books = sim.books.summary()
    assert books["refunded_minor"] == 4500  # the reversal of 4000 counts as one


def test_end_of_day_with_open_holds_is_refused() -> None:
    out, _ = play(AUTHORISE + 'out["d"] = view(await t.end_of_day())')
    assert not out["d"]["ok"] and out["d"]["certain"] and out["d"]["code"] == 0xB8


def test_hold_is_extended() -> None:
    out, sim = play(
        AUTHORISE
        + """
b = await t.extend(a, 2000, commit)
out["b"] = view(b)
out["o"] = view(await t.capture(a.receipt, b.amount_minor, 6500))
"""
    )
    assert out["b"]["ok"] and out["b"]["amount_minor"] == 7000, out["b"]
    assert out["o"]["ok"]
    books = sim.books.summary()
    assert (books["captured_minor"], books["released_minor"]) == (6500, 500)


def test_intermediate_texts_and_time_are_told() -> None:
    out, _ = play(AUTHORISE)
    assert "insert_card" in out["texts"]
    assert out["times"] and len(out["times"][0]) == 6


@pytest.mark.parametrize(
    "fault",
    ["nak", "bad-crc", "duplicate", "collision", "busy", "unknown-command", "long-apdu",
     "long-trace", "drop-ack"],
)  # fmt: skip
def test_line_fault_costs_no_money(fault: str) -> None:
    out, sim = play(AUTHORISE + CAPTURE, faults={fault: 3 if fault != "drop-ack" else 1})
    assert out["a"]["ok"] and out["o"]["ok"] and out["pending"] == [], out
    books = sim.books.summary()
    assert (books["captured_minor"], books["released_minor"], books["pending"]) == (1234, 3766, [])


# A frame in pieces takes longer than T1 (0.2 s), but each gap stays far enough below it for a
# machine that is late to wake.
@pytest.mark.parametrize(("fault", "param"), [("garbage", True), ("fragment", 0.08)])
def test_noisy_line_works(fault: str, param: float) -> None:
    out, _ = play(AUTHORISE + CAPTURE, faults={fault: param})
    assert out["a"]["ok"] and out["o"]["ok"]


def test_terminal_that_needs_initialisation_gets_it() -> None:
    out, _ = play('out["state"] = t.state', faults={"out-of-service": "51"}, tap=None)
    assert out["state"] == "ready"
    assert any("initialisation" in row for row in out["traced"])


def test_terminal_that_needs_diagnosis_gets_it() -> None:
    out, _ = play('out["state"] = t.state', faults={"out-of-service": "C2"}, tap=None)
    assert out["state"] == "ready"
    assert any("diagnosis" in row for row in out["traced"])
    assert any(when[0] is not None for when in out["times"])


def test_result_that_never_comes_is_no_hold() -> None:
    out, sim = play(
        AUTHORISE + 'await until(lambda: t.ready)\nout["pending"] = list(await t.pending())',
        faults={"drop-040f": 1},
    )
    assert not out["a"]["ok"] and out["commits"] == []
    assert out["pending"] == [] == sim.books.summary()["pending"]


def test_no_network_is_told() -> None:
    out, _ = play(AUTHORISE, faults={"acquirer-down": True})
    assert (out["a"]["ok"], out["a"]["text"]) == (False, "no_network")


def test_power_cut_of_the_terminal_is_survived() -> None:
    async def cut(sim: TerminalSim, line: Any) -> None:
        await _until(lambda: sim.books.summary()["pending"])
        await asyncio.sleep(0.5)
        sim.power_off()
        await asyncio.sleep(1)
        sim.power_on()

    out, sim = play(
        AUTHORISE
        + """
await asyncio.sleep(3)
o = await t.capture(a.receipt, 5000, 1000)
out["first"] = view(o)
await until(lambda: t.ready, 40)
if not o.ok:
    o = await t.capture(a.receipt, 5000, 1000)
out["o"] = view(o)
""",
        scene=cut,
    )
    assert out["o"]["ok"], out
    assert sim.books.summary()["captured_minor"] == 1000

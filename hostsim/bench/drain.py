"""A charger that was offline for a thousand sessions: its ledger drains, each record once, while
it charges at full meter rate; the power fails in the middle.

The backlog is written by the firmware's own ledger on MicroPython, the terminal's book made to
match; from there on everything is real. What the meter is asked per second while records go out
stands beside the same session offline.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostsim.setup import LIB, MICROPYTHON32, ROOT
from hostsim.soak.judge import FlashBook, judge
from hostsim.terminal.books import Books, Kind, Record, State
from hostsim.terminal.cards import CARDS
from hostsim.world import Options, World, WorldError

SCRIPT = Path(__file__).with_name("backlog_mpy.py")
SESSIONS = 1000
FLASH_KIB = 2048
CHECKPOINTS = 23  # with what else a session writes: 30 records
WH, HOLD, TOTAL = 1000, 6000, 59  # as backlog_mpy.py has them
_DAY_MS = 86_400_000
_METER_WH = 1_234_560  # where the world's meter begins
_READY_S = 120
_STEP_S = 90
_WINDOW_S = 6.0


async def measure(
    directory: Path,
    sessions: int = SESSIONS,
    flash_kib: int = FLASH_KIB,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The figures, units in their names; `failures` is empty when every record arrived once and
    the books agree. Raises WorldError, BrokerError, ChargerError, RuntimeError.
    """
    options = Options(
        directory,
        flash_kib=flash_kib,
        proxied=True,
        config={"meter": {"poll_ms": 100}},
    )
    progress(f"writing {sessions} sessions of {CHECKPOINTS + 7} records")
    began = time.time_ns() // 1_000_000 - sessions * _DAY_MS // 100
    made = await asyncio.to_thread(_backlog, directory, sessions, flash_kib, began)
    world = World(options)
    try:
        world.evse.network = False
        started = time.monotonic()
        await world.start()
        await world.until(lambda: bool(world.hello), _READY_S, "the ledger to be mounted")
        found = {
            "sessions": sessions,
            "records": made["records"],
            "flash_kib": flash_kib,
            "start_s": round(time.monotonic() - started, 2),
        }
        await world.until_ready(_READY_S)
        return found | await _drain(world, made["records"], progress)
    finally:
        await world.stop()


def _backlog(directory: Path, sessions: int, flash_kib: int, now_ms: int) -> dict[str, Any]:
    """Flash and terminal's book as they stand after so many sessions offline."""
    files = directory / "charger"
    files.mkdir(parents=True, exist_ok=True)
    words = [files / "flash.bin", flash_kib // 4, sessions, CHECKPOINTS,
             _METER_WH - WH * sessions, now_ms]  # fmt: skip
    done = subprocess.run(
        [str(MICROPYTHON32), "-X", "heapsize=1M", str(SCRIPT), *map(str, words)],
        env={"MICROPYPATH": f"{ROOT}:{LIB}:.frozen"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the backlog could not be written:\n{done.stdout}{done.stderr}")
    books = Books()
    card = CARDS["visa"]
    for number in range(1, sessions + 1):
        books.records.append(
            Record(
                seq=number, kind=Kind.RESERVATION, state=State.CAPTURED, receipt=number,
                trace=2 * number - 1, authorised_minor=HOLD, currency=978, card=card.name,
                pan=card.shown, scheme=card.scheme_name, expiry=card.expiry, uid=card.uid,
                authorisation="123456", created_ms=now_ms, captured_minor=TOTAL,
                released_minor=HOLD - TOTAL, receipts=[number],
                traces=[2 * number - 1, 2 * number], reference=f"S{number}", closed_ms=now_ms,
            )
        )  # fmt: skip
    books.counters = {"receipt": sessions, "trace": 2 * sessions, "turnover": sessions}
    kept = Books(directory / "terminal.json")
    kept.records, kept.counters = books.records, books.counters
    kept.save()
    made: dict[str, Any] = json.loads(done.stdout)
    return made


async def _drain(world: World, records: int, progress: Callable[[str], None]) -> dict[str, Any]:
    progress("a session begins, offline")
    before_wh = world.meter.register_wh
    await world.act("plug")
    await world.act("tap", card="visa")
    await world.until(lambda: world.state == "charging", _STEP_S, "power")
    alone = await _polls(world, _WINDOW_S, lambda: False)
    progress("the network is back: half of it, charging")
    acked = _acked(world)
    world.hands.set_network(True)
    await world.until(lambda: _acked(world) > acked, _STEP_S, "the first acknowledgement")
    began, first = time.monotonic(), _acked(world)
    meanwhile = await _polls(world, 600, lambda: _acked(world) > records // 2)
    took_s, last = time.monotonic() - began, _acked(world)
    peak = world.view["heap"]["peak"]
    progress("a power cut; the rest, with the session settled meanwhile")
    await world.act("power", on=False)
    await world.act("unplug")
    await world.act("power", on=True)
    await world.until(lambda: "captured" in world.records, _STEP_S, "the capture")
    await world.until(world.synced, 600, "everything to be acknowledged")
    flash = FlashBook()
    await asyncio.to_thread(flash.gather, world)
    verdict = judge(world, flash)
    billed_wh = world.records["priced"]["billed_wh"]
    if billed_wh != world.meter.register_wh - before_wh:
        verdict["failures"].append(f"{billed_wh} Wh billed for the session meanwhile")
    sent = (last - first) / took_s
    return {
        "records_per_s": round(sent, 1),
        "sessions_per_minute": round(60 * sent / (CHECKPOINTS + 7), 1),
        "polls_per_s_offline": round(alone, 2),
        "polls_per_s_draining": round(meanwhile, 2),
        "of_meter_rate": round(meanwhile / alone, 3),
        "peak_heap_bytes": max(peak, world.view["heap"]["peak"]),
        "lost": verdict["lost"],
        "duplicated": verdict["duplicated"],
        "failures": verdict["failures"],
    }


def _acked(world: World) -> int:
    acked: int = world.view.get("sync", {}).get("acked_seq", 0)
    return acked


async def _polls(world: World, longest_s: float, over: Callable[[], bool]) -> float:
    """Requests to the meter per second, until `over()`, for at most that long."""
    began, requests = time.monotonic(), world.meter.requests
    while not over() and time.monotonic() - began < longest_s:
        if world.state != "charging":
            raise WorldError(f"the charger is {world.state!r}, it should charge")
        await asyncio.sleep(0.05)
    return (world.meter.requests - requests) / (time.monotonic() - began)

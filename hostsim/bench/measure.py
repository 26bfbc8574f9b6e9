"""The measurements: one world, real firmware, everything idle but what is measured.

A figure means little on a machine nobody knows, so each stands beside a limit that physics sets
(the baud rate) or a peer measured in the same run (the bare interpreter, the terminal itself).
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostsim import bench_flash
from hostsim.bench import drain, memory, modbus
from hostsim.broker import BrokerError
from hostsim.charger import Charger, ChargerError, Machine
from hostsim.pricing import ticks
from hostsim.pricing.cli import PriceError
from hostsim.setup import BUILD
from hostsim.setup.progress import SetupError
from hostsim.world import Options, World, WorldError

ERRORS = (
    WorldError,
    BrokerError,
    ChargerError,
    PriceError,
    SetupError,
    RuntimeError,
    OSError,
    subprocess.SubprocessError,
)
Progress = Callable[[str], None]

BAUD = 9600
BITS_A_BYTE = 10
SILENT_BYTES = 3.5  # before and after every frame: Modbus over Serial Line V1.02, 2.5.1.1
TAPS = 3
_POLL_S = 10
_IDLE_S = 10
_STEP_S = 90
_OWED_WH = 30  # some cents
# What every asyncio program of this interpreter costs that looks at its lines as often.
_PEER = """
import asyncio
async def main():
    while True:
        await asyncio.sleep_ms(20)
asyncio.run(main())
"""


PARTS = ("charger", "memory", "pricing", "modbus", "flash", "drain")
_DRAIN_SESSIONS = 200


async def everything(
    rom: bool, progress: Progress, only: tuple[str, ...] = PARTS
) -> dict[str, Any]:
    """All figures by name, with units in the names; `only` those of some PARTS. The drain has
    fewer sessions in a full run than alone. Raises one of ERRORS.
    """
    found: dict[str, Any] = {"made_with": _machine(rom)}
    if "charger" in only:
        found |= await _charger(rom, progress)
    if "memory" in only:
        found["memory"] = found.get("memory", {}) | await memory.measure(progress)
    if "pricing" in only:
        progress("price ticks")
        found["pricing"] = await asyncio.to_thread(ticks.measure)
    if "modbus" in only:
        progress("the meter's bus beside micropython-modbus")
        found["modbus"] = await asyncio.to_thread(modbus.measure)
    if "flash" in only:
        progress("flash")
        found["flash"] = await asyncio.to_thread(bench_flash.measure, 50)
    if "drain" in only:
        sessions = drain.SESSIONS if only == ("drain",) else _DRAIN_SESSIONS
        with tempfile.TemporaryDirectory(prefix="forecourt-drain-") as directory:
            found["drain"] = await drain.measure(Path(directory), sessions, progress=progress)
    return found


async def _charger(rom: bool, progress: Progress) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="forecourt-bench-") as directory:
        options = Options(
            Path(directory), rom=rom, wanted_wh=None, config={"meter": {"poll_ms": 100}}
        )
        world = World(options)
        try:
            await world.start()
            await world.until_ready(_STEP_S)
            progress(f"idle processor time, {_IDLE_S} s")
            found["idle"] = await _idle(world)
            progress(f"{TAPS} sessions: from the tap to power")
            found["tap_to_power"] = await _taps(world)
            progress(f"meter polls, {_POLL_S} s")
            found["meter"] = await _polls(world)
            progress("from power-on to ready")
            found["start"] = await _power_on(world)
            progress("a power cut while charging, until the session is settled")
            found["recovery"] = await _recovery(world)
            found["loop"] = {"longest_stall_ms": found["tap_to_power"].pop("longest_stall_ms")}
            found["memory"] = _memory(world, found["tap_to_power"].pop("peak_heap_bytes"))
        finally:
            await world.stop()
    return found


def _machine(rom: bool) -> dict[str, Any]:
    machine = Machine.choose(rom)
    return {
        "pointer_bits": machine.bits,
        "heap_kb": machine.heap_kb,
        "code": "ROMFS" if rom else "RAM",
        "host": platform.machine(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


# --- idle ----------------------------------------------------------------------------------------


async def _idle(world: World) -> dict[str, Any]:
    """Processor time of the idle charger, online and waiting for a card, beside an empty loop."""
    assert world.charger
    peer = await asyncio.create_subprocess_exec(
        str(world.charger.machine.interpreter), "-c", _PEER, cwd=BUILD
    )
    try:
        before = world.charger.cpu_s(), _cpu_s(peer.pid)
        began = time.monotonic()
        await asyncio.sleep(_IDLE_S)
        took = time.monotonic() - began
        used = world.charger.cpu_s() - before[0], _cpu_s(peer.pid) - before[1]
    finally:
        peer.kill()
        await peer.wait()
    return {
        "cpu_percent": round(100 * used[0] / took, 2),
        "empty_loop_cpu_percent": round(100 * used[1] / took, 2),
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- meter ---------------------------------------------------------------------------------------


async def _polls(world: World) -> dict[str, Any]:
    """Transactions per second as fast as the firmware goes, beside what the line could carry.

    The limit counts every bit of both frames and the two silences, and nothing else.
    """
    await world.act("speed", n=60)  # the poll period is charger time: it is never waited for
    queue = world.subscribe()
    began = time.monotonic()
    requests = octets = 0
    while (left := _POLL_S - (time.monotonic() - began)) > 0:
        try:
            message = await asyncio.wait_for(queue.get(), left)
        except TimeoutError:
            break
        if message["t"] == "event" and message["kind"] == "modbus":
            octets += len(bytes.fromhex(message["data"]["hex"]))
            requests += message["data"]["kind"] == "request"
    took = time.monotonic() - began
    world.unsubscribe(queue)
    await world.act("speed", n=1)
    if not requests:
        raise WorldError("the firmware asked the meter nothing")
    wire_s = (octets / requests + 2 * SILENT_BYTES) * BITS_A_BYTE / BAUD
    return {
        "requests_per_s": round(requests / took, 2),
        "line_limit_per_s": round(1 / wire_s, 2),
        "of_limit": round(requests / took * wire_s, 3),
        "octets_per_request": round(octets / requests, 1),
    }


# --- sessions ------------------------------------------------------------------------------------


async def _taps(world: World) -> dict[str, Any]:
    """Plugged in already: from the card at the reader to current, beside the terminal's part."""
    whole, own = [], []
    for _ in range(TAPS):
        world.records.clear()
        await world.act("plug")
        await world.until(lambda: world.state == "plugged", _STEP_S, "the plug to be seen")
        await world.act("tap", card="visa")
        await world.until(lambda: world.state == "charging", _STEP_S, "power")
        await world.act("stop")
        await asyncio.sleep(0.5)
        whole.append(world.view["tap_to_power_ms"])
        own.append(whole[-1] - world.view["terminal_ms"])
        await world.act("unplug")
        await world.act("remove_card")
        await world.until(lambda: _is_settled(world), _STEP_S, "settlement")
        await world.act("stop")
        await world.until(lambda: world.state == "free", _STEP_S, "the next driver")
    await asyncio.sleep(6)  # the supervisor looks at the heap every five seconds
    return {
        "tap_to_power_ms": round(statistics.median(whole)),
        "beyond_terminal_ms": round(statistics.median(own)),
        "of_terminal": round(statistics.median(own) / statistics.median(whole), 3),
        "longest_stall_ms": world.view["stall_ms"],
        "peak_heap_bytes": world.view["heap"]["peak"],
    }


def _is_settled(world: World) -> bool:
    return "captured" in world.records or "cancelled" in world.records


# --- start and size ------------------------------------------------------------------------------


async def _power_on(world: World) -> dict[str, Any]:
    """Charger and terminal on one supply, as in a real one; then the charger's reset alone."""
    assert world.charger
    found: dict[str, Any] = {"bare_interpreter_ms": _bare_start_ms(world.charger)}
    await world.act("power", on=False)
    world.terminal.power_off()
    await asyncio.sleep(1)
    world.evse.screen = {"lines": [], "qr": "", "light": "off"}
    world.terminal.power_on()
    began = time.monotonic()
    await world.act("power", on=True)
    await world.until(lambda: bool(world.evse.screen["lines"]), _STEP_S, "the screen")
    found["screen_ms"] = _since(began)
    await world.until_ready(_STEP_S)
    found["ready_ms"] = _since(began)
    await world.until(lambda: bool(world.view["sync"]["online"]), _STEP_S, "the back office")
    found["online_ms"] = _since(began)
    await asyncio.sleep(1)
    await world.act("power", on=False)
    began = time.monotonic()
    await world.act("power", on=True)
    await world.until_ready(_STEP_S)
    found["ready_after_reset_ms"] = _since(began)
    return found


async def _recovery(world: World) -> dict[str, Any]:
    """From power-on with an energised session in flash to the bill, and to the capture (there must
    be something to pay)."""
    world.records.clear()
    await world.act("plug")
    await world.act("tap", card="mastercard")
    await world.until(lambda: world.state == "charging", _STEP_S, "power")
    owed_wh = world.meter.register_wh + _OWED_WH
    await world.until(lambda: world.meter.register_wh >= owed_wh, _STEP_S, "energy")
    await world.act("power", on=False)
    await world.act("remove_card")
    await world.act("unplug")
    began = time.monotonic()
    await world.act("power", on=True)
    await world.until(lambda: "priced" in world.records, _STEP_S, "the bill")
    found = {"priced_ms": _since(began)}
    await world.until(lambda: "captured" in world.records, _STEP_S, "the capture")
    return found | {"captured_ms": _since(began)}


def _since(began: float) -> int:
    return round(1000 * (time.monotonic() - began))


def _bare_start_ms(charger: Charger) -> int:
    began = time.monotonic()
    subprocess.run([str(charger.machine.interpreter), "-c", "pass"], check=True, cwd=BUILD)
    return _since(began)


def _memory(world: World, peak: int) -> dict[str, Any]:
    manifest = json.loads((BUILD / "manifest.json").read_text())
    heap = world.view["heap"]["total"]
    return {
        "heap_bytes": heap,
        "peak_heap_bytes": peak,
        "peak_of_heap": round(peak / heap, 3),
        "mpy_bytes": sum(file["size"] for file in manifest["files"].values()),
        "rom_image_bytes": (BUILD / "rom.img").stat().st_size,
    }

"""The heap: what each room's code keeps, the live heap at start, the peak of a session, and the
largest free piece after many sessions, with the code in RAM and from ROMFS.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostsim.charger import Machine
from hostsim.setup import BUILD
from hostsim.setup.compile import resident, room_of, room_sizes
from hostsim.waiting import WorldError
from hostsim.world import Options, World

SESSIONS = 100
_FOLDER = Path(__file__).parent
_STEP_S = 60
_LOOK_S = 5
_BLOCK = 16  # bytes of a block of the 32-bit interpreter's heap; twice that on 64 bits
Progress = Callable[[str], None]


async def measure(progress: Progress, sessions: int = SESSIONS) -> dict[str, Any]:
    """Both builds, by `ram` and `rom`. Raises WorldError and what `measure.ERRORS` names."""
    found: dict[str, Any] = {"sessions": sessions}
    for name, rom in (("ram", False), ("rom", True)):
        progress(f"heap of each room, code in {name.upper()}")
        rooms = await asyncio.to_thread(_rooms, rom)
        progress(f"{sessions} sessions, code in {name.upper()}")
        found[name] = {"rooms": rooms, **await _charger(rom, sessions, progress)}
    return found


def _rooms(rom: bool) -> dict[str, int]:
    """Bytes by room; every module as it is written, not linked."""
    room_sizes()  # brings build/rooms up to date
    tree = BUILD / "rooms"
    code = tree
    if rom:
        code = BUILD / "rooms.img"
        command = [sys.executable, "-m", "mpremote", "romfs", "-o", str(code), "build", str(tree)]
        subprocess.run(command, check=True, capture_output=True)
    machine = Machine.choose(rom)
    done = subprocess.run(
        [str(machine.interpreter), "-X", "heapsize=1m", str(_FOLDER / "rooms_mpy.py"), str(code),
         "umqtt.simple", "logging", *resident()],
        capture_output=True, text=True, check=True, cwd=BUILD,
    )  # fmt: skip
    sums: dict[str, int] = {}
    for module, size in json.loads(done.stdout).items():
        room = room_of(Path(module.replace(".", "/") + ".mpy"))
        sums[room] = sums.get(room, 0) + size
    return dict(sorted(sums.items()))


async def _charger(rom: bool, sessions: int, progress: Progress) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="forecourt-heap-") as directory:
        options = Options(
            Path(directory), rom=rom, wanted_wh=None, speed=60, bank_s=0.05,
            beside=str(_FOLDER / "heap_mpy.py"),
        )  # fmt: skip
        world = World(options)
        try:
            await world.start()
            await world.until_ready(_STEP_S)
            at_start = int(world.hello["used"])
            await asyncio.sleep(_LOOK_S)
            first = _seen(world)
            for n in range(sessions):
                await _session(world)
                if n % 10 == 9:
                    progress(f"  {n + 1} sessions")
            await asyncio.sleep(_LOOK_S)
            last = _seen(world)
            view = world.view["heap"]
            if world.charger is None or world.charger.resets:
                raise WorldError("the charger was reset in between")
        finally:
            await world.stop()
    block = _BLOCK * (world.hello["bits"] // 32)
    return {
        "heap_bytes": view["total"],
        "at_start_bytes": at_start,
        "peak_bytes": view["peak"],
        "peak_of_heap": round(view["peak"] / view["total"], 3),
        "largest_free_at_start": first["largest"] * block,
        "largest_free_bytes": last["largest"] * block,
        "free_bytes": last["free"],
        "names": last["names"],
        "names_left": last["names_left"],
    }


async def _session(world: World) -> None:
    """Plug, tap, some current, unplug, settled."""
    world.records.clear()
    await world.act("plug")
    await world.until(lambda: world.state == "plugged", _STEP_S, "the plug to be seen")
    await world.act("tap", card="visa")
    await world.until(lambda: world.state == "charging", _STEP_S, "power")
    await asyncio.sleep(0.3)
    await world.act("unplug")
    await world.act("remove_card")
    settled = ("captured", "cancelled")
    await world.until(
        lambda: any(kind in world.records for kind in settled), _STEP_S, "settlement"
    )
    await world.act("stop")
    await world.until(lambda: world.state == "free", _STEP_S, "the next driver")


def _seen(world: World) -> dict[str, int]:
    """The newest of what heap_mpy.py said. Raises WorldError when it said nothing."""
    text = "\n".join(world.log)
    free = re.findall(r"GC: total: \d+, used: \d+, free: (\d+)", text)
    largest = re.findall(r"max free sz: (\d+)", text)
    names = re.findall(r"n_pool=(\d+), n_qstr=(\d+)", text)
    if not (free and largest and names):
        raise WorldError("the charger does not say how its heap is")
    pools, count = map(int, names[-1])
    room = sum(20 << n for n in range(pools))  # each pool is twice the one before
    return {
        "free": int(free[-1]),
        "largest": int(largest[-1]),
        "names": count,
        "names_left": room - count,
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """For the table: what, figure's path, unit, beside what."""
    table = []
    for name, where in (("ram", "code in RAM"), ("rom", "code in ROMFS")):
        if name not in found.get("memory", {}):
            continue
        path = f"memory.{name}."
        of = "{" + path + "heap_bytes} B"
        table += [
            (f"{where}: heap at start", path + "at_start_bytes", "B", f"of {of}"),
            ("  peak of a session", path + "peak_bytes", "B",
             "{" + path + f"peak_of_heap}} of {of}"),
            ("  largest free piece after {memory.sessions} sessions", path + "largest_free_bytes",
             "B", "at start {" + path + "largest_free_at_start}; free in all {" + path
             + "free_bytes}"),
            ("  names that still fit", path + "names_left", "", "of {" + path
             + "names} there are; then the table doubles"),
            *((f"  {room}", path + f"rooms.{room}", "B", "code of the room, not linked")
              for room in found["memory"][name]["rooms"]),
        ]  # fmt: skip
    return table

"""Starts the fuzz of each parser in a process of its own, on CPython and a sample on MicroPython,
and collects what they found.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostsim.setup import BUILD, LIB, MICROPYTHON, MICROPYTHON32, POINTER_BITS32, ROOT

SCRIPT = Path(__file__).with_name("work_mpy.py")
_TARGETS = Path(__file__).with_name("targets_mpy.py")
_DESK = Path(__file__).with_name("desk.py")
FAILURES = BUILD / "fuzz"
_HEAP = "8M"
ON_CPYTHON = ("desk",)
SLOW = {"orders": 10, "desk": 100}
"""One input is made of so many that are asked for."""


class FuzzError(RuntimeError):
    """A fuzz process did not come to its end; str() has its last words."""


@dataclass(frozen=True)
class Task:
    """One parser on one interpreter."""

    parser: str
    on: str  # cpython or micropython
    inputs: int
    seed: int

    def command(self, *more: str) -> list[str]:
        """The process."""
        start = [sys.executable]
        if self.on == "micropython":
            start = [str(micropython()), "-X", f"heapsize={_HEAP}"]
        script = _DESK if self.parser == "desk" else SCRIPT
        return [*start, str(script), self.parser, str(self.inputs), str(self.seed), *more]


def parsers() -> tuple[str, ...]:
    """Names of the parsers there are, in the table's order."""
    table = _TARGETS.read_text().partition("\nTARGETS = {")[2]
    return (*re.findall(r'^    "([a-z]+)": ', table, re.M), *ON_CPYTHON)


def micropython() -> Path:
    """The 32-bit one where the host has it."""
    return MICROPYTHON32 if POINTER_BITS32.exists() else MICROPYTHON


def environment() -> dict[str, str]:
    """Where the firmware's source is, for both interpreters."""
    path = ":".join(str(part) for part in (ROOT, LIB, ".frozen"))
    return {**os.environ, "FORECOURT_ROOT": str(ROOT), "MICROPYPATH": path}


async def campaign(
    tasks: list[Task], jobs: int, told: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    """Runs the tasks, `jobs` at a time; `told(result)` as each ends. Raises FuzzError."""
    gate = asyncio.Semaphore(jobs)

    async def one(task: Task) -> dict[str, Any]:
        async with gate:
            found = await _run(task)
        told(found)
        return found

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one(task)) for task in tasks]
    return [task.result() for task in running]


async def _run(task: Task) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *task.command(),
        env=environment(),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = "\n".join((err or out).decode(errors="replace").splitlines()[-8:])
        raise FuzzError(f"{task.parser} on {task.on} ended with {process.returncode}:\n{last}")
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    for failure in found["failures"]:
        failure["replay"] = _keep(task, failure["input"])
    return found


def _keep(task: Task, text: str) -> str:
    """The input in a file, and the command that runs it again."""
    FAILURES.mkdir(parents=True, exist_ok=True)
    path = FAILURES / f"{task.parser}-{zlib.crc32(text.encode()):08x}.hex"
    path.write_text(text)
    return (
        f"python -m hostsim fuzz --parser {task.parser} --on {task.on}"
        f" --replay {shlex.quote(str(path))}"
    )


async def replay(task: Task, path: Path) -> tuple[int, str]:
    """The one input in a file (hex; whole path): exit code, 0 for accepted, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *task.command(str(path)),
        env=environment(),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode(errors="replace").strip()

"""A simulated meter and, on the other end of its pty, the firmware's Meter in MicroPython."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from hostsim.clock import WorldClock
from hostsim.meter.sim import MeterSim
from hostsim.setup import LIB, ROOT
from tests import mpy

FAST = 115200


class Rig:
    """`async with Rig(...) as rig: answer = await rig.do("read")`; rig.watts is what flows."""

    def __init__(
        self,
        which: str = "micropython32",
        model: str = "SDM630",
        baud: int = FAST,
        speed: int = 1,
        start_wh: int = 1_234_567,
        settings: tuple[str, ...] = ("timeout_ms=250", "late_ms=400"),
        **sim: Any,
    ) -> None:
        self.which = which
        self.model = model
        self.baud = baud
        self.speed = speed
        self.settings = settings
        self.clock = WorldClock(speed=speed)
        self.watts = 0
        self.events: list[tuple[str, dict[str, object]]] = []
        self.sim = MeterSim(
            self.clock,
            lambda: self.watts,
            model,
            start_wh=start_wh,
            baud=baud,
            on_event=lambda kind, data: self.events.append((kind, data)),
            **sim,
        )
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Rig":
        await self.sim.start()
        await self.firmware()
        return self

    async def firmware(self) -> None:
        """Start the firmware side (again)."""
        await self.end_firmware()
        self.process = await asyncio.create_subprocess_exec(
            str(mpy.interpreter(self.which)),
            "-X",
            "heapsize=1M",
            "tests/cases/meters/read_meter.py",
            self.sim.path,
            self.model,
            str(self.sim.device.unit),
            str(self.baud),
            str(self.speed),
            *self.settings,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "MICROPYPATH": f"{ROOT}:{LIB}:.frozen"},
        )

    async def end_firmware(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            await self.process.wait()

    async def __aexit__(self, *_: object) -> None:
        await self.end_firmware()
        await self.sim.stop()

    async def do(self, line: str) -> dict[str, Any]:
        """One command to the firmware, its answer."""
        assert self.process and self.process.stdin and self.process.stdout
        self.process.stdin.write(line.encode() + b"\n")
        answer = await asyncio.wait_for(self.process.stdout.readline(), 20)
        assert answer, "the firmware side ended"
        found: dict[str, Any] = json.loads(answer)
        return found

    def flow(self, watts: int) -> None:
        """The power changes now."""
        self.sim.step()
        self.watts = watts
        self.sim.step()

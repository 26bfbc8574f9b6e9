"""A simulated meter, ready to use: device, line, bridge and a task that counts energy whether or
not anybody asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from collections.abc import Callable
from pathlib import Path

from hostsim.clock import WorldClock
from hostsim.line import BytePort, PtyLine
from hostsim.meter.bridge import MeterBridge, OnEvent
from hostsim.meter.device import MeterDevice
from hostsim.meter.models import model as find_model

_STEP_S = 0.02
_BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


class MeterSim:
    """`source()` gives the watts flowing now. `path` is the pty the firmware opens (also before
    start()).

    `register_wh` is the meter's own book: what its import register says, whole Wh, rounded down.
    """

    def __init__(
        self,
        clock: WorldClock,
        source: Callable[[], int],
        model: str = "SDM630",
        serial: str = "21034567",
        start_wh: int = 0,
        unit: int | None = None,
        baud: int = 9600,
        state_file: Path | None = None,
        port: BytePort | None = None,
        on_event: OnEvent | None = None,
        seed: int = 1,
        others: list[MeterDevice] | None = None,
        heed_baud: bool = False,
        line: PtyLine | None = None,
    ) -> None:
        """Raises ValueError for an unknown model. `port` replaces the pty, `line` is one
        that stays when this meter is taken away; `others` share the line; with `heed_baud` a
        master that has set another baud rate on the pty is not heard.
        """
        facts = find_model(model)
        self.device = MeterDevice(
            clock, source, facts, serial, start_wh, unit or facts.unit, state_file
        )
        self._devices = [self.device, *(others or [])]
        self._own_line = PtyLine(0) if port is None and line is None else None
        self.line = line or self._own_line  # with its plug (`connected`); None for a port
        self._port: BytePort = port or self.line  # type: ignore[assignment]
        baud_of = self._masters_baud if heed_baud and self.line is not None else None
        self._bridge = MeterBridge(self._port, self._devices, baud, 10, on_event, seed, baud_of)
        self._task: asyncio.Task[None] | None = None

    def _masters_baud(self) -> int:
        fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY)
        try:
            speed = termios.tcgetattr(fd)[4]
        finally:
            os.close(fd)
        return next((baud for baud in _BAUDS if getattr(termios, f"B{baud}") == speed), 0)

    @property
    def path(self) -> str:
        """The device the firmware opens."""
        return str(getattr(self._port, "path", ""))

    def when_busy(self, hear: Callable[[bool], None]) -> None:
        """`hear(busy)`: an answer is being made, which takes the machine's time; a world of
        another time stands still meanwhile.
        """
        self._bridge.on_busy = hear

    @property
    def requests(self) -> int:
        """Requests the meter has heard."""
        return self._bridge.requests

    async def start(self) -> None:
        """Answer requests and count energy."""
        await self._bridge.start()
        self._task = asyncio.create_task(self._count())

    async def stop(self) -> None:
        """End, with the counter saved."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._bridge.stop()
        if self._own_line is not None:
            self._own_line.close()
        for device in self._devices:
            device.step()
            device.save()

    async def _count(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(_STEP_S)
            rounds += 1
            for device in self._devices:
                device.step()
                if rounds % 50 == 0:
                    device.save()

    def step(self) -> None:
        """Book energy up to this moment: to be called when the power is about to change."""
        self.device.step()

    @property
    def register_wh(self) -> int:
        """The import register now, whole Wh."""
        return self.device.register_wh

    @property
    def power_w(self) -> int:
        """Watts flowing."""
        return self.device.power_w

    def set_fault(self, name: str, param: int | str | None = None) -> None:
        """One of hostsim.meter.faults.FAULTS; raises FaultError."""
        self.device.set_fault(name, param)

    def clear_fault(self, name: str | None = None) -> None:
        """One fault, or all."""
        self.device.clear_fault(name)

    @property
    def faults(self) -> dict[str, int | str]:
        """The faults that are on, with their parameters."""
        return self.device.faults

    def registers(self) -> dict[str, object]:
        """Decoded registers for the engineers' view."""
        return {
            "model": self.device.model.title,
            "serial": self.device.shown_serial(),
            "unit": self.device.unit,
            "register_wh": self.register_wh,
            **self.device.values(),
        }

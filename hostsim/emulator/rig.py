"""A charger on the emulated board: the simulated meter and terminal on its UARTs, a vehicle and a
contactor on its pins. The peers are those of the simulator; only the lines differ.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from board.plan import feedback_level
from hostsim.clock import WorldClock
from hostsim.emulator.loop import BoardLoop
from hostsim.emulator.pico import Pico
from hostsim.ledgerimage import read_image
from hostsim.line import LineClosed
from hostsim.meter.sim import MeterSim
from hostsim.terminal.books import Books
from hostsim.terminal.pt import TerminalSim
from hostsim.vehicle import Vehicle

SECTOR = 4096
_LOOK_S = 0.01
_UNTIL_S = 0.1
_VOLTS = {"A": 12, "B": 9, "C": 6, "D": 3, "E": 0, "F": 0}
_FULL_SCALE_V = 12.9
_SUPPLY_MV = 5000


class PowerCutError(Exception):
    """The board lost its power in a flash operation while somebody waited for something."""


class BoardClock(WorldClock):
    """The world's clock, running on the board's time."""

    def __init__(self, loop: BoardLoop, start_epoch_ms: int) -> None:
        super().__init__(start_epoch_ms)
        self._loop = loop
        self._start_ms = start_epoch_ms - loop.time() * 1000

    def _now(self) -> float:
        return self._start_ms + self._loop.time() * 1000


class BoardUart:
    """A BytePort (hostsim.line) on one UART of whichever board has power."""

    def __init__(self, loop: BoardLoop, number: int, direction: int | None = None) -> None:
        self._loop = loop
        self._direction = direction  # pin of its transceiver: while it is high nothing is heard
        self.number = number
        self._in = bytearray()
        self._waiting: asyncio.Future[None] | None = None
        self.closed = False

    def attach(self, board: Pico) -> None:
        self._in.clear()
        board.on_uart[self.number] = self._heard

    def _heard(self, value: int) -> None:
        self._in.append(value)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._loop.wake()

    async def read(self) -> bytes:
        while not self._in:
            if self.closed:
                raise LineClosed("the line is closed")
            self._waiting = self._loop.create_future()
            await self._waiting
        data = bytes(self._in)
        self._in.clear()
        return data

    def write(self, data: bytes) -> None:
        board = self._loop.board
        if board is not None and (self._direction is None or not board.pin(self._direction)):
            board.to_uart[self.number].extend(data)

    def close(self) -> None:
        self.closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Rig:
    """`data`: a board module's DATA; `uf2`: the image; `storage`: what is in flash, None for a new
    board; `rom_bytes`: of the image's ROMFS partition, which lies before the storage.
    """

    def __init__(
        self,
        loop: BoardLoop,
        uf2: Path,
        data: dict[str, Any],
        storage: bytes | None,
        folder: Path,
        wanted_wh: int | None = None,
        start_epoch_ms: int = 1_790_000_000_000,
        rom_bytes: int = 0,
    ) -> None:
        self.loop = loop
        self.data = data
        self.stored = storage
        self.clock = BoardClock(loop, start_epoch_ms)
        self.vehicle = Vehicle(self.clock, stored_wh=20_000, wanted_wh=wanted_wh)
        wires = {wires[0]: wires[3] for wires in data["uarts"].values()}
        self.ports = (BoardUart(loop, 0, wires[0]), BoardUart(loop, 1, wires[1]))
        meter_uart, terminal_uart = data["uarts"]["meter"][0], data["uarts"]["terminal"][0]
        self.contactor = False
        self.jumper = False
        self.meter_start_wh = 1_234_560
        self.meter = MeterSim(
            self.clock,
            self._power_w,
            "SDM630",
            start_wh=self.meter_start_wh,
            port=self.ports[meter_uart],
        )
        self.meter.when_busy(loop.hold)
        self.terminal = TerminalSim(
            self.clock, profile="cvend", books=Books(folder / "terminal.json"), bank_s=0.2
        )
        self._terminal_port = self.ports[terminal_uart]
        self._tasks: list[asyncio.Task[Any]] = []
        self._uf2 = uf2
        self._rom_bytes = rom_bytes
        self._image = folder / "ledger.bin"

    @property
    def board(self) -> Pico | None:
        return self.loop.board

    def _power_w(self) -> int:
        offered_ma = self.offered_ma() if self.board is not None else 0
        return self.vehicle.power_w(self.contactor, offered_ma)

    async def start(self) -> None:
        """The peers have power; the board has none yet."""
        await self.meter.start()
        self._tasks.append(asyncio.create_task(self.terminal.serve(self._terminal_port, True)))
        self._tasks.append(asyncio.create_task(self._world()))

    async def stop(self) -> None:
        self.loop.power_off()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.meter.stop()

    def power_on(self, cut: int = 0) -> Pico:
        """A board with what is in flash; `cut`: see Pico."""
        board = Pico(self._uf2, self.stored, cut, self._rom_bytes)
        for port in self.ports:
            port.attach(board)
        for name in ("stop", "emergency"):
            pin, active = self.data[name]
            board.drive(pin, not active)
        if "supply" in self.data:
            pin, full_mv = self.data["supply"]
            board.analogue(pin - 26, _SUPPLY_MV * 4095 // full_mv)
        self.loop.power_on(board)
        self.set_jumper(self.jumper)
        self._wires(board)
        return board

    def set_jumper(self, there: bool) -> None:
        """Sets the service jumper, or takes it away."""
        self.jumper = there
        if self.board is not None:
            pin, active = self.data["jumper"]
            self.board.drive(pin, bool(active) if there else not active)

    def power_off(self) -> None:
        """A power cut."""
        if self.board is not None:
            self.stored = self.board.storage()
            self.board.power_off()
        self.loop.power_off()
        self.contactor = False

    async def _world(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.board is not None and not self.board.dead:
                self._wires(self.board)
            else:
                self.contactor = False

    def _wires(self, board: Pico) -> None:
        pin, active = self.data["contactor"]
        self.contactor = board.pin(pin) == bool(active)
        board.drive(self.data["feedback"][0], bool(feedback_level(self.data, self.contactor)))
        letter = self.vehicle.pilot(self.offered_ma())
        volts = _VOLTS[letter]
        board.analogue(self.data["pilot"]["adc"] - 26, int(volts / _FULL_SCALE_V * 4095))

    def offered_ma(self) -> int:
        """What the pilot's duty cycle says."""
        assert self.board is not None
        pin = self.data["pilot"]["pwm"]
        channel = self.board.mcu.pwm.channels[(pin >> 1) & 7]
        compare = channel.cc & 0xFFFF if pin & 1 == 0 else channel.cc >> 16
        if not compare or compare > channel.top:
            return 0
        return int(compare / (channel.top + 1) * 60_000)

    def ledger(self) -> list[Any]:
        """The records in the board's flash."""
        storage = self.board.storage() if self.board is not None else self.stored
        assert storage is not None
        first, count = self.data["ledger"]
        files = storage[self._rom_bytes :]
        self._image.write_bytes(files[first * SECTOR : (first + count) * SECTOR])
        return read_image(self._image)

    async def until(self, what: Callable[[], bool], limit_s: float = 60.0) -> None:
        """Until `what()`; TimeoutError after `limit_s` of the board's time, PowerCutError when it
        died.
        """
        async with asyncio.timeout(limit_s):
            while not what():  # noqa: ASYNC110 - the board's memory tells nobody
                await asyncio.sleep(_UNTIL_S)
                if self.board is not None and self.board.dead:
                    raise PowerCutError("power was cut")

    def wrote(self, *kinds: str, session: int = 0) -> Callable[[], bool]:
        """Whether the ledger has one of these kinds (of this session)."""

        def look() -> bool:
            found = [r for r in self.ledger() if r["kind"] in kinds]
            return any(not session or r.get("sess") == session for r in found)

        return look

    async def drive_through(self, number: int, card: str = "visa") -> None:
        """One session from the tap to the capture: the car takes a little and leaves."""
        await self.until(lambda: self.terminal.reader.awaiting, 60)
        self.terminal.present_card(card)
        await self.until(self.wrote("authorised", session=number))
        self.terminal.remove_card()
        self.vehicle.plug()
        await self.until(lambda: self.vehicle.power_w(self.contactor, self.offered_ma()) > 0)
        before = self.meter.register_wh
        await self.until(lambda: self.meter.register_wh > before)
        self.vehicle.unplug()
        await self.until(self.wrote("captured", "cancelled", session=number))

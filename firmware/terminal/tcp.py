"""ZVT over TCP: bare APDUs, the length field separates them (PA00P016, "TCP/IP"). Loaded only
when a terminal is reached that way; the same interface as link.SerialLink."""

import asyncio

from micropython import const

from firmware.errors import TerminalGone
from firmware.serialio import Serial
from firmware.terminal.link import CAPACITY, Line

_T2_MS = const(5000)

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any


class TcpLink:
    """The same over TCP (port 20007): no framing, no acknowledgement bytes."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._line = Line(None)
        self._writer: "asyncio.StreamWriter | None" = None
        self._data = memoryview(bytearray(CAPACITY))
        self.errors = 0
        self.repeats = 0

    async def open(self) -> None:
        """Connects anew; TerminalGone when nobody listens."""
        self.close()
        try:
            streams: "Any" = await asyncio.wait_for_ms(
                asyncio.open_connection(*self._address), _T2_MS
            )
        except (OSError, asyncio.TimeoutError) as exc:
            raise TerminalGone(f"no connection: {exc}") from exc
        self._writer = streams[1]
        self._line = Line(Serial(streams[0].s))

    def close(self) -> None:
        """Ends the connection."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def send(self, apdu: bytes) -> bool:
        """True; TerminalGone when the connection broke."""
        if self._writer is None:
            raise TerminalGone("not connected")
        try:
            self._writer.write(apdu)
            await self._writer.drain()
        except OSError as exc:
            self.close()
            raise TerminalGone(f"connection: {exc}") from exc
        return True

    async def receive(self, timeout_ms: int) -> "memoryview | None":
        """The next APDU, valid until the next call; None after the time; TerminalGone."""
        if self._writer is None:
            raise TerminalGone("not connected")
        try:
            n = await self._read(0, 3, timeout_ms)
            if not n:
                return None
            need = 3 + self._data[2]
            if self._data[2] == 0xFF:
                await self._read(3, 5, _T2_MS)
                need = 5 + (self._data[3] | self._data[4] << 8)
            if need > CAPACITY:
                raise TerminalGone("overlong APDU")
            await self._read(5 if self._data[2] == 0xFF else 3, need, _T2_MS)
        except (OSError, TerminalGone) as exc:
            self.errors += 1
            self.close()
            raise TerminalGone(f"connection: {exc}") from exc
        return self._data[:need]

    async def _read(self, at: int, need: int, timeout_ms: int) -> int:
        """Fills the buffer from `at` to `need`; 0 when nothing at all came in time."""
        while at < need:
            byte = self._line.byte()
            if byte >= 0:
                self._data[at] = byte
                at += 1
            elif not await self._line.wait(_T2_MS if at else timeout_ms):
                if not at:
                    return 0
                raise TerminalGone("torn APDU")
        return at

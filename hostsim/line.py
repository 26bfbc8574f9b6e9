"""Byte lines: what a simulated peer (meter, terminal, reader) talks through.

`PtyLine` gives the firmware a device path to open and stays at the other end itself, paced like a
real UART, with a plug that can be pulled. `StreamPort` is a TCP connection, `SerialPort` a real
device. All three are a `BytePort`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import termios
import time
import tty
from collections.abc import Callable
from typing import Protocol

Mangle = Callable[[bytes], bytes]

_CHUNK = 4096
_TICK_S = 0.004


class LineClosed(ConnectionError):  # noqa: N818 - it is an event more than an error
    """The line was closed, here or by the peer; nothing more can be read from it."""


class LineError(OSError):
    """A device could not be opened or cannot do what is asked (say, a baud rate)."""


class BytePort(Protocol):
    """A line of bytes, one peer at each end."""

    async def read(self) -> bytes:
        """Give at least one byte; raises LineClosed when no more can come."""
        ...

    def write(self, data: bytes) -> None:
        """Send without blocking."""
        ...

    def close(self) -> None:
        """Release the line; a pending read raises LineClosed or is cancelled by its owner."""
        ...


class _FdPort:
    """Reading and paced writing on a non-blocking file descriptor."""

    def __init__(self, fd: int, byte_s: float) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._byte_s = byte_s
        self._out = bytearray()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False
        self._wakeup: asyncio.Future[None] | None = None
        self.dropped = 0  # bytes the other side did not take in time, as a UART without handshake

    async def read(self) -> bytes:
        """Give at least one byte; raises LineClosed."""
        while not self._closed:
            try:
                data = os.read(self._fd, _CHUNK)
            except BlockingIOError:
                await self._readable()
                continue
            except OSError as exc:
                raise LineClosed(f"the line is gone: {exc.strerror}") from exc
            if not data:
                raise LineClosed("the device is gone")
            data = self._received(data)
            if data:
                return data
        raise LineClosed("the line is closed")

    def write(self, data: bytes) -> None:
        """Send in the background, no faster than the baud rate allows."""
        if self._closed:
            raise LineClosed("the line is closed")
        self._out += data
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._pump_out())

    def close(self) -> None:
        """Close the descriptor and let a pending read end with LineClosed."""
        if self._closed:
            return
        self._closed = True
        if self._pump is not None:
            self._pump.cancel()
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.get_loop().remove_reader(self._fd)
            self._wakeup.set_result(None)
        os.close(self._fd)

    def _received(self, data: bytes) -> bytes:
        return data

    def _sent(self, data: bytes) -> bytes:
        return data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        wakeup: asyncio.Future[None] = loop.create_future()
        self._wakeup = wakeup
        loop.add_reader(self._fd, _wake, wakeup)
        try:
            await wakeup
        finally:
            if not self._closed:
                loop.remove_reader(self._fd)

    async def _pump_out(self) -> None:
        """Release bytes as their last bit would have left a UART."""
        free_at = time.monotonic()
        while self._out:
            now = time.monotonic()
            due = int((now - free_at) / self._byte_s) if self._byte_s else len(self._out)
            if due > 0:
                chunk = bytes(self._out[:due])
                del self._out[:due]
                free_at += len(chunk) * self._byte_s
                self._put(self._sent(chunk))
            else:
                await asyncio.sleep(max(self._byte_s, _TICK_S))

    def _put(self, data: bytes) -> None:
        try:
            written = os.write(self._fd, data) if data else 0
        except BlockingIOError:
            written = 0
        except OSError:
            written = 0  # the reader notices a device that is gone
        self.dropped += len(data) - written


class PtyLine(_FdPort):
    """A serial line seen from the peer's side; the firmware opens `path` as its UART.

    The slave is kept open here, so a firmware that restarts causes no EIO.
    """

    def __init__(self, baud: int = 9600, bits_per_byte: int = 10) -> None:
        """Make the pair; 8N1 is 10 bits per byte, 8N2 is 11. `baud` 0: not paced."""
        master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        super().__init__(master, bits_per_byte / baud if baud else 0.0)
        self.baud = baud
        self.path = os.ttyname(self._slave)
        self.connected = True
        self.mangle: Mangle | None = None
        self.mangle_in: Mangle | None = None

    def _received(self, data: bytes) -> bytes:
        if not self.connected:
            return b""
        return self.mangle_in(data) if self.mangle_in is not None else data

    def _sent(self, data: bytes) -> bytes:
        if not self.connected:
            return b""
        return self.mangle(data) if self.mangle is not None else data

    def discard(self) -> None:
        """Throw away what the firmware has not read: a UART that was off has no memory."""
        self._out.clear()
        termios.tcflush(self._slave, termios.TCIFLUSH)

    def close(self) -> None:
        """Take the pair away; the firmware sees a hang-up."""
        if not self._closed:
            super().close()
            os.close(self._slave)


class SerialPort(_FdPort):
    """A tty device that exists already: a USB adapter, or a pty somebody else made."""

    def __init__(self, path: str, baud: int = 9600, stop_bits: int = 2) -> None:
        """Open raw 8N1 or 8N2; raises LineError with what to do."""
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise LineError(f"baud rate {baud} is not one this system knows")
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as exc:
            raise LineError(f"cannot open {path}: {exc.strerror}") from exc
        try:
            _set_raw(fd, speed, stop_bits)
        except termios.error as exc:
            os.close(fd)
            raise LineError(f"{path} is not a serial device") from exc
        super().__init__(fd, 0.0)
        self.path = path
        self.baud = baud


class StreamPort:
    """A TCP connection as a BytePort."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over a connection as asyncio hands it out."""
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """Give at least one byte; raises LineClosed."""
        try:
            data = await self._reader.read(_CHUNK)
        except ConnectionError as exc:
            raise LineClosed("the peer went away") from exc
        if not data:
            raise LineClosed("the peer closed the connection")
        return data

    def write(self, data: bytes) -> None:
        """Send; raises LineClosed when the connection is already down."""
        if self._writer.is_closing():
            raise LineClosed("the connection is closed")
        self._writer.write(data)

    async def hang_up(self) -> None:
        """Close this side and wait until it is closed."""
        self.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def close(self) -> None:
        """Close this side."""
        with contextlib.suppress(RuntimeError):  # its loop may be gone already
            self._writer.close()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _set_raw(fd: int, speed: int, stop_bits: int) -> None:
    tty.setraw(fd)
    attrs = termios.tcgetattr(fd)
    attrs[2] |= termios.CLOCAL | termios.CREAD
    attrs[2] &= ~termios.CRTSCTS
    attrs[2] = attrs[2] | termios.CSTOPB if stop_bits == 2 else attrs[2] & ~termios.CSTOPB
    attrs[4] = attrs[5] = speed
    termios.tcsetattr(fd, termios.TCSANOW, attrs)

"""The way of an APDU over the line: one at a time, checked, repeated and recognised (PA00P016).

`SerialLink`: frames answered by ACK or NAK. T1 200 ms between the bytes of a frame, then NAK; T2
5 s to the ACK; a frame is sent again at most twice. A frame that comes while an ACK is awaited is
kept and acknowledged (the terminal talked first); when it answers ours, it stands for the ACK.
`TcpLink`: bare APDUs on a connection that is opened when needed.
All timers are real time. Goals: nothing is allocated per byte, the buffers are made at start; an
APDU is whole or it is not seen. Limit: CAPACITY, told to the terminal at registration.
"""

import asyncio
import time

from micropython import const

from firmware.errors import FrameError, TerminalGone, TerminalTimeout
from firmware.serialio import Serial
from firmware.terminal import framing

CAPACITY = 1536  # longest APDU, bytes
_T1_MS = const(200)
_T2_MS = const(5000)
_SENDS = const(3)
_CHUNK = const(64)
_TX = const(256)  # our longest frame; commands are short
_GONE_MS = const(50)


class _Line:
    """Bytes from a Serial in chunks, without a turn of the loop per byte."""

    def __init__(self, serial: "Serial | None") -> None:
        self.serial = serial
        self._view = memoryview(bytearray(_CHUNK))
        self._at = 0
        self._end = 0

    async def byte(self, timeout_ms: int) -> int:
        """The next byte, -1 after `timeout_ms` without one; TerminalGone when the line hung up."""
        if self._at == self._end:
            self._at = 0
            self._end = self.serial.take(self._view)
            if not self._end and timeout_ms > 0:
                self._end = await self._wait(timeout_ms)
            if not self._end:
                return -1
        self._at += 1
        return self._view[self._at - 1]

    async def _wait(self, timeout_ms: int) -> int:
        try:
            await asyncio.wait_for_ms(self.serial.wait(), timeout_ms)
        except asyncio.TimeoutError:
            return 0
        count = self.serial.take(self._view)
        if not count:  # readable and nothing to read: the other side closed
            await asyncio.sleep_ms(_GONE_MS)
            raise TerminalGone("line closed")
        return count

    async def drain(self) -> None:
        """Throws away what comes until the line is quiet."""
        self._at = self._end
        while await self._wait(_T1_MS):
            pass
        self._end = self._at


class SerialLink:
    """`send` and `receive` whole APDUs; both belong to one task at a time (the driver's lock)."""

    def __init__(self, serial: Serial) -> None:
        self._line = _Line(serial)
        self._receiver = framing.Receiver(CAPACITY)
        self._data = memoryview(self._receiver.data)
        self._tx = bytearray(_TX)
        self._control = bytearray(1)
        self._kept = 0  # an APDU that came while we waited for an ACK
        self._last = -1  # CRC and length of the last frame, to know a repetition
        self.errors = 0  # frames refused
        self.repeats = 0  # frames sent again, here or there

    async def open(self) -> None:
        """Nothing to open; what came before is thrown away."""
        self._receiver.reset()
        self._kept = 0
        self._last = -1
        await self._line.drain()

    def close(self) -> None:
        """Nothing to close."""

    async def send(self, apdu: bytes) -> None:
        """Until it is acknowledged; TerminalTimeout after the last try, TerminalGone."""
        n = framing.encode(apdu, self._tx)
        answer = apdu[0] & 0x80
        for attempt in range(_SENDS):
            self.repeats += attempt > 0
            self._line.serial.write(memoryview(self._tx)[:n])
            if await self._acknowledged(answer):
                return
        raise TerminalTimeout("not acknowledged")

    async def _acknowledged(self, answer: int) -> bool:
        began = time.ticks_ms()
        while True:
            left = _T2_MS - time.ticks_diff(time.ticks_ms(), began)
            got = await self._next(left) if left > 0 else framing.NOTHING
            if got == framing.GOT_ACK:
                return True
            if got <= 0:  # NAK, or T2 is over
                return False
            # a frame instead of the ACK: ours may have arrived all the same
            if self._repeated(got):
                continue
            self._kept = got
            if answer or self._data[0] & 0x80:
                return True
            # both talked: the terminal goes first, ours waits for its turn
            return await self._yielded()

    async def _yielded(self) -> bool:
        """After a collision our frame was not taken unless its ACK still follows at once."""
        return await self._next(_T1_MS) == framing.GOT_ACK

    def _repeated(self, n: int) -> bool:
        """Whether this frame is the one before once more, because our ACK was lost."""
        mark = framing.crc16(self._data[:n]) << 11 | n
        same = mark == self._last
        self._last = mark
        self.repeats += same
        return same

    async def receive(self, timeout_ms: int) -> "memoryview | None":
        """The next APDU, acknowledged already, valid until the next call; None after the time."""
        n = self._kept
        self._kept = 0
        began = time.ticks_ms()
        while n <= 0:
            left = max(0, timeout_ms - time.ticks_diff(time.ticks_ms(), began))
            n = await self._next(left)
            if n > 0:
                self._repeated(n)
            elif n == framing.NOTHING:
                return None
        return self._data[:n]

    async def _next(self, timeout_ms: int) -> int:
        """An APDU's length (acknowledged here), GOT_ACK, GOT_NAK, or NOTHING after the time."""
        receiver = self._receiver
        while True:
            in_frame = receiver.in_frame
            byte = await self._line.byte(_T1_MS if in_frame else timeout_ms)
            if byte < 0:
                if not in_frame:
                    return framing.NOTHING
                receiver.reset()
                self._answer(framing.NAK)
                continue
            try:
                got = receiver.feed(byte)
            except FrameError:
                self.errors += 1
                await self._line.drain()
                self._answer(framing.NAK)
                continue
            if got:
                if got > 0:
                    self._answer(framing.ACK)
                return got

    def _answer(self, control: int) -> None:
        self._control[0] = control
        self._line.serial.write(self._control)


class TcpLink:
    """The same over TCP (port 20007): no framing, no acknowledgement bytes."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._line = _Line(None)
        self._writer = None
        self._buffer = bytearray(CAPACITY)
        self._data = memoryview(self._buffer)
        self._n = 0
        self.errors = 0
        self.repeats = 0

    async def open(self) -> None:
        """Connects anew; TerminalGone when nobody listens."""
        self.close()
        try:
            reader, self._writer = await asyncio.wait_for_ms(
                asyncio.open_connection(*self._address), _T2_MS
            )
        except (OSError, asyncio.TimeoutError) as exc:
            raise TerminalGone(f"no connection: {exc}")
        self._line = _Line(Serial(reader.s))
        self._n = 0

    def close(self) -> None:
        """Ends the connection."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def send(self, apdu: bytes) -> None:
        """One write; TerminalGone when the connection broke."""
        if self._writer is None:
            raise TerminalGone("not connected")
        try:
            self._writer.write(apdu)
            await self._writer.drain()
        except OSError as exc:
            self.close()
            raise TerminalGone(f"connection: {exc}")

    async def receive(self, timeout_ms: int) -> "memoryview | None":
        """The next APDU, valid until the next call; None after the time; TerminalGone."""
        if self._writer is None:
            raise TerminalGone("not connected")
        data = self._data
        self._n = 0
        need = 3
        while self._n < need:
            try:
                byte = await self._line.byte(timeout_ms if not self._n else _T2_MS)
            except OSError as exc:
                raise TerminalGone(f"connection: {exc}")
            if byte < 0 and not self._n:
                return None
            if byte < 0 or self._n >= CAPACITY:
                self.errors += 1
                self.close()
                raise TerminalGone("torn or overlong APDU")
            data[self._n] = byte
            self._n += 1
            if self._n == 3:
                need = 5 if byte == 0xFF else 3 + byte
            elif self._n == 5 and data[2] == 0xFF:
                need = 5 + (data[3] | byte << 8)
        return data[: self._n]

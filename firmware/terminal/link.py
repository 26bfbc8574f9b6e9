"""The way of an APDU over the line: one at a time, checked, repeated and recognised (PA00P016).

`SerialLink`: frames answered by ACK or NAK. T1 200 ms between the bytes of a frame, then NAK; T2
5 s to the ACK; a frame is sent again at most twice. A frame that comes while an ACK is awaited is
kept and acknowledged (the terminal talked first); when it answers ours, it stands for the ACK.
`TcpLink`: bare APDUs on a connection that is opened when needed. All timers are real time. Goals:
nothing is allocated per byte, the buffers are made at start; an APDU is whole or it is not seen.
Limit: CAPACITY, told to the terminal at registration.
"""

import asyncio
import time

from micropython import const

from firmware.errors import FrameError, TerminalGone, TerminalTimeout
from firmware.serialio import Serial
from firmware.terminal import framing

CAPACITY = 1024  # longest APDU, bytes
_T1_MS = const(200)
_T2_MS = const(5000)
_SENDS = const(3)
_CHUNK = const(64)
_TX = const(256)  # our longest frame; commands are short
_GONE_MS = const(50)


class Line:
    """Bytes from a Serial in chunks, without a turn of the loop or an allocation per byte."""

    def __init__(self, serial: "Serial | None") -> None:
        self.serial = serial
        self._view = memoryview(bytearray(_CHUNK))
        self._at = 0
        self._end = 0

    def byte(self) -> int:
        """The next byte that has come, -1 when there is none."""
        if self._at == self._end:
            self._at = 0
            self._end = self.serial.take(self._view)
            if not self._end:
                return -1
        self._at += 1
        return self._view[self._at - 1]

    async def wait(self, timeout_ms: int) -> bool:
        """Until more has come; False after the time; TerminalGone when the line hung up."""
        if timeout_ms <= 0:
            return False
        try:
            await asyncio.wait_for_ms(self.serial.wait(), timeout_ms)
        except asyncio.TimeoutError:
            return False
        self._at = 0
        self._end = self.serial.take(self._view)
        if not self._end:  # readable and nothing to read: the other side closed
            await asyncio.sleep_ms(_GONE_MS)
            raise TerminalGone("line closed")
        return True

    async def drain(self, timeout_ms: int) -> None:
        """Throws away what comes until the line was quiet for T1, or for `timeout_ms` at most."""
        began = time.ticks_ms()
        self._end = self._at
        while time.ticks_diff(time.ticks_ms(), began) < timeout_ms and await self.wait(_T1_MS):
            pass
        self._end = self._at


class SerialLink:
    """`send` and `receive` whole APDUs; both belong to one task at a time (the driver's lock)."""

    def __init__(self, serial: Serial) -> None:
        self._line = Line(serial)
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
        await self._line.drain(_T2_MS)

    async def send(self, apdu: bytes) -> bool:
        """Until it is acknowledged; TerminalTimeout after the last try, TerminalGone.

        False: both talked at once. The terminal goes first: `receive` gives what it said, and a
        command of ours has to be sent again after that was answered.
        """
        n = framing.encode(apdu, self._tx)
        for attempt in range(_SENDS):
            self.repeats += attempt > 0
            self._line.serial.write(memoryview(self._tx)[:n])
            try:  # a line that is only noise has an end too
                got: int = await asyncio.wait_for_ms(self._next(_T2_MS), _T2_MS + _T1_MS)
            except asyncio.TimeoutError:
                self._receiver.reset()
                continue
            if got > 0 and not self._repeated(got):
                self._kept = got
                # a frame instead of the ACK stands for it when it follows from ours
                if apdu[0] & 0x80 or self._data[0] & 0x80:
                    return True
                got = await self._next(_T1_MS)
                if got > 0:
                    self._kept = got
                return got == framing.GOT_ACK
            if got == framing.GOT_ACK:
                return True
            # NAK, silence, or the frame before once more because our ACK to it was lost: again
        raise TerminalTimeout("not acknowledged")

    def _repeated(self, n: int) -> bool:
        """Whether this frame is the one before once more."""
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
            n = await self._next(timeout_ms - time.ticks_diff(time.ticks_ms(), began))
            if n > 0:
                self._repeated(n)
            elif n == framing.NOTHING:
                return None
        return self._data[:n]

    async def _next(self, timeout_ms: int) -> int:
        """An APDU's length (acknowledged here), GOT_ACK, GOT_NAK, or NOTHING after the time."""
        receiver = self._receiver
        while True:
            byte = self._line.byte()
            try:
                if byte >= 0:
                    got = receiver.feed(byte)
                    control = framing.ACK
                elif receiver.state < 2:  # between frames
                    if not await self._line.wait(timeout_ms):
                        return framing.NOTHING
                    continue
                elif await self._line.wait(_T1_MS):
                    continue
                else:  # torn
                    raise FrameError("T1")
            except FrameError:
                self.errors += 1
                receiver.reset()
                await self._line.drain(_T2_MS)
                got = control = framing.NAK
            if got > 0:
                self._control[0] = control
                self._line.serial.write(self._control)
            if got and control == framing.ACK:
                return got

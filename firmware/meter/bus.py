"""Modbus RTU master on an asynchronous serial line; several devices take turns on it.

Promises: one request is on the line at a time, after 3.5 characters of silence (MODBUS over
Serial Line V1.02, 2.5.1.1). An answer that is late, foreign, damaged or only our own echo is
never taken for the answer. RTU answers carry no number, so after a time-out the line is left
alone until the answer cannot come any more (`late_ms` after the request); only then is the next
request sent, whatever it asks. The limit that follows: an answer later than that, to a request
of the same length, cannot be told from the right one. All times here are real time
(time.ticks_ms), never the charger's clock.
"""

import asyncio
import time

from micropython import const

from firmware.errors import (
    ModbusCrcError,
    ModbusError,
    ModbusException,
    ModbusReplyError,
    ModbusTimeout,
)
from firmware.meter.modbus import MAX_REPLY, REQUEST_SIZE, build_read, check_reply, reply_size

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.serialio import Serial

# Within a frame: adapters and schedulers hold bytes back, so 1.5 characters cannot be held to.
_GAP_MS = const(100)
_STEP_MS = const(1)
_BUSY_CODES = (5, 6)  # acknowledge, server device busy: worth another try


class ModbusBus:
    """`data` holds the last answer's registers, high byte first, valid until the caller's next
    await.

    `direction(sending)` drives the RS-485 transceiver; None where the board does that by itself.
    Counters: `requests` (sent, retries included), `answers`, `retries`, `timeouts`, `damaged`
    (CRC), `foreign` (not an answer to the request), `exceptions`, `echoes`, `strays` (bytes
    nobody asked for)."""

    def __init__(
        self,
        serial: "Serial",
        baud: int = 9600,
        bits_per_char: int = 10,
        timeout_ms: int = 300,
        late_ms: int = 1000,
        attempts: int = 3,
        direction: "Callable[[bool], None] | None" = None,
    ) -> None:
        self._serial = serial
        self._direction = direction
        self.timeout_ms = timeout_ms
        self.late_ms = late_ms
        self.attempts = attempts
        self._held = False
        self._waiting = 0
        self._tx = bytearray(REQUEST_SIZE)
        self._rx = bytearray(MAX_REPLY + REQUEST_SIZE + 1)
        self._view = memoryview(self._rx)
        self.data = self._view[3:]
        self._quiet_at = time.ticks_ms()
        self._sent_at = self._quiet_at
        self._heard_at = self._quiet_at
        self._owed = False
        self._size = 0
        self.requests = self.answers = self.retries = self.timeouts = 0
        self.damaged = self.foreign = self.exceptions = self.echoes = self.strays = 0
        # 8N1 has 10 bits per character, 8E1 and 8N2 have 11
        self.baud = baud
        self._bits = bits_per_char
        # 3.5 characters, above 19200 baud fixed 1.75 ms; ticks are whole milliseconds
        self._silence_ms = (3500 * bits_per_char // baud if baud <= 19200 else 1) + 1

    def line_ms(self, size: int) -> int:
        """Time `size` characters take on the line, rounded up."""
        return (size * self._bits * 1000 + self.baud - 1) // self.baud

    async def request(self, unit: int, function: int, address: int, count: int) -> "memoryview":
        """Read `count` registers; gives `data`. Raises a ModbusError when `attempts` brought no
        answer. A refusal (ModbusException) is final at once, except codes 5 and 6: busy.
        """
        if self._held or self._waiting:
            await self._turn()
        self._held = True
        try:
            left = self.attempts
            while True:
                left -= 1
                try:
                    await self._once(unit, function, address, count)
                    return self.data
                except ModbusException as exc:
                    self.exceptions += 1
                    if not left or exc.code not in _BUSY_CODES:
                        raise
                except ModbusError as exc:
                    self._note(exc)
                    if not left:
                        raise
                self.retries += 1
        finally:
            self._held = False

    async def _turn(self) -> None:
        """Wait for the line: whoever comes while others wait sleeps first, so nobody starves."""
        self._waiting += 1
        try:
            while True:
                await asyncio.sleep_ms(_STEP_MS)
                if not self._held:
                    return
        finally:
            self._waiting -= 1

    def _note(self, exc: ModbusError) -> None:
        if isinstance(exc, ModbusCrcError):
            self.damaged += 1  # this was the answer
            return
        self._owed = True  # the answer may still come
        if isinstance(exc, ModbusTimeout):
            self.timeouts += 1
        else:
            self.foreign += 1

    async def _once(self, unit: int, function: int, address: int, count: int) -> None:
        """One request and its answer, in one coroutine: each one is an allocation."""
        build_read(self._tx, unit, function, address, count)
        wait = self._quiet_left()
        while wait:
            await asyncio.sleep_ms(wait)
            wait = self._quiet_left()
        self._owed = False
        self.requests += 1
        on_line = self.line_ms(REQUEST_SIZE + 5 + 2 * count)
        self._size = 0
        self._heard_at = self._sent_at = time.ticks_ms()
        if self._direction is None:
            self._serial.write(self._tx)
            await asyncio.sleep_ms(on_line)  # the line's own time is slept through, not polled
        else:
            self._direction(True)
            self._serial.write(self._tx)
            await asyncio.sleep_ms(self.line_ms(REQUEST_SIZE))
            self._direction(False)
            await asyncio.sleep_ms(self.line_ms(5 + 2 * count))
        limit = on_line + self.timeout_ms
        while not self._listen(count, limit):
            await asyncio.sleep_ms(_STEP_MS)
        check_reply(self._rx, self._size, unit, function, count)
        self.answers += 1

    def _quiet_left(self) -> int:
        """Milliseconds until the next request may be sent: nothing on the line for 3.5
        characters, and no earlier answer can come any more. What comes meanwhile is thrown away.
        """
        stray = self._serial.discard(self._view)
        now = time.ticks_ms()
        if stray:
            self.strays += stray
            self._quiet_at = now
        left = _left(self._silence_ms, now, self._quiet_at)
        if self._owed:
            late = _left(self.late_ms, now, self._sent_at)
            return late if late > left else left
        return left

    def _listen(self, count: int, limit: int) -> bool:
        """Take what has come; True when the frame at the start of `_rx` is whole. Raises
        ModbusTimeout after `limit` ms without a byte, or a gap within the frame.
        """
        size = self._size
        n = self._serial.take(self._view if not size else self._view[size:])
        now = time.ticks_ms()
        if n:
            self._heard_at = self._quiet_at = now
            self._size = size = self._without_echo(size + n)
        want = reply_size(self._rx, size, count)
        if size > want:
            raise ModbusReplyError(f"{size} bytes instead of {want}")
        if size == want:
            return True
        since = time.ticks_diff(now, self._heard_at)
        if since >= (_GAP_MS if size else limit):
            raise ModbusTimeout(f"{size} of {want} bytes came in time")
        return False

    def _without_echo(self, size: int) -> int:
        """Take our own request away from the front: a two-wire line whose receiver stays on
        hears itself.
        """
        if size < REQUEST_SIZE:
            return size
        for i in range(REQUEST_SIZE):
            if self._rx[i] != self._tx[i]:
                return size
        self.echoes += 1
        for i in range(REQUEST_SIZE, size):
            self._rx[i - REQUEST_SIZE] = self._rx[i]
        return size - REQUEST_SIZE


def _left(span_ms: int, now: int, since: int) -> int:
    """What is left of a span that began at `since`; ticks wrap, so anything odd means over."""
    left = span_ms - time.ticks_diff(now, since)
    return left if 0 < left <= span_ms else 0

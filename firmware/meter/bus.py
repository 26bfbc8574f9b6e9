"""Modbus RTU master on an asynchronous serial line; several devices take turns on it.

Promises: one request is on the line at a time, after 3.5 characters of silence (MODBUS over
Serial Line V1.02, 2.5.1.1). An answer that is late, foreign, damaged or only our own echo is
never taken for the answer. RTU answers carry no number, so after a time-out the line is left
alone until the answer cannot come any more (`late_ms` after the request); only then is the next
request sent, whatever it asks. The limit that follows: an answer later than that, to a request
of the same length, cannot be told from the right one. All times here are real time
(time.ticks_ms), never the charger's clock.

A poll allocates nothing, and a coroutine would: the bus is a state machine that is stepped
(`ask`, `step`), and whoever steps it sleeps in between. `request` is the same for rare callers.
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
    from firmware.serialio import Serial

# Within a frame: adapters and schedulers hold bytes back, so 1.5 characters cannot be held to.
_GAP_MS = const(100)
_BUSY_CODES = (5, 6)  # acknowledge, server device busy: worth another try
_PIECE = const(32)
# An eager bus on a fast line (so many us a character at most) looks without a pause for so long
# where an answer is due; else every millisecond.
_BRISK_MS = const(6)
_SHORT_US = const(400)
# what the bus waits for
_QUIET = const(0)
_SENT = const(1)
_ANSWER = const(2)


class ModbusBus:
    """`data` holds the last answer's registers, high byte first, valid until the next `take`.

    A transceiver that is switched by a pin (board/rs485.py) is told when the request has left.
    `eager`: keep the line as busy as its baud rate allows, at the cost of processor time.
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
    ) -> None:
        self._serial = serial
        self.timeout_ms = timeout_ms
        self.late_ms = late_ms
        self.attempts = attempts
        self.eager = self._brisk = False
        self._holder: object = None
        self._last: object = None
        self._wanted = False
        self._tx = bytearray(REQUEST_SIZE)
        self._rx = bytearray(MAX_REPLY + REQUEST_SIZE + 1)
        self._view = memoryview(self._rx)
        self._piece = memoryview(bytearray(_PIECE))
        self.data = self._view[3:]
        self._state = _QUIET
        self._left = self._count = self._size = 0
        self._quiet_at = self._sent_at = self._heard_at = time.ticks_ms()
        self._quiet_us = self._sent_us = time.ticks_us()
        self._owed = False
        self.requests = self.answers = self.retries = self.timeouts = 0
        self.damaged = self.foreign = self.exceptions = self.echoes = self.strays = 0
        self.told = 0  # line.py
        # 8N1 has 10 bits per character, 8E1 and 8N2 have 11
        self._char_us = bits_per_char * 1000000 // baud
        # 3.5 characters, above 19200 baud fixed 1.75 ms
        self._silence_us = 3500000 * bits_per_char // baud if baud <= 19200 else 1750

    def take(self, who: object) -> bool:
        """The line is `who`'s for one request, until `give`; False: not yet. Whoever had it last
        lets another go first.
        """
        if self._holder is not None:
            self._wanted = True
            return False
        if self._wanted and who is self._last:
            self._wanted = False
            return False
        self._holder = self._last = who
        return True

    def give(self, who: object) -> None:
        """The line is free again; nothing when it is not `who`'s."""
        if self._holder is who:
            self._holder = None

    def ask(self, unit: int, function: int, address: int, count: int) -> None:
        """Begin to read `count` registers; the caller holds the line. Raises ValueError."""
        build_read(self._tx, unit, function, address, count)
        self._count = count
        self._left = self.attempts
        self._state = _QUIET

    def step(self) -> int:
        """Go on with the request: milliseconds until the next step is due (0: let others run
        once), or -1: the answer is in `data`. Raises a ModbusError when `attempts` brought no
        answer. A refusal (ModbusException) is final at once, except codes 5 and 6: busy.
        """
        try:
            if self._state == _ANSWER:
                return self._listen()
            return self._send() if self._state == _QUIET else self._turn_round()
        except ModbusError as exc:
            self._note(exc)
            self._left -= 1
            refused = isinstance(exc, ModbusException) and exc.code not in _BUSY_CODES
            if refused or not self._left:
                raise
        self.retries += 1
        self._state = _QUIET
        return 0

    async def request(self, unit: int, function: int, address: int, count: int) -> "memoryview":
        """`ask` and every `step`, for callers that may allocate; gives `data`."""
        while not self.take(self):
            await asyncio.sleep_ms(1)
        try:
            self.ask(unit, function, address, count)
            wait = self.step()
            while wait >= 0:
                await asyncio.sleep_ms(wait)
                wait = self.step()
        finally:
            self.give(self)
        return self.data

    def _note(self, exc: ModbusError) -> None:
        if isinstance(exc, ModbusException):
            self.exceptions += 1
            return
        if isinstance(exc, ModbusCrcError):
            self.damaged += 1  # this was the answer
            return
        self._owed = True  # the answer may still come
        if isinstance(exc, ModbusTimeout):
            self.timeouts += 1
        else:
            self.foreign += 1

    def _send(self) -> int:
        left_us = self._quiet_left()
        if left_us > 0:
            return left_us // 1000 if self.eager else (left_us + 999) // 1000
        self._brisk = self.eager and self._char_us < _SHORT_US
        self._owed = False
        self.requests += 1
        self._size = 0
        self._heard_at = self._sent_at = time.ticks_ms()
        self._sent_us = time.ticks_us()
        self._serial.write(self._tx)
        if self._serial.switched:
            self._state = _SENT
            return REQUEST_SIZE * self._char_us // 1000
        self._state = _ANSWER
        # the line's own time is slept through, not polled
        return (REQUEST_SIZE + 5 + 2 * self._count) * self._char_us // 1000

    def _turn_round(self) -> int:
        """The receiver must be on before the answer begins, 3.5 characters after the request. A
        UART may call its last character sent while it is on its way: half a character more.
        """
        taken_us = time.ticks_diff(time.ticks_us(), self._sent_us)
        if 0 <= taken_us < (2 * REQUEST_SIZE + 1) * self._char_us // 2:
            return 0
        if not self._serial.sent() and taken_us < 1000 * self.timeout_ms:
            return 0
        self._state = _ANSWER
        return (5 + 2 * self._count) * self._char_us // 1000

    def _quiet_left(self) -> int:
        """Microseconds until the next request may be sent: nothing on the line for 3.5
        characters, and no earlier answer can come any more. What comes meanwhile is thrown away.
        Ticks wrap, so anything odd means over.
        """
        stray = self._serial.discard(self._view)
        now = time.ticks_ms()
        if stray:
            self.strays += stray
            self._quiet_at = now
            self._quiet_us = time.ticks_us()
        if self._owed:
            late = self.late_ms - time.ticks_diff(now, self._sent_at)
            if 0 < late <= self.late_ms:
                return late * 1000
        if not 0 <= time.ticks_diff(now, self._quiet_at) < _GAP_MS:
            return 0  # microseconds wrap early
        left = self._silence_us - time.ticks_diff(time.ticks_us(), self._quiet_us)
        return left if left <= self._silence_us else 0

    def _listen(self) -> int:
        """Take what has come; -1 when the frame at the start of `_rx` is the answer. Raises
        ModbusTimeout after `timeout_ms` beyond the line's own time, or a gap within the frame.
        """
        size = self._size
        n = self._more(size) if size else self._serial.take(self._view)
        now = time.ticks_ms()
        if n:
            self._heard_at = self._quiet_at = now
            self._quiet_us = time.ticks_us()
            self._size = size = self._without_echo(size + n)
        count = self._count
        want = reply_size(self._rx, size, count)
        if size > want:
            raise ModbusReplyError(f"{size} bytes instead of {want}")
        if size == want:
            check_reply(self._rx, size, self._tx[0], self._tx[1], count)
            self.answers += 1
            return -1
        since = time.ticks_diff(now, self._heard_at)
        due = 0 if size else (REQUEST_SIZE + 5 + 2 * count) * self._char_us // 1000
        if since >= (_GAP_MS if size else due + self.timeout_ms):
            raise ModbusTimeout(f"{size} of {want} bytes came in time")
        # bytes come in pieces of a FIFO, so what is missing says nothing about when it comes
        return 0 if self._brisk and since < due + _BRISK_MS else 1

    def _more(self, size: int) -> int:
        """Bytes that have come behind the first `size`: taken in pieces, because a view that
        begins there would be an allocation. What does not fit is counted and dropped.
        """
        total = 0
        while True:
            n = self._serial.take(self._piece)
            for i in range(n):
                if size + total + i < len(self._rx):
                    self._rx[size + total + i] = self._piece[i]
            total += n
            if n < _PIECE:
                return total

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
        if size > len(self._rx):
            size = len(self._rx)
        for i in range(REQUEST_SIZE, size):
            self._rx[i - REQUEST_SIZE] = self._rx[i]
        return size - REQUEST_SIZE

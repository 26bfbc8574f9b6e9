"""The driver of an RFID reader (pn532.py): wakes it, asks for a card several times a second while
one is wanted, switches its field off while not, and comes back by itself after noise, silence or
unplugging.

One tap is one tap: a card is told once, and again only after it was away. Limit: cards of ISO/IEC
14443 type A.
"""

import asyncio
import time

from micropython import const

from firmware.errors import FrameError, TerminalError, TerminalTimeout
from firmware.terminal import pn532

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.serialio import Serial

_ACK_MS = const(100)  # UM0701-02, 6.2.1.3: within 15 ms
_ANSWER_MS = const(700)
_EVERY_MS = const(150)
_CHECK_MS = const(10000)  # a reader that is not wanted is asked so often whether it is there
_GONE = const(3)  # looks without a card until it counts as away
_FORGET_MS = const(3000)  # without a look: what is there then is a new tap
_FAILS = const(3)
_BACKOFF_S = (1, 2, 5, 10)


class Reader:
    """`serial`: 115200 8N1. `wanted()`: a tap is waited for. `tapped(uid)` gets the UID's bytes.
    `state`: "off" or "ready"; `version`: of the reader's own firmware, as it says.
    """

    def __init__(
        self, serial: "Serial", wanted: "Callable[[], bool]", tapped: "Callable[[bytes], None]"
    ) -> None:
        self.state = "off"
        self.version = ""
        self._serial = serial
        self._wanted = wanted
        self._tapped = tapped
        self._buf = memoryview(bytearray(pn532.ROOM))
        self._have = 0
        self._field = True
        self._last = b""
        self._away = 0
        self._asked = self._looked = 0

    async def run(self) -> None:
        """The owner's task: never returns."""
        silent = 0
        while True:
            try:
                await self._wake()
                silent = 0
                self.state = "ready"
                await self._watch()
            except (TerminalError, FrameError, OSError):
                pass
            self.state = "off"
            await asyncio.sleep(_BACKOFF_S[silent])
            silent = min(silent + 1, len(_BACKOFF_S) - 1)

    async def _wake(self) -> None:
        self._serial.write(pn532.WAKE)
        self._serial.write(pn532.ACK)  # ends what it was in before our reset
        await asyncio.sleep_ms(5)
        await self._ask(pn532.SAM_NORMAL)
        answer = await self._ask(pn532.VERSION)
        if len(answer) < 4:
            raise TerminalError("not a PN532")
        self.version = "%d.%d" % (answer[2], answer[3])
        await self._ask(pn532.FEW_TRIES)
        self._field = True
        self._last = b""

    async def _watch(self) -> None:
        fails = 0
        while True:
            await asyncio.sleep_ms(_EVERY_MS)
            try:
                if self._wanted():
                    await self._look()
                elif self._field:
                    await self._ask(pn532.FIELD_OFF)
                    self._field = False
                elif time.ticks_diff(time.ticks_ms(), self._asked) > _CHECK_MS:
                    await self._ask(pn532.VERSION)
                fails = 0
            except FrameError:
                fails += 1
                if fails == _FAILS:
                    raise TerminalError("only noise")
            except TerminalTimeout:
                fails += 1
                if fails == _FAILS:
                    raise

    async def _look(self) -> None:
        self._field = True
        now = time.ticks_ms()
        if time.ticks_diff(now, self._looked) > _FORGET_MS:
            self._last = b""
        self._looked = now
        uid = pn532.uid_of(await self._ask(pn532.ONE_CARD))
        if not uid:
            self._away += 1
            if self._away >= _GONE:
                self._last = b""
            return
        self._away = 0
        if uid != self._last:
            self._last = uid
            self._tapped(uid)

    async def _ask(self, command: bytes) -> bytes:
        """The answer to a command; FrameError for noise, TerminalTimeout for silence. A command
        without its answer is ended, so that the next one finds the reader idle.
        """
        self._asked = time.ticks_ms()
        self._serial.discard(self._buf)
        self._have = 0
        self._serial.write(pn532.frame(command))
        good = False
        try:
            if await self._next(_ACK_MS) != pn532.ACKED:
                raise FrameError("no acknowledgement")
            answer = await self._next(_ANSWER_MS)
            if not answer or answer[0] != command[0] + 1:
                raise FrameError("another command's answer")
            good = True
            return answer
        finally:
            if not good:
                self._serial.write(pn532.ACK)

    async def _next(self, timeout_ms: int) -> bytes:
        """The next acknowledgement or answer."""
        began = time.ticks_ms()
        while True:
            try:
                used, answer = pn532.take(self._buf, self._have)
            except FrameError as e:
                self._drop(e.used)
                raise
            self._drop(used)
            if answer is not None:
                return answer
            left = timeout_ms - time.ticks_diff(time.ticks_ms(), began)
            if left <= 0:
                raise TerminalTimeout("the RFID reader does not answer")
            self._have += await self._serial.read_into(self._buf[self._have :], left)
            await asyncio.sleep_ms(0)  # noise without an end holds up nobody else

    def _drop(self, used: int) -> None:
        if used:
            self._have -= used
            self._buf[: self._have] = self._buf[used : used + self._have]

"""The PaymentTerminal over ZVT: comes up by itself, keeps watch, reads cards (PA00P015,
"Registration", "Status-Enquiry", "Read Card"). The money commands are in zvt_money.py.

Promises: after power-on, silence or a reset of the terminal it registers again without a visit;
one command at a time; a waiting read_card ends within a moment of abort(). Limits: what was on
the way when the line broke is for pending() to find out.
"""

import asyncio
import time

from micropython import const

from firmware.errors import ForecourtError, FrameError, TerminalRefused, TerminalTimeout
from firmware.terminal import results
from firmware.terminal.base import CardResult, PaymentTerminal
from firmware.terminal.commands import build, tlv
from firmware.terminal.dialogue import QUERY_MS, Answer
from firmware.terminal.link import CAPACITY, SerialLink
from firmware.terminal.zvt_money import Money

# commands and answers by class and instruction
_ENQUIRY = const(0x0501)
_REGISTER = const(0x0600)
_DIAGNOSE = const(0x0670)
_INITIALISE = const(0x0693)
_READ_CARD = const(0x06C0)

_IDLE_MS = const(50)
_ENQUIRY_MS = const(30000)  # at least once a minute is asked for
_BACKOFF_S = (1, 2, 4, 8, 15, 30)
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any

    from firmware.ports import Clock
    from firmware.serialio import Serial
    from firmware.terminal.dialogue import Trace
    from firmware.terminal.profiles import Profile

# status byte of a registration's completion
_INIT_BIT = const(1)
_DIAGNOSIS_BIT = const(2)
# terminal status codes with which cards can be taken
_WELL = (-1, 0x00, 0x9C, 0xDC)
_ACCEPTED = b"\x26\x04\x0a\x02\x06\xd3"  # we take print blocks
_MAX_READ_S = const(25)
_MARGIN_MS = const(10000)


class ZvtTerminal(Money, PaymentTerminal):
    """`serial`: firmware.serialio.Serial at the profile's baud rate, 8N2; or `stream` = (host,
    port) for TCP. `profile` from profiles.load, `currency` ISO 4217 numeric, `password` six
    digits, `salt` text or bytes for card hashes, `clock` a ports.Clock. `trace(direction,
    masked_hex, name)` shows an engineer every APDU ("tx", "rx") with card data masked. Set
    `last_receipt` from the books after a boot.
    """

    def __init__(
        self,
        serial: "Serial | None",
        profile: "Profile",
        currency: int,
        password: str,
        salt: "str | bytes",
        clock: "Clock",
        trace: "Trace | None" = None,
        stream: "tuple[str, int] | None" = None,
    ) -> None:
        if stream:
            from firmware.terminal.tcp import TcpLink

            link: "Any" = TcpLink(*stream)
        else:
            link = SerialLink(serial)
        if isinstance(salt, str):
            salt = salt.encode()
        super().__init__(link, profile, currency, password, salt, clock, trace)
        self._currency_code = self._currency[1:]
        self._state = "off"
        self._reading = False
        self._enquired = 0
        self.host_code = -1  # of its last word with its host: 0 well; -1 none since power-on

    @property
    def ready(self) -> bool:
        """Registered and without fault: a card can be taken (also while busy)."""
        return self._state == "ready" and not self._lost

    @property
    def state(self) -> str:
        """ "off", "registering", "ready", "busy", "fault" (then `fault_code` says why)."""
        if self._state != "ready":
            return self._state
        return "off" if self._lost else "busy" if self._busy else "ready"

    async def run(self) -> None:
        """The owner's task: never returns."""
        silent = 0
        while True:
            try:
                await self._come_up()
                silent = 0
                await self._stay()
            except (ForecourtError, OSError):
                pass
            self._state = "off"
            await asyncio.sleep(_BACKOFF_S[silent])
            silent = min(silent + 1, len(_BACKOFF_S) - 1)

    async def read_card(self, timeout_s: int) -> "CardResult | None":
        """Waits for a tap, at most `timeout_s` and never longer than 25 s: the terminal gets its
        status enquiry in between. None when none came, after abort(), and, a second later, while
        the terminal is not ready.
        """
        self._reading = True
        self._abort = False
        try:
            await self._lock.acquire()
            try:
                if not self.ready:
                    await asyncio.sleep(1)
                    return None
                return None if self._abort else await self._read(min(timeout_s, _MAX_READ_S))
            finally:
                self._lock.release()  # needs no memory, unlike async with
        finally:
            self._reading = False

    def abort(self) -> None:
        """Ends a waiting read_card; without one it does nothing."""
        self._abort = self._reading

    async def _read(self, timeout_s: int) -> "CardResult | None":
        command = build(
            _READ_CARD,
            bytes((timeout_s,)),
            b"\x19\x10\xfc\x02",
            tlv(0x06, tlv(0x1F15, b"\xd0"), tlv(0x1F60, b"\x07")),
        )
        answer = Answer()
        answer.results = True
        self._busy = True
        self._who = "cards"
        began = time.ticks_ms()
        try:
            await self._converse(command, answer, timeout_s * 1000 + _MARGIN_MS)
        except TerminalRefused as exc:
            answer.code = exc.code
        except (ForecourtError, OSError):
            self._lost = True
        finally:
            self._busy = False
            self._who = "terminal"
        if answer.code == results.NOT_REGISTERED:
            self._lost = True  # it was switched off: it has forgotten us, and no card was there
            return None
        if answer.code > 0 and time.ticks_diff(time.ticks_ms(), began) < 1000:
            await asyncio.sleep(1)  # refused at once, as it would be again
        return _card(answer)

    async def _come_up(self) -> None:
        await self._lock.acquire()
        try:
            self._state = "registering"
            self._lost = False
            self.fault_code = 0
            await self._link.open()
            answer = Answer()
            cleared = self._open
            try:
                await self._register(answer)
            except TerminalTimeout:
                self._open = not cleared  # turn by turn: it hangs, or it was switched off
                raise
            if answer.aborted or answer.end is None:
                raise TerminalRefused(answer.code)
            status = max(0, answer.end.status)
            if status & _INIT_BIT:
                await self._maintain(results.NEEDS_INIT)
            if status & _DIAGNOSIS_BIT:
                await self._maintain(results.NEEDS_DIAGNOSIS)
            await self._enquire()
        finally:
            self._lock.release()

    async def _register(self, answer: Answer) -> None:
        """A terminal that says it is busy is perhaps in a command from before our reset: that is
        ended at once, not waited for.
        """
        command = self._registration()
        for left in (1, 0):
            try:
                await self._converse(command, answer, 0, 1)
                return
            except TerminalRefused as exc:
                self._open = exc.code == results.BUSY
                if not left or not self._open:
                    raise

    def _registration(self) -> bytes:
        tags = tlv(0x1A, bytes((CAPACITY >> 8, CAPACITY & 0xFF))) + _ACCEPTED
        return build(
            _REGISTER,
            self._password,
            bytes((self._profile.config,)),
            self._currency_code,
            tlv(0x06, tags),
        )

    async def _stay(self) -> None:
        """Listens and asks for the status while nobody else has the line."""
        while not self._lost:
            self._beat()
            await asyncio.sleep_ms(_IDLE_MS)
            due = time.ticks_diff(time.ticks_ms(), self._enquired) > _ENQUIRY_MS
            if due or not self._lock.locked():
                await self._lock.acquire()
                try:
                    if self._lost:
                        break  # whoever had the line found nobody there
                    if due:
                        await self._enquire()
                        continue
                    apdu = await self._receive(0)
                    if apdu is not None and apdu.command < 0x8000:
                        await self._other(apdu)
                finally:
                    self._lock.release()
        raise TerminalTimeout("the terminal has to register again")

    async def _enquire(self) -> None:
        self._enquired = time.ticks_ms()
        condition = await self._condition()
        if condition == results.NEEDS_INIT or condition == results.NEEDS_DIAGNOSIS:
            await self._maintain(condition)
            condition = await self._condition()
        if condition == results.NOT_REGISTERED:
            raise TerminalRefused(condition)
        self.fault_code = 0 if condition in _WELL else condition
        self._state = "fault" if self.fault_code else "ready"

    async def _condition(self) -> int:
        """The terminal's status code; 0 well, -1 when it does not say."""
        answer = Answer()
        answer.t4_ms = QUERY_MS
        try:
            await self._converse(build(_ENQUIRY), answer)
        except TerminalRefused as exc:
            return exc.code
        if answer.aborted or answer.end is None:
            return answer.code
        return answer.end.condition

    async def diagnose(self) -> None:
        """The terminal talks with its host; `host_code` says what came of it."""
        await self._lock.acquire()
        try:
            await self._maintain(results.NEEDS_DIAGNOSIS)
        except (ForecourtError, OSError):
            self._lost = True  # it registers again
        finally:
            self._lock.release()

    async def _maintain(self, need: int) -> None:
        """Initialisation or diagnosis; whether it helped, the next enquiry says."""
        if need == results.NEEDS_INIT:
            command = build(_INITIALISE, self._password)
        else:
            command = build(_DIAGNOSE)
        answer = Answer()
        try:
            await self._converse(command, answer)
        except TerminalRefused as exc:
            answer.code = exc.code
        except FrameError:
            return
        self.host_code = max(answer.code, 0)


def _card(answer: Answer) -> "CardResult | None":
    apdu = answer.result
    code = answer.code
    if apdu is None and code <= 0 or code == results.NO_CARD_OR_CANCELLED:
        return None
    if code == 0 and apdu is not None:
        if apdu.aid or apdu.pan:
            card = CardResult("bank", apdu.pan, apdu.uid_hash, apdu.card)
            card.aid = apdu.aid
            return card
        if apdu.has_uid:
            return CardResult("rfid", "", apdu.uid_hash)
    text = results.classify(code)[0] if code else "card_unreadable"
    return CardResult("unreadable", "", "", "", code, text)

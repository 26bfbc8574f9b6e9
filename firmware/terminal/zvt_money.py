"""The money commands of a ZVT terminal (PA00P015, "Pre-Authorisation/Reservation" and after).

Every command gives an Outcome that says what is known: done, not done, or lost on the way. A
command that may have reached the terminal and was not answered is never called failed.
"""

from micropython import const

from firmware.errors import (
    FrameError,
    TerminalError,
    TerminalGone,
    TerminalRefused,
    TerminalTimeout,
)
from firmware.terminal import results
from firmware.terminal.base import Authorisation, Outcome
from firmware.terminal.commands import bcd, build, tlv
from firmware.terminal.dialogue import QUERY_MS, Answer, Dialogue

# commands and answers by class and instruction
_RESERVE = const(0x0622)
_RELEASE = const(0x0623)
_BOOK_TOTAL = const(0x0624)
_CANCEL = const(0x0625)
_REVERSE = const(0x0630)
_REFUND = const(0x0631)
_END_OF_DAY = const(0x0650)

_RESERVED = b"\x19\x40"  # payment type of a reservation, as captured terminals take it
_PRIMARY = b"\x02"
_EXTENSION = b"\x03"
# what is taken over from an approval
_TAKEN = "receipt trace terminal_id vu auth_code pan card uid_hash aid"
_WAITING_FOR_CARD = (-1, 0x0A)  # no 04FF yet, or "insert card"


TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware.ports import Clock
    from firmware.terminal.dialogue import Trace
    from firmware.terminal.profiles import Profile
    from firmware.terminal.zvt_day import DayTotals

    Commit = Callable[[Authorisation], None]


class Money(Dialogue):
    """Needs of its heir: `ready`, `abort()`, `_lost`, `_busy`, `fault_code`."""

    if TYPE_CHECKING:

        @property
        def ready(self) -> bool: ...

        def abort(self) -> None: ...

    def __init__(
        self,
        link: "Any",
        profile: "Profile",
        currency: int,
        password: str,
        salt: bytes,
        clock: "Clock",
        trace: "Trace | None",
    ) -> None:
        super().__init__(link, salt, trace)
        self.last_receipt = 0  # of the last transaction whose end was seen; 0: not known
        self.fault_code = 0
        self._profile = profile
        self._currency = b"\x49" + bcd(currency, 2)
        self._password = bytes.fromhex(password)
        self._clock = clock
        self._lost = False
        self._busy = False
        self._tells = False  # a capture was answered with its own sum, not the hold's

    async def authorise(self, hold_minor: int, reference: str, commit: "Commit") -> Authorisation:
        """Holds up to `hold_minor` on the card that is presented now. `commit(authorisation)` is
        called once on approval, before the terminal is told to keep it.

        Raises TerminalError when `commit` raised: the terminal takes the hold back by itself.
        After a commit `ok` may still be False: the terminal aborted later, nothing is held.
        """
        tags = [_reference(reference)]
        if self._profile.partial:
            tags.append(tlv(0x1F70, b"\x01"))
        if self._profile.extend:
            tags.append(tlv(0x1F06, _PRIMARY))
        if self._profile.mirror and self.last_receipt:
            tags.append(tlv(0x1F1F, bcd(self.last_receipt, 2)))
        command = build(
            _RESERVE, self._amount(hold_minor), self._currency, _RESERVED, _container(tags)
        )
        return await self._authorised(Authorisation(False), command, commit, hold_minor, 0)

    async def extend(self, a: Authorisation, add_minor: int, commit: "Commit") -> Authorisation:
        """Asks for `add_minor` more on an open hold; no card is needed. `amount_minor` of what
        comes back is the new whole; otherwise as authorise().
        """
        tags = [tlv(0x1F06, _EXTENSION)]
        if a.trace > 999999:
            tags.append(tlv(0x1F2B, bcd(a.trace, 4)))
        command = build(
            _RESERVE,
            self._amount(add_minor),
            self._currency,
            _RESERVED,
            b"\x0b" + bcd(a.trace if a.trace <= 999999 else 0, 3),
            b"\x3b" + (a.auth_code.encode() + b"\x00" * 8)[:8],
            _container(tags),
        )
        whole = Authorisation(False)
        whole.receipt = a.receipt
        return await self._authorised(whole, command, commit, add_minor, a.amount_minor)

    async def capture(
        self,
        receipt: int,
        authorised_minor: int,
        used_minor: int,
        reference: str = "",
        commit: "Any" = None,
    ) -> Outcome:
        """Books `used_minor` of a hold and releases the rest, the way the profile says. Nothing
        used cancels it (with `commit` the whole is released). TerminalError when more was used
        than is held: that is never sent; and when `commit(apdu)` raised, called before the result
        is acknowledged. `amount_minor` of the answer is above `used_minor` where the terminal says
        that it booked more, `proven` where it is none that names the hold in every answer: since
        the start it has told a capture's own sum.
        """
        if not 0 <= used_minor <= authorised_minor:
            raise TerminalError(f"capture of {used_minor} from a hold of {authorised_minor}")
        if not used_minor and commit is None:
            return await self.cancel(receipt)
        if self._profile.capture == "use":
            kind, amount = _BOOK_TOTAL, used_minor
        else:
            kind, amount = _RELEASE, authorised_minor - used_minor
        return await self._move(
            build(
                kind,
                _RESERVED,
                b"\x87" + bcd(receipt, 2),
                self._currency,
                self._amount(amount),
                _container([_reference(reference)]),
            ),
            used_minor,
            commit,
            authorised_minor - used_minor,
        )

    async def cancel(self, receipt: int) -> Outcome:
        """Gives a whole hold back (nothing was delivered)."""
        return await self._move(
            build(_CANCEL, _RESERVED, b"\x87" + bcd(receipt, 2), self._currency), 0
        )

    async def reverse(self, receipt: int) -> Outcome:
        """Takes a booked transaction back whole; the terminal can until its end of day."""
        return await self._move(build(_REVERSE, self._password, b"\x87" + bcd(receipt, 2)), 0)

    async def refund(
        self, amount_minor: int, reference: str = "", commit: "Any" = None
    ) -> Outcome:
        """Pays `amount_minor` to the card that is presented now; names no earlier payment.
        `commit(apdu)` is called once on approval, before the terminal is told to keep it.

        Raises TerminalError when `commit` raised: the terminal takes the refund back by itself.
        """
        return await self._move(
            build(
                _REFUND,
                self._password,
                self._amount(amount_minor),
                self._currency,
                _container([_reference(reference)]),
            ),
            amount_minor,
            commit,
        )

    async def pending(self) -> "tuple[int, ...]":
        """Receipt numbers of the open reservations; TerminalError when they were not learnt."""
        outcome = Outcome(False)
        answer = await self._run(build(_RELEASE, b"\x87\xff\xff"), outcome, None, QUERY_MS)
        if answer.end is None:
            raise TerminalTimeout("pending reservations not learnt: " + outcome.text)
        if answer.aborted and answer.code != results.PENDING_LIST:
            raise TerminalRefused(answer.code, outcome.text)
        if not answer.end.receipt:  # "none" is said, too: FFFF
            raise TerminalError("pending reservations not told")
        return answer.end.receipts

    async def end_of_day(self, commit: "Any" = None) -> "DayTotals":
        """Closes the terminal's day and sends its batch; may take minutes. `commit(totals)` is
        called once, before the terminal's figures are acknowledged.

        Raises TerminalError when `commit` raised.
        """
        from firmware.terminal.zvt_day import DayTotals

        totals = DayTotals(commit)
        answer = await self._run(build(_END_OF_DAY, self._password), totals, totals.told)
        if answer.veto:
            raise TerminalError(answer.veto)
        return totals

    def _amount(self, minor: int) -> bytes:
        return b"\x04" + bcd(minor, 6)

    async def _authorised(
        self,
        a: Authorisation,
        command: bytes,
        commit: "Commit",
        asked_minor: int,
        before_minor: int,
    ) -> Authorisation:
        def approve(apdu: "Any") -> None:
            approved = apdu.amount_minor if apdu.amount_minor >= 0 else asked_minor
            a.amount_minor = approved
            if before_minor:
                # some tell what was added, some the new sum; a part was not asked for (1F70), and
                # its figure could be read both ways: not ours to keep
                if approved not in (asked_minor, before_minor + asked_minor):
                    raise TerminalError("extension by %d not understood" % approved)
                a.amount_minor = before_minor + asked_minor
            for key in _TAKEN.split(" "):
                value = getattr(apdu, key)
                if value:
                    setattr(a, key, value)
            a.ok = True
            a.text = "approved"
            a.at_ms = self._clock.uptime_ms()
            commit(a)

        answer = await self._run(command, a, approve)
        if answer.veto:
            raise TerminalError(answer.veto)
        a.ok = a.ok and answer.committed
        if answer.code == results.NO_CARD_OR_CANCELLED and answer.result is None:
            if answer.last_status in _WAITING_FOR_CARD:
                a.text = "no_card"
        return a

    async def _move(
        self, command: bytes, amount_minor: int, commit: "Any" = None, rest_minor: int = -1
    ) -> Outcome:
        outcome = Outcome(False)
        answer = await self._run(command, outcome, commit)
        if answer.veto:
            raise TerminalError(answer.veto)
        if outcome.ok:
            outcome.amount_minor = amount_minor
            if answer.result is not None:
                told = answer.result.amount_minor
                if 0 <= rest_minor != told > amount_minor:  # some tell what they released
                    outcome.amount_minor = told
                    outcome.proven = self._tells and told <= amount_minor + rest_minor
                elif rest_minor > 0 and rest_minor != told == amount_minor:
                    self._tells = True
                outcome.receipt = answer.result.receipt
                outcome.trace = answer.result.trace
        return outcome

    async def _run(
        self, command: bytes, outcome: Outcome, commit: "Any" = None, t4_ms: int = 0
    ) -> Answer:
        """Runs one money command alone on the line and says in `outcome` what is known."""
        answer = Answer()
        answer.results = True
        answer.commit = commit
        answer.t4_ms = t4_ms or answer.t4_ms
        self.abort()  # a card that is awaited for nothing gives way
        await self._lock.acquire()
        try:
            if not self.ready:
                outcome.code = self.fault_code or -1
                outcome.text = "out_of_service" if self.fault_code else "terminal_off"
                return answer
            self._busy = True
            self._who = "jobs"
            try:
                await self._converse(command, answer)
            except TerminalRefused as exc:
                answer.code = exc.code
                answer.aborted = True
            except (TerminalTimeout, TerminalGone, FrameError, OSError):
                self._lost = True
                if command[1] != _RESERVE & 0xFF:
                    self.last_receipt = 0  # the terminal may have a later one, rightly
                # its 040F, if it came, is the word that counts
                outcome.certain = answer.code > 0
            finally:
                self._busy = False
                self._who = "terminal"
        finally:
            self._lock.release()
        self._judge(outcome, answer)
        return answer

    def _judge(self, outcome: Outcome, answer: Answer) -> None:
        code = answer.code
        known = outcome.certain or answer.committed or answer.acknowledged
        outcome.ok = known and code <= 0 and not answer.aborted and not answer.veto
        outcome.code = code
        if outcome.ok:
            outcome.code = 0
            outcome.text = "approved"
            if answer.result is not None and answer.result.receipt:
                self.last_receipt = answer.result.receipt
        elif outcome.certain:
            outcome.text = results.classify(code if code < 0x100 else 0xFF)[0]
            self._lost = self._lost or code == results.NOT_REGISTERED
        else:
            outcome.code = -1
            outcome.text = "terminal_off"


def _container(tags: "list[bytes]") -> bytes:
    body = b"".join(tags)
    return tlv(0x06, body) if body else b""


def _reference(reference: str) -> bytes:
    """Ours to know a reservation by: two letters as prefix, the rest as number (1F62, 1F63)."""
    if not reference:
        return b""
    text = reference.encode()
    return tlv(0xE9, tlv(0x1F62, text[:2]), tlv(0x1F63, text[2:]))

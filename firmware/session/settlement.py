"""Giving a hold back, or capturing from it, until the terminal has said so for certain. Pure:
answers in, decisions out.

A lost answer is never repeated blindly: the terminal's pending reservations tell which side of the
line it was on (design.md, "After a power cut"); where it names one hold only, and not ours, a try
that names ours does. Refusals are retried with back-off; nothing is dropped. A ZVT terminal tells
receipt numbers only, no amount and no reference: a hold whose approval was never seen is known by
not having been there before it was asked (`foreign`).

What was not authorised at the terminal is not settled there either: the record is the settlement,
and the back office takes exactly what it says (`how`).
"""

from micropython import const

from firmware.session.decisions import CANCEL, CAPTURE, PENDING, RECORD

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.session.data import Session

_BACKOFF_MS = const(5000)
_BACKOFF_MAX_MS = const(300000)
_UNSEEN_MS = const(600000)
_GONE = (0xB4, 0xB5, 0xB8)  # what a terminal says to a receipt of which it holds nothing

FOREIGN_HOLD = const("foreign_hold")
IDLE = const("idle")
CANCELLING = const("cancelling")
CAPTURING = const("capturing")
ASKING = const("asking")  # pending reservations asked
WAITING = const("waiting")  # for the next try
DONE = const("done")


def approval(s) -> dict:
    """Fields of the `authorised` record of a hold whose approval no terminal told: all of it."""
    s.authorised_minor = s.hold_minor
    return {"sess": s.number, "amount_minor": s.hold_minor, "receipt": s.receipt, "trace": 0,
            "terminal_id": "", "vu": "", "auth_code": "", "pan": "", "card": ""}  # fmt: skip


class Settlement:
    """Settles one session `s` (data.Session). `out`: the list decisions are added to."""

    def __init__(self, out: list):
        self.state = IDLE
        self._out = out
        self._s: "Session" = None
        self._goal = CANCELLING
        self._attempt = 0
        self._retry_at = 0
        self._since = -1  # when an approval that was never seen was first asked for
        self._reason = ""
        self._how = ""
        self._refused = False  # the last try was refused for certain
        self._probe = False  # the list named one, not ours: this try tells
        self.last_text = ""
        self.foreign: "tuple" = ()  # open at the terminal while no session was: not ours
        self._extra = 0  # a second hold of ours that is being given back

    def cancel(self, s, reason: str, ask: bool = False) -> None:
        """The whole hold goes back: nothing was delivered, or it cost nothing. `ask`: its approval
        was never seen or it may be gone already, so the terminal is asked for it first.
        """
        self._begin(s, CANCELLING, reason, ask)

    def capture(self, s, ask: bool = False) -> None:
        """The price is in flash: take it, release the rest. Nothing to take: cancel. `ask`: it may
        have been done, the terminal knows.
        """
        if s.total_minor == 0:
            self._begin(s, CANCELLING, "free", ask)
        else:
            self._begin(s, CAPTURING, "", ask)

    def _begin(self, s, goal: str, reason: str, ask: bool) -> None:
        self._s = s
        self._goal = goal
        self._reason = reason
        self._attempt = 0
        # a capture that was never tried, of a hold whose approval flash lost: gone is not paid
        self._refused = not (ask or s.receipt)
        self._how = "direct"
        self._since = -1
        if s.method != "card":
            self._how = "account" if s.method == "rfid" else s.method
            self._close(0, 0)
        elif ask or not s.receipt:
            self._ask()
        else:
            self._act()

    def _ask(self) -> None:
        self.state = ASKING
        self._out.append((PENDING,))

    def _act(self) -> None:
        s = self._s
        self.state = self._goal
        if self._goal == CANCELLING and not s.unsure_minor:
            self._out.append((CANCEL, s.receipt))
        else:
            whole = s.authorised_minor + s.unsure_minor
            self._out.append((CAPTURE, s.receipt, whole, s.total_minor))

    def on_outcome(self, outcome, now_ms: int) -> None:
        """The terminal's answer to CANCEL or CAPTURE. One that seemed done counts only when it
        came to its end: the terminal undoes what it told when its receipt was not acknowledged,
        or its own power failed meanwhile.
        """
        if self.state not in (CANCELLING, CAPTURING):
            return
        probe = self._probe and outcome.certain
        self._probe = False
        if self._extra:
            self._extra = 0
            if not outcome.ok and outcome.certain:
                self._failed(outcome.code, outcome.text, now_ms)
            else:
                self._ask()
        elif outcome.ok and outcome.certain:
            s = self._s
            if self._goal == CAPTURING and outcome.amount_minor > s.total_minor:
                told = (s.number, outcome.amount_minor, s.total_minor)
                self._alarm("capture_above_price", "session %d: told %d, price %d" % told)
                if outcome.proven:  # it is booked as it is, and given back (Books, `captured`)
                    s.captured_minor = outcome.amount_minor
            self._close(outcome.receipt, outcome.trace)
        elif probe and outcome.code in _GONE:
            self._gone()
        else:
            self._refused = outcome.certain
            if not outcome.certain:
                self._ask()
            elif self._s.unsure_minor and outcome.text == "amount_refused":
                self._found(0)
                self._act()
            else:
                self._failed(outcome.code, outcome.text, now_ms)

    def on_pending(self, receipts, now_ms: int) -> None:
        """Receipt numbers of the holds the terminal still has; None when it could not say."""
        if self.state != ASKING:
            return
        s = self._s
        if receipts is None:
            self._failed(0, "terminal_off", now_ms)
        elif not s.receipt:
            self._unseen([r for r in receipts if r not in self.foreign])
        elif s.receipt in receipts:
            self._act()
        elif len(receipts) == 1:  # all that some terminals can name; ours besides it is tried
            self._probe = True
            self._act()
        else:
            self._gone()

    def _gone(self) -> None:
        """The terminal holds nothing of ours any more."""
        if self._refused:
            self._lost()
        else:
            self._how = "pending_query"
            self._close(self._s.receipt, 0)

    def _unseen(self, ours: list) -> None:
        """The approval was never seen: what is ours goes back. One is this session's; more than
        that go back first, each with an alarm.
        """
        if not ours:
            self._gone()
        elif len(ours) == 1:
            self._s.receipt = ours[0]
            self._adopt()
            self._act()
        else:
            self._extra = ours[-1]
            self._alarm("hold_twice", self._extra)
            self.state = CANCELLING
            self._out.append((CANCEL, self._extra))

    def _alarm(self, code: str, figure) -> None:
        fields = {"sess": self._s.number, "code": code, "detail": "%s" % figure}
        self._out.append((RECORD, "alarm", fields))

    def _lost(self) -> None:
        """The terminal refused the capture or the cancellation and holds nothing any more, by
        nobody's doing here: nobody paid. Said as it is, never booked as paid.
        """
        s = self._s
        self._alarm("hold_lost", s.total_minor)
        if self._goal == CAPTURING:
            self._goal = CANCELLING
            self._reason = "hold_lost"
        self._close(s.receipt, 0)

    def _adopt(self) -> None:
        self._out.append((RECORD, "authorised", approval(self._s)))

    def _found(self, more: int) -> None:
        """What became of an extension that was in doubt."""
        s = self._s
        s.authorised_minor += more
        s.unsure_minor = 0
        fields = {"sess": s.number, "amount_minor": s.authorised_minor, "how": "found", "code": 0,
                  "text": ""}  # fmt: skip
        self._out.append((RECORD, "extend_done", fields))

    def _close(self, receipt: int, trace: int) -> None:
        s = self._s
        if s.unsure_minor:
            self._found(s.unsure_minor)
        if self._goal == CANCELLING:
            s.released_minor = s.authorised_minor
            fields = {"sess": s.number, "released_minor": s.released_minor, "receipt": receipt,
                      "reason": self._reason}  # fmt: skip
            self._out.append((RECORD, "cancelled", fields))
        else:
            s.captured_minor = max(s.captured_minor, s.total_minor)
            s.released_minor = max(s.authorised_minor - s.captured_minor, 0)
            fields = {"sess": s.number, "captured_minor": s.captured_minor,
                      "released_minor": s.released_minor, "receipt": receipt, "trace": trace,
                      "how": self._how}  # fmt: skip
            self._out.append((RECORD, "captured", fields))
        self.state = DONE

    def _failed(self, code: int, text: str, now_ms: int) -> None:
        self._attempt += 1
        self.last_text = text
        # 1st, 2nd, 4th, ...: flash is not worn by a terminal that is away
        if self._attempt & (self._attempt - 1) == 0:
            fields = {"sess": self._s.number, "attempt": self._attempt, "code": code, "text": text}
            self._out.append((RECORD, "settle_failed", fields))
        wait = min(_BACKOFF_MS << min(self._attempt - 1, 6), _BACKOFF_MAX_MS)
        self._retry_at = now_ms + wait
        self.state = WAITING

    def on_tick(self, now_ms: int) -> None:
        """Repeats what failed when its time has come; asks first: nothing is done twice. A hold
        whose approval was never seen was not acknowledged, so the terminal takes it back by
        itself: it is not asked for longer than ten minutes, for nobody else can charge meanwhile.
        """
        if self.state == WAITING and now_ms >= self._retry_at:
            self._ask()
        if self._goal == CANCELLING and self.state in (ASKING, WAITING) and not self._s.receipt:
            if self._since < 0:
                self._since = now_ms
            if now_ms - self._since > _UNSEEN_MS:
                self._alarm("hold_unseen", self._s.hold_minor)
                self._close(0, 0)

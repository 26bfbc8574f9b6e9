"""The books: what the records add up to. The same `apply` runs at every append and in the replay at mount.

Goals: recovery finds everything it needs of the open session in `open`; numbers have no gaps; no refund passes what was
captured; the sums agree. A decision that would break an invariant is refused before it is written (`refuse` raises
BooksError); a fact (what the terminal did) is always taken, and counted in `faults` when it does not fit.

Limits: figures of the newest 40 settled sessions and 12 refunds are in memory and in every sector's `books` note; of
older sessions `Ledger.recall` finds them in flash. Memory: bounded by these tables and one session, some 4 KB.
"""

import hashlib

from firmware.errors import LedgerError
from firmware.ledger.codec import Record

SETTLED = 40
REFUNDS = 12

_OF_SESSION = ("authorised", "energising", "checkpoint", "period", "power_off", "priced", "captured", "cancelled",
               "settle_failed", "declined", "extend_asked", "extended")


class BooksError(LedgerError):
    """A record would break an invariant of the books."""

    kind = "books"


class OpenSession:
    """A session whose hold is not settled. The dicts are the fields of its newest record of that kind, None without one.

    `seq`: its first record. `last`: kind of its newest record. `amount_minor`: authorised and extended in all.
    `energised_at`: epoch ms. `extend_minor`: an extension without answer. `attempts`: failed settlements. `periods`,
    `periods_mwh`: number and energy of closed periods. `whole`: False when its beginning is not in flash any more.
    """

    def __init__(self, sess: int, seq: int, hold: "dict | None") -> None:
        self.sess = sess
        self.seq = seq
        self.whole = hold is not None
        self.last = "hold_asked"
        self.hold = hold
        self.authorised = None
        self.energising = None
        self.checkpoint = None
        self.power_off = None
        self.priced = None
        self.amount_minor = 0
        self.energised_at = 0
        self.extend_minor = 0
        self.attempts = 0
        self.periods = 0
        self.periods_mwh = 0


def refund_key(refund: str) -> int:
    """What the tables keep of a refund's id: 56 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(refund.encode()).digest()[:7], "big")


class Books:
    """`open` (OpenSession or None); `next_session`, `next_receipt`, `next_credit`; `last_counter` of a command;
    `eod_count`, `eod_captured`, `eod_refunded` since the last end of day; `asked`: refunds without answer (id -> seq and
    fields); `faults` and `fault` (the newest, as text)."""

    def __init__(self) -> None:
        self.open = None
        self.next_session = 1
        self.next_receipt = 1
        self.next_credit = 1
        self.last_counter = 0
        self.eod_count = 0
        self.eod_captured = 0
        self.eod_refunded = 0
        self.asked = {}
        self.faults = 0
        self.fault = ""
        self._settled = []  # [sess, captured, refunded], newest last
        self._done = []  # (key, sess, amount), newest last
        self._fresh = True

    # --- questions -----------------------------------------------------------------------------------------------

    def settled(self, sess: int) -> "tuple | None":
        """(captured_minor, refunded_minor) of a settled session; None when it is not in memory."""
        for entry in self._settled:
            if entry[0] == sess:
                return entry[1], entry[2]
        return None

    def refundable(self, sess: int) -> int:
        """What may still be refunded of a session, refunds without answer counted as done; 0 when it is not known."""
        figures = self.settled(sess)
        if figures is None:
            return 0
        left = figures[0] - figures[1]
        for _, fields in self.asked.values():
            if fields["sess"] == sess:
                left -= fields["amount_minor"]
        return left

    def refund_state(self, refund: str) -> str:
        """"asked", "done" or "" (not asked, or failed)."""
        if refund in self.asked:
            return "asked"
        key = refund_key(refund)
        for entry in self._done:
            if entry[0] == key:
                return "done"
        return ""

    def oldest_needed(self) -> int:
        """The first record that something open needs; 0 when nothing is open."""
        seq = self.open.seq if self.open else 0
        for first, _ in self.asked.values():
            if not seq or first < seq:
                seq = first
        return seq

    # --- before a record is written ------------------------------------------------------------------------------

    def refuse(self, kind: str, f: dict) -> None:
        """Raises BooksError for a decision that breaks an invariant."""
        reason = ""
        if kind == "hold_asked":
            if self.open:
                reason = "session %d is open" % self.open.sess
            elif f["sess"] != self.next_session:
                reason = "next session is %d" % self.next_session
        elif kind == "refund_asked":
            if self.refund_state(f["refund"]):
                reason = "refund is known already"
            elif f["amount_minor"] <= 0 or f["amount_minor"] > self.refundable(f["sess"]):
                reason = "only %d can be refunded" % self.refundable(f["sess"])
        elif kind in _OF_SESSION:
            if self.open is None or self.open.sess != f["sess"]:
                reason = "session %d is not open" % f["sess"]
            elif kind == "energising" and not self.open.authorised and self.open.hold["hold_minor"]:
                reason = "no hold is authorised"
            elif kind == "priced":
                reason = self._price_fault(f)
        if reason:
            raise BooksError("%s: %s" % (kind, reason))

    def _price_fault(self, f: dict) -> str:
        o = self.open
        if o.priced:
            return "priced already"
        if f["receipt_no"] != self.next_receipt:
            return "next receipt is %d" % self.next_receipt
        if f["billed_wh"] != f["end_wh"] - f["start_wh"]:
            return "billed_wh is not the register's difference"
        if o.energising and f["start_wh"] != o.energising["register_wh"]:
            return "start_wh is not the register at energising"
        if f["net_minor"] + f["vat_minor"] != f["total_minor"]:
            return "net and VAT do not add up"
        if o.amount_minor and f["total_minor"] > o.amount_minor:
            return "total passes the hold"
        return ""

    # --- every record --------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """Adds one record; never raises for a record that decode() gave."""
        handler = getattr(self, "_on_" + record.kind, None)
        if handler:
            handler(record, record.fields)
        elif record.kind in _OF_SESSION:
            self._of(record)
        self._fresh = False

    def _wrong(self, record: Record, reason: str) -> None:
        self.faults += 1
        self.fault = "%s %d: %s" % (record.kind, record.seq, reason)

    def _of(self, record: Record) -> "OpenSession | None":
        """The open session, which must be the record's; keeps the record's fields where OpenSession has a place."""
        o = self.open
        if o is None or o.sess != record.fields["sess"]:
            self._wrong(record, "its session is not open")
            return None
        o.last = record.kind
        if hasattr(o, record.kind):
            setattr(o, record.kind, record.fields)
        return o

    def _on_hold_asked(self, record: Record, f: dict) -> None:
        if self.open:
            self._wrong(record, "session %d was open" % self.open.sess)
        self.open = OpenSession(f["sess"], record.seq, f)
        self.next_session = max(self.next_session, f["sess"] + 1)

    def _on_authorised(self, record: Record, f: dict) -> None:
        o = self._of(record)
        if o:
            o.amount_minor = f["amount_minor"]

    def _on_declined(self, record: Record, f: dict) -> None:
        o = self._of(record)
        if o and o.authorised:
            o.extend_minor = 0
        elif o:
            self.open = None

    def _on_energising(self, record: Record, f: dict) -> None:
        o = self._of(record)
        if o:
            o.energised_at = record.at

    def _on_period(self, record: Record, f: dict) -> None:
        o = self._of(record)
        if o:
            o.periods += 1
            o.periods_mwh += f["energy_mwh"]

    def _on_settle_failed(self, record: Record, f: dict) -> None:
        o = self._of(record)
        if o:
            o.attempts += 1

    def _on_extend_asked(self, record: Record, f: dict) -> None:
        o = self._of(record)
        if o:
            o.extend_minor = f["add_minor"]

    def _on_extended(self, record: Record, f: dict) -> None:
        o = self._of(record)
        if o:
            o.amount_minor = f["amount_minor"]
            o.extend_minor = 0

    def _on_priced(self, record: Record, f: dict) -> None:
        self._of(record)
        self.next_receipt = max(self.next_receipt, f["receipt_no"] + 1)

    def _on_captured(self, record: Record, f: dict) -> None:
        o = self._of(record)
        captured = f["captured_minor"]
        if o and o.whole:
            if o.amount_minor and captured + f["released_minor"] != o.amount_minor:
                self._wrong(record, "captured and released are not what was authorised")
            if o.priced and captured != o.priced["total_minor"]:
                self._wrong(record, "captured is not the price")
        self.open = None
        self.eod_count += 1
        self.eod_captured += captured
        self.remember(f["sess"], captured, 0)

    def _on_cancelled(self, record: Record, f: dict) -> None:
        o = self._of(record)
        if o and o.whole and o.amount_minor and f["released_minor"] != o.amount_minor:
            self._wrong(record, "released is not what was authorised")
        self.open = None

    def _on_refund_asked(self, record: Record, f: dict) -> None:
        self.asked[f["refund"]] = (record.seq, f)

    def _on_refunded(self, record: Record, f: dict) -> None:
        if self.refund_state(f["refund"]) == "done":
            self._wrong(record, "refunded before")
        asked = self.asked.pop(f["refund"], None)
        if asked and asked[1]["amount_minor"] != f["amount_minor"]:
            self._wrong(record, "not the amount that was asked")
        self._done.append((refund_key(f["refund"]), f["sess"], f["amount_minor"]))
        del self._done[:-REFUNDS]
        self.next_credit = max(self.next_credit, f["credit_no"] + 1)
        self.eod_refunded += f["amount_minor"]
        figures = self.settled(f["sess"])
        if figures:
            refunded = figures[1] + f["amount_minor"]
            if refunded > figures[0]:
                self._wrong(record, "refunds pass what was captured")
            self.remember(f["sess"], figures[0], refunded)

    def _on_refund_failed(self, record: Record, f: dict) -> None:
        self.asked.pop(f["refund"], None)

    def _on_command(self, record: Record, f: dict) -> None:
        self.last_counter = max(self.last_counter, f["counter"])

    def _on_end_of_day(self, record: Record, f: dict) -> None:
        if f["result"] != "failed":
            self.eod_count = self.eod_captured = self.eod_refunded = 0

    def remember(self, sess: int, captured: int, refunded: int) -> None:
        """Keeps a settled session's figures as the newest."""
        self._settled = [e for e in self._settled if e[0] != sess]
        self._settled.append((sess, captured, refunded))
        del self._settled[:-SETTLED]

    # --- the note at every sector's start ------------------------------------------------------------------------

    def note(self, acked: int) -> dict:
        """Fields of the `books` note: all but the open session and refunds, whose records stay in flash."""
        return {
            "acked": acked,
            "needed": self.oldest_needed(),
            "open_sess": self.open.sess if self.open else 0,
            "next_session": self.next_session,
            "next_receipt": self.next_receipt,
            "next_credit": self.next_credit,
            "counter": self.last_counter,
            "eod_count": self.eod_count,
            "eod_captured": self.eod_captured,
            "eod_refunded": self.eod_refunded,
            "settled": [v for entry in self._settled for v in entry],
            "refunds": [v for entry in self._done for v in entry],
        }

    def _on_books(self, record: Record, f: dict) -> None:
        """Only the first one in a replay says something new."""
        if not self._fresh:
            return
        self.next_session = f["next_session"]
        self.next_receipt = f["next_receipt"]
        self.next_credit = f["next_credit"]
        self.last_counter = f["counter"]
        self.eod_count = f["eod_count"]
        self.eod_captured = f["eod_captured"]
        self.eod_refunded = f["eod_refunded"]
        s = f["settled"]
        self._settled = [(s[i], s[i + 1], s[i + 2]) for i in range(0, len(s) - 2, 3)]
        r = f["refunds"]
        self._done = [(r[i], r[i + 1], r[i + 2]) for i in range(0, len(r) - 2, 3)]
        if f["open_sess"]:
            self.open = OpenSession(f["open_sess"], f["needed"], None)

"""The books: what the records add up to. The same `apply` runs at every append and in the replay
at mount.

Goals: recovery finds everything it needs of the open session in `open`; numbers have no gaps; no
refund passes what was captured; the sums agree. A decision that would break an invariant is
refused before it is written (`refuse` raises BooksError); a fact (what the terminal did) is always
taken, and counted in `faults` when it does not fit.

Limits: figures of the newest 40 settled sessions and 12 refunds are in memory and in every
sector's `books` note; of older sessions `refunds.recall` finds them in flash. Memory: bounded by
these tables and one session, some 4 KB.
"""

import hashlib

from firmware.errors import LedgerError
from firmware.ledger.codec import Record

SETTLED = 40
REFUNDS = 12
ACQUIRER = "acquirer"  # a way of refunds that are not done here: the back office sees to them
ABOVE = "above_price"  # reason of the refund that nobody orders, see _on_captured
OUTSIDE = (ACQUIRER, "gateway", "account")
ELSEWHERE = ("gateway", "app", "account")  # how a capture is not the terminal's

_OF_SESSION = (
    "authorised", "energising", "checkpoint", "period", "power_off", "priced", "captured",
    "cancelled", "settle_failed", "declined", "extend_asked", "extended", "extend_done",
)  # fmt: skip
_KEPT = ("authorised", "energising", "checkpoint", "power_off", "priced")
_NUMBERS = (
    "next_session", "next_receipt", "next_credit", "last_counter", "eod_count", "eod_captured",
    "eod_refunded",
)  # fmt: skip


class BooksError(LedgerError):
    """A record would break an invariant of the books."""

    kind = "books"


class OpenSession:
    """A session whose hold is not settled. The dicts are the fields of its newest record of that
    kind, None without one.

    `seq`: its first record. `last`: kind of its newest record. `amount_minor`: authorised and
    extended in all. `energised_at`: epoch ms. `extend_minor`: the part of it that is in doubt, an
    approved extension whose end was not seen.
    `owed_at`: epoch ms at which the amount was known or the first settlement failed. `attempts`:
    failed settlements. `periods`, `periods_mwh`: number and energy of closed periods.
    `hold` is None when its beginning is not in flash any more.
    """

    def __init__(self, sess: int, seq: int, hold: "dict | None") -> None:
        self.sess = sess
        self.seq = seq
        self.last = "hold_asked"
        self.hold = hold
        self.authorised = self.energising = self.checkpoint = self.power_off = self.priced = None
        self.amount_minor = self.energised_at = self.extend_minor = self.owed_at = 0
        self.attempts = self.periods = self.periods_mwh = 0

    def add(self, record: Record) -> None:
        f = record.fields
        kind = self.last = record.kind
        if kind in _KEPT:
            setattr(self, kind, f)
        if "amount_minor" in f:  # authorised, extended, extend_done
            if kind != "authorised":
                more = kind == "extended"
                self.extend_minor = f["amount_minor"] - self.amount_minor if more else 0
            self.amount_minor = f["amount_minor"]
        if kind == "period":
            self.periods += 1
            self.periods_mwh += f["energy_mwh"]
        elif kind == "energising":
            self.energised_at = record.at
        elif not self.energising and record.at and kind in ("checkpoint", "power_off"):
            self.energised_at = record.at - f["elapsed_ms"]  # its own record was lost
        elif kind == "settle_failed":
            self.attempts += 1
        if kind in ("priced", "settle_failed") and not self.owed_at:
            self.owed_at = record.at


def _price_fault(o: OpenSession, f: dict) -> str:
    if f["billed_wh"] != f["end_wh"] - f["start_wh"]:
        return "billed_wh"
    if o.energising and f["start_wh"] != o.energising["register_wh"]:
        return "start_wh"
    if f["net_minor"] + f["vat_minor"] != f["total_minor"]:
        return "net and VAT"
    if o.amount_minor and f["total_minor"] > o.amount_minor:
        return "passes the hold"
    return ""


class Books:
    """`open` (OpenSession or None); `next_session`, `next_receipt`, `next_credit`; `last_counter`
    of a command; `eod_count`, `eod_captured`, `eod_refunded` (at the terminal) since the last end
    of day; `asked`: refunds requested or without answer (id -> first seq, and all fields of their
    records); `faults` and `fault` (the newest, as text); `fresh`: no record yet; `gap`: sessions
    whose first record may be lost, counted in `next_session`."""

    def __init__(self) -> None:
        self.epoch = 0  # the ledger's
        self.open: "OpenSession" = None
        self.next_session = self.next_receipt = self.next_credit = 1
        self.last_counter = self.eod_count = self.eod_captured = self.eod_refunded = 0
        self.asked: "dict[str, tuple]" = {}
        self.faults = self.gap = 0
        self.fault = ""
        self._settled: "list[tuple]" = []  # (sess, captured, refunded), newest last
        self._refunds: "list[tuple]" = []  # (key, sess, amount), newest last
        self.fresh = True

    # --- questions -------------------------------------------------------------------------------

    def settled(self, sess: int) -> "tuple | None":
        """(sess, captured_minor, refunded_minor) of a settled session; None when it is not in
        memory."""
        for entry in self._settled:
            if entry[0] == sess:
                return entry
        return None

    def refundable(self, sess: int) -> int:
        """What may still be refunded of a session, refunds without answer and those with the
        acquirer counted as done; 0 when
        it is not known."""
        left = 0
        entry = self.settled(sess)
        if entry:
            left = entry[1] - entry[2]
            for _, f in self.asked.values():
                if f.get("sess") == sess:
                    left -= f["amount_minor"]
        return left

    def refund_state(self, refund: str) -> str:
        """"asked" (requested too), "done" (or with the acquirer), "failed", "" (not known)."""
        if refund in self.asked:
            return "asked"
        key = _key(refund)
        for entry in self._refunds:
            if entry[0] == key:
                return "done" if entry[2] else "failed"
        return ""

    def oldest_needed(self) -> int:
        """The first record that something open needs; 0 when nothing is open."""
        seqs = [seq for seq, _ in self.asked.values()]
        if self.open:
            seqs.append(self.open.seq)
        return min(seqs) if seqs else 0

    # --- before a record is written --------------------------------------------------------------

    def refuse(self, kind: str, f: dict) -> None:
        """Raises BooksError for a decision that breaks an invariant."""
        reason = ""
        if kind == "hold_asked":
            if self.open or f["sess"] != self.next_session:
                reason = "not the next session, or one is open"
        elif kind == "refund_requested":
            if self.refund_state(f["refund"]):
                reason = "known already"
        elif kind == "refund_asked":
            before = self.asked.get(f["refund"])
            if "sess" in before[1] if before else self.refund_state(f["refund"]):
                reason = "known already"
            elif not 0 < f["amount_minor"] <= self.refundable(f["sess"]):
                reason = "%d can be refunded" % self.refundable(f["sess"])
        elif kind in _OF_SESSION:
            reason = self._session_fault(kind, f)
        if reason:
            raise BooksError("%s: %s" % (kind, reason))

    def _session_fault(self, kind: str, f: dict) -> str:
        o = self.open
        if o is None or o.sess != f["sess"]:
            return "session not open"
        if kind == "energising" and not o.authorised and o.hold and o.hold["hold_minor"]:
            return "no hold"
        if kind == "priced":
            if o.priced or f["receipt_no"] != self.next_receipt:
                return "priced already, or not the next receipt"
            return _price_fault(o, f)
        return ""

    # --- every record ----------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """Adds one record; never raises for a record that decode() gave."""
        o = self.open
        if record.kind in _OF_SESSION:
            sess = record.fields["sess"]
            if not (o and o.sess == sess):
                self._check(record, False, "session not open")
                o = None
                if sess >= self.next_session - self.gap:  # its beginning was lost, no more
                    self.begin(sess, record.seq, None)
                    o = self.open
            if o:
                o.add(record)
        handler = _HANDLERS.get(record.kind)
        if handler:
            handler(self, record, record.fields, o)
        self.fresh = False

    def _check(self, record: Record, fits: bool, what: str) -> None:
        if not fits:
            self.faults += 1
            self.fault = "%s %d: %s" % (record.kind, record.seq, what)

    def _on_hold_asked(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        self._check(record, o is None, "session was open")
        self.begin(f["sess"], record.seq, f)

    def begin(self, sess: int, seq: int, hold: "dict | None") -> None:
        """A session begins with the record `seq`; `hold`: its fields, None where they say nothing
        any more."""
        self.open = OpenSession(sess, seq, hold)
        self.next_session = max(self.next_session - self.gap, sess + 1)
        self.gap = 0

    def skip(self, count: int) -> None:
        """So many records are lost here. A number that one of them may have given is not given
        again, and of a refund that is open its end may be among them."""
        if not count:
            return
        self.gap += count
        self.next_session += count
        self.next_receipt += count
        self.next_credit += count
        for _, f in self.asked.values():
            f["unsure"] = True

    def _on_declined(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        if o and not o.authorised:
            self.open = None  # else it was an extension

    def _on_priced(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        self.next_receipt = max(self.next_receipt, f["receipt_no"] + 1)

    def _on_captured(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        """More than the price is a refund of the difference, requested by this record itself: no
        power cut is between them. The session's first record is the one to keep.
        """
        captured = f["captured_minor"]
        if o and o.priced:
            over = captured - o.priced["total_minor"]
            self._check(record, over >= 0, "not the price")
            if over > 0:
                refund = "%s-%d-%d" % (ABOVE, self.epoch, o.sess)
                self.asked[refund] = (o.seq, {
                    "refund": refund, "receipt_no": o.priced["receipt_no"], "amount_minor": over,
                    "reason": ABOVE, "command": "", "card": 0})  # fmt: skip
        self._released(record, captured + f["released_minor"], o)
        if f["how"] not in ELSEWHERE:
            self.eod_count += 1
            self.eod_captured += captured
        self.remember(f["sess"], captured, 0)

    def _on_cancelled(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        self._released(record, f["released_minor"], o)

    def _released(self, record: Record, total: int, o: "OpenSession | None") -> None:
        if o:
            self._check(record, total == o.amount_minor or not o.amount_minor, "not the hold")
            self.open = None

    def _on_refund_asked(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        """Requested, asked, sent: the fields add up, the first record is the one to keep."""
        seq, fields = self.asked.get(f["refund"], (record.seq, {}))
        fields = dict(fields)
        fields.update(f)
        self.asked[f["refund"]] = (seq, fields)

    def _on_refund_sent(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        if f["way"] not in OUTSIDE:
            self._on_refund_asked(record, f, o)
            return
        # out of our hands: counted as given back, and the flash need not keep it
        self.asked.pop(f["refund"], None)
        self._count(record, f["amount_minor"])

    def _on_refunded(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        refund, amount = f["refund"], f["amount_minor"]
        asked = self.asked.pop(refund, None)
        self.next_credit = max(self.next_credit, f["credit_no"] + 1)
        if f["way"] in OUTSIDE and not asked:
            return  # counted when it was handed over
        self._check(record, self.refund_state(refund) != "done", "refunded before")
        self._check(record, not asked or asked[1]["amount_minor"] == amount, "not what was asked")
        if f["way"] not in OUTSIDE:
            self.eod_refunded += amount
        self._count(record, amount)

    def _on_refund_failed(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        if not self.asked.pop(f["refund"], None) and f["way"] in OUTSIDE:
            self._count(record, -f["amount_minor"])
        else:
            self._count(record, 0)

    def _count(self, record: Record, amount: int) -> None:
        """`amount` more of a session was given back (less, when the acquirer would not)."""
        f = record.fields
        sess = f["sess"]
        known = (_key(f["refund"]), sess, max(amount, 0))
        self._refunds = [r for r in self._refunds if r[0] != known[0]][1 - REFUNDS :] + [known]
        entry = self.settled(sess)
        if entry:
            self._check(record, entry[2] + amount <= entry[1], "passes what was captured")
            self.remember(sess, entry[1], entry[2] + amount)

    def _on_command(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        self.last_counter = max(self.last_counter, f["counter"])

    def _on_end_of_day(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        if f["result"] != "failed":
            self.eod_count = self.eod_captured = self.eod_refunded = 0

    def remember(self, sess: int, captured: int, refunded: int) -> None:
        """Keeps a settled session's figures as the newest."""
        before = self.settled(sess)
        if before:
            self._settled.remove(before)
        elif len(self._settled) >= SETTLED:
            self._settled.pop(0)
        self._settled.append((sess, captured, refunded))

    # --- the note at every sector's start --------------------------------------------------------

    def note(self, acked: int) -> dict:
        """Fields of the `books` note: all but the open session and refunds, whose records stay in
        flash."""
        fields = {
            "acked": acked,
            "needed": self.oldest_needed(),
            "open_sess": self.open.sess if self.open else 0,
            "settled": [v for entry in self._settled for v in entry],
            "refunds": [v for entry in self._refunds for v in entry],
        }
        for name in _NUMBERS:
            fields[name] = getattr(self, name)
        return fields

    def _on_books(self, record: Record, f: dict, o: "OpenSession | None") -> None:
        """Only the first one in a replay says something new."""
        if self.fresh:
            for name in _NUMBERS:
                setattr(self, name, f[name])
            self._settled = _triples(f["settled"])
            self._refunds = _triples(f["refunds"])
            if f["open_sess"]:
                self.open = OpenSession(f["open_sess"], f["needed"], None)


def _key(refund: str) -> int:
    """What the table keeps of a refund's id: 56 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(refund.encode()).digest()[:7], "big")


def _triples(v: list) -> list:
    return [tuple(v[i : i + 3]) for i in range(0, len(v) - 2, 3)]

# Not found by getattr: every text asked for becomes a name that stays in memory.
_HANDLERS: "dict" = {
    "hold_asked": Books._on_hold_asked,
    "declined": Books._on_declined,
    "priced": Books._on_priced,
    "captured": Books._on_captured,
    "cancelled": Books._on_cancelled,
    "refund_asked": Books._on_refund_asked,
    "refund_sent": Books._on_refund_sent,
    "refunded": Books._on_refunded,
    "refund_failed": Books._on_refund_failed,
    "command": Books._on_command,
    "end_of_day": Books._on_end_of_day,
    "books": Books._on_books,
    "refund_requested": Books._on_refund_asked,
}

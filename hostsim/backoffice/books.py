"""What the records add up to: sessions, payments, refunds. One function a record type, called in
the records' order.

A record that cannot be true (captured more than was authorised, energy that is not the register's
difference, a second refund of the same id) raises Impossible: the record is kept as it came, the
books stay as they were, an operator sees it. The rules are design.md's invariants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures, in_line, lost, refund_records
from hostsim.backoffice.at_hand import among
from hostsim.backoffice.likely import unlikely
from hostsim.backoffice.models import PERIOD_FIELDS, Payment, Period, Record, Session
from hostsim.backoffice.rules import ELSEWHERE, ELSEWHERE_OF, HOLD_LOST, Impossible, must

Fields = dict[str, Any]
_AT_ONCE = 250  # keys in one query


class Books:
    """The books within one transaction; keeps what it found, so that a batch asks the database
    once a session."""

    def __init__(self, db: Db) -> None:
        """`db` must not flush by itself; `find` looks at what is not flushed yet, too."""
        self.db = db
        self._sessions: dict[tuple[str, int, int], Session] = {}
        self._bills: set[tuple[str, int, int]] = set()
        self._asked: set[tuple[Any, ...]] = set()  # sessions, and bills, that are known to be none
        self._new: dict[tuple[str, int, int], Session] = {}

    def prepare(self, records: list[Record]) -> None:
        """Records that will be applied, in this order: what they need is asked for at once, and
        the sessions they open are made at once."""
        about = [
            one for one in records
            if one.type in _HANDLERS and isinstance(one.payload.get("sess"), int)
            and not unlikely(one)
        ]  # fmt: skip
        sessions = {(one.charger, one.epoch, one.payload["sess"]) for one in about}
        for part in _parts(sessions):
            key = among(self.db, (Session.charger, Session.epoch, Session.sess), part)
            for session in self.db.scalars(select(Session).where(key)):
                self._sessions[session.charger, session.epoch, session.sess] = session
        bills = {(r.charger, r.payload["receipt_no"]) for r in about if r.type == "priced"}
        for part in _parts(bills):
            key = among(self.db, (Session.charger, Session.receipt_no), part)
            query = select(Session.charger, Session.epoch, Session.receipt_no)
            self._bills |= {(name, epoch, number) for name, epoch, number in
                            self.db.execute(query.where(key))}  # fmt: skip
        self._asked |= sessions | bills
        for one in about:
            place = (one.charger, one.epoch, one.payload["sess"])
            if one.type == "hold_asked" and place not in self._sessions:
                self._new.setdefault(place, _opened(one))
        self.db.add_all(self._new.values())
        if self._new:
            self.db.flush()  # for their numbers, and their columns' defaults

    def apply(self, record: Record) -> None:
        """Bring the books up to date with one record. Raises Impossible and has changed nothing
        then."""
        wrong = unlikely(record)
        must(not wrong, wrong)
        handler = _HANDLERS.get(record.type)
        if handler is not None:
            handler(self, record, record.payload)

    def find(self, charger: str, epoch: int, sess: int) -> Session | None:
        """The session with that number, None when there is none."""
        key = (charger, epoch, sess)
        found = self._sessions.get(key)
        if found is None and key not in self._asked:
            query = select(Session).where(
                Session.charger == charger, Session.epoch == epoch, Session.sess == sess
            )
            found = self.db.scalars(query).first()
            if found is not None:
                self._sessions[key] = found
        return found

    def new_bill(self, record: Record, number: int) -> bool:
        """Whether no other session of this flash has that bill number; it is taken from now on."""
        key = (record.charger, record.epoch, number)
        if key in self._bills:
            return False
        query = select(Session.id).where(
            Session.charger == record.charger,
            Session.epoch == record.epoch,
            Session.receipt_no == number,
        )
        asked = (record.charger, number) in self._asked
        if not asked and self.db.scalars(query).first() is not None:
            return False
        self._bills.add(key)
        return True

    def not_opened(self, charger: str) -> list[int]:
        """Ids of a charger's sessions that were made for records still to come."""
        return [one.id for key, one in self._new.items() if key[0] == charger]

    def open(self, record: Record) -> None:
        """The session of a hold; flushed, so that its columns have their defaults."""
        key = (record.charger, record.epoch, record.payload["sess"])
        session = self._new.pop(key, None)
        if session is None:
            session = _opened(record)
            self.db.add(session)
            self.db.flush()
        self._sessions[key] = session


def _parts(keys: set[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """As many as go into one query."""
    ordered = sorted(keys)
    for at in range(0, len(ordered), _AT_ONCE):
        yield ordered[at : at + _AT_ONCE]


def _session(books: Books, record: Record) -> Session:
    sess = record.payload["sess"]
    found = books.find(record.charger, record.epoch, sess)
    if found is None:
        raise Impossible(f"session {sess} was never opened")
    return found


def _open_session(books: Books, record: Record) -> Session:
    session = _session(books, record)
    must(
        session.state not in ("captured", "cancelled", "declined"),
        f"session {session.sess} is {session.state}",
    )
    return session


def _powered(books: Books, record: Record) -> Session:
    session = _open_session(books, record)
    lost.prove(books.db, record, session)
    return session


def _hold_asked(books: Books, record: Record, f: Fields) -> None:
    existing = books.find(record.charger, record.epoch, f["sess"])
    must(existing is None, f"session {f['sess']} was opened before")
    books.open(record)


def _opened(record: Record) -> Session:
    """A new session, as its hold has it."""
    f = record.payload
    session = Session(
        charger=record.charger,
        epoch=record.epoch,
        sess=f["sess"],
        state="asked",
        opened_at=record.at,
    )
    for name in "currency tariff tariff_crc method connector reference uid_hash".split():
        setattr(session, name, f[name])
    session.remote = f.get("remote", "")
    session.payment = Payment(state="asked", hold_minor=f["hold_minor"])
    return session


def _authorised(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    again = lost.told_at_last(books.db, record, session)
    must(payment.state == "asked" or again, f"payment is {payment.state} already")
    must(
        f["amount_minor"] <= payment.hold_minor,
        f"authorised {f['amount_minor']} is more than the {payment.hold_minor} asked for",
    )
    payment.state = "authorised"
    payment.authorised_minor = f["amount_minor"]
    payment.authorised_at = (again and payment.authorised_at) or record.at
    for name in ("receipt", "trace", "terminal_id", "vu", "auth_code", "pan", "card"):
        setattr(payment, name, f[name])
    if session.state == "asked":
        session.state = "authorised"


def _declined(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    payment.code, payment.text = f["code"], f["text"]
    lost.prove_by_extension(books.db, record, session)
    if payment.state == "asked":  # else an extension was declined and the session goes on
        payment.state = "declined"
        session.state = "declined"


def _energising(books: Books, record: Record, f: Fields) -> None:
    session = _powered(books, record)
    paid = session.payment.state == "authorised" or session.payment.hold_minor == 0
    must(paid, "energised without an authorised hold")
    if session.state != "charging":
        session.start_wh = session.end_wh = f["register_wh"]
        session.energised_at = record.at
    session.state = "charging"
    session.meter_serial = f["serial"]


def _checkpoint(books: Books, record: Record, f: Fields) -> None:
    session = _powered(books, record)
    must(
        f["register_wh"] >= session.end_wh,
        f"register {f['register_wh']} went back from {session.end_wh}",
    )
    session.end_wh = f["register_wh"]
    session.elapsed_ms = f["elapsed_ms"]


def _period(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    must(f["end_ms"] >= f["start_ms"], "the period ends before it starts")
    books.db.add(Period(session=session, **{name: f[name] for name in PERIOD_FIELDS}))


def _power_off(books: Books, record: Record, f: Fields) -> None:
    _checkpoint(books, record, f)
    session = _open_session(books, record)
    session.stop_reason = f["reason"]
    if session.state == "charging":
        session.state = "delivered"


def _priced(books: Books, record: Record, f: Fields) -> None:
    session = _powered(books, record)
    payment = session.payment
    total, billed = f["total_minor"], f["billed_wh"]
    must(session.state != "priced", "priced already")
    said = f"priced in {f['currency'][:8]!r}, the hold is in {session.currency}"
    must(f["currency"] == session.currency, said)
    must(f["net_minor"] + f["vat_minor"] == total, "net and VAT do not add up to the total")
    must(
        billed == f["end_wh"] - f["start_wh"],
        f"billed {billed} Wh is not the register's difference",
    )
    must(
        not session.energised_at or f["start_wh"] == session.start_wh,
        f"starts at {f['start_wh']} Wh, was energised at {session.start_wh} Wh",
    )
    covered = payment.hold_minor == 0 or total <= payment.authorised_minor
    said = f"total {total} is more than the {payment.authorised_minor} authorised"
    must(covered or lost.since_hold(books.db, record), said)
    must(sum(f["lines"][4::5]) == total, "the lines do not add up to the total")
    must(not f.get("vat") or _vat_agrees(f), "the VAT rates do not add up to the bill")
    read_wh, final = session.end_wh, session.state == "delivered"
    must(
        f["end_wh"] == read_wh if final else f["end_wh"] >= read_wh,
        f"ends at {f['end_wh']} Wh, the register was read at {read_wh} Wh",
    )
    must(books.new_bill(record, f["receipt_no"]), f"a bill with number {f['receipt_no']} is here")
    session.state = "priced"
    for name in (
        "receipt_no",
        "start_at",
        "end_at",
        "start_wh",
        "end_wh",
        "billed_wh",
        "elapsed_ms",
        "total_minor",
        "net_minor",
        "vat_minor",
        "lines",
    ):
        setattr(session, name, f[name])
    session.vat = f.get("vat", [])
    session.stop_reason = f["reason"] or session.stop_reason


def _vat_agrees(f: Fields) -> bool:
    """Whether `priced.vat` is the bill's lines by rate, and its sums the bill's net and VAT."""
    groups = figures.fours(f["vat"])
    lines = figures.gross_by_rate(f["lines"])
    return (
        len(groups) * 4 == len(f["vat"])
        and {vat_e4: gross for vat_e4, _, _, gross in groups} == lines
        and len(groups) == len(lines)
        and all(net + tax == gross for _, net, tax, gross in groups)
        and sum(net for _, net, _, _ in groups) == f["net_minor"]
    )


def _captured(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    captured, released = f["captured_minor"], f["released_minor"]
    must(session.state == "priced", f"captured while the session is {session.state}, not priced")
    over = captured - session.total_minor
    must(
        over == 0 or (over > 0 and f["how"] == "direct"),
        f"captured {captured} is not the price {session.total_minor}",
    )
    held = lost.held(books.db, record, payment, captured + released)
    said = f"captured {captured} and released {released} are not the {held} authorised"
    must(captured + released == held, said)
    elsewhere = ELSEWHERE_OF.get(session.method, "")
    must(
        f["how"] == elsewhere if elsewhere else f["how"] not in ELSEWHERE,
        f"taken by {f['how'][:12]!r}, the session's method is {session.method}",
    )
    _held(payment, held)
    payment.captured_minor, payment.released_minor, payment.how = captured, released, f["how"]
    payment.trace = f["trace"] or payment.trace
    _settle(session, record, "captured")
    if over:
        refund_records.above(books, record, session, over)


def _cancelled(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    released = f["released_minor"]
    held = lost.held(books.db, record, payment, released)
    must(released == held, f"released {released} is not the {held} authorised")
    unpaid = f["reason"] == HOLD_LOST and session.method not in ELSEWHERE_OF
    said = f"cancelled although {session.total_minor} was the price"
    must(session.total_minor == 0 or unpaid, said)
    _held(payment, held)
    payment.released_minor = released
    session.stop_reason = session.stop_reason or f["reason"]
    _settle(session, record, "cancelled")


def _held(payment: Payment, amount_minor: int) -> None:
    payment.authorised_minor = amount_minor
    payment.hold_minor = max(payment.hold_minor, amount_minor)


def _settle(session: Session, record: Record, state: str) -> None:
    session.state = session.payment.state = state
    session.payment.settled_at = record.at


def _settle_failed(books: Books, record: Record, f: Fields) -> None:
    payment = _open_session(books, record).payment
    payment.failures += 1
    payment.code, payment.text = f["code"], f["text"]


def _extended(books: Books, record: Record, f: Fields) -> None:
    """`amount_minor` is the whole hold after the extension."""
    payment, held = _powered(books, record).payment, f["amount_minor"]
    must(payment.state == "authorised", f"extended while the payment is {payment.state}")
    less = held < payment.authorised_minor
    never_said = less and lost.proven(payment) and lost.since_hold(books.db, record)
    must(not less or never_said, "an extension made the hold smaller")
    _held(payment, held)


def _extend_done(books: Books, record: Record, f: Fields) -> None:
    """`amount_minor`: what the terminal holds for certain; of a session whose amount was
    authorised elsewhere the whole hold, after the back office's command `extend`."""
    if f["how"] in ELSEWHERE:
        _extended(books, record, f)
        return
    payment, held = _powered(books, record).payment, f["amount_minor"]
    must(payment.state == "authorised", f"extended while the payment is {payment.state}")
    covered = held <= payment.authorised_minor or lost.since_hold(books.db, record)
    must(covered, "more is held than was approved")
    _held(payment, held)


def _command(books: Books, record: Record, f: Fields) -> None:
    in_line.recorded(books.db, record, f)


_HANDLERS: dict[str, Callable[[Books, Record, Fields], None]] = {
    "hold_asked": _hold_asked,
    "authorised": _authorised,
    "declined": _declined,
    "energising": _energising,
    "checkpoint": _checkpoint,
    "period": _period,
    "power_off": _power_off,
    "priced": _priced,
    "captured": _captured,
    "cancelled": _cancelled,
    "settle_failed": _settle_failed,
    "extended": _extended,
    "extend_done": _extend_done,
    "refund_requested": refund_records.requested,
    "refund_asked": refund_records.asked,
    "refund_sent": refund_records.sent,
    "refunded": refund_records.refunded,
    "refund_failed": refund_records.failed,
    "command": _command,
}

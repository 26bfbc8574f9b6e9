"""What the records add up to: sessions, payments, refunds. One function a record type, called in
the records' order.

A record that cannot be true (captured more than was authorised, energy that is not the register's
difference, a second refund of the same id) raises Impossible: the record is kept as it came, the
books stay as they were, an operator sees it. The rules are design.md's invariants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import (
    PERIOD_FIELDS,
    Command,
    Payment,
    Period,
    Record,
    Refund,
    Session,
)

Fields = dict[str, Any]


class Impossible(ValueError):
    """A record that contradicts those before it; str() says how."""


class Books:
    """The books within one transaction; keeps what it found, so that a batch asks the database
    once a session."""

    def __init__(self, db: Db) -> None:
        """`db` must not flush by itself; `find` looks at what is not flushed yet, too."""
        self.db = db
        self._sessions: dict[tuple[str, int, int], Session] = {}

    def apply(self, record: Record) -> None:
        """Bring the books up to date with one record. Raises Impossible and has changed nothing
        then."""
        handler = _HANDLERS.get(record.type)
        if handler is not None:
            handler(self, record, record.payload)

    def find(self, charger: str, epoch: int, sess: int) -> Session | None:
        """The session with that number, None when there is none."""
        key = (charger, epoch, sess)
        found = self._sessions.get(key)
        if found is None:
            query = select(Session).where(
                Session.charger == charger, Session.epoch == epoch, Session.sess == sess
            )
            found = self.db.scalars(query).first()
            if found is not None:
                self._sessions[key] = found
        return found

    def add(self, session: Session) -> None:
        """A new session; flushed, so that its columns have their defaults."""
        self.db.add(session)
        self.db.flush()
        self._sessions[session.charger, session.epoch, session.sess] = session


def _session(books: Books, record: Record) -> Session:
    sess = record.payload["sess"]
    found = books.find(record.charger, record.epoch, sess)
    if found is None:
        raise Impossible(f"session {sess} was never opened")
    return found


def _open_session(books: Books, record: Record) -> Session:
    session = _session(books, record)
    _must(
        session.state not in ("captured", "cancelled", "declined"),
        f"session {session.sess} is {session.state}",
    )
    return session


def _must(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Impossible(otherwise)


def _hold_asked(books: Books, record: Record, f: Fields) -> None:
    existing = books.find(record.charger, record.epoch, f["sess"])
    _must(existing is None, f"session {f['sess']} was opened before")
    session = Session(
        charger=record.charger,
        epoch=record.epoch,
        sess=f["sess"],
        state="asked",
        opened_at=record.at,
    )
    for name in (
        "currency",
        "tariff",
        "tariff_crc",
        "method",
        "connector",
        "reference",
        "uid_hash",
    ):
        setattr(session, name, f[name])
    session.payment = Payment(state="asked", hold_minor=f["hold_minor"])
    books.add(session)


def _authorised(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    _must(payment.state == "asked", f"payment is {payment.state} already")
    _must(
        f["amount_minor"] <= payment.hold_minor,
        f"authorised {f['amount_minor']} is more than the {payment.hold_minor} asked for",
    )
    payment.state = "authorised"
    payment.authorised_minor = f["amount_minor"]
    payment.authorised_at = record.at
    for name in ("receipt", "trace", "terminal_id", "vu", "auth_code", "pan", "card"):
        setattr(payment, name, f[name])
    if session.state == "asked":
        session.state = "authorised"


def _declined(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    payment.code, payment.text = f["code"], f["text"]
    if payment.state == "asked":  # else an extension was declined and the session goes on
        payment.state = "declined"
        session.state = "declined"


def _energising(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    paid = session.payment.state == "authorised" or session.payment.hold_minor == 0
    _must(paid, "energised without an authorised hold")
    if session.state != "charging":
        session.start_wh = session.end_wh = f["register_wh"]
        session.energised_at = record.at
    session.state = "charging"
    session.meter_serial = f["serial"]


def _checkpoint(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    _must(
        f["register_wh"] >= session.end_wh,
        f"register {f['register_wh']} went back from {session.end_wh}",
    )
    session.end_wh = f["register_wh"]
    session.elapsed_ms = f["elapsed_ms"]


def _period(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    _must(f["end_ms"] >= f["start_ms"], "the period ends before it starts")
    books.db.add(Period(session=session, **{name: f[name] for name in PERIOD_FIELDS}))


def _power_off(books: Books, record: Record, f: Fields) -> None:
    _checkpoint(books, record, f)
    session = _open_session(books, record)
    session.stop_reason = f["reason"]
    if session.state == "charging":
        session.state = "delivered"


def _priced(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    total, billed = f["total_minor"], f["billed_wh"]
    _must(session.state != "priced", "priced already")
    _must(f["net_minor"] + f["vat_minor"] == total, "net and VAT do not add up to the total")
    _must(
        billed == f["end_wh"] - f["start_wh"],
        f"billed {billed} Wh is not the register's difference",
    )
    _must(
        not session.energised_at or f["start_wh"] == session.start_wh,
        f"starts at {f['start_wh']} Wh, was energised at {session.start_wh} Wh",
    )
    _must(
        payment.hold_minor == 0 or total <= payment.authorised_minor,
        f"total {total} is more than the {payment.authorised_minor} authorised",
    )
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
    session.stop_reason = f["reason"] or session.stop_reason


def _captured(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    captured, released = f["captured_minor"], f["released_minor"]
    _must(session.state == "priced", f"captured while the session is {session.state}, not priced")
    _must(
        captured == session.total_minor,
        f"captured {captured} is not the price {session.total_minor}",
    )
    _must(
        captured + released == payment.authorised_minor,
        f"captured {captured} and released {released} are not "
        f"the {payment.authorised_minor} authorised",
    )
    payment.captured_minor, payment.released_minor, payment.how = captured, released, f["how"]
    payment.trace = f["trace"] or payment.trace
    _settle(session, record, "captured")


def _cancelled(books: Books, record: Record, f: Fields) -> None:
    session = _open_session(books, record)
    payment = session.payment
    released = f["released_minor"]
    _must(
        released == payment.authorised_minor,
        f"released {released} is not the {payment.authorised_minor} authorised",
    )
    _must(session.total_minor == 0, f"cancelled although {session.total_minor} was the price")
    payment.released_minor = released
    session.stop_reason = session.stop_reason or f["reason"]
    _settle(session, record, "cancelled")


def _settle(session: Session, record: Record, state: str) -> None:
    session.state = session.payment.state = state
    session.payment.settled_at = record.at


def _settle_failed(books: Books, record: Record, f: Fields) -> None:
    payment = _open_session(books, record).payment
    payment.failures += 1
    payment.code, payment.text = f["code"], f["text"]


def _extended(books: Books, record: Record, f: Fields) -> None:
    """`amount_minor` is the whole hold after the extension."""
    payment = _open_session(books, record).payment
    _must(payment.state == "authorised", f"extended while the payment is {payment.state}")
    _must(f["amount_minor"] >= payment.authorised_minor, "an extension made the hold smaller")
    payment.authorised_minor = f["amount_minor"]
    payment.hold_minor = max(payment.hold_minor, f["amount_minor"])


def _refund_asked(books: Books, record: Record, f: Fields) -> None:
    session = _session(books, record)
    existing = _find_refund(books, record)
    _must(existing is None or existing.state == "failed", f"refund {f['refund']} was asked before")
    asked = sum(r.amount_minor for r in session.refunds if r.state != "failed")
    _must(f["amount_minor"] > 0, "a refund of nothing")
    _must(
        asked + f["amount_minor"] <= session.payment.captured_minor,
        f"refunds of {asked + f['amount_minor']} pass "
        f"the {session.payment.captured_minor} captured",
    )
    refund = existing
    if refund is None:
        refund = Refund(charger=record.charger, epoch=record.epoch, refund=f["refund"])
        session.refunds.append(refund)
    refund.state, refund.asked_at = "asked", record.at
    for name in ("amount_minor", "way", "reason", "command"):
        setattr(refund, name, f[name])


def _find_refund(books: Books, record: Record) -> Refund | None:
    query = select(Refund).where(
        Refund.charger == record.charger,
        Refund.epoch == record.epoch,
        Refund.refund == record.payload["refund"],
    )
    books.db.flush()
    return books.db.scalars(query).first()


def _asked_refund(books: Books, record: Record) -> Refund:
    refund = _find_refund(books, record)
    name = record.payload["refund"]
    if refund is None:
        raise Impossible(f"refund {name} was never asked")
    _must(refund.state == "asked", f"refund {name} is {refund.state} already")
    return refund


def _refunded(books: Books, record: Record, f: Fields) -> None:
    refund = _asked_refund(books, record)
    _must(
        f["amount_minor"] == refund.amount_minor,
        f"refunded {f['amount_minor']}, asked were {refund.amount_minor}",
    )
    refund.state, refund.done_at = "refunded", record.at
    for name in ("way", "receipt", "trace", "credit_no"):
        setattr(refund, name, f[name])


def _refund_failed(books: Books, record: Record, f: Fields) -> None:
    refund = _asked_refund(books, record)
    refund.state, refund.done_at = "failed", record.at
    refund.code, refund.text = f["code"], f["text"]


def _command(books: Books, record: Record, f: Fields) -> None:
    """The ledger's word on a command, in case its result message was lost."""
    command = books.db.get(Command, f["command"])
    if command is not None and command.charger == record.charger and command.state == "sent":
        command.state = f["result"]
        command.result = {"about": "command", "id": f["command"], "detail": f["detail"]}


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
    "refund_asked": _refund_asked,
    "refunded": _refunded,
    "refund_failed": _refund_failed,
    "command": _command,
}

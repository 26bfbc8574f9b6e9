"""What a charger's flash lost before it came here (a record of type `lost`), or what was given up
with a database (gaps.py), and what the records behind it still prove.

A contactor closes on an approval alone, whose record is in flash first: power proves it, all of
what was asked for. A session whose beginning is lost is not in the books; that its money is not
is one problem at its end, not one for each of its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.gaps import GIVEN_UP
from hostsim.backoffice.models import Payment, Problem, Record, Session
from hostsim.backoffice.rules import ELSEWHERE

if TYPE_CHECKING:
    from hostsim.backoffice.books import Books

CODE = "unbooked"
_ENDS = ("captured", "cancelled")
_OF_SESSION = (
    *_ENDS, "authorised", "energising", "checkpoint", "period", "power_off", "priced",
    "settle_failed", "extend_asked", "extended", "extend_done",
)  # fmt: skip


def since_hold(db: Db, record: Record) -> bool:
    """Whether anything was lost between the newest beginning of a session and `record`."""
    db.flush()
    mine = Record.charger == record.charger, Record.epoch == record.epoch, Record.seq < record.seq
    newest = select(Record.type, Record.seq).where(*mine, Record.type.in_(("hold_asked", "lost")))
    kind, seq = db.execute(newest.order_by(Record.seq.desc()).limit(1)).first() or ("", 0)
    if kind == "lost":
        return True
    given_up = select(func.max(Problem.seq)).where(
        Problem.charger == record.charger, Problem.epoch == record.epoch,
        Problem.code == GIVEN_UP, Problem.seq < record.seq,
    )  # fmt: skip
    return bool((db.scalar(given_up) or 0) > seq)


def prove(db: Db, record: Record, session: Session) -> None:
    """Power flowed in this session: what was asked for was approved, by a record that is lost."""
    payment = session.payment
    if payment.state == "asked" and since_hold(db, record):
        payment.state, payment.authorised_minor = "authorised", payment.hold_minor
        payment.authorised_at = record.at


def told_at_last(payment: Payment, f: dict[str, Any]) -> bool:
    """Whether `authorised` (its fields) tells more of what was only proven: the terminal has named
    the hold at the settlement."""
    proven = payment.state == "authorised" and not (payment.receipt or payment.terminal_id)
    return proven and f["amount_minor"] == payment.authorised_minor


def unbooked(db: Db, books: Books, record: Record) -> str | None:
    """What to say of a record of a session whose beginning was lost: "" before its end; None for
    all others."""
    if record.type not in _OF_SESSION:
        return None
    f = record.payload
    if books.find(record.charger, record.epoch, f["sess"]) or not since_hold(db, record):
        return None
    if record.type not in _ENDS:
        return ""
    of = f"session {f['sess']}, which is not in the books, for its beginning was lost"
    if record.type == "cancelled":
        return f"nothing was taken in {of}"
    bill = select(Record.payload).where(
        Record.charger == record.charger, Record.epoch == record.epoch, Record.type == "priced",
        Record.seq < record.seq, Record.payload["sess"].as_integer() == f["sess"],
    )  # fmt: skip
    priced = db.scalars(bill.order_by(Record.seq.desc()).limit(1)).first() or {}
    currency, number = priced.get("currency", ""), priced.get("receipt_no", 0)
    text = f"{figures.money(f['captured_minor'], currency)} of {of}; there is no invoice"
    text += f", the driver has receipt {number}" if number else ""
    if f["how"] in ELSEWHERE:
        return f"{text}; handed over to be taken by: {f['how']}"
    return f"{text}; the terminal's receipt {f['receipt']}, trace {f['trace']}"

"""What a charger's flash lost before it came here (a record of type `lost`), or what was given up
with a database (gaps.py), and what the records behind it still prove.

A contactor closes on an approval alone, whose record is in flash first: power proves it, all of
what was asked for; what is captured and released in the end is what was held. A session whose
beginning is lost, or that cannot take its end for what was lost, is one problem, not one for each
of its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.gaps import GIVEN_UP
from hostsim.backoffice.likely import unlikely
from hostsim.backoffice.models import Payment, Problem, Record, Session
from hostsim.backoffice.problems import UNBOOKED
from hostsim.backoffice.rules import ABOVE, ELSEWHERE
from hostsim.backoffice.tables import Todo

if TYPE_CHECKING:
    from hostsim.backoffice.books import Books

CODE = UNBOOKED
ENDS = ("captured", "cancelled")
_OF_SESSION = (
    *ENDS, "authorised", "declined", "energising", "checkpoint", "period", "power_off", "priced",
    "settle_failed", "extend_asked", "extended", "extend_done",
)  # fmt: skip
_OF_REFUND = ("refund_asked", "refund_sent", "refunded", "refund_failed")


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
    """Power flowed in this session, or more was asked for: what was asked for was approved, by a
    record that is lost."""
    payment = session.payment
    if payment.state == "asked" and since_hold(db, record):
        payment.state, payment.authorised_minor = "authorised", payment.hold_minor
        payment.authorised_at = record.at


def prove_by_extension(db: Db, record: Record, session: Session) -> None:
    """`record` declines an extension if one was asked for: the hold was approved then."""
    asked = session.payment.state == "asked" and since_hold(db, record)
    if asked and _newest(db, record, "extend_asked"):
        prove(db, record, session)


def held(db: Db, record: Record, payment: Payment, told_minor: int) -> int:
    """What was held, by the end of a session that took and released `told_minor` in all: that,
    where the approval of it may be lost."""
    known = payment.authorised_minor
    return told_minor if told_minor != known and since_hold(db, record) else known


def told_at_last(db: Db, record: Record, session: Session) -> bool:
    """Whether the `authorised` tells more of what was only proven: the terminal has named the hold
    at the settlement. It may have approved less than was asked for."""
    payment, amount = session.payment, record.payload["amount_minor"]
    if not proven(payment):
        return False
    less = session.total_minor <= amount < payment.authorised_minor
    return amount == payment.authorised_minor or (less and since_hold(db, record))


def proven(payment: Payment) -> bool:
    """Whether no terminal has said so itself."""
    return payment.state == "authorised" and not (payment.receipt or payment.terminal_id)


def unbooked(db: Db, books: Books, record: Record) -> str | None:
    """What to say of a record that the books refused for what was lost of its session, and the
    session is closed by its end; "" for nothing; None where it is impossible. One row a session
    has what this says (`about`): the end's word stays."""
    f = record.payload
    if record.type in _OF_REFUND:
        return _refund(db, books, record)
    if record.type not in _OF_SESSION:
        return None
    session = books.find(record.charger, record.epoch, f["sess"])
    if session is not None:
        return _not_taken(db, record, session)
    if not since_hold(db, record):
        return None
    why = "it is not in the books, for its beginning was lost"
    if record.type == "declined":
        return ""
    if record.type in ENDS:
        return f"{about(record)}: {_end(db, record)}; {why}"
    return f"{about(record)}: {why}; its end is still to come, or lost as well"


def about(record: Record) -> str:
    """What the row of a record's session begins with."""
    return f"session {record.payload['sess']}"


def _refund(db: Db, books: Books, record: Record) -> str | None:
    """The price and what was taken above it are said at the session's end."""
    f = record.payload
    if not f["refund"].startswith(ABOVE) or not f.get("sess"):
        return None
    known = books.find(record.charger, record.epoch, f["sess"])
    closed = known is None or (known.state == "cancelled" and _said(db, record))
    told = closed and since_hold(db, record) and _newest(db, record, "priced")
    return "" if told else None


def _not_taken(db: Db, record: Record, session: Session) -> str | None:
    """Of a session that is in the books."""
    ended = session.state in ENDS and not _said(db, record)
    if ended or unlikely(record) or not since_hold(db, record):
        return None
    if record.type not in ENDS:
        return (
            f"{about(record)}: `{record.type}` does not fit, for something was lost since the"
            " session began; look whether its end is in the books"
        )
    if session.state not in (*ENDS, "declined"):
        session.state = session.payment.state = "cancelled"
        session.payment.settled_at = record.at
        db.add(Todo(kind="session", ref=session.id))
    why = "its end is not in the books, for something was lost since it began"
    return f"{about(record)}: {_end(db, record)}; {why}"


def _said(db: Db, record: Record) -> bool:
    """Whether there is or was a row of this session."""
    db.flush()
    row = select(Problem.id).where(
        Problem.charger == record.charger, Problem.epoch == record.epoch, Problem.code == CODE,
        Problem.detail.startswith(f"{about(record)}:"),
    )  # fmt: skip
    return db.scalar(row.limit(1)) is not None


def _newest(db: Db, record: Record, kind: str) -> dict[str, Any]:
    """The fields of the newest record of that kind of the same session, before `record`."""
    db.flush()
    query = select(Record.payload).where(
        Record.charger == record.charger, Record.epoch == record.epoch, Record.type == kind,
        Record.seq < record.seq,
        Record.payload["sess"].as_integer() == record.payload["sess"],
    )  # fmt: skip
    return db.scalars(query.order_by(Record.seq.desc()).limit(1)).first() or {}


def _end(db: Db, record: Record) -> str:
    """What became of the money."""
    f, priced = record.payload, _newest(db, record, "priced")
    currency = priced.get("currency", "") or _newest(db, record, "hold_asked").get("currency", "")
    price = figures.money(priced.get("total_minor", 0), currency)
    if record.type == "cancelled":
        return f"nothing was taken{f', {price} was the price' if priced else ''}"
    text = f"{figures.money(f['captured_minor'], currency)} captured and no invoice"
    number = priced.get("receipt_no", 0)
    text += f", the driver has receipt {number}" if number else ""
    over = f["captured_minor"] - priced["total_minor"] if priced else 0
    if over > 0:
        back = figures.money(over, currency)
        text += f"; {back} of it are above the price and to be given back: no program does that"
    if f["how"] in ELSEWHERE:
        return f"{text}; handed over to be taken by: {f['how']}"
    return f"{text}; the terminal's receipt {f['receipt']}, trace {f['trace']}"

"""Whether a payment is the session's that a refund is of, and not given back already. A charger
writes into its own records whatever it likes: the reference of another's payment, or what
another's receipt has. Where its flash or its terminal failed it does not know what was paid.
"""

from __future__ import annotations

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Payment, Record, Refund, Session
from hostsim.backoffice.pay_tables import Pay

_NEAR_MS = 30 * 86_400_000
"""A sale is looked for within three days of what its session says (paybacks.py); who sold nothing
by a terminal for so long, before and after, has it no more."""


def strange(db: Db, order: str, session_id: int) -> str:
    """Why a refund under way is not paid without a person's look; "" when there is no reason."""
    words = select(Refund).where(Refund.order_id == order, Refund.session_id == session_id)
    word = db.scalars(words).first()
    if word is None:
        return "no charger has handed it over"
    session = db.get_one(Session, session_id)
    if word.way == "gateway":
        return _not_paid_by(db, session)
    return _perhaps_paid(db, word) or _not_its_terminal(db, session)


def _not_paid_by(db: Db, session: Session) -> str:
    pay = db.scalars(select(Pay).where(Pay.reference == session.reference)).first()
    if pay is None:
        return f"payment {session.reference[:64]} is not known here"
    if (pay.session_id, pay.charger) != (session.id, session.charger):
        return f"payment {pay.reference} is of {pay.charger}, of another session"
    return ""


def _perhaps_paid(db: Db, word: Refund) -> str:
    """The terminal may have given it back before it was handed over, as an alarm says, or a record
    that the charger's flash lost meanwhile would."""
    said = Record.payload
    unsure = and_(
        Record.type == "alarm", said["code"].as_string() == "refund_unsure",
        said["detail"].as_string() == word.refund,
    )  # fmt: skip
    by_card = and_(
        Record.type == "refund_sent", said["way"].as_string() == "card",
        said["refund"].as_string() == word.refund,
    )  # fmt: skip
    query = select(Record.type).where(
        Record.charger == word.charger, Record.epoch == word.epoch, or_(unsure, by_card)
    )
    found = set(db.scalars(query))
    if not found and not _lost_meanwhile(db, word):
        return ""
    receipt = f" (receipt {word.receipt}, trace {word.trace})" if word.receipt else ""
    if "refund_sent" not in found or "alarm" in found:
        return f"the terminal may have given it back, and cannot say{receipt}: ask the acquirer"
    return f"the terminal was to give it to the card before{receipt}: see in its journal"


def _lost_meanwhile(db: Db, word: Refund) -> bool:
    """Whether a record from the decision to the hand-over is lost, or was given up."""
    mine = Record.charger == word.charger, Record.epoch == word.epoch
    its = Record.payload["refund"].as_string() == word.refund
    asked = select(func.min(Record.seq)).where(*mine, its, Record.type == "refund_asked")
    first = db.scalar(asked)
    if first is None:
        return True
    sent = select(func.max(Record.seq)).where(*mine, its, Record.type == "refund_sent")
    last = db.scalar(sent) or first
    here = select(func.count()).where(*mine, Record.seq.between(first, last))
    return (db.scalar(here.where(Record.type != "lost")) or 0) <= last - first


def _not_its_terminal(db: Db, session: Session) -> str:
    """A terminal stands at one charger at a time; one whose time is not known counts always."""
    name, at = session.payment.terminal_id, session.payment.authorised_at
    query = (
        select(Session.charger)
        .join(Payment, Payment.session_id == Session.id)
        .where(Payment.terminal_id == name, Session.charger != session.charger)
    )
    if at:
        near = Payment.authorised_at.between(at - _NEAR_MS, at + _NEAR_MS)
        query = query.where(or_(near, Payment.authorised_at == 0))
    other = db.scalars(query.limit(1)).first()
    return f"{other} names terminal {name} as its own as well" if other is not None else ""

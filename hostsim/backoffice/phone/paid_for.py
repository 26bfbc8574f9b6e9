"""Whether a payment is the session's that a refund is of. A charger writes into its own records
whatever it likes: the reference of another's payment, or what another's receipt has.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Payment, Refund, Session
from hostsim.backoffice.pay_tables import Pay


def strange(db: Db, order: str, session_id: int) -> str:
    """Why a refund under way is not paid without a person's look; "" when there is no reason."""
    words = select(Refund).where(Refund.order_id == order, Refund.session_id == session_id)
    word = db.scalars(words).first()
    if word is None:
        return "no charger has handed it over"
    session = db.get_one(Session, session_id)
    if word.way == "gateway":
        return _not_paid_by(db, session)
    return _not_its_terminal(db, session)


def _not_paid_by(db: Db, session: Session) -> str:
    pay = db.scalars(select(Pay).where(Pay.reference == session.reference)).first()
    if pay is None:
        return f"payment {session.reference[:64]} is not known here"
    if (pay.session_id, pay.charger) != (session.id, session.charger):
        return f"payment {pay.reference} is of {pay.charger}, of another session"
    return ""


def _not_its_terminal(db: Db, session: Session) -> str:
    """A terminal stands at one charger."""
    name = session.payment.terminal_id
    query = (
        select(Session.charger)
        .join(Payment, Payment.session_id == Session.id)
        .where(Payment.terminal_id == name, Session.charger != session.charger)
    )
    other = db.scalars(query.limit(1)).first()
    return f"{other} names terminal {name} as its own as well" if other is not None else ""

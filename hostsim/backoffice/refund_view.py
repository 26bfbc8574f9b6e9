"""A refund order and the charger's word on it, as refunds.py shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, case, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.models import Refund, RefundOrder, Session
from hostsim.backoffice.pay_tables import BY_HAND, PayRefund
from hostsim.backoffice.refund_records import CLOSED
from hostsim.backoffice.refund_rules import RefundError

_ORDER = tuple(
    """
    refund charger session_id receipt_no amount_minor reason operator card approved_by note text
    acquirer acquirer_reference confirmed_by requested_at approved_at
    """.split()
)
_WORD = tuple(
    """
    way receipt trace credit_no net_minor vat_minor lines code text asked_at sent_at done_at
    """.split()
)


def charger_word(db: Db, order: RefundOrder) -> Refund | None:
    """The charger's word on an order."""
    query = select(Refund).where(
        Refund.order_id == order.refund, Refund.session_id == order.session_id
    )
    return db.scalars(query).first()


def not_ended(db: Db, order: RefundOrder) -> Refund | None:
    """What the charger has begun by itself of an order that waits. Raises RefundError when it has
    ended it as well."""
    word = charger_word(db, order)
    if word is not None and word.state in CLOSED:
        raise RefundError("refund", f"{order.refund} is {word.state} already")
    return word


def by_hand(db: Db, word: Refund, session: Session) -> bool:
    """A refund that no program pays: the acquirer's, of an app's sessions, whose money is
    somewhere else, and what phone/paybacks.py leaves to a person."""
    paying = db.get(PayRefund, word.order_id)
    if paying is not None:
        return paying.state == BY_HAND
    return word.way == "acquirer" or (word.way == "gateway" and session.method != "gateway")


def gateway_pays(db: Db, order: RefundOrder, word: Refund, terminals: frozenset[str]) -> bool:
    """Whether the payment gateway gives it back, or is about to: then nobody else does.
    `terminals`: those whose acquirer it is."""
    paying = db.get(PayRefund, order.refund)
    if paying is not None:
        return paying.state != BY_HAND
    if word.way != "acquirer" or order.acquirer:
        return False
    return db.get_one(Session, word.session_id).payment.terminal_id in terminals


_SENT = and_(Refund.state == "sent", RefundOrder.state == "approved")
STATE = case((or_(Refund.state.in_(CLOSED), _SENT), Refund.state), else_=RefundOrder.state)
"""An order's state, of `with_words`: an end is the charger's to say; what was handed over waits
until it is approved, where the charger began it by itself."""


UNDER_WAY = or_(
    and_(RefundOrder.state == "approved", or_(Refund.id.is_(None), Refund.state == "sent")),
    and_(RefundOrder.state == "refused", RefundOrder.acquirer != "", Refund.state == "sent"),
)
"""Without an end, of `with_words`; a refusal that the charger is to be told is none."""


def with_words(state: str | None = None, **fields: Any) -> Any:
    """A query: (order, the charger's word on it or None, currency), of orders with these values of
    their columns (None: any)."""
    query = (
        select(RefundOrder, Refund, Session.currency)
        .join(Session, Session.id == RefundOrder.session_id)
        .outerjoin(
            Refund,
            and_(
                Refund.order_id == RefundOrder.refund,
                Refund.session_id == RefundOrder.session_id,
            ),
        )
    )
    for name, value in fields.items():
        if value is not None:
            query = query.where(getattr(RefundOrder, name) == value)
    return query if state is None else query.where(STATE == state)


def described(order: RefundOrder, word: Refund | None, currency: str) -> dict[str, Any]:
    """An order as Refunds.follow gives it; a row of `with_words`."""
    found = {name: getattr(order, name) for name in _ORDER}
    found |= {"chosen": list(order.lines), "currency": currency}
    found |= {name: getattr(word, name) if word is not None else None for name in _WORD}
    found["text"] = (word.text if word is not None else "") or order.text
    found["state"] = order.state
    if word is not None:
        found["amount_minor"] = word.amount_minor or order.amount_minor
        if word.state in CLOSED or (word.state == "sent" and order.state == "approved"):
            found["state"] = word.state
    return found


def request_text(order: RefundOrder, word: Refund, session: Session) -> dict[str, Any]:
    """As Refunds.acquirer_request gives it."""
    payment = session.payment
    return {
        "request": order.refund,
        "payment": session.reference if word.way == "gateway" else "",
        "terminal_id": payment.terminal_id,
        "vu": payment.vu,
        "trace": payment.trace,
        "receipt": payment.receipt,
        "auth_code": payment.auth_code,
        "pan": payment.pan,
        "card": payment.card,
        "authorised_at": payment.authorised_at,
        "captured_at": payment.settled_at,
        "captured_minor": payment.captured_minor,
        "amount_minor": word.amount_minor,
        "currency": session.currency,
        "reason": order.reason,
    }


def credit_note(order: RefundOrder, word: Refund, session: Session) -> dict[str, Any]:
    """As Refunds.credit_note gives it; `number` "" where the charger drew none."""
    return {
        "number": f"{order.charger}-C{word.credit_no}" if word.credit_no else "",
        "original": f"{order.charger}-{order.receipt_no}",
        "charger": order.charger,
        "session_id": order.session_id,
        "at": word.done_at,
        "currency": session.currency,
        "reason": order.reason,
        "way": word.way,
        "amount_minor": word.amount_minor,
        "net_minor": word.net_minor,
        "vat_minor": word.vat_minor,
        "vat": figures.credit_lines(word.lines),
    }

"""Orders that nobody gave here: a charger's own, for what its terminal took above the price, and
those that only a charger still has, for the database was put back to a backup since.

A charger's word alone moves little money: up to what one person may approve alone (operator.toml,
approve_above), all such orders of a session together. What is more, and what is above the price of
a session that no terminal took money for, waits for a person, whatever the charger has begun.
"""

from __future__ import annotations

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit, figures, problems, refund_rules
from hostsim.backoffice.models import Record, Refund, RefundOrder, Session
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.rules import ABOVE, ELSEWHERE, OUTSIDE, Impossible, must

CHARGER = "charger"
_LONGEST = 36
_MEMBER = "rfid"
_WAITS = ": waits for a person"
_NO_TERMINAL = (*ELSEWHERE, _MEMBER)
"""Methods of sessions that were not paid at the charger's terminal."""


def own_id(session: Session) -> str:
    """A charger's own name for what was above the price (firmware/ledger/books.py)."""
    return f"{ABOVE}-{session.epoch}-{session.sess}"


def order_id(session: Session, refund: str) -> str:
    """The order's id of a charger's `refund`. Its own names two chargers may have alike, where
    they have one flash image. Raises Impossible for a name that is neither of that kind nor an
    order's."""
    must(0 < len(refund) <= _LONGEST, f"refund {refund[:40]}: is no order's name")
    if not refund.startswith(ABOVE):
        return refund
    must(refund == own_id(session), f"refund {refund} is not of session {session.sess}")
    return f"{ABOVE}-{session.charger}-{session.epoch}-{session.sess}"


def find(db: Db, session: Session, refund: str) -> RefundOrder | None:
    """The order of a charger's `refund` of a session; of databases of before, by that name alone.
    Raises Impossible when the order is another charger's or another session's."""
    db.flush()
    for name in dict.fromkeys((order_id(session, refund), refund)):
        order = db.get(RefundOrder, name)
        if order is not None and order.session_id == session.id:
            return order
        if order is not None and not name.startswith(ABOVE):
            raise Impossible(f"refund {refund} is of session {order.session_id}, not of this one")
    return None


def follow(
    db: Db, record: Record, refund: Refund, session: Session, operator: Operator, now_ms: int
) -> None:
    """A record is in the books after which `refund` is under way: it has an order then. An order
    of all that is left is looked at again when the charger says how much that is."""
    order = find(db, session, refund.refund)
    decided = order is not None and (order.amount_minor or order.acquirer)
    if order is not None and (decided or order.approved_by != CHARGER):
        return
    amount = refund.amount_minor or refund_rules.left(db, session, without=refund.order_id)
    approved = _is_little(db, refund, session, amount, operator)
    at = record.at or now_ms
    if order is not None:
        if not approved:
            order.state, order.approved_by, order.approved_at = "requested", "", 0
            audit.note(db, at, record.charger, "refund asked", order.refund, f"{amount}{_WAITS}")
        return
    db.add(
        RefundOrder(
            refund=refund.order_id, charger=session.charger, session_id=session.id,
            receipt_no=session.receipt_no, amount_minor=refund.amount_minor, reason=refund.reason,
            operator=refund.operator[:32] or CHARGER, requested_at=at,
            state="approved" if approved else "requested",
            approved_by=CHARGER if approved else "", approved_at=at if approved else 0,
        )
    )  # fmt: skip
    then = "" if approved else _WAITS
    if refund.reason != ABOVE:
        then = f" as the charger has it, no order of it is here{then}"
    if refund.reason != ABOVE and refund.way in ("", *OUTSIDE):
        _report(db, record, refund, session, amount, approved, now_ms)
    note = f"{amount} {refund.reason}{then}"
    audit.note(db, at, record.charger, "refund asked", refund.order_id, note)


def _is_little(
    db: Db, refund: Refund, session: Session, amount: int, operator: Operator
) -> bool:  # fmt: skip
    if refund.reason == ABOVE and session.method in _NO_TERMINAL:
        return False
    word = Refund.order_id == RefundOrder.refund, Refund.session_id == RefundOrder.session_id
    amounts = func.coalesce(func.nullif(RefundOrder.amount_minor, 0), Refund.amount_minor, 0)
    before = (
        select(func.coalesce(func.sum(amounts), 0))
        .select_from(RefundOrder)
        .outerjoin(Refund, and_(*word))
        .where(
            RefundOrder.session_id == session.id,
            RefundOrder.approved_by == CHARGER,
            RefundOrder.refund != refund.order_id,
        )
    )
    return int(db.scalar(before) or 0) + amount <= operator.alone_minor(session.currency)


def _report(
    db: Db, record: Record, refund: Refund, session: Session, amount: int, approved: bool,
    now_ms: int,
) -> None:  # fmt: skip
    money = figures.money(amount, session.currency)
    then = "it is paid as the charger says" if approved else "it waits for approval"
    detail = (
        f"refund {refund.refund} of {money}, receipt {session.receipt_no}: the charger has it,"
        f" no order of it is here (was the database put back to a backup?); {then}"
    )
    problems.report(
        db, record.charger, "refund_unknown", detail, now_ms, record.epoch, record.seq
    )

"""Refunds that a dispute has overtaken, and those that nobody will ever answer.

A dispute is noted whatever is under way. An order that no command has begun is stopped then
(`stopped`, looked at before every new command too); what a charger may be paying cannot be called
back: where refunds and disputes are more than was captured finance is shown it (`overlaps`).

A charger whose flash was replaced knows nothing of a refund that its old one had accepted and
had no end of. Some days after the command has expired finance is shown it (`hanging`) and ends it:
nothing was given back, or who took the money gives it back (`end`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, exists, func, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit, refund_gone, refund_rules, refund_view
from hostsim.backoffice.models import (
    Charger,
    Command,
    Payment,
    Refund,
    RefundOrder,
    Session,
    writing,
)
from hostsim.backoffice.rules import OUTSIDE
from hostsim.backoffice.tables import Dispute

OVERTAKEN = "less is left by now: the bank asks the payment back (dispute)"
_ENDED = "ended by hand: the charger's flash of then was replaced"
_NAME, _NOTE = 32, 200
_DAY_MS = 86_400_000
_COMMAND_MS = 7 * _DAY_MS
"""Of an order whose command is not known."""

WAIT_MS = 3 * _DAY_MS
"""After the command's expiry: records of before may still come."""


def stopped(db: Db, session: Session, order: RefundOrder, now_ms: int, who: str) -> bool:
    """Whether an approved order is more than what is left, and is not sent (again) therefore. Not
    while a command may still work."""
    if order.state != "approved" or not refund_gone.may_begin(db, order, now_ms):
        return False
    known = exists().where(Refund.order_id == order.refund, Refund.session_id == session.id)
    if db.scalar(select(known)):
        return False
    if order.amount_minor <= refund_rules.left(db, session, without=order.refund):
        return False
    order.state, order.text = "refused", OVERTAKEN
    audit.note(db, now_ms, who, "refund stopped", order.refund, OVERTAKEN)
    return True


def stop_overtaken(db: Db, session: Session, now_ms: int, who: str) -> None:
    """After a dispute: the newest orders first, as many as must be."""
    query = select(RefundOrder).where(RefundOrder.session_id == session.id)
    newest = query.order_by(RefundOrder.requested_at.desc(), RefundOrder.refund.desc())
    for order in db.scalars(newest).all():
        stopped(db, session, order, now_ms, who)


def _over() -> ColumnElement[int]:
    """By how much refunds and disputes of a session pass what was captured."""
    disputed = select(func.coalesce(func.sum(Dispute.amount_minor), 0)).where(
        Dispute.session_id == Session.id, Dispute.state != "won"
    )
    words = select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
        Refund.session_id == Session.id, Refund.state.not_in(refund_rules.OVER)
    )
    known = exists().where(
        Refund.order_id == RefundOrder.refund, Refund.session_id == RefundOrder.session_id
    )
    orders = select(func.coalesce(func.sum(RefundOrder.amount_minor), 0)).where(
        RefundOrder.session_id == Session.id, RefundOrder.state == "approved",
        ~known.correlate(RefundOrder),
    )  # fmt: skip
    captured = select(Payment.captured_minor).where(Payment.session_id == Session.id)
    parts = [one.correlate(Session).scalar_subquery() for one in (disputed, words, orders)]
    taken = captured.correlate(Session).scalar_subquery()
    found: ColumnElement[int] = parts[0] + parts[1] + parts[2] - taken
    return found


OVER_BY = _over()


def overlaps() -> Any:
    """A query: (session, by how much), the newest first."""
    with_dispute = select(Dispute.session_id).where(Dispute.state != "won")
    return (
        select(Session, OVER_BY)
        .where(Session.id.in_(with_dispute), OVER_BY > 0)
        .order_by(Session.id.desc())
    )


def hanging(now_ms: int) -> Any:
    """A query: (order, session) of those that nobody answers any more, the newest first."""
    since = func.coalesce(Command.expires_at, RefundOrder.approved_at + _COMMAND_MS)
    return (
        select(RefundOrder, Session)
        .join(Session, Session.id == RefundOrder.session_id)
        .join(Charger, Charger.name == Session.charger)
        .outerjoin(
            Refund,
            and_(
                Refund.order_id == RefundOrder.refund,
                Refund.session_id == RefundOrder.session_id,
            ),
        )
        .outerjoin(Command, Command.id == RefundOrder.command)
        .where(
            RefundOrder.state == "approved",
            Charger.epoch.not_in((0, Session.epoch)),
            since < now_ms - WAIT_MS,
            or_(
                and_(Refund.id.is_(None), Command.state == "ok"),
                Refund.state.in_(("requested", "approved")),
                and_(Refund.state == "sent", Refund.way.not_in(OUTSIDE)),
            ),
        )
        .order_by(RefundOrder.requested_at.desc(), RefundOrder.refund.desc())
    )


def hangs(db: Db, refund: str, now_ms: int) -> bool:
    """Whether this one does."""
    return db.execute(hanging(now_ms).where(RefundOrder.refund == refund)).first() is not None


def end(engine: Engine, refund: str, *, again: bool, by: str, note: str, now_ms: int) -> None:
    """What hangs is with who took the money now (`again`), or is refused: nothing was given back.
    Raises refund_rules.RefundError."""
    refund_rules.check("operator", by, _NAME)
    refund_rules.check("note", note, _NOTE)
    with writing(engine) as db:
        order, session = refund_rules.alone_with(db, refund)
        if not hangs(db, refund, now_ms):
            raise refund_rules.RefundError("refund", f"{refund} may still be answered, or was")
        if again and order.amount_minor > refund_rules.left(db, session, without=refund):
            raise refund_rules.RefundError("refund", OVERTAKEN)
        word = refund_view.charger_word(db, order)
        order.note = note
        if again:
            refund_gone.hand_over(order, session, now_ms, word)
        elif word is not None:
            word.state, word.done_at, word.text = "refused", now_ms, _ENDED
        else:
            order.state, order.text = "refused", _ENDED
        action = "refund handed over" if again else "refund ended"
        audit.note(db, now_ms, by, action, refund, note)

"""CDRs of what was settled and given back in a time, in the order it was, page by page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session as Db
from sqlalchemy.orm import aliased, selectinload

from hostsim.backoffice import credit_cdr, views
from hostsim.backoffice.credit_cdr import AGAIN, CREDIT, OWN
from hostsim.backoffice.models import Payment, Refund, Session
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.rules import ABOVE

_END = 2**62
_DONE_AT = func.coalesce(func.nullif(Refund.done_at, 0), Refund.asked_at)
"""As the reports have it (reports/roll.py)."""


def _selects(start: int, end: int) -> list[Select[Any, Any, Any, Any, Any]]:
    """(at, session, credit note, kind, refund) of each kind."""

    def within(at: Any) -> tuple[ColumnElement[bool], ...]:
        return at >= start, at < (end or _END)

    before = aliased(Refund)
    before_at = func.coalesce(func.nullif(before.done_at, 0), before.asked_at)
    given = select(func.sum(before.amount_minor)).where(
        before.session_id == Refund.session_id, before.state == "done", before.reason != ABOVE,
        or_(  # as credit_cdr.chain
            before_at < _DONE_AT,
            and_(before_at == _DONE_AT, before.credit_no < Refund.credit_no),
            and_(before_at == _DONE_AT, before.credit_no == Refund.credit_no,
                 before.refund <= Refund.refund),
        ),
    ).scalar_subquery()  # fmt: skip
    billed = select(Session.total_minor).where(Session.id == Refund.session_id).scalar_subquery()
    credits = select(  # no join: all payments would be gone through for the few that have any
        _DONE_AT.label("at"), Refund.session_id, Refund.credit_no,
        literal(CREDIT).label("kind"), Refund.refund,
    ).where(
        Refund.state == "done", Refund.reason != ABOVE, *within(_DONE_AT),
        given - Refund.amount_minor < billed,
    )  # fmt: skip
    return [
        select(
            Payment.settled_at.label("at"), Payment.session_id, literal(0).label("credit_no"),
            literal(OWN).label("kind"), literal("").label("refund"),
        ).where(Payment.state == "captured", *within(Payment.settled_at)),
        credits,
        credits.with_only_columns(
            _DONE_AT.label("at"), Refund.session_id, Refund.credit_no,
            literal(AGAIN).label("kind"), Refund.refund,
        ).where(given < billed),
    ]  # fmt: skip


def count(engine: Engine, start: int, end: int) -> int:
    """How many there are from `start` to before `end` (epoch ms; 0: no end)."""
    with Db(engine) as db:
        return sum(
            db.scalar(one.with_only_columns(func.count(), maintain_column_froms=True)) or 0
            for one in _selects(start, end)
        )


def page(
    engine: Engine, operator: Operator, start: int, end: int, offset: int, limit: int
) -> list[dict[str, Any]]:
    """OCPI 2.2.1 CDRs; numbers are Decimal (cdr.to_json)."""
    with Db(engine) as db:
        wanted = db.execute(
            union_all(*_selects(start, end))
            .order_by("at", "session_id", "credit_no", "refund", "kind")
            .offset(offset)
            .limit(limit)
        ).all()
        query = (
            select(Session)
            .where(Session.id.in_({row.session_id for row in wanted}))
            .options(selectinload(Session.periods), selectinload(Session.refunds))
        )
        found = {row.id: views.session_with_periods(row) for row in db.scalars(query)}
    chains = {one: credit_cdr.chain(session, operator) for one, session in found.items()}
    return [chains[row.session_id][row.refund, row.kind] for row in wanted]

"""CDRs of what was settled in a time, in the order it was settled, page by page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session as Db
from sqlalchemy.orm import selectinload

from hostsim.backoffice import cdr, views
from hostsim.backoffice.models import Payment, Session
from hostsim.backoffice.operator import Operator

_END = 2**62


def _conditions(start: int, end: int) -> list[Any]:
    return [
        Payment.state == "captured",
        Payment.settled_at >= start,
        Payment.settled_at < (end or _END),
    ]


def count(engine: Engine, start: int, end: int) -> int:
    """How many were settled from `start` to before `end` (epoch ms; 0: no end)."""
    with Db(engine) as db:
        query = select(func.count()).select_from(Payment).where(*_conditions(start, end))
        return db.scalar(query) or 0


def page(
    engine: Engine, operator: Operator, start: int, end: int, offset: int, limit: int
) -> list[dict[str, Any]]:
    """OCPI 2.2.1 CDRs; numbers are Decimal (cdr.to_json)."""
    with Db(engine) as db:
        ids = db.scalars(
            select(Payment.session_id)
            .where(*_conditions(start, end))
            .order_by(Payment.settled_at, Payment.session_id)
            .offset(offset)
            .limit(limit)
        ).all()
        query = (
            select(Session)
            .where(Session.id.in_(ids))
            .options(selectinload(Session.periods), selectinload(Session.refunds))
        )
        found = {row.id: views.session_with_periods(row) for row in db.scalars(query)}
    return [cdr.compose(found[one], operator) for one in ids]

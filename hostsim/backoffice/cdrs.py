"""CDRs of what was settled and given back in a time, in the order it was, page by page."""

from __future__ import annotations

import bisect
import heapq
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, func, or_, select
from sqlalchemy.orm import Session as Db
from sqlalchemy.orm import aliased, selectinload

from hostsim.backoffice import credit_cdr, views
from hostsim.backoffice.credit_cdr import AGAIN, CREDIT, OWN
from hostsim.backoffice.models import Payment, Refund, Session
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.rules import ABOVE

_END = 2**62
_Place = tuple[int, int, int, str, int]
"""at, session, credit note, refund, kind: where a CDR stands in the order."""

_DONE_AT = func.coalesce(func.nullif(Refund.done_at, 0), Refund.asked_at)
"""As the reports have it (reports/roll.py)."""


def _within(at: Any, start: int, end: int) -> tuple[ColumnElement[bool], ...]:
    return at >= start, at < (end or _END)


def _own(what: Any, start: int, end: int) -> Any:
    """`what` of the sessions that were settled then."""
    settled = Payment.settled_at
    return select(*what).where(Payment.state == "captured", *_within(settled, start, end))


def _credits(db: Db, start: int, end: int) -> list[_Place]:
    """Of what was given back then, in order; few, beside the sessions."""
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
    query = select(  # no join: all payments would be gone through for the few that have any
        _DONE_AT, Refund.session_id, Refund.credit_no, Refund.refund, Refund.amount_minor, given,
        billed,
    ).where(Refund.state == "done", Refund.reason != ABOVE, *_within(_DONE_AT, start, end))
    found: list[_Place] = []
    for at, session, number, refund, amount, upto, whole in db.execute(query):
        if upto - amount < whole:
            found.append((at, session, number, refund, CREDIT))
        if upto - amount < whole and upto < whole:
            found.append((at, session, number, refund, AGAIN))
    return sorted(found)


def count(engine: Engine, start: int, end: int) -> int:
    """How many there are from `start` to before `end` (epoch ms; 0: no end)."""
    with Db(engine) as db:
        own = db.scalar(_own([func.count()], start, end)) or 0
        return own + len(_credits(db, start, end))


def _places(db: Db, start: int, end: int, offset: int, limit: int) -> list[_Place]:
    """Some of the order. Sessions are read from where so many of them can stand at the earliest,
    in their index's order, and what was given back is put among them."""
    credits = _credits(db, start, end)
    first = max(offset - len(credits), 0)
    query = _own([Payment.settled_at, Payment.session_id], start, end)
    query = query.order_by(Payment.settled_at, Payment.session_id)
    rows = db.execute(query.offset(first).limit(offset - first + limit))
    own = [(at, session, 0, "", OWN) for at, session in rows]
    if first and not own:
        return []
    earlier = bisect.bisect_left(credits, own[0]) if first else 0
    skip = offset - first - earlier
    return list(heapq.merge(own, credits[earlier:]))[skip : skip + limit]


def page(
    engine: Engine, operator: Operator, start: int, end: int, offset: int, limit: int
) -> list[dict[str, Any]]:
    """OCPI 2.2.1 CDRs; numbers are Decimal (cdr.to_json)."""
    with Db(engine) as db:
        wanted = _places(db, start, end, offset, limit)
        query = (
            select(Session)
            .where(Session.id.in_({place[1] for place in wanted}))
            .options(selectinload(Session.periods), selectinload(Session.refunds))
        )
        found = {row.id: views.session_with_periods(row) for row in db.scalars(query)}
    chains = {one: credit_cdr.chain(session, operator) for one, session in found.items()}
    return [chains[session][refund, kind] for _, session, _, refund, kind in wanted]

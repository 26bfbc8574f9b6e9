"""A fault of this program at a payment: seen at the desk, and the payment waits, so that others go
on.
"""

from __future__ import annotations

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from hostsim.backoffice.models import Problem, writing
from hostsim.backoffice.pay_tables import Pay

_FIRST_MS = 2_000
_LONGEST_MS = 600_000


def _said(error: Exception) -> str:
    """Of a database's error its own first line, without the values of the row."""
    text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return text.partition("\n")[0][:500]


def note(engine: Engine, at: str, error: Exception, now_ms: int) -> None:
    """`at`: the payment, "" of none."""
    detail = f"{type(error).__name__} at payment {at}" if at else type(error).__name__
    with writing(engine) as db:
        pay = db.get(Pay, at) if at else None
        if pay is not None:
            pay.next_at = now_ms + min(_FIRST_MS * 2 ** min(pay.tries, 16), _LONGEST_MS)
            pay.tries += 1
        row = db.scalars(select(Problem).where(
            Problem.code == "gateway_cashier", Problem.detail == detail, Problem.open
        )).first()  # fmt: skip
        if row is None:
            db.add(Problem(
                charger=pay.charger if pay is not None else "", at=now_ms,
                code="gateway_cashier", detail=detail, payload=_said(error),
            ))  # fmt: skip
        else:
            row.count, row.at = row.count + 1, now_ms

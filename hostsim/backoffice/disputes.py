"""Payments that a cardholder's bank asks back. What is open or lost is money that is gone or held
back: it is not refunded as well (refund_rules.py); a dispute that was won frees it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, and_, func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit, figures, refund_rules, refund_stuck
from hostsim.backoffice.models import Session, writing
from hostsim.backoffice.tables import Dispute

OPEN, WON, LOST = "open", "won", "lost"
DISPUTED = "disputed"
"""A payment's state in lists, while a dispute of it is open or was lost."""

_REFERENCE = 64
_NAMES = "id state amount_minor reference note opened_at closed_at".split()


class PaymentError(ValueError):
    """(field, why)"""

    def __init__(self, field: str, why: str) -> None:
        """The field and what is allowed."""
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


def note(
    engine: Engine, by: str, session_id: int, amount_minor: int | None, reference: str,
    text: str, now_ms: int, once: str = "",
) -> None:  # fmt: skip
    """The bank asks a payment back; approved refunds of it that have not begun are stopped as far
    as less is left (refund_stuck.py). `once`: the form's own id; sent twice it is one dispute.
    Raises PaymentError."""
    with writing(engine) as db:
        session = refund_rules.locked(db, session_id)
        if session is None or session.payment.state != "captured":
            raise PaymentError("amount", "only a captured payment can be disputed")
        known = list(db.scalars(select(Dispute).where(Dispute.session_id == session_id)))
        if once and any(row.once == once for row in known):
            return
        most = session.payment.captured_minor - refund_rules.in_dispute(db, session_id)
        if amount_minor is None or not 0 < amount_minor <= most:
            shown = figures.money(most, session.currency)
            raise PaymentError("amount", f"must be above 0 and at most {shown}")
        if not 0 < len(reference) <= _REFERENCE:
            raise PaymentError("reference", f"must have 1 to {_REFERENCE} characters")
        if any(row.reference == reference for row in known):
            raise PaymentError("reference", "is noted already")
        db.add(
            Dispute(
                session_id=session_id, state=OPEN, amount_minor=amount_minor, note=text[:500],
                reference=reference, opened_at=now_ms, once=once,
            )
        )  # fmt: skip
        what = f"{session.charger}-{session.receipt_no}"
        audit.note(db, now_ms, by, "dispute opened", what, f"{amount_minor}, {reference}")
        db.flush()
        refund_stuck.stop_overtaken(db, session, now_ms, by)


def close(engine: Engine, by: str, identity: int, won: bool, now_ms: int) -> int:
    """The dispute's end; the session's id. Raises PaymentError."""
    with writing(engine) as db:
        row = db.get(Dispute, identity, with_for_update=True)
        if row is None or row.state != OPEN:
            raise PaymentError("dispute", "is not open")
        row.state, row.closed_at = WON if won else LOST, now_ms
        session = db.get_one(Session, row.session_id)
        what = f"{session.charger}-{session.receipt_no}"
        audit.note(db, now_ms, by, f"dispute {row.state}", what, row.reference)
        return row.session_id


def of_session(engine: Engine, session_id: int) -> list[dict[str, Any]]:
    """A session's disputes."""
    with Db(engine) as db:
        query = select(Dispute).where(Dispute.session_id == session_id).order_by(Dispute.id)
        return [{name: getattr(row, name) for name in _NAMES} for row in db.scalars(query)]


def standing(db: Db, sessions: list[int]) -> dict[int, str]:
    """open or lost, of those sessions that have such a dispute."""
    query = select(Dispute.session_id, Dispute.state).where(
        Dispute.session_id.in_(sessions), Dispute.state != WON
    )
    found: dict[int, str] = {}
    for session, state in db.execute(query):
        found[session] = OPEN if OPEN in (state, found.get(session)) else state
    return found


def sums(
    db: Db, start_ms: int, end_ms: int, currency: str, charger: str = "", tariff: str = ""
) -> list[dict[str, Any]]:
    """Of disputes that were opened in [start, end): reason (their state), count, amount_minor."""
    query = (
        select(Dispute.state, func.count(), func.sum(Dispute.amount_minor))
        .join(Session, Session.id == Dispute.session_id)
        .where(
            and_(Dispute.opened_at >= start_ms, Dispute.opened_at < end_ms),
            Session.currency == currency,
        )
        .group_by(Dispute.state)
        .order_by(Dispute.state)
    )
    if charger:
        query = query.where(Session.charger == charger)
    if tariff:
        query = query.where(Session.tariff == tariff)
    return [
        {"reason": state, "count": count, "amount_minor": int(amount)}
        for state, count, amount in db.execute(query)
    ]

"""Payments by phone as finance sees them: what is wrong, and each one's steps at the gateway."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Problem
from hostsim.backoffice.pay_tables import Pay, PayRefund
from hostsim.backoffice.phone import pays

_FAR = 200
_CODES = (
    "gateway_uncovered", "gateway_refund", "gateway_refund_back", "gateway_started",
    "gateway_foreign", "gateway_twice", "gateway_price", "gateway_cashier",
)  # fmt: skip


def wrong(db: Db) -> list[dict[str, Any]]:
    """What finance should look at: lost money, captures and returns that fail, refunds that came
    back."""
    query = (
        select(Pay)
        .where(
            or_(
                Pay.state == pays.LOST,
                and_(Pay.state.in_((pays.CAPTURING, pays.CANCELLING)), Pay.tries > 1),
            )
        )
        .order_by(Pay.created_at.desc())
        .limit(_FAR)
    )
    found = [
        {
            "code": "gateway: lost" if pay.state == pays.LOST else f"gateway: {pay.state} fails",
            "session": pay.session_id,
            "charger": pay.charger,
            "at": pay.created_at,
            "amount_minor": pay.capture_minor or pay.amount_minor,
            "currency": pay.currency,
            "detail": f"{pay.reference} {pay.fault}".strip(),
        }
        for pay in db.scalars(query)
    ]
    problems = select(Problem).where(Problem.open, Problem.code.in_(_CODES)).limit(_FAR)
    for row in db.scalars(problems):
        found.append(
            {
                "code": row.code.replace("_", " "),
                "session": 0,
                "charger": row.charger,
                "at": row.at,
                "amount_minor": 0,
                "currency": "",
                "detail": row.detail,
            }
        )
    return found


def steps(db: Db, session_id: int) -> list[dict[str, Any]]:
    """What happened at the gateway: what, at, amount (or None), detail, kind ("", "bad")."""
    found: list[dict[str, Any]] = []

    def add(what: str, at: int, amount: int | None, detail: str, kind: str = "") -> None:
        if at:
            found.append(
                {"what": what, "at": at, "amount": amount, "detail": detail, "kind": kind}
            )

    for pay in db.scalars(select(Pay).where(Pay.session_id == session_id)):
        where = f"{pay.gateway} {pay.reference}"
        add("Held at the gateway", pay.held_at, pay.amount_minor, where)
        if pay.state == pays.CAPTURED:
            add("Captured at the gateway", pay.settled_at, pay.captured_minor, where)
        elif pay.state == pays.CANCELLED:
            add("Hold given back at the gateway", pay.settled_at, pay.released_minor, pay.why)
        elif pay.state == pays.LOST:
            add("Lost at the gateway", pay.held_at, pay.capture_minor, pay.fault, "bad")
    for back in db.scalars(select(PayRefund).where(PayRefund.session_id == session_id)):
        bad = "bad" if back.state == "failed" else ""
        add(
            f"Refund at the gateway: {back.state}", back.done_at or back.asked_at,
            back.amount_minor, f"{back.reference} {back.fault}".strip(), bad,
        )  # fmt: skip
    return found

"""Payments by phone as finance sees them: each one's steps at the gateway."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.pay_tables import Pay, PayRefund
from hostsim.backoffice.phone import pays


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

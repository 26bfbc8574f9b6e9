"""Payments as finance sees them: what is wrong first, then each one's life.

Nothing here is stored: it is read from the books, the records and the terminals' ends of day.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, and_, func, select
from sqlalchemy.orm import Session as Db
from sqlalchemy.orm import selectinload

from hostsim.backoffice import disputes, troubles, unproven, views
from hostsim.backoffice.models import (
    Payment,
    Record,
    RefundOrder,
    Session,
)
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.phone import views as phone
from hostsim.backoffice.rules import ELSEWHERE
from hostsim.backoffice.tables import Dispute, EndOfDay

_HOUR_MS = 3_600_000
_FAR = 200
_CARDS = 100_000  # a card's last digits are looked for among so many of the newest sessions
_WORDS = {
    "hold_asked": "Hold asked",
    "authorised": "Authorised",
    "declined": "Declined",
    "extend_asked": "More asked",
    "extended": "Hold extended",
    "extend_done": "Extension",
    "energising": "Charging began",
    "power_off": "Charging ended",
    "priced": "Priced",
    "settle_failed": "Settling refused by the terminal",
    "captured": "Captured",
    "cancelled": "Hold given back",
    "refund_requested": "Refund at the charger",
    "refund_asked": "Refund asked of the terminal",
    "refund_sent": "Refund filed with the acquirer",
    "refunded": "Refunded",
    "refund_failed": "Refund failed",
}
_AMOUNTS = ("hold_minor", "captured_minor", "total_minor", "amount_minor", "released_minor")
STATES = ("asked", "authorised", "declined", "captured", "cancelled", disputes.DISPUTED)


def wrong(engine: Engine, operator: Operator, now_ms: int) -> list[dict[str, Any]]:
    """The newest of each kind of trouble, the most severe kind first (troubles.py)."""
    found = troubles.groups(engine, operator, now_ms, _FAR)
    return [row for group in found for row in group["rows"]]


def listed(
    engine: Engine, limit: int, before: int = 0, state: str = "", charger: str = "", find: str = ""
) -> list[dict[str, Any]]:
    """A page of payments, newest first; `find`: a terminal receipt or trace number, an
    authorisation code, the end of a card's number, or a receipt such as CP1-12. `dispute` in each:
    open, lost or ""."""
    query = (
        select(Session)
        .join(Payment)
        .order_by(Session.id.desc())
        .limit(limit)
        .options(selectinload(Session.refunds))
    )
    if before:
        query = query.where(Session.id < before)
    if state == disputes.DISPUTED:
        query = query.where(
            Session.id.in_(select(Dispute.session_id).where(Dispute.state != disputes.WON))
        )
    elif state:
        query = query.where(Payment.state == state)
    if charger:
        query = query.where(Session.charger == charger)
    with Db(engine) as db:
        if find:
            query = query.where(Session.id.in_(_matching(db, find)))
        rows = [views.session_dict(row) for row in db.scalars(query)]
        disputed = disputes.standing(db, [row["id"] for row in rows])
        return [row | {"dispute": disputed.get(row["id"], "")} for row in rows]


def _matching(db: Db, find: str) -> set[int]:
    """Ids of the newest sessions that have it somewhere, each search by its own index."""
    newest = db.scalar(select(func.max(Session.id))) or 0
    name, _, number = find.rpartition("-")
    by_payment = [
        Payment.auth_code == find,
        and_(Payment.session_id > newest - _CARDS, Payment.pan.endswith(find, autoescape=True)),
    ]
    by_session = []
    if find.isascii() and find.isdecimal() and len(find) < 12:
        by_payment += [Payment.receipt == int(find), Payment.trace == int(find)]
    if name and number.isascii() and number.isdecimal() and len(number) < 12:
        by_session = [and_(Session.charger == name, Session.receipt_no == int(number))]
        by_payment = by_payment[:1]
    found: set[int] = set()
    for column, conditions in ((Payment.session_id, by_payment), (Session.id, by_session)):
        for condition in conditions:
            query = select(column).where(condition).order_by(column.desc()).limit(_FAR)
            found.update(db.scalars(query))
    return found


def life(engine: Engine, session: dict[str, Any]) -> list[dict[str, Any]]:
    """Every step of a payment: what, at, amount (or None), detail, kind ("", "bad")."""
    charger, epoch, sess = session["charger"], session["epoch"], session["sess"]
    with Db(engine) as db:
        query = (
            select(Record)
            .where(
                Record.charger == charger,
                Record.epoch == epoch,
                Record.type.in_(_WORDS),
                Record.payload["sess"].as_integer() == sess,
            )
            .order_by(Record.seq)
        )
        rows = list(db.scalars(query))
        steps = [_step(row) for row in rows]
        captured = next((row for row in rows if _by_terminal(row)), None)
        if captured:
            steps += _end_of_day(db, captured)
        for order in db.scalars(
            select(RefundOrder).where(RefundOrder.session_id == session["id"])
        ):
            steps.append(_plain("Refund asked for", order.requested_at, order.amount_minor or None,
                                f"{order.operator}: {order.reason}"))  # fmt: skip
            if order.approved_by:
                bad = "bad" if order.state == "refused" else ""
                word = "Refund refused" if bad else "Refund approved"
                steps.append(_plain(word, order.approved_at, None, order.approved_by, bad))
        steps += phone.steps(db, session["id"])
        for dispute in db.scalars(select(Dispute).where(Dispute.session_id == session["id"])):
            steps.append(_plain("Disputed", dispute.opened_at, dispute.amount_minor,
                                dispute.reference, "bad"))  # fmt: skip
            if dispute.closed_at:
                steps.append(_plain(f"Dispute {dispute.state}", dispute.closed_at, None, ""))
    order_of = sorted(range(len(steps)), key=lambda n: (steps[n]["at"] or 0, n))
    return [steps[n] for n in order_of]


def _by_terminal(row: Record) -> bool:
    """A capture that the terminal's end of day has in it."""
    return row.type == "captured" and row.payload["how"] not in ELSEWHERE


def _end_of_day(db: Db, captured: Record) -> list[dict[str, Any]]:
    row = db.scalars(
        select(EndOfDay)
        .where(
            EndOfDay.charger == captured.charger,
            EndOfDay.epoch == captured.epoch,
            EndOfDay.seq > captured.seq,
            EndOfDay.result != "failed",
        )
        .order_by(EndOfDay.seq)
    ).first()
    lost = unproven.lost_answer(captured)
    if row is None:
        detail = "the terminal's answer was lost, it lists the hold no more"
        return [_plain("Not proven until the end of day", captured.at, None, detail)] * lost
    if lost and row.result in unproven.NOT_PROVEN:
        return [_plain("Not proven by the end of day", row.at, None, row.result, "bad")]
    return [_plain("Settled by end of day", row.at, None, row.result)]


def _step(row: Record) -> dict[str, Any]:
    f = row.payload
    details = []
    if f.get("receipt"):
        details.append(f"receipt {f['receipt']}")
    if f.get("trace"):
        details.append(f"trace {f['trace']}")
    for name in ("auth_code", "reason", "way", "how", "text"):
        if f.get(name):
            details.append(str(f[name]).replace("_", " "))
    if f.get("code"):
        details.append(f"code {f['code']}")
    if "register_wh" in f:
        details.append(f"register {f['register_wh']} Wh")
    amount = next((f[name] for name in _AMOUNTS if name in f), None)
    bad = "bad" if row.type in ("declined", "settle_failed", "refund_failed") else ""
    return _plain(_WORDS[row.type], row.at, amount, ", ".join(details), bad)


def _plain(what: str, at: int, amount: int | None, detail: str, kind: str = "") -> dict[str, Any]:
    return {"what": what, "at": at, "amount": amount, "detail": detail, "kind": kind}

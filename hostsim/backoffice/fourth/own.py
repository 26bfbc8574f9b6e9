"""What was paid at the gateway beside what it was paid for, both in our own books: sessions,
monthly invoices, refunds. A difference here would show as none beside the gateway's list.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.bill_tables import CREDIT as CREDITED
from hostsim.backoffice.bill_tables import Bill
from hostsim.backoffice.fourth.found import (
    BILL,
    CREDIT,
    DIFFERS,
    MISSING_THERE,
    REFUND,
    SESSION,
    TWICE,
    Comparison,
    Difference,
)
from hostsim.backoffice.models import Payment, Refund, Session
from hostsim.backoffice.pay_tables import Pay, PayRefund
from hostsim.backoffice.phone import pays


def compare(engine: Engine, since: int, into: Comparison) -> None:
    """Of what was settled since (epoch s)."""
    with Db(engine) as db:
        into.differences += _sessions(db, since * 1000)
        into.differences += _bills(db, since * 1000)
        into.differences += _refunds(db, since * 1000)
        into.differences += _credits(db, since * 1000)


def _sessions(db: Db, since: int) -> Iterator[Difference]:
    query = (
        select(Session, Pay)
        .join(Payment, Payment.session_id == Session.id)
        .outerjoin(Pay, (Pay.session_id == Session.id) & (Pay.kind == "session"))
        .where(Payment.state == "captured", Payment.how == pays.METHOD)
        .where(Payment.settled_at >= since)
    )
    for session, pay in db.execute(query).unique():
        taken = session.payment.captured_minor
        name = f"{session.charger}-{session.receipt_no}"
        if pay is None:
            amount = figures.money(taken, session.currency)
            detail = f"{amount} delivered, paid by no payment of ours"
            yield Difference(MISSING_THERE, SESSION, session.reference, name, detail)
        elif pay.state in (pays.CAPTURED, pays.CAPTURING) and _paid(pay) != taken:
            detail = f"{taken} in the session, {_paid(pay)} in its payment"
            yield Difference(DIFFERS, SESSION, pay.reference, name, detail)
    lonely = select(Pay).where(
        Pay.kind == "session", Pay.state == pays.CAPTURED, Pay.session_id == 0,
        Pay.settled_at >= since,
    )  # fmt: skip
    for pay in db.scalars(lonely):
        yield Difference(DIFFERS, SESSION, pay.reference, pay.id, "captured for no session")


def _paid(pay: Pay) -> int:
    """What was taken, or is about to be; ended by hand that may not be what is owed."""
    return pay.captured_minor if pay.state == pays.CAPTURED else pay.capture_minor


def _bills(db: Db, since: int) -> Iterator[Difference]:
    query = select(Pay).where(
        Pay.kind == "bill", Pay.state == pays.CAPTURED, Pay.settled_at >= since
    )
    by_number: dict[str, list[Pay]] = {}
    for pay in db.scalars(query.order_by(Pay.settled_at)):
        by_number.setdefault(pay.code.removeprefix("bill-").rpartition("-")[0], []).append(pay)
    for number, paid in by_number.items():
        bill = db.get(Bill, number)
        first = paid[0]
        if bill is None:
            yield Difference(DIFFERS, BILL, first.reference, number, "there is no such bill")
            continue
        for pay in paid:
            ours, theirs = (bill.total_minor, bill.currency), (pay.captured_minor, pay.currency)
            if ours != theirs:
                paid_were = figures.money(*theirs)
                detail = f"the bill is of {figures.money(*ours)}, paid were {paid_were}"
                yield Difference(DIFFERS, BILL, pay.reference, number, detail)
        for pay in paid[1:]:
            detail = f"paid by {first.reference} as well"
            yield Difference(TWICE, BILL, pay.reference, number, detail)


def _refunds(db: Db, since: int) -> Iterator[Difference]:
    query = (
        select(Refund, PayRefund)
        .outerjoin(
            PayRefund,
            (PayRefund.refund == Refund.order_id) & (PayRefund.session_id == Refund.session_id),
        )
        .where(Refund.state == "done", Refund.way == "gateway", Refund.done_at >= since)
    )
    for refund, paid in db.execute(query):
        name = f"{refund.charger}-{refund.receipt_no}"
        if paid is None:
            detail = f"{refund.amount_minor} of {name} given back, by no refund at the gateway"
            yield Difference(MISSING_THERE, REFUND, refund.refund, name, detail)
        elif paid.state != "done" or paid.amount_minor != refund.amount_minor:
            detail = (
                f"{refund.amount_minor} of {name} done at the charger,"
                f" {paid.amount_minor} {paid.state} at the gateway"
            )
            yield Difference(
                DIFFERS, REFUND, paid.reference or paid.payment, refund.refund, detail
            )


def _credits(db: Db, since: int) -> Iterator[Difference]:
    query = select(Bill).where(Bill.total_minor < 0, Bill.issued_at >= since)
    for bill in db.scalars(query):
        mine = select(PayRefund).where(PayRefund.refund.startswith(f"{bill.number}-"))
        parts = list(db.scalars(mine))
        paid = sum(part.amount_minor for part in parts)
        if paid != -bill.total_minor:
            detail = f"the credit is of {-bill.total_minor}, its parts are {paid}"
            yield Difference(DIFFERS, CREDIT, bill.number, bill.number, detail)
        elif bill.state != CREDITED and any(part.state != "done" for part in parts):
            detail = "paid out here, a part of it is not done at the gateway"
            yield Difference(DIFFERS, CREDIT, bill.number, bill.number, detail)

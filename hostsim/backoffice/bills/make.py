"""Making monthly invoices: everything that was delivered on account until the end of a month and
is on no bill yet, one bill an account and currency.

A bill is written in one transaction with the items it collects, and an item can be on one bill
only: whatever is repeated, nothing is billed twice and nothing left out. Refunds are lines below
zero. What comes to less than zero is paid out at the gateway, to the cards that paid the account's
newest bills, when they have paid that much and no bill is open; else, and below what a gateway
takes (operator.toml, bill_min_minor), it waits for the next month.
"""

from __future__ import annotations

import datetime
import json
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.bill_tables import CREDIT, AccountTerms, Bill, BillChain, BillItem
from hostsim.backoffice.invoices import document as documents
from hostsim.backoffice.member_tables import Member
from hostsim.backoffice.models import Payment, Refund, Session, writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.pay_tables import Pay, PayRefund
from hostsim.backoffice.phone import pays
from hostsim.backoffice.tables import Invoice, Todo

_DAY_MS = 86_400_000
SESSION, REFUND = "session", "refund"


def month_of(at_ms: int, zone: ZoneInfo) -> int:
    """yyyymm of a moment, local."""
    at = datetime.datetime.fromtimestamp(at_ms // 1000, zone)
    return at.year * 100 + at.month


def end_of(month: int, zone: ZoneInfo) -> int:
    """Epoch ms at which a local month is over."""
    year, number = divmod(month, 100)
    after = datetime.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
    return int(after.timestamp()) * 1000


def before(month: int) -> int:
    """The month before."""
    return month - 1 if month % 100 > 1 else month - 89


def make(engine: Engine, operator: Operator, month: int, now_ms: int) -> list[str]:
    """Bills of everything up to the end of a month; their numbers."""
    end = end_of(month, operator.zone)
    with writing(engine) as db:
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for item in [*_sessions(db, end), *_refunds(db, end)]:
            found.setdefault((item["account"], item["currency"]), []).append(item)
        numbers = []
        for (account, currency), items in sorted(found.items()):
            total = sum(item["gross"] for item in items)
            parts = _paid_with(db, account, currency, -total) if total < 0 else []
            if total >= operator.bill_min_minor or parts:
                number = _issue(db, operator, account, currency, month, items, now_ms)
                numbers.append(number)
                for count, (payment, amount) in enumerate(parts, 1):
                    db.add(PayRefund(
                        refund=f"{number}-{count}", session_id=0, payment=payment, told=True,
                        amount_minor=amount, state="asked", asked_at=now_ms,
                    ))  # fmt: skip
        return numbers


def _paid_with(db: Db, account: str, currency: str, wanted: int) -> list[tuple[str, int]]:
    """(payment, amount): captured payments of the account's bills that can give back so much, the
    newest first; [] when they cannot, or while a bill is to be paid: the next one is less."""
    due = select(Bill.number).where(Bill.account == account, Bill.state == "open")
    if db.scalars(due).first() is not None:
        return []
    query = select(Pay).where(
        Pay.kind == "bill", Pay.charger == account[:32], Pay.currency == currency,
        Pay.state == pays.CAPTURED,
    )  # fmt: skip
    found = []
    for pay in db.scalars(query.order_by(Pay.settled_at.desc())):
        given = select(func.coalesce(func.sum(PayRefund.amount_minor), 0)).where(
            PayRefund.payment == pay.reference, PayRefund.state != "failed"
        )
        amount = min(wanted, pay.captured_minor - int(db.scalar(given) or 0))
        if amount > 0:
            found.append((pay.reference, amount))
            wanted -= amount
    return found if wanted == 0 else []


def _sessions(db: Db, end_ms: int) -> list[dict[str, Any]]:
    query = (
        select(Session, Payment, Invoice)
        .join(Payment, Payment.session_id == Session.id)
        .join(Invoice, (Invoice.session_id == Session.id) & Invoice.kind.in_(documents.SETTLES))
        .outerjoin(BillItem, (BillItem.kind == SESSION) & (BillItem.ref == Session.id))
        .where(
            Payment.state == "captured",
            Payment.how == "account",
            Payment.settled_at < end_ms,
            BillItem.ref.is_(None),
        )
        .order_by(Session.start_at, Session.id)
    )
    return [
        _item(SESSION, session.id, session, invoice)
        for session, _, invoice in db.execute(query).unique()
    ]


def _refunds(db: Db, end_ms: int) -> list[dict[str, Any]]:
    query = (
        select(Refund, Session, Invoice)
        .join(Session, Session.id == Refund.session_id)
        .join(Invoice, Invoice.refund_id == Refund.id)
        .outerjoin(BillItem, (BillItem.kind == REFUND) & (BillItem.ref == Refund.id))
        .where(
            Refund.state == "done",
            Refund.way == "account",
            Refund.done_at < end_ms,
            BillItem.ref.is_(None),
        )
        .order_by(Refund.done_at, Refund.id)
    )
    return [
        _item(REFUND, refund.id, session, invoice)
        for refund, session, invoice in db.execute(query).unique()
    ]


def _item(kind: str, ref: int, session: Session, invoice: Invoice) -> dict[str, Any]:
    """A line: as the session's own document has it, so that the sums are the same."""
    kept = json.loads(invoice.document)
    return {
        "kind": kind,
        "ref": ref,
        "account": session.reference,
        "currency": session.currency,
        "number": invoice.number,
        "document": invoice.kind,
        "charger": session.charger,
        "card": session.uid_hash[-4:],
        "start_at": session.start_at,
        "end_at": session.end_at,
        "wh": session.billed_wh if kind == SESSION else 0,
        "net": invoice.net_minor,
        "tax": invoice.vat_minor,
        "gross": invoice.total_minor,
        "vat": kept["vat"],
    }


def _issue(
    db: Db, operator: Operator, account: str, currency: str, month: int,
    items: list[dict[str, Any]], now_ms: int,
) -> str:  # fmt: skip
    db.flush()
    chain = db.get(BillChain, 1)
    if chain is None:
        chain = BillChain(id=1, position=0, head="")
        db.add(chain)
    count = chain.position
    number = f"A-{count + 1:06}"
    total = sum(item["gross"] for item in items)
    member = db.get(Member, account)
    terms = db.get(AccountTerms, account)
    due_at = now_ms + (terms.pay_days if terms is not None else 14) * _DAY_MS
    text = documents.canonical(
        {
            "version": 1,
            "kind": "bill",
            "number": number,
            "previous": chain.head,
            "account": account,
            "customer": _customer(member),
            "supplier": {
                "name": operator.name, "address": operator.address, "vat_id": operator.vat_id,
                "helpline": operator.helpline,
            },
            "zone": operator.time_zone,
            "month": month,
            "issued_at": now_ms,
            "due_at": due_at,
            "currency": currency,
            "items": [{k: v for k, v in item.items() if k != "ref"} for item in items],
            "vat": _vat(items),
            "net_minor": sum(item["net"] for item in items),
            "vat_minor": sum(item["tax"] for item in items),
            "total_minor": total,
        }
    )  # fmt: skip
    db.add(
        Bill(
            number=number, account=account, month=month, currency=currency,
            total_minor=total, state="open" if total > 0 else CREDIT, issued_at=now_ms,
            due_at=due_at, document=text, hash=documents.digest(text),
        )
    )  # fmt: skip
    for position, item in enumerate(items):
        db.add(BillItem(kind=item["kind"], ref=item["ref"], bill=number, position=position))
    chain.position, chain.head = count + 1, documents.digest(text)
    db.add(Todo(kind="bill", ref=count + 1))
    return number


def _customer(member: Member | None) -> dict[str, str]:
    if member is None:
        return {"name": "", "address": "", "vat_id": ""}
    return {"name": member.name, "address": member.address, "vat_id": member.vat_id}


def _vat(items: list[dict[str, Any]]) -> list[list[int]]:
    """[rate, net, tax, gross] a rate: the sums of the lines' own."""
    sums: dict[int, list[int]] = {}
    for item in items:
        for rate, net, tax, gross in item["vat"]:
            row = sums.setdefault(rate, [0, 0, 0])
            row[0], row[1], row[2] = row[0] + net, row[1] + tax, row[2] + gross
    return [[rate, *row] for rate, row in sorted(sums.items())]


def end(engine: Engine) -> list[Any]:
    """Where the bills end: position, hash."""
    with Db(engine) as db:
        chain = db.get(BillChain, 1)
        return [chain.position, chain.head] if chain is not None else [0, ""]


def verify(engine: Engine, saved: list[Any] | None = None) -> list[str]:
    """A sentence for each bill that is not what it was, and for numbers that are missing. `saved`:
    the `end` of an earlier time."""
    faults = []
    position, head = 0, ""
    seen = saved is None or saved[0] == 0
    with Db(engine) as db:
        for row in db.scalars(select(Bill).order_by(Bill.number)):
            kept = json.loads(row.document)
            position += 1
            if row.number != f"A-{position:06}":
                faults.append(f"{row.number}: A-{position:06} is missing")
                position = int(row.number.partition("-")[2])
            if documents.digest(row.document) != row.hash or kept["previous"] != head:
                faults.append(f"{row.number}: is not the document that was issued")
            if kept["total_minor"] != row.total_minor:
                faults.append(f"{row.number}: the table says something else than its text")
            faults += [f"{row.number}: {fault}" for fault in documents.sums(kept)]
            head = row.hash
            if saved is not None and position == saved[0]:
                seen = True
                if head != saved[1]:
                    faults.append(f"{row.number}: is not the document that was saved")
    if not seen and saved is not None:
        faults.append(f"monthly invoices up to A-{saved[0]:06} are gone")
    last = end(engine)
    if last != [position, head]:
        faults.append(f"monthly invoices end at A-{position:06}, their chain at A-{last[0]:06}")
    return faults

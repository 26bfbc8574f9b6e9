"""Bills and accounts' terms as operators, members and the clock need them.

What an account owes is what was delivered and not paid: sessions on no bill yet, and open bills.
Above its limit, or with a bill that is overdue, its cards are stopped (members.py tells the
chargers) until that is over; what an operator stopped stays stopped. No bill is overdue that
nobody can pay: without a gateway, and below its minimum.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Engine, func, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit
from hostsim.backoffice.bill_tables import BY, CREDIT, AccountTerms, Bill, BillItem
from hostsim.backoffice.bills import make
from hostsim.backoffice.member_tables import Member
from hostsim.backoffice.members import Members
from hostsim.backoffice.models import Payment, Refund, Session, writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.pay_tables import Pay, PayRefund
from hostsim.backoffice.phone import pays

_EVERY_S = 2.0
_DEAD = (pays.CANCELLED, pays.LOST)
_NEVER = 10**12


class BillError(ValueError):
    """Terms cannot be so; str() names the field."""


class Bills:
    """Of one back office; every method may be called from any thread."""

    def __init__(self, engine: Engine, operator: Operator, now_ms: Callable[[], int]) -> None:
        """Nothing is done yet."""
        self._engine = engine
        self._operator = operator
        self._now_ms = now_ms
        self._members = Members(engine, now_ms)
        self._made = 0  # the newest month that is billed
        self._next = 0.0

    # -- the clock

    def tend(self) -> None:
        """A chore: last month's bills, what was paid, who is stopped."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_S
        self.work()

    def work(self) -> None:
        """`tend`, at once."""
        month = make.before(make.month_of(self._now_ms(), self._operator.zone))
        if month != self._made:
            if month > self._newest():  # what came too late for its bill is on the next one
                self.make(month, BY)
            self._made = month
        self._take_paid()
        self._take_paid_out()
        for account in self._to_look_at():
            self._judge(account)

    def _newest(self) -> int:
        """The newest month that has bills, 0 for none."""
        with Db(self._engine) as db:
            return db.scalar(select(func.max(Bill.month))) or 0

    def make(self, month: int, by: str) -> list[str]:
        """Bills of everything up to the end of a month; their numbers."""
        numbers = make.make(self._engine, self._operator, month, self._now_ms())
        if numbers:
            with writing(self._engine) as db:
                audit.note(
                    db, self._now_ms(), by, "bills made", str(month),
                    f"{numbers[0]} to {numbers[-1]}",
                )  # fmt: skip
        return numbers

    def _take_paid(self) -> None:
        """Bills whose payment was captured."""
        with writing(self._engine) as db:
            query = (
                select(Bill, Pay)
                .join(Pay, Pay.charger == Bill.account)
                .where(Bill.state == "open", Pay.kind == "bill", Pay.state == pays.CAPTURED)
            )
            for bill, pay in db.execute(query):
                if pay.code.startswith(f"bill-{bill.number}-"):
                    bill.state, bill.paid_at = "paid", pay.settled_at
                    _terms(db, bill.account).look = True

    def _take_paid_out(self) -> None:
        """Monthly credits whose every part the gateway has paid."""
        with writing(self._engine) as db:
            for bill in db.scalars(select(Bill).where(Bill.state == CREDIT)):
                parts = list(db.scalars(select(PayRefund).where(
                    PayRefund.refund.startswith(f"{bill.number}-")
                )))  # fmt: skip
                if parts and all(part.state == "done" for part in parts):
                    bill.state, bill.paid_at = "paid", max(part.done_at for part in parts)

    def _to_look_at(self) -> list[str]:
        with Db(self._engine) as db:
            overdue = select(Bill.account).where(*self._overdue())
            query = select(AccountTerms.account).where(
                or_(AccountTerms.look, (AccountTerms.blocked == ""))
                & or_(AccountTerms.look, AccountTerms.account.in_(overdue))
            )
            known = set(db.scalars(query))
            listed = select(AccountTerms.account)
            without = select(Bill.account).where(*self._overdue(), Bill.account.not_in(listed))
            over = select(AccountTerms.account).where(
                AccountTerms.blocked == "overdue", AccountTerms.account.not_in(overdue)
            )
            return sorted(known | set(db.scalars(without)) | set(db.scalars(over)))

    def _overdue(self) -> tuple[ColumnElement[bool], ...]:
        """Of bills: those that somebody could have paid, and nobody has."""
        least = self._operator.bill_min_minor if self._operator.gateway else _NEVER
        return Bill.state == "open", Bill.due_at < self._now_ms(), Bill.total_minor >= least

    def _judge(self, account: str) -> None:
        """Stops an account's cards, or lets them work again; with why, in one transaction."""
        with writing(self._engine) as db:
            terms = _terms(db, account)
            terms.look = False
            late = select(Bill.number).where(Bill.account == account, *self._overdue())
            why = "overdue" if db.scalars(late).first() is not None else ""
            if not why and terms.limit_minor and self._owed(db, account) > terms.limit_minor:
                why = "limit"
            was, terms.blocked = terms.blocked, why
            member = db.get(Member, account)
            active = member is not None and member.active
            if member is None or (not active and not was):
                terms.blocked = ""  # an operator stopped it: not ours to undo
            elif active and why:
                self._members.change_in(db, account, by=BY, active=False)
            elif not active and was and not why:
                self._members.change_in(db, account, by=BY, active=True)

    def _owed(self, db: Db, account: str) -> int:
        """Delivered and not paid, less what was given back on no bill yet."""
        unbilled = (
            select(func.coalesce(func.sum(Payment.captured_minor), 0))
            .join(Session, Session.id == Payment.session_id)
            .outerjoin(
                BillItem, (BillItem.kind == make.SESSION) & (BillItem.ref == Session.id)
            )
            .where(
                Session.reference == account, Payment.how == "account",
                Payment.state == "captured", BillItem.ref.is_(None),
            )
        )  # fmt: skip
        back = (
            select(func.coalesce(func.sum(Refund.amount_minor), 0))
            .join(Session, Session.id == Refund.session_id)
            .outerjoin(BillItem, (BillItem.kind == make.REFUND) & (BillItem.ref == Refund.id))
            .where(
                Session.reference == account, Refund.way == "account", Refund.state == "done",
                BillItem.ref.is_(None),
            )
        )  # fmt: skip
        billed = select(func.coalesce(func.sum(Bill.total_minor), 0)).where(
            Bill.account == account, Bill.state == "open"
        )
        owed = int(db.scalar(unbilled) or 0) + int(db.scalar(billed) or 0)
        return owed - int(db.scalar(back) or 0)

    # -- operators

    def set_terms(self, account: str, limit_minor: int, pay_days: int, by: str) -> None:
        """Raises BillError."""
        if not 0 <= limit_minor <= 10**9:
            raise BillError("limit: must be 0 (none) to 1000000000 minor units")
        if not 1 <= pay_days <= 90:
            raise BillError("pay_days: must be 1 to 90")
        with writing(self._engine) as db:
            if db.get(Member, account) is None:
                raise BillError(f"account: there is no {account[:40]}")
            terms = _terms(db, account)
            terms.limit_minor, terms.pay_days, terms.look = limit_minor, pay_days, True
            detail = f"limit {limit_minor}, {pay_days} days"
            audit.note(db, self._now_ms(), by, "account terms", account, detail)

    def paid_otherwise(self, number: str, paid_at: int, reference: str, by: str) -> None:
        """An open bill was paid, but not here (by bank transfer): who says so, when it was paid
        and under which reference are in the audit log. Raises BillError."""
        if not 1 <= len(reference) <= 100 or not reference.isprintable():
            raise BillError("reference: must be 1 to 100 printable characters")
        with writing(self._engine) as db:
            bill = db.get(Bill, number, with_for_update=True)
            if bill is None:
                raise BillError(f"number: there is no bill {number[:16]}")
            if bill.state != "open":
                raise BillError(f"number: {number} is {bill.state}, not open")
            if paid_at > self._now_ms():
                raise BillError("date: must not be in the future")
            mine = Pay.kind == "bill", Pay.code.startswith(f"bill-{number}-")
            going = select(Pay.state).where(*mine, Pay.state.not_in((*_DEAD, pays.DECLINED)))
            if db.scalars(going).first() is not None:
                raise BillError(f"number: a payment of {number} at the gateway is under way")
            bill.state, bill.paid_at = "paid", paid_at
            _terms(db, bill.account).look = True
            when = datetime.datetime.fromtimestamp(paid_at // 1000, self._operator.zone)
            detail = f"on {when:%Y-%m-%d}: {reference}"
            audit.note(db, self._now_ms(), by, "bill paid otherwise", number, detail)

    def accounts(self) -> list[dict[str, Any]]:
        """Members with their terms and what they owe."""
        with Db(self._engine) as db:
            found = []
            for member in db.scalars(select(Member).order_by(Member.account)):
                terms = db.get(AccountTerms, member.account)
                found.append(
                    {
                        "currency": _currency(db, member.account),
                        "account": member.account, "name": member.name, "active": member.active,
                        "owed_minor": self._owed(db, member.account),
                        "limit_minor": terms.limit_minor if terms else 0,
                        "pay_days": terms.pay_days if terms else 14,
                        "blocked": terms.blocked if terms else "",
                    }
                )  # fmt: skip
            return found

    def listed(self, account: str = "") -> list[dict[str, Any]]:
        """Bills, newest first."""
        query = select(Bill).order_by(Bill.number.desc())
        if account:
            query = query.where(Bill.account == account)
        with Db(self._engine) as db:
            return [_dict(row) for row in db.scalars(query)]

    def find(self, number: str, check: str = "") -> dict[str, Any] | None:
        """One bill with its parsed document; with `check` only when it fits (the member's
        address)."""
        with Db(self._engine) as db:
            row = db.get(Bill, number)
            if row is None or (check and check != row.hash[: len(check)]):
                return None
            return _dict(row) | {"document": json.loads(row.document)}


def touched(db: Db, session: Session) -> None:
    """Something was delivered or given back on account, in the transaction of its record."""
    if session.payment.how == "account":
        _terms(db, session.reference[:32]).look = True


def is_open(engine: Engine, code: str) -> bool:
    """Whether the bill that a payment's `code` (payment_code) names is still to be paid."""
    with Db(engine) as db:
        bill = db.get(Bill, code.removeprefix("bill-").rpartition("-")[0])
        return bill is not None and bill.state == "open"


def payment_code(db: Db, number: str) -> str:
    """What a payment of a bill is called: the same one while it may still come to something."""
    found = list(
        db.scalars(select(Pay).where(Pay.code.startswith(f"bill-{number}-")).order_by(Pay.code))
    )
    dead = sum(pay.state in _DEAD for pay in found)
    return f"bill-{number}-{dead + 1}"


def _currency(db: Db, account: str) -> str:
    """Of what an account has last charged for; of the newest session of all before it has."""
    query = select(Session.currency).order_by(Session.id.desc()).limit(1)
    mine = db.scalars(query.where(Session.reference == account)).first()
    return mine or db.scalars(query).first() or "EUR"


def _terms(db: Db, account: str) -> AccountTerms:
    """Locked, so that no `look` of another worker's is lost while an account is judged."""
    row = db.get(AccountTerms, account, with_for_update=True)
    if row is None:
        row = AccountTerms(account=account, limit_minor=0, pay_days=14, blocked="", look=False)
        db.add(row)
        db.flush()
    return row


def _dict(row: Bill) -> dict[str, Any]:
    names = (
        "number account month currency total_minor state issued_at due_at paid_at hash"
    ).split()
    return {name: getattr(row, name) for name in names} | {"check": row.hash[:24]}

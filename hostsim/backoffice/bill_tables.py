"""Monthly invoices of accounts: what each collects, its payment, and an account's terms. Amounts
are minor units, times epoch ms (0: not yet).
"""

from __future__ import annotations

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hostsim.backoffice.models import Base

BY = "billing"
"""Who stops and starts accounts here, in the audit log."""

CREDIT = "credit"


class Bill(Base):
    """One monthly invoice, never changed but in `state` (open, paid; credit: below zero, being
    paid out) and `paid_at`. `document` is the canonical JSON `hash` is the SHA-256 of; it names
    the hash of the bill before."""

    __tablename__ = "bills"
    number: Mapped[str] = mapped_column(String(16), primary_key=True)
    account: Mapped[str] = mapped_column(String(32), index=True)
    month: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    total_minor: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default="open", index=True)
    issued_at: Mapped[int]
    due_at: Mapped[int]
    paid_at: Mapped[int] = mapped_column(default=0)
    document: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64))


class BillChain(Base):
    """Where the chain of monthly invoices ends (one row): numbers go on from `position`, also when
    the newest bills are gone."""

    __tablename__ = "bill_chain"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(default=0)
    head: Mapped[str] = mapped_column(String(64), default="")


class BillItem(Base):
    """A session or refund (`kind`, `ref`: its id) that is on a bill: on one only."""

    __tablename__ = "bill_items"
    __table_args__ = (UniqueConstraint("bill", "position"),)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    ref: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    bill: Mapped[str] = mapped_column(String(16), index=True)
    position: Mapped[int]


class AccountTerms(Base):
    """How an account may charge on account. `limit_minor`: what may be open, 0 for no limit;
    `blocked`: why its cards were stopped here (limit, overdue), "" when they were not; `look`:
    something changed."""

    __tablename__ = "account_terms"
    account: Mapped[str] = mapped_column(String(32), primary_key=True)
    limit_minor: Mapped[int] = mapped_column(default=0)
    pay_days: Mapped[int] = mapped_column(default=14)
    blocked: Mapped[str] = mapped_column(String(8), default="")
    look: Mapped[bool] = mapped_column(default=False)

"""What the desk stores beside the books: invoices, people, tariffs, disputes, terminal days, and
the sums reports are read from. Amounts are minor units, energy Wh, times epoch ms (0 unknown).
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, or_
from sqlalchemy.orm import Mapped, mapped_column

from hostsim.backoffice import (  # noqa: F401 - of one metadata with these
    bill_tables,
    member_tables,
    pay_tables,
)
from hostsim.backoffice.models import Base, big_integer

# -- documents


class InvoiceChain(Base):
    """Where a charger's chain of documents ends, and how many of each kind it has."""

    __tablename__ = "invoice_chains"
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)
    invoices: Mapped[int] = mapped_column(default=0)
    credit_notes: Mapped[int] = mapped_column(default=0)
    statements: Mapped[int] = mapped_column(default=0)
    adjustments: Mapped[int] = mapped_column(default=0)
    head: Mapped[str] = mapped_column(String(64), default="")


class Invoice(Base):
    """One document (`kind`: invoice, credit_note, statement, adjustment), never changed.
    `document` is the canonical JSON `hash` is the SHA-256 of; it names the hash before it. Totals
    of a credit note are negative."""

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("charger", "position"),
        UniqueConstraint("number"),
        Index("ix_invoices_found_by", "charger", "receipt_no"),
        Index("ix_invoices_issued", "issued_at"),
    )
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"))
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(String(12))
    number: Mapped[str] = mapped_column(String(48))
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), index=True)
    refund_id: Mapped[int] = mapped_column(default=0, index=True)
    receipt_no: Mapped[int]
    issued_at: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    total_minor: Mapped[int]
    net_minor: Mapped[int]
    vat_minor: Mapped[int]
    document: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64))


# -- people


class Person(Base):
    """Somebody who logs in. `role`: viewer, support, finance, admin. `password`: scrypt;
    `must_change`: of somebody else's choice."""

    __tablename__ = "people"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    role: Mapped[str] = mapped_column(String(8))
    password: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True)
    must_change: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[int]
    last_login_at: Mapped[int] = mapped_column(default=0)


class Login(Base):
    """A log-in that has not ended. `token`: SHA-256 of what the browser holds."""

    __tablename__ = "logins"
    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("people.name"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int]
    seen_at: Mapped[int]


class Audit(Base):
    """Who did what to what; only ever added to."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    at: Mapped[int] = mapped_column(index=True)
    person: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(80), index=True)
    detail: Mapped[str] = mapped_column(Text, default="")


class ApiToken(Base):
    """A partner's key to the OCPI endpoint. `token`: its SHA-256."""

    __tablename__ = "api_tokens"
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[int]
    created_by: Mapped[str] = mapped_column(String(40))
    last_used_at: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)


# -- payments


class EndOfDay(Base):
    """A terminal's end of day as the charger recorded it, beside what the books here say of the
    payments since the one before. `currency`: of the charger's newest session then."""

    __tablename__ = "ends_of_day"
    __table_args__ = (
        UniqueConstraint("charger", "epoch", "seq"),
        Index("ix_ends_of_day_result", "result"),
    )
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"))
    epoch: Mapped[int]
    seq: Mapped[int]
    at: Mapped[int] = mapped_column(index=True)
    result: Mapped[str] = mapped_column(String(40))
    count: Mapped[int]
    terminal_minor: Mapped[int]
    ledger_minor: Mapped[int]
    books_minor: Mapped[int]
    books_count: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3), default="")


_DIFFERS = or_(
    EndOfDay.terminal_minor != EndOfDay.ledger_minor,
    EndOfDay.ledger_minor != EndOfDay.books_minor,
)
Index(
    "ix_ends_of_day_differ", EndOfDay.id, sqlite_where=_DIFFERS, postgresql_where=_DIFFERS
)  # few of many are looked for at every look at the payments


class Dispute(Base):
    """A payment the cardholder's bank asks back. `state`: open, won, lost; what is open or lost is
    not refunded as well. `once`: of the form it came from."""

    __tablename__ = "disputes"
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), index=True)
    state: Mapped[str] = mapped_column(String(8), default="open", index=True)
    amount_minor: Mapped[int]
    reference: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text, default="")
    opened_at: Mapped[int]
    closed_at: Mapped[int] = mapped_column(default=0)
    once: Mapped[str] = mapped_column(String(36), default="")


class ClosedTrouble(Base):
    """What finance has seen to (troubles.py). `ref`: the row it is about; `mark`: a figure of it
    that changes when it has come again, and shows it anew."""

    __tablename__ = "closed_troubles"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    ref: Mapped[str] = mapped_column(String(64), primary_key=True)
    mark: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[int]
    person: Mapped[str] = mapped_column(String(40))
    note: Mapped[str] = mapped_column(Text)


# -- chargers


class LogLine(Base):
    """A line of a charger's log; the newest few hundred of each are kept."""

    __tablename__ = "log_lines"
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"), index=True)
    at: Mapped[int]
    level: Mapped[str] = mapped_column(String(12))
    text: Mapped[str] = mapped_column(Text)


class TariffVersion(Base):
    """An OCPI tariff as it was written; never changed. `crc` is what chargers call it by."""

    __tablename__ = "tariff_versions"
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    tariff: Mapped[str] = mapped_column(String(36), index=True)
    crc: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    payload: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[int]
    created_by: Mapped[str] = mapped_column(String(40))


class Rollout(Base):
    """A tariff version on its way to a charger. `state`: sent, accepted, refused, replaced."""

    __tablename__ = "rollouts"
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("tariff_versions.id"), index=True)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"), index=True)
    state: Mapped[str] = mapped_column(String(8), default="sent")
    detail: Mapped[str] = mapped_column(Text, default="")
    sent_at: Mapped[int]
    sent_by: Mapped[str] = mapped_column(String(40))
    answered_at: Mapped[int] = mapped_column(default=0)


# -- sums for reports (all of them can be made again from the books)


class Todo(Base):
    """Something that is in the books and not in the sums yet. `kind`: session or refund, each with
    its document; or unbilled, a session of before there were invoices; or stop, a session paid by
    phone that the charger is to be told to stop (phone/strays.py); or bill, a monthly invoice (by
    the number in its name), whose VAT is reported with it."""

    __tablename__ = "stat_todo"
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    ref: Mapped[int]


class StatDay(Base):
    """Sums of one local day (yyyymmdd), charger, tariff and currency; a session counts on the day
    it ended, its time on the days it was on, a refund on the day it was done. Charger "*": of all
    chargers; a day that ends in 00: of the month. So that a year of a thousand chargers is read
    from few rows."""

    __tablename__ = "stat_days"
    __table_args__ = (Index("ix_stat_days_charger", "charger", "day"),)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    charger: Mapped[str] = mapped_column(String(32), primary_key=True)
    tariff: Mapped[str] = mapped_column(String(36), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    sessions: Mapped[int] = mapped_column(default=0)
    declined: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    energy_wh: Mapped[int] = mapped_column(default=0)
    gross_minor: Mapped[int] = mapped_column(default=0)
    net_minor: Mapped[int] = mapped_column(default=0)
    vat_minor: Mapped[int] = mapped_column(default=0)
    energy_minor: Mapped[int] = mapped_column(default=0)
    idle_minor: Mapped[int] = mapped_column(default=0)
    idle_sessions: Mapped[int] = mapped_column(default=0)
    occupied_ms: Mapped[int] = mapped_column(default=0)
    charging_ms: Mapped[int] = mapped_column(default=0)
    refunds: Mapped[int] = mapped_column(default=0)
    refunded_minor: Mapped[int] = mapped_column(default=0)


class StatHour(Base):
    """Sums of all chargers in one local hour of one local day, by tariff and currency."""

    __tablename__ = "stat_hours"
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tariff: Mapped[str] = mapped_column(String(36), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    occupied_ms: Mapped[int] = mapped_column(default=0)
    charging_ms: Mapped[int] = mapped_column(default=0)
    starts: Mapped[int] = mapped_column(default=0)


class StatVat(Base):
    """Documents of one local month (yyyymm) by VAT rate (1e-4 percent; -1 not known) and kind."""

    __tablename__ = "stat_vat"
    month: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    vat_e4: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    documents: Mapped[int] = mapped_column(default=0)
    net_minor: Mapped[int] = mapped_column(default=0)
    tax_minor: Mapped[int] = mapped_column(default=0)
    gross_minor: Mapped[int] = mapped_column(default=0)


class StatReason(Base):
    """How often a day said what: `kind` declined (why, in the terminal's words), refund (why) or
    stopped (what ended a session). Charger "*" and days that end in 00 as in StatDay."""

    __tablename__ = "stat_reasons"
    __table_args__ = (Index("ix_stat_reasons_charger", "charger", "day"),)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    charger: Mapped[str] = mapped_column(String(32), primary_key=True)
    tariff: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    reason: Mapped[str] = mapped_column(String(80), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
    amount_minor: Mapped[int] = mapped_column(default=0)

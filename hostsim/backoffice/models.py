"""What the back office stores: every record as it came, and what the records add up to, in one
transaction.

Amounts are minor units, energy Wh, times epoch ms (0 unknown) or ms since a session's start.
`Record` is the truth; every other table but `Command` and `Problem` could be made again from it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Engine,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    create_engine,
    event,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.orm import Session as Db

_WRITING = threading.Lock()
big_integer = BigInteger().with_variant(Integer, "sqlite")  # SQLite's own key is an INTEGER


PERIOD_FIELDS = (
    "start_ms",
    "end_ms",
    "energy_mwh",
    "charging_ms",
    "parking_ms",
    "min_ma",
    "max_ma",
    "min_w",
    "max_w",
)
"""A charging period as the ledger's record and a row of Period have it."""


class Base(DeclarativeBase):
    """All tables."""

    type_annotation_map = {
        int: BigInteger().with_variant(Integer, "sqlite"),
        dict[str, Any]: JSON,
        list[int]: JSON,
    }


class Charger(Base):
    """A charger that was heard of. `epoch`: of the flash it uses now."""

    __tablename__ = "chargers"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(default=0)
    online: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[int] = mapped_column(default=0)
    command_counter: Mapped[int] = mapped_column(default=0)
    status: Mapped[dict[str, Any]] = mapped_column(default=dict)
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the running session's


class Stream(Base):
    """The records of one charger's one flash. `committed_seq`: all up to this one are here and in
    the books."""

    __tablename__ = "streams"
    __table_args__ = (Index("ix_streams_epoch", "epoch"),)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    committed_seq: Mapped[int] = mapped_column(default=0)
    first_at: Mapped[int] = mapped_column(default=0)


class Record(Base):
    """One record as it came. `applied` False: it waits for those before it."""

    __tablename__ = "records"
    __table_args__ = (UniqueConstraint("charger", "epoch", "seq"),)
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"))
    epoch: Mapped[int]
    seq: Mapped[int]
    type: Mapped[str] = mapped_column(String(32))
    version: Mapped[int]
    at: Mapped[int]
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[int]
    applied: Mapped[bool] = mapped_column(default=False)


class Session(Base):
    """One session, from its hold to its end. `state`: asked, authorised, declined, charging,
    delivered, priced, captured, cancelled."""

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("charger", "epoch", "sess"),
        Index("ix_sessions_receipt", "charger", "receipt_no"),
        Index("ix_sessions_remote", "remote"),
    )
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"), index=True)
    epoch: Mapped[int]
    sess: Mapped[int]
    state: Mapped[str] = mapped_column(String(12), default="asked", index=True)
    opened_at: Mapped[int] = mapped_column(default=0)
    connector: Mapped[int] = mapped_column(default=1)
    method: Mapped[str] = mapped_column(default="")
    reference: Mapped[str] = mapped_column(default="")
    uid_hash: Mapped[str] = mapped_column(default="")
    remote: Mapped[str] = mapped_column(String(32), default="")  # this side's id, where it began
    currency: Mapped[str] = mapped_column(String(3), default="")
    tariff: Mapped[str] = mapped_column(default="")
    tariff_crc: Mapped[int] = mapped_column(default=0)
    meter_serial: Mapped[str] = mapped_column(default="")
    energised_at: Mapped[int] = mapped_column(default=0)
    start_at: Mapped[int] = mapped_column(default=0)
    end_at: Mapped[int] = mapped_column(default=0)
    elapsed_ms: Mapped[int] = mapped_column(default=0)
    start_wh: Mapped[int] = mapped_column(default=0)
    end_wh: Mapped[int] = mapped_column(default=0)
    billed_wh: Mapped[int] = mapped_column(default=0)
    receipt_no: Mapped[int] = mapped_column(default=0)
    total_minor: Mapped[int] = mapped_column(default=0)
    net_minor: Mapped[int] = mapped_column(default=0)
    vat_minor: Mapped[int] = mapped_column(default=0)
    lines: Mapped[list[int]] = mapped_column(default=list)
    vat: Mapped[list[int]] = mapped_column(default=list)
    stop_reason: Mapped[str] = mapped_column(default="")
    payment: Mapped[Payment] = relationship(back_populates="session", uselist=False, lazy="joined")
    periods: Mapped[list[Period]] = relationship(
        order_by="Period.start_ms, Period.id", viewonly=True
    )
    refunds: Mapped[list[Refund]] = relationship(order_by="Refund.id")


class Payment(Base):
    """The card side of a session. `state`: asked, authorised, declined, captured, cancelled;
    `failures` counts attempts to settle that the terminal refused."""

    __tablename__ = "payments"
    __table_args__ = (
        Index("ix_payments_settled", "state", "settled_at", "session_id"),
        Index("ix_payments_auth_code", "auth_code"),
        Index("ix_payments_receipt", "receipt"),
        Index("ix_payments_trace", "trace"),
        Index("ix_payments_terminal", "terminal_id"),
    )
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(12), default="asked", index=True)
    hold_minor: Mapped[int] = mapped_column(default=0)
    authorised_minor: Mapped[int] = mapped_column(default=0)
    captured_minor: Mapped[int] = mapped_column(default=0)
    released_minor: Mapped[int] = mapped_column(default=0)
    receipt: Mapped[int] = mapped_column(default=0)
    trace: Mapped[int] = mapped_column(default=0)
    terminal_id: Mapped[str] = mapped_column(default="")
    vu: Mapped[str] = mapped_column(default="")
    auth_code: Mapped[str] = mapped_column(default="")
    pan: Mapped[str] = mapped_column(default="")
    card: Mapped[str] = mapped_column(default="")
    how: Mapped[str] = mapped_column(default="")
    failures: Mapped[int] = mapped_column(default=0)
    code: Mapped[int] = mapped_column(default=0)
    text: Mapped[str] = mapped_column(default="")
    authorised_at: Mapped[int] = mapped_column(default=0)
    settled_at: Mapped[int] = mapped_column(default=0)
    session: Mapped[Session] = relationship(back_populates="payment")


def _same_id(context: Any) -> str:
    return str(context.get_current_parameters()["refund"])


class Refund(Base):
    """One refund, as the charger's records have it. `state`: requested, approved, sent, done,
    refused, failed. `lines`: groups of four (vat_e4, net, VAT, gross) of the credit note.
    `order_id`: of its RefundOrder; another one than the charger's `refund` where chargers may
    choose the same (unasked.py)."""

    __tablename__ = "refunds"
    __table_args__ = (UniqueConstraint("charger", "epoch", "refund"),)
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), index=True)
    charger: Mapped[str]
    epoch: Mapped[int]
    refund: Mapped[str]
    order_id: Mapped[str] = mapped_column(String(80), default=_same_id)
    state: Mapped[str] = mapped_column(String(12), default="requested")
    amount_minor: Mapped[int]
    receipt_no: Mapped[int] = mapped_column(default=0)
    operator: Mapped[str] = mapped_column(default="")
    net_minor: Mapped[int] = mapped_column(default=0)
    vat_minor: Mapped[int] = mapped_column(default=0)
    lines: Mapped[list[int]] = mapped_column(default=list)
    sent_at: Mapped[int] = mapped_column(default=0)
    way: Mapped[str] = mapped_column(default="")
    reason: Mapped[str] = mapped_column(default="")
    command: Mapped[str] = mapped_column(default="")
    receipt: Mapped[int] = mapped_column(default=0)
    trace: Mapped[int] = mapped_column(default=0)
    credit_no: Mapped[int] = mapped_column(default=0)
    code: Mapped[int] = mapped_column(default=0)
    text: Mapped[str] = mapped_column(default="")
    asked_at: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[int] = mapped_column(default=0)


class RefundOrder(Base):
    """What an operator asked for; the charger's word on it is in Refund (`order_id`).

    `amount_minor` 0: all that is left. `state`: requested, approved, refused (by an operator, or
    by the charger before it knew the receipt). `command`: the last one that was sent for it.
    `acquirer`: "", accepted or refused; then `confirmation` is the command that says so. `lines`:
    numbers of the bill's lines that go back whole; [] when it is only an amount.
    """

    __tablename__ = "refund_orders"
    refund: Mapped[str] = mapped_column(String(80), primary_key=True)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"), index=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), index=True)
    receipt_no: Mapped[int]
    amount_minor: Mapped[int]
    reason: Mapped[str]
    operator: Mapped[str]
    card: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(12), default="requested")
    approved_by: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = mapped_column(default="")
    command: Mapped[str] = mapped_column(default="")
    acquirer: Mapped[str] = mapped_column(String(12), default="")
    acquirer_reference: Mapped[str] = mapped_column(default="")
    confirmed_by: Mapped[str] = mapped_column(default="")
    confirmation: Mapped[str] = mapped_column(default="")
    requested_at: Mapped[int] = mapped_column(default=0, index=True)
    approved_at: Mapped[int] = mapped_column(default=0)
    lines: Mapped[list[int]] = mapped_column(default=list)


class Period(Base):
    """A closed charging period; -1 means the figure is not known."""

    __tablename__ = "periods"
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), index=True)
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    energy_mwh: Mapped[int]
    charging_ms: Mapped[int]
    parking_ms: Mapped[int]
    min_ma: Mapped[int]
    max_ma: Mapped[int]
    min_w: Mapped[int]
    max_w: Mapped[int]
    session: Mapped[Session] = relationship()


class Command(Base):
    """A command that was sent. `state`: sent, ok, or what the charger answered. `message` is sent
    again unchanged."""

    __tablename__ = "commands"
    __table_args__ = (Index("ix_commands_state", "state"),)
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"), index=True)
    counter: Mapped[int]
    name: Mapped[str]
    message: Mapped[str]
    expires_at: Mapped[int]
    sent_at: Mapped[int]
    state: Mapped[str] = mapped_column(default="sent")
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Retained(Base):
    """What a charger is to have: `name` is tariff or config."""

    __tablename__ = "retained"
    charger: Mapped[str] = mapped_column(ForeignKey("chargers.name"), primary_key=True)
    name: Mapped[str] = mapped_column(String(8), primary_key=True)
    payload: Mapped[str]


class Problem(Base):
    """Something an operator must see. `count`: how often it came; `open` until somebody closes
    it."""

    __tablename__ = "problems"
    __table_args__ = (Index("ix_problems_open", "open", "code"),)
    id: Mapped[int] = mapped_column(big_integer, primary_key=True)
    charger: Mapped[str] = mapped_column(String(64), index=True)
    epoch: Mapped[int] = mapped_column(default=0)
    seq: Mapped[int] = mapped_column(default=0)
    code: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(default="")
    payload: Mapped[str] = mapped_column(default="")
    at: Mapped[int]
    count: Mapped[int] = mapped_column(default=1)
    open: Mapped[bool] = mapped_column(default=True)


def open_database(url: str, **options: Any) -> Engine:
    """Connect, and bring the database to this version (schema.py). SQLite: write-ahead log,
    synced at every commit (an acknowledgement follows it)."""
    engine = create_engine(url, **options)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "busy_timeout=10000",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    elif engine.dialect.name == "postgresql":

        @event.listens_for(engine, "connect")
        def _plainly(connection: Any, _record: Any) -> None:
            connection.execute("SET jit = off")  # compiling took longer than any page's queries
            connection.commit()

    from hostsim.backoffice import schema  # which knows these tables and those beside them

    schema.prepare(engine)
    return engine


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Db]:
    """One transaction that writes; committed at the end, rolled back by an exception. Nothing is
    flushed by itself.

    SQLite has one writer at a time: threads wait for each other here, other processes by BEGIN
    IMMEDIATE (a transaction that reads first and writes later may otherwise fail at its first
    write).
    """
    if engine.dialect.name != "sqlite":
        with Db(engine, autoflush=False) as db, db.begin():
            yield db
        return
    with _WRITING, Db(engine, autoflush=False) as db, db.begin():
        db.execute(text("BEGIN IMMEDIATE"))
        yield db

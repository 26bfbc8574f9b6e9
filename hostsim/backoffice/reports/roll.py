"""Bringing the sums up to date: what is in the books and noted as to do is added, once.

The note is written in the transaction that changed the books, and deleted in the one that adds to
the sums: nothing is left out or counted twice. One process adds at a time.
"""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Engine, delete, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.bill_tables import Bill
from hostsim.backoffice.invoices.document import CREDIT_NOTE, INVOICE, NO_TAX
from hostsim.backoffice.models import Payment, Period, Refund, Session, writing
from hostsim.backoffice.rules import ABOVE
from hostsim.backoffice.tables import Invoice, StatDay, StatHour, StatReason, StatVat, Todo

ALL = "*"
"""StatDay's charger for all of them together; no charger can have that name."""

_BATCH = 1000
_HOUR_MS = 3_600_000
_QUARTER_MS = _HOUR_MS // 4
_LONGEST_MS = 366 * 24 * _HOUR_MS  # what is longer is no stay
_LOCK = 0x466F7265  # PostgreSQL's advisory lock of this work: "Fore"
_SUMMED = ("session", "refund", "bill")  # kinds of Todo
_TABLES: tuple[Any, ...] = (StatDay, StatHour, StatVat, StatReason)

_Sums = dict[Any, dict[tuple[Any, ...], dict[str, int]]]


def catch_up(engine: Engine, zone: ZoneInfo, most: int = 20) -> int:
    """Adds what is to do, at most so many batches; answers how many notes it worked off."""
    done = 0
    for _ in range(most):
        count = _one_batch(engine, zone)
        done += count
        if count < _BATCH:
            break
    return done


def rebuild(engine: Engine, zone: ZoneInfo) -> int:
    """Forgets all sums and makes them again from the books (another time zone, a doubt)."""
    with writing(engine) as db:
        for table in _TABLES:
            db.execute(delete(table))
        db.execute(delete(Todo).where(Todo.kind.in_(_SUMMED)))
        for kind, query in (
            ("session", select(Session.id).where(
                Session.state.in_(("captured", "cancelled", "declined")))),
            ("refund", select(Refund.id).where(Refund.state == "done")),
        ):  # fmt: skip
            for ids in db.scalars(query).partitions(5000):
                db.execute(insert(Todo), [{"kind": kind, "ref": ref} for ref in ids])
        for number in db.scalars(select(Bill.number)):
            db.execute(insert(Todo), [{"kind": "bill", "ref": int(number.partition("-")[2])}])
    done = 0
    while count := catch_up(engine, zone):
        done += count
    return done


def _one_batch(engine: Engine, zone: ZoneInfo) -> int:
    with Db(engine) as db:
        if db.scalar(select(Todo.id).where(Todo.kind.in_(_SUMMED)).limit(1)) is None:
            return 0
    with writing(engine) as db:
        if engine.dialect.name == "postgresql":
            db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        todo = db.execute(
            select(Todo.id, Todo.kind, Todo.ref)
            .where(Todo.kind.in_(_SUMMED))
            .order_by(Todo.id)
            .limit(_BATCH)
        ).all()
        refs: dict[str, list[int]] = defaultdict(list)
        for _, kind, ref in todo:
            refs[kind].append(ref)
        sums: _Sums = {table: defaultdict(lambda: defaultdict(int)) for table in _TABLES}
        _add_sessions(db, zone, refs["session"], sums)
        _add_refunds(db, zone, refs["refund"], sums)
        _add_documents(
            db, zone, Invoice.session_id.in_(refs["session"]) & (Invoice.kind == INVOICE), sums
        )
        _add_documents(
            db, zone, Invoice.refund_id.in_(refs["refund"]) & (Invoice.kind == CREDIT_NOTE), sums
        )
        _add_bills(db, refs["bill"], sums)
        for table in (StatDay, StatReason):
            _add_up(sums[table])
        for table, rows in sums.items():
            _write(db, table, rows)
        if todo:
            db.execute(delete(Todo).where(Todo.id.in_([row.id for row in todo])))
        return len(todo)


def _add_up(rows: dict[tuple[Any, ...], dict[str, int]]) -> None:
    """All chargers' days, and each charger's months; keys begin with day and charger."""
    for (day, charger, *more), row in list(rows.items()):
        for key in ((day, ALL, *more), (day // 100 * 100, charger, *more)):
            total = rows[key]
            for name, value in row.items():
                total[name] += value


def _add_sessions(db: Db, zone: ZoneInfo, ids: list[int], sums: _Sums) -> None:
    if not ids:
        return
    query = select(Period.session_id, Period.start_ms, Period.charging_ms).where(
        Period.session_id.in_(ids), Period.charging_ms > 0
    )
    charging: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for session, start_ms, ms in db.execute(query):
        charging[session].append((start_ms, ms))
    columns = (
        Session.id, Session.charger, Session.tariff, Session.currency, Session.state,
        Session.opened_at, Session.start_at, Session.end_at, Session.elapsed_ms,
        Session.billed_wh, Session.total_minor, Session.net_minor, Session.vat_minor,
        Session.lines, Session.stop_reason, Payment.settled_at, Payment.code, Payment.text,
    )  # fmt: skip
    for s in db.execute(select(*columns).join(Payment).where(Session.id.in_(ids))):
        ended = s.end_at or s.settled_at or s.opened_at
        day = local(ended, zone)[0]
        where = (s.charger, s.tariff, s.currency)
        row = sums[StatDay][day, *where]
        if s.state == "declined":
            row["declined"] += 1
            why = f"{s.text or 'declined'} (code {s.code})"
            _reason(sums, day, where, "declined", why, 0)
        elif s.state == "cancelled":
            row["cancelled"] += 1
            _reason(sums, day, where, "stopped", s.stop_reason or "cancelled", 0)
        else:
            _add_paid(row, s)
            _reason(sums, day, where, "stopped", s.stop_reason or "unknown", s.total_minor)
            _add_time(sums, s, s.start_at or max(ended - s.elapsed_ms, 0), charging[s.id], zone)


def _add_time(
    sums: _Sums, s: Any, start: int, charging: list[tuple[int, int]], zone: ZoneInfo
) -> None:
    """The hours and days a stay was on, and energy flowed; `start` is worked out of its end where
    the charger knew no time. A charging period charges from its beginning."""
    of_hour = sums[StatHour]
    spans = [("occupied_ms", start, s.elapsed_ms)]
    spans += [("charging_ms", start + at, ms) for at, ms in charging]
    for name, begin, length in spans:
        for day, hour, share in hours(begin, length, zone):
            of_hour[day, hour, s.tariff, s.currency][name] += share
            sums[StatDay][day, s.charger, s.tariff, s.currency][name] += share
    of_hour[*local(start, zone), s.tariff, s.currency]["starts"] += 1


def _add_paid(row: dict[str, int], s: Any) -> None:
    row["sessions"] += 1
    row["energy_wh"] += s.billed_wh
    row["gross_minor"] += s.total_minor
    row["net_minor"] += s.net_minor
    row["vat_minor"] += s.vat_minor
    idle = 0
    for line in figures.lines({"lines": s.lines, "currency": s.currency}):
        if line["kind"] == "ENERGY":
            row["energy_minor"] += line["gross_minor"]
        elif line["kind"] == "PARKING_TIME":
            idle += line["gross_minor"]
    row["idle_minor"] += idle
    row["idle_sessions"] += 1 if idle else 0


def _add_refunds(db: Db, zone: ZoneInfo, ids: list[int], sums: _Sums) -> None:
    if not ids:
        return
    query = (
        select(Refund, Session.tariff, Session.currency)
        .join(Session, Session.id == Refund.session_id)
        .where(Refund.id.in_(ids))
    )
    for refund, tariff, currency in db.execute(query):
        day = local(refund.done_at or refund.asked_at, zone)[0]
        row = sums[StatDay][day, refund.charger, tariff, currency]
        if refund.reason != ABOVE:  # it was never turnover
            row["refunds"] += 1
            row["refunded_minor"] += refund.amount_minor
        where = (refund.charger, tariff, currency)
        _reason(sums, day, where, "refund", refund.reason or "no reason given",
                refund.amount_minor)  # fmt: skip


def _add_documents(db: Db, zone: ZoneInfo, which: ColumnElement[bool], sums: _Sums) -> None:
    for row in db.scalars(select(Invoice).where(which)):
        month = local(row.issued_at, zone)[0] // 100
        said = json.loads(row.document)
        if said.get("reason") == ABOVE:
            continue
        for vat_e4, net, tax, gross in said["vat"]:
            found = sums[StatVat][month, row.currency, vat_e4, row.kind]
            found["documents"] += 1
            found["net_minor"] += net
            found["tax_minor"] += tax
            found["gross_minor"] += gross


def _add_bills(db: Db, counts: list[int], sums: _Sums) -> None:
    """VAT of what has no tax document but the monthly invoice, in the month that is for (a session
    of before that rule has one of its own)."""
    for row in db.scalars(select(Bill).where(Bill.number.in_(f"A-{n:06}" for n in counts))):
        kind = INVOICE if row.total_minor >= 0 else CREDIT_NOTE
        rates: dict[int, list[int]] = {}
        for item in json.loads(row.document)["items"]:
            if item.get("document") in NO_TAX:
                for vat_e4, *amounts in item["vat"]:
                    known = rates.get(vat_e4, [0, 0, 0])
                    rates[vat_e4] = [a + b for a, b in zip(known, amounts, strict=True)]
        for vat_e4, (net, tax, gross) in rates.items():
            found = sums[StatVat][row.month, row.currency, vat_e4, kind]
            found["documents"] += 1
            found["net_minor"] += net
            found["tax_minor"] += tax
            found["gross_minor"] += gross


def _reason(
    sums: _Sums, day: int, where: tuple[str, str, str], kind: str, reason: str, amount_minor: int
) -> None:
    """`where`: charger, tariff, currency."""
    charger, tariff, currency = where
    row = sums[StatReason][day, charger, tariff, kind, reason[:80], currency]
    row["count"] += 1
    row["amount_minor"] += amount_minor


def _write(db: Db, table: Any, rows: dict[tuple[Any, ...], dict[str, int]]) -> None:
    """INSERT, or add to the row that is there."""
    if not rows:
        return
    keys = [column.name for column in table.__table__.primary_key]
    counts = [column.name for column in table.__table__.columns if column.name not in keys]
    make = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = make(table)
    added = {name: getattr(table, name) + statement.excluded[name] for name in counts}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=added)
    values = [
        dict(zip(keys, key, strict=True)) | {name: row.get(name, 0) for name in counts}
        for key, row in sorted(rows.items())
    ]
    db.connection().execute(statement, values)


def local(epoch_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """Local day as yyyymmdd, and hour."""
    at = datetime.datetime.fromtimestamp(epoch_ms // 1000, zone)
    return at.year * 10_000 + at.month * 100 + at.day, at.hour


def hours(start_ms: int, elapsed_ms: int, zone: ZoneInfo) -> Iterator[tuple[int, int, int]]:
    """Local day, hour, and how many ms of the time from start_ms on fell into it."""
    at, end = start_ms, start_ms + min(elapsed_ms, _LONGEST_MS)
    while at < end:
        day, hour, until = _hour_of(at, zone)
        yield day, hour, min(end, until) - at
        at = until


def _hour_of(at_ms: int, zone: ZoneInfo) -> tuple[int, int, int]:
    """Local day, hour, and until when it is that hour; zones differ by multiples of 15 minutes,
    and change at such."""
    at = datetime.datetime.fromtimestamp(at_ms // 1000, zone)
    offset = int(at.utcoffset().total_seconds()) * 1000  # type: ignore[union-attr]
    until = at_ms + _HOUR_MS - (at_ms + offset) % _HOUR_MS
    last = datetime.datetime.fromtimestamp(until // 1000 - 1, zone)
    if last.utcoffset() != at.utcoffset():
        until = at_ms + _QUARTER_MS - at_ms % _QUARTER_MS
    return at.year * 10_000 + at.month * 100 + at.day, at.hour, until

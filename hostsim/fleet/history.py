"""A past for a database: many finished sessions at once, for measuring what reports cost.

They are the fleet's own sessions, put into the books' tables directly, without their records: a
million would take the front door an hour. The newest get their invoices and credit notes, what
goes wrong is there too (aftermath.py), and the sums are made by the same code as always.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.invoices import issue
from hostsim.backoffice.models import (
    PERIOD_FIELDS,
    Charger,
    Payment,
    Period,
    Refund,
    Session,
    writing,
)
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.reports import roll
from hostsim.backoffice.tables import EndOfDay, Todo
from hostsim.fleet.aftermath import TABLES, Aftermath, Rows
from hostsim.fleet.records import VirtualLedger

_BATCH = 5000
_AT_ONCE = 500
_DAY_MS = 86_400_000
_REPLACED = 50  # of so many chargers one has another flash by now
_PRICED = (
    "receipt_no start_at end_at start_wh end_wh billed_wh elapsed_ms total_minor net_minor"
    " vat_minor lines vat"
).split()
_HELD = "currency tariff tariff_crc method connector reference uid_hash".split()
_PAID = "receipt trace terminal_id vu auth_code pan card".split()


def fill(
    engine: Engine, sessions: int, chargers: int, until_ms: int, operator: Operator,
    documents: int = 20_000, seed: int = 1,
) -> int:  # fmt: skip
    """So many sessions in the year before `until_ms`, the newest of them with `documents`; answers
    how many are there then."""
    ledgers = [VirtualLedger(f"FH-{number:05}", seed) for number in range(chargers)]
    with writing(engine) as db:
        first, refund, day = (
            (db.scalar(select(func.max(table.id))) or 0) + 1
            for table in (Session, Refund, EndOfDay)
        )
        known = set(db.scalars(select(Charger.name)))
        rows = [
            {"name": ledger.name, "epoch": ledger.epoch + (number % _REPLACED == 0), "status": {},
             "figures": {}}
            for number, ledger in enumerate(ledgers)
            if ledger.name not in known
        ]  # fmt: skip
        if rows:
            db.execute(insert(Charger), rows)
    after = Aftermath(seed, {Refund: refund, EndOfDay: day}, until_ms)
    step = 365 * _DAY_MS // max(sessions, 1)
    for at in range(0, sessions, _BATCH):
        found: Rows = {table: [] for table in (Session, Payment, Period, Todo, *TABLES)}
        for number in range(at, min(at + _BATCH, sessions)):
            ledger = ledgers[number % chargers]
            start_ms = until_ms - (sessions - number) * step
            _add(found, first + number, ledger, start_ms, after)
        with writing(engine) as db:
            for table, rows in found.items():
                if rows:
                    db.execute(insert(table), rows)
    _issue(engine, operator, first + sessions - min(documents, sessions), until_ms)
    while roll.catch_up(engine, operator.zone):
        pass
    with Db(engine) as db:
        return db.scalar(select(func.count()).select_from(Session)) or 0


def _issue(engine: Engine, operator: Operator, first: int, now_ms: int) -> None:
    """The documents of all sessions from this one on."""
    query = select(Session.id).where(Session.id >= first, Session.state == "captured")
    with Db(engine) as db:
        wanted = list(db.scalars(query.order_by(Session.id)))
    for at in range(0, len(wanted), _AT_ONCE):
        part = wanted[at : at + _AT_ONCE]
        with writing(engine) as db:
            for session in db.scalars(select(Session).where(Session.id.in_(part))).all():
                issue.issue_invoice(db, session, operator, now_ms)
            db.flush()
            back = select(Refund).where(Refund.session_id.in_(part), Refund.state == "done")
            for refund in db.scalars(back).all():
                issue.issue_credit_note(db, refund, operator, now_ms)


def _add(
    found: Rows, identity: int, ledger: VirtualLedger, start_ms: int, after: Aftermath
) -> None:
    records = ledger.session(start_ms)
    last = records[-1]
    by_type = {record["type"]: record for record in records}
    held, paid = by_type["hold_asked"], by_type.get("authorised", {})
    priced, captured = by_type.get("priced", {}), by_type.get("captured", {})
    session = {
        "id": identity, "charger": ledger.name, "epoch": ledger.epoch, "sess": held["sess"],
        "state": last["type"], "opened_at": start_ms, "stop_reason": priced.get("reason", ""),
        "meter_serial": by_type.get("energising", {}).get("serial", ""),
        "energised_at": priced.get("start_at", 0),
    }  # fmt: skip
    session |= {name: held[name] for name in _HELD}
    nothing: dict[str, Any] = {name: [] if name in ("lines", "vat") else 0 for name in _PRICED}
    session |= {name: priced.get(name, nothing[name]) for name in _PRICED}
    payment = {
        "session_id": identity, "state": last["type"], "hold_minor": held["hold_minor"],
        "authorised_minor": paid.get("amount_minor", 0), "authorised_at": paid.get("at", 0),
        "captured_minor": captured.get("captured_minor", 0),
        "released_minor": last.get("released_minor", 0), "settled_at": last["at"],
        "code": last.get("code", 0), "text": last.get("text", ""),
    }  # fmt: skip
    payment |= {name: paid.get(name, "" if name in _PAID[2:] else 0) for name in _PAID}
    found[Session].append(session)
    found[Payment].append(payment)
    found[Todo].append({"kind": "session", "ref": identity})
    if captured:
        after.add(found, ledger, session, captured["captured_minor"])
    found[Period] += [
        {"session_id": identity} | {name: record[name] for name in PERIOD_FIELDS}
        for record in records
        if record["type"] == "period"
    ]

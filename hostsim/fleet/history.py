"""A past for a database: many finished sessions at once, for measuring what reports cost.

They are the fleet's own sessions, put into the books' tables directly, without records and
documents: a million would take the front door an hour. The sums are then made by the same code as
always.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import PERIOD_FIELDS, Charger, Payment, Period, Session, writing
from hostsim.backoffice.reports import roll
from hostsim.backoffice.tables import Todo
from hostsim.fleet.records import VirtualLedger

_BATCH = 5000
_DAY_MS = 86_400_000
_PRICED = (
    "receipt_no start_at end_at start_wh end_wh billed_wh elapsed_ms total_minor net_minor"
    " vat_minor lines"
).split()
_HELD = "currency tariff tariff_crc method connector reference uid_hash".split()
_PAID = "receipt trace terminal_id vu auth_code pan card".split()


def fill(
    engine: Engine, sessions: int, chargers: int, until_ms: int, zone: ZoneInfo, seed: int = 1
) -> int:
    """So many sessions in the year before `until_ms`; answers how many are there then."""
    ledgers = [VirtualLedger(f"FH-{number:05}", seed) for number in range(chargers)]
    with writing(engine) as db:
        first = (db.scalar(select(func.max(Session.id))) or 0) + 1
        known = set(db.scalars(select(Charger.name)))
        rows = [
            {"name": ledger.name, "epoch": ledger.epoch, "status": {}, "figures": {}}
            for ledger in ledgers
            if ledger.name not in known
        ]
        if rows:
            db.execute(insert(Charger), rows)
    step = 365 * _DAY_MS // max(sessions, 1)
    for at in range(0, sessions, _BATCH):
        found: dict[Any, list[dict[str, Any]]] = {Session: [], Payment: [], Period: [], Todo: []}
        for number in range(at, min(at + _BATCH, sessions)):
            ledger = ledgers[number % chargers]
            start_ms = until_ms - (sessions - number) * step
            _add(found, first + number, ledger, start_ms)
        with writing(engine) as db:
            for table, rows in found.items():
                if rows:
                    db.execute(insert(table), rows)
    while roll.catch_up(engine, zone):
        pass
    with Db(engine) as db:
        return db.scalar(select(func.count()).select_from(Session)) or 0


def _add(
    found: dict[Any, list[dict[str, Any]]], identity: int, ledger: VirtualLedger, start_ms: int
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
    nothing: dict[str, Any] = {name: [] if name == "lines" else 0 for name in _PRICED}
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
    found[Period] += [
        {"session_id": identity} | {name: record[name] for name in PERIOD_FIELDS}
        for record in records
        if record["type"] == "period"
    ]

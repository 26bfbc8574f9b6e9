"""The chargers as an operator watches them: state, power, money, firmware, alarms, log, report."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import gaps, problem_view
from hostsim.backoffice.models import Charger, Command, Problem
from hostsim.backoffice.tables import LogLine

_KEPT = 300
_PRUNE_EVERY = 50
_FINDING = ("name", "reason", "todo")
FAULTY = ("out_of_service", "fault")
IDLE = ("free", "plugged")  # whatever a session said last


def everyone(engine: Engine) -> list[dict[str, Any]]:
    """Every charger: name, online, seen_at, state, power_w, session figures, version, tariff,
    faults, open problems, records not here (behind, gap)."""
    with Db(engine) as db:
        query = select(Problem.charger, func.count()).where(Problem.open).group_by(Problem.charger)
        problems = {name: count for name, count in db.execute(query)}
        rows = list(db.scalars(select(Charger).order_by(Charger.name)))
        here = gaps.committed(db, rows)
        return [
            _described(row, here.get(row.name, 0)) | {"problems": problems.get(row.name, 0)}
            for row in rows
        ]


def one(engine: Engine, name: str) -> dict[str, Any] | None:
    """One charger with its log (newest first), open problems and newest report."""
    with Db(engine) as db:
        row = db.get(Charger, name)
        if row is None:
            return None
        lines = db.scalars(
            select(LogLine).where(LogLine.charger == name).order_by(LogLine.id.desc()).limit(100)
        )
        problems = db.scalars(
            select(Problem)
            .where(Problem.charger == name, Problem.open)
            .order_by(Problem.id.desc())
            .limit(50)
        )
        reports = db.scalars(
            select(Command)
            .where(Command.charger == name, Command.name.in_(("report", "doctor")))
            .order_by(Command.counter.desc())
            .limit(5)
        )
        committed = gaps.committed(db, [row]).get(name, 0)
        return _described(row, committed) | {
            "status": row.status,
            "given_up": gaps.given_up(db, name),
            "log": [{"at": x.at, "level": x.level, "text": x.text} for x in lines],
            "alarms": problem_view.dicts(db, problems.all()),
            "reports": [_report(x) for x in reports],
        }


def _report(command: Command) -> dict[str, Any]:
    """at, name, state, `checks` (the doctor's: name, ok, reason, todo), `facts`: name, value."""
    result = {name: x for name, x in (command.result or {}).items() if name not in ("id", "about")}
    data = result.pop("data", {})
    data = data if isinstance(data, dict) else {"data": data}
    checks = findings(data)
    facts = result | {name: value for name, value in data.items() if name != "checks"}
    return {
        "at": command.sent_at,
        "name": command.name,
        "state": "arriving" if result.get("code") == "part" else command.state,
        "checks": checks,
        "facts": [] if checks else list(facts.items()),
    }


def findings(data: Any) -> list[dict[str, Any]]:
    """The doctor's, of a result's `data`: name, ok, reason, todo; what is none is left out."""
    listed = data.get("checks") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        return []
    return [
        {"ok": x.get("ok") is True} | {name: str(x.get(name, "")) for name in _FINDING}
        for x in listed
        if isinstance(x, dict)
    ]


def keep_line(db: Db, charger: str, message: dict[str, Any], now_ms: int) -> None:
    """A line of a charger's log; old ones go now and then."""
    row = LogLine(
        charger=charger,
        at=message.get("at") or now_ms,
        level=str(message.get("level", ""))[:12],
        text=str(message.get("text", ""))[:2000],
    )
    db.add(row)
    db.flush()
    if row.id % _PRUNE_EVERY == 0:
        oldest = db.scalar(
            select(LogLine.id)
            .where(LogLine.charger == charger)
            .order_by(LogLine.id.desc())
            .offset(_KEPT)
            .limit(1)
        )
        if oldest is not None:
            db.execute(delete(LogLine).where(LogLine.charger == charger, LogLine.id <= oldest))


def _described(row: Charger, committed: int) -> dict[str, Any]:
    """`committed`: how far the records of its flash are here; `gap`: what of them is missing."""
    status, figures = row.status, row.figures
    gap = gaps.of(row, committed)
    running = bool(figures.get("session")) and row.online and status.get("state") not in IDLE
    state = status.get("state", "") if row.online else "offline"
    return {
        "name": row.name,
        "online": row.online,
        "seen_at": row.seen_at,
        "state": state,
        "reason": status.get("reason", ""),
        "faulty": state in FAULTY or bool(status.get("faults")),
        "faults": status.get("faults", []),
        "version": status.get("version", ""),
        "tariff": status.get("tariff", ""),
        "power_w": figures.get("power_w", 0) if running else 0,
        "energy_wh": figures.get("energy_wh", 0) if running else 0,
        "price_minor": figures.get("price_minor", 0) if running else 0,
        "currency": figures.get("currency", ""),
        "running": running,
        "behind": max(status.get("next_seq", 1) - 1 - committed, 0),
        "gap": gap,
    }

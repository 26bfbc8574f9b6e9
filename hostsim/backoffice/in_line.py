"""A charger's commands stand in line: one at a time is on its way, the next when it was answered
or has expired. Of two that are on their way together a network may lose the first: the second
one's counter would then have used it up, unseen.

Whoever does not answer one for PATIENCE_S, though the charger is there, holds up the others no
longer: a `stop` is not to wait for minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Charger, Command, Record

PATIENCE_S = 30.0
"""Real seconds."""

_AHEAD_MS = 86_400_000


def first(db: Db, charger: str, now_ms: int) -> Command | None:
    """The one that is on its way, or may be sent now."""
    query = select(Command).where(
        Command.charger == charger, Command.state == "sent", Command.expires_at > now_ms
    )
    return db.scalars(query.order_by(Command.counter).limit(1)).first()


def raise_counter(row: Charger, named: int, now_ms: int) -> None:
    """The charger names a counter as used: the next command is above it. Not one that lies more
    than a day ahead, or one charger's word could use up all there are."""
    if row.command_counter < named <= now_ms + _AHEAD_MS:
        row.command_counter = named


def recorded(db: Db, record: Record, f: dict[str, Any]) -> None:
    """The ledger's word on a command, in case its result message was lost; what it was called then
    (replayed, after a power cut) is not what became of it."""
    raise_counter(db.get_one(Charger, record.charger), f["counter"], record.received_at)
    command = db.get(Command, f["command"])
    if command is None or command.charger != record.charger:
        return
    if command.state in ("sent", "unanswered", "replayed"):
        command.state = f["result"]
        known = command.result or {}  # parts of a long answer may be there already
        command.result = {
            **known, "about": "command", "id": f["command"], "detail": f["detail"]
        }  # fmt: skip


class Lines:
    """Whose turn it is, of all chargers that are there."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}  # when a command's turn began

    def turns(self, waiting: Iterable[Command]) -> list[Command]:
        """One a charger; `waiting`: without an answer, not expired, in the order of counters."""
        now = time.monotonic()
        lines: dict[str, list[Command]] = {}
        for command in waiting:
            lines.setdefault(command.charger, []).append(command)
        known = {command.id for line in lines.values() for command in line}
        self._since = {one: since for one, since in self._since.items() if one in known}
        found = []
        for line in lines.values():
            patient = (c for c in line if now - self._since.get(c.id, now) < PATIENCE_S)
            command = next(patient, line[0])
            self._since.setdefault(command.id, now)
            found.append(command)
        return found

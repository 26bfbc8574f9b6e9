"""A charger's commands stand in line: one at a time is on its way, the next when it was answered
or has expired. Of two that are on their way together a network may lose the first: the second
one's counter would then have used it up, unseen.

A charger that answers nothing for PATIENCE_S gets all of them, each in its turn, and again after
as long: a `stop` is not to wait for minutes behind what is never answered. Those below one that
was answered are dead.
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

BACK_S = 5.0
"""How long a charger that has come back has for the records and results that it still owes, before
it is asked again: what it did before its power failed it would call replayed."""

_OPEN = ("sent", "unanswered")
_AHEAD_MS = 10 * 365 * 86_400_000


def of_charger(db: Db, charger: str, now_ms: int) -> list[Command]:
    """Its line: what is on its way first."""
    query = select(Command).where(
        Command.charger == charger, Command.state == "sent", Command.expires_at > now_ms
    )
    return list(db.scalars(query.order_by(Command.counter)))


def raise_counter(row: Charger, named: int, now_ms: int) -> None:
    """The charger names a counter as used: the next command is above it. Not one that lies more
    than ten years ahead, or one word of a charger's could use up all there are."""
    if row.command_counter < named <= now_ms + _AHEAD_MS:
        row.command_counter = named


def recorded(db: Db, record: Record, f: dict[str, Any]) -> None:
    """The ledger's word on a command, in case its result message was lost; what it was called then
    (replayed, after a power cut) is not what became of it."""
    raise_counter(db.get_one(Charger, record.charger), f["counter"], record.received_at)
    command = db.get(Command, f["command"])
    if command is None or command.charger != record.charger:
        return
    pass_over(db, record.charger, f["counter"])
    if command.state in ("sent", "unanswered", "replayed"):
        command.state = f["result"]
        known = command.result or {}  # parts of a long answer may be there already
        command.result = {
            **known, "about": "command", "id": f["command"], "detail": f["detail"]
        }  # fmt: skip


def pass_over(db: Db, charger: str, counter: int) -> None:
    """The charger has used this counter, so it takes none below: who waits for an answer to one of
    these is told. The ledger's word on it may still come, and counts then."""
    query = select(Command).where(
        Command.charger == charger, Command.state == "sent", Command.counter < counter
    )
    for command in db.scalars(query):
        command.state = "replayed"
        command.result = {"about": "command", "ok": False, "id": command.id, "code": "replayed",
                          "detail": "a later one was answered before it"}  # fmt: skip


class Lines:
    """Whose turn it is, of all chargers. May be called from any thread."""

    def __init__(self, now_ms: int) -> None:
        """`now_ms`: what was sent before is not new."""
        self._begun_ms = now_ms
        self._said: dict[str, str] = {}  # id of what was published and not answered: charger
        self._since: dict[str, float] = {}  # of a charger: when it was told what it did not answer
        self._whole: dict[str, float] = {}  # when all of its line went out
        self._left: dict[str, float] = {}
        self._back: dict[str, float] = {}

    def say(self, command: Command) -> Command:
        """It is being published."""
        self._said[command.id] = command.charger
        self._since.setdefault(command.charger, time.monotonic())
        return command

    def answered(self, charger: str, identity: str) -> None:
        """It has answered a command, whichever."""
        self._said.pop(identity, None)
        self._since.pop(charger, None)
        self._whole.pop(charger, None)

    def hear(self, db: Db, charger: str = "") -> None:
        """What was answered by the ledger's record alone, or to another process; of one charger
        or of all."""
        said = [one for one, whose in self._said.copy().items() if charger in ("", whose)]
        query = select(Command.charger, Command.id).where(
            Command.id.in_(said), Command.state.not_in(_OPEN)
        )
        for answer in db.execute(query).all() if said else ():
            self.answered(*answer)

    def waits(self, identity: str) -> bool:
        """Whether it was said and is not answered, as far as is known here."""
        return identity in self._said

    def moved(self, charger: str, present: bool) -> None:
        """It is there again, or has gone: while it is away nobody waits for its answer."""
        now = time.monotonic()
        self._whole.pop(charger, None)
        if not present:
            self._left.setdefault(charger, now)
            return
        self._back[charger] = now
        left = self._left.pop(charger, now)
        if charger in self._since:
            self._since[charger] += now - left

    def is_new(self, command: Command) -> bool:
        """Whether nobody can have heard it yet."""
        return command.id not in self._said and command.sent_at >= self._begun_ms

    def turns(
        self, waiting: Iterable[Command], present: set[str], before_ms: int
    ) -> list[Command]:
        """`waiting`: without an answer, not expired, in the order of counters; of the chargers
        that are `present` each gets its first one, an impatient line goes out whole; of what was
        made until `before_ms`."""
        now = time.monotonic()
        lines: dict[str, list[Command]] = {}
        for command in waiting:
            lines.setdefault(command.charger, []).append(command)
        self._since = {one: since for one, since in self._since.items() if one in lines}
        here = {command.id for line in lines.values() for command in line}
        for identity in self._said.copy().keys() - here:
            self._said.pop(identity, None)
        found = []
        for charger in sorted(present & lines.keys()):
            due = self._due(charger, lines[charger], now)
            found += [self.say(one) for one in due if one.sent_at <= before_ms]
        return found

    def _due(self, charger: str, line: list[Command], now: float) -> list[Command]:
        late = now - self._back.get(charger, now - BACK_S) >= BACK_S
        if not self._impatient(charger, now):
            line = line[:1]
        elif late:  # again after as long: what it took in meanwhile it would call replayed
            late = now - self._whole.get(charger, now - PATIENCE_S) >= PATIENCE_S
            if late:
                self._whole[charger] = now
        return [command for command in line if late or self.is_new(command)]

    def _impatient(self, charger: str, now: float) -> bool:
        return now - self._since.get(charger, now) >= PATIENCE_S

    def at_once(self, line: list[Command], identity: str = "") -> list[Command]:
        """What of one charger's line need not wait for the next round; `identity`: if it is this
        one. To be `say`-ed where the charger is there."""
        due = line[:1]
        if line and self._impatient(line[0].charger, time.monotonic()):
            due = line
        return [one for one in due if identity in ("", one.id) and self.is_new(one)]

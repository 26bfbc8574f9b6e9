"""What the back office does with each message, and what it says of its own accord.

No network here: messages come in as (topic, payload, retained), and leave by `send`. May be called
from any thread.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import clocks, contract, copies, fleet_view, gaps, in_line, ingest_texts
from hostsim.backoffice.at_hand import known_charger, locked_chargers
from hostsim.backoffice.copies import Ack
from hostsim.backoffice.fall import BROKEN, Fall, Falls
from hostsim.backoffice.ingest import Ingest, position
from hostsim.backoffice.models import Charger, Command, Problem, Retained, Stream, writing

RESEND_S = 5.0
"""How long an answer to a command is waited for before the command is sent again."""

_AGAIN_S = 1.0
_FULL = "full"  # the charger's flash had no room, and nothing was done
_ABOVE = re.compile(r"must be above (\d{1,19})$")  # firmware/sync/commands.py
_log = logging.getLogger(__name__)
_LOG_LINES = 500

Message = tuple[str, bytes, bool]
"""Topic, payload, retained."""

Other = tuple[str, str, bytes, bool]
"""Charger, name, payload, retained: what is no record."""


class Desk:
    """`send(topic, payload, retain)` may lose what it is given: all that matters is said again."""

    def __init__(
        self,
        engine: Engine,
        ingest: Ingest,
        now_ms: Callable[[], int],
        send: Callable[[str, bytes, bool], None],
    ) -> None:
        """`now_ms`: the clock commands expire by."""
        self.engine = engine
        self.ingest = ingest
        self.logs: deque[dict[str, Any]] = deque(maxlen=_LOG_LINES)
        self._gaps_told = self._newest_gap()
        self.chores: list[Callable[[], object]] = [self._tell_given_up]
        """Done before the reminders, each time."""
        self.hearers: list[Callable[[str, dict[str, Any]], None]] = []  # of results
        self._now_ms = now_ms
        self._send = send
        self._last_again: dict[str, float] = {}
        self._lines = in_line.Lines(now_ms())
        self.faults = 0  # of the program, in chores
        self.falls = Falls()  # chores that fell when it was their turn last
        self.patient = False
        """Others take records too, so that a gap is usual and closes by itself: nothing is asked
        for again before the charger repeats it."""

    def handle(self, batch: list[Message]) -> None:
        """Take a batch; records together, acknowledged after their commit, and so what else
        chargers say."""
        records: list[tuple[str, bytes]] = []
        others: list[Other] = []
        for topic, payload, retained in batch:
            charger, name = contract.split_topic(topic)
            if name == "records":
                records.append((charger, payload))
            elif payload:
                others.append((charger, name, payload, retained))
        if others:
            self._take(others)
        if records:
            for ack in self.ingest.take(records):
                self.acknowledge(self._calmed(ack))

    def greetings(self) -> list[Message]:
        """After a connection: every charger's position, and what is retained, for the broker may
        have lost it."""
        with Db(self.engine) as db:
            current = (Charger.name == Stream.charger) & (Charger.epoch == Stream.epoch)
            streams = db.scalars(select(Stream).join(Charger, current)).all()
            found = [
                (*_ack_message(copies.ack(db, s.charger, s.epoch, s.committed_seq, True)), False)
                for s in streams
            ]
            for kept in db.scalars(select(Retained)):
                topic = contract.topic(kept.charger, kept.name)
                found.append((topic, kept.payload.encode(), True))
            return found

    def retain(self, charger: str, name: str, payload: str) -> None:
        """Keep and send a tariff or configuration."""
        with writing(self.engine) as db:
            known_charger(db, charger)
            kept = db.get(Retained, (charger, name))
            if kept is None:
                db.add(Retained(charger=charger, name=name, payload=payload))
            else:
                kept.payload = payload
        self._send(contract.topic(charger, name), payload.encode(), True)

    def acknowledge(self, ack: Ack) -> None:
        """Tell a charger its position."""
        self._send(*_ack_message(ack), False)

    def _newest_gap(self) -> int:
        with Db(self.engine) as db:
            return db.scalar(select(func.max(Problem.id))) or 0

    def _tell_given_up(self) -> None:
        """Chargers whose lost records were given up since, by whatever program, are told their
        position, so that they repeat what they have at once."""
        with Db(self.engine) as db:
            query = select(Problem).where(
                Problem.id > self._gaps_told, Problem.code == gaps.GIVEN_UP
            )
            for row in db.scalars(query.order_by(Problem.id)).all():
                reached = position(db, row.charger, row.epoch)
                self.acknowledge(copies.ack(db, row.charger, row.epoch, reached, True))
                self._gaps_told = row.id

    def reminders(self) -> list[Message]:
        """Commands without an answer, for chargers that are there; what has expired is closed."""
        for chore in self.chores:
            with Fall(OperationalError, InterfaceError) as fall:  # the database is away
                chore()
            if fall.error is None:
                self.falls.over(chore.__qualname__)
            else:
                self.faults += 1
                self.falls.note(chore.__qualname__, fall.error)
                _log.error("back office: a chore fell, the others go on", exc_info=fall.error)
        now = self._now_ms()
        with writing(self.engine) as db:
            query = (
                select(Command, Charger.online)
                .join(Charger, Charger.name == Command.charger)
                .where(Command.state == "sent")
                .order_by(Command.counter)
            )
            waiting, present = [], set()
            for command, online in db.execute(query).all():
                if command.expires_at <= now:
                    full = (command.result or {}).get("code") == _FULL
                    command.state = _FULL if full else "unanswered"
                    continue
                waiting.append(command)
                if online:
                    present.add(command.charger)
            self._lines.hear(db)
            turns = self._lines.turns(waiting, present, now - int(RESEND_S * 1000))
            return [_message(command) for command in turns]

    def is_over(self, message: Message) -> bool:
        """Whether this reminder was answered since it was written: the next command may be on its
        way, which it must not follow."""
        return not self._lines.waits(json.loads(message[1])["id"])

    def send_next(self, chargers: Iterable[str], only: str = "") -> None:
        """Of each charger the new command whose turn it is; `only`: if it is this one."""
        with Db(self.engine) as db:
            for charger in chargers:
                self._lines.hear(db, charger)
                line = in_line.of_charger(db, charger, self._now_ms())
                row = db.get(Charger, charger)
                for command in self._lines.at_once(line, only):
                    self._send(*_message(command))
                    if row is not None and row.online:
                        self._lines.say(command)

    def _calmed(self, ack: Ack) -> Ack:
        """A gap asks for a repetition at most once a second."""
        if not ack.again:
            return ack
        if self.patient:
            return replace(ack, again=False)
        now = time.monotonic()
        if now - self._last_again.get(ack.charger, -_AGAIN_S) < _AGAIN_S:
            return replace(ack, again=False)
        self._last_again[ack.charger] = now
        return ack

    def _take(self, batch: list[Other]) -> None:
        """Status, session, result, log: telemetry, and the answers to commands, in one
        transaction. A batch that fails by what is in it is taken one by one: only the message at
        fault is left out, and shown."""
        try:
            self._take_all(batch)
        except BROKEN as exc:
            if len(batch) > 1:
                for one in batch:
                    self._take([one])
                return
            charger, name, payload, _ = batch[0]
            self._left_out(charger, name, exc, payload)

    def _left_out(self, charger: str, name: str, exc: Exception, payload: bytes = b"") -> None:
        with writing(self.engine) as db:
            detail = f"{name}: {ingest_texts.fault(exc)}"
            about = f"{name}: {ingest_texts.UNTAKEN}"
            self.ingest.report(db, charger, "malformed", detail, payload=payload, about=about)

    def _take_all(self, batch: list[Other]) -> None:
        results: list[tuple[str, dict[str, Any]]] = []
        ready: set[str] = set()
        with writing(self.engine) as db:
            good: list[tuple[str, str, dict[str, Any], bool]] = []
            for charger, name, payload, retained in batch:
                try:
                    message = contract.parse(payload)
                    contract.check(name, message)
                    good.append((charger, name, message, retained))
                except contract.ContractError as exc:
                    self.ingest.report(
                        db, charger, "malformed", f"{name}: {exc}", payload=payload,
                        about=f"{name}: {exc.about}",
                    )  # fmt: skip
            rows = locked_chargers(db, sorted({charger for charger, *_ in good}))
            for charger, name, message, retained in good:
                if self._took(db, rows[charger], name, message, retained):
                    ready.add(charger)
                if name == "result":
                    results.append((charger, message))
        self.send_next(sorted(ready))
        for charger, message in results:
            for hear in self.hearers:
                try:
                    hear(charger, message)
                except BROKEN as exc:
                    self._left_out(charger, "result", exc, json.dumps(message).encode())

    def _took(
        self, db: Db, row: Charger, name: str, message: dict[str, Any], retained: bool
    ) -> bool:
        """Whether it is ready for the next command: it answered one, or has come back."""
        row.seen_at = self._now_ms()
        if name == "status":
            was = row.online
            self._took_status(db, row, message, retained)
            if row.online != was:
                self._lines.moved(row.name, row.online)
            return row.online and not was
        if name == "result":
            over = _took_result(db, row, message, self._now_ms())
            if over:
                self._lines.answered(row.name, message["id"])
            return over
        if name == "session":
            row.figures = message
        else:
            self.logs.append({"charger": row.name, **message})
            fleet_view.keep_line(db, row.name, message, self._now_ms())
        return False

    def _took_status(self, db: Db, row: Charger, message: dict[str, Any], retained: bool) -> None:
        """A charger that does not know how far its records are here is told. A retained status is
        older than this connection, and so may be records that nobody heard: it is asked for them
        again. One that was told more than is here has records that another database had (this one
        was put back to a backup): it repeats them while they are in its flash."""
        row.online = message["online"]
        row.status = copies.status_after(row, message)
        if not retained:
            clocks.look(db, row, message, self._now_ms(), self.ingest.report)
        epoch = message.get("epoch", 0)
        if message["online"] and epoch:
            if not retained:
                self._use(db, row, epoch)
            known = position(db, row.name, epoch)
            acked = message.get("acked_seq", 0)
            if retained or acked != known:
                again = retained or acked > known
                self.acknowledge(copies.ack(db, row.name, epoch, known, again))
            gap = gaps.of(row, known)
            if gap is not None:
                self.ingest.report(db, row.name, "gap", gap.text, epoch, gap.first)
            else:
                gaps.closed(db, row.name, epoch, known)

    def _use(self, db: Db, row: Charger, epoch: int) -> None:
        """The flash that a charger works with is the one its status speaks of: one that had been
        replaced was put in again. One never seen before is known by its first record."""
        if row.epoch not in (0, epoch) and db.get(Stream, (row.name, epoch)) is not None:
            detail = f"a flash that had been replaced is in use again (it was {row.epoch})"
            self.ingest.report(db, row.name, "old_epoch", detail, epoch)
            row.epoch = epoch


def _took_result(db: Db, row: Charger, message: dict[str, Any], now_ms: int) -> bool:
    """Whether it is the end of a command."""
    command = db.get(Command, message.get("id", ""))
    if message["about"] != "command" or command is None or command.charger != row.name:
        return False
    if message.get("code") == "not_yet":
        return False  # sent again until it expires
    if message.get("code") == _FULL and command.name == "stop" and command.state == "sent":
        command.result = message
        return False  # the same; who asks for others does it anew
    message = _with_parts(command, message)
    if message.get("code") == "part":
        command.result = message
        return False
    above = _ABOVE.search(message.get("reason", ""))
    if message.get("code") == "replayed" and above:
        in_line.raise_counter(row, int(above[1]), now_ms)
    if message["ok"] or message.get("code") == "refused":
        in_line.pass_over(db, row.name, command.counter)
    code = message.get("code", "refused")
    # The ledger's word that it was refused may be here already, without field and reason.
    if command.state in ("sent", "unanswered", code) or message["ok"]:
        command.state = "ok" if message["ok"] else code
        command.result = message
    return True


def _with_parts(command: Command, message: dict[str, Any]) -> dict[str, Any]:
    """A long answer comes in parts, the doctor's `checks`; the last one has no code `part`."""
    known = command.result or {}
    checks = fleet_view.findings(message.get("data"))
    before = fleet_view.findings(known.get("data"))
    if not checks or not before or known.get("code") != "part":
        return message
    named = {check["name"]: check for check in [*before, *checks]}
    return {**message, "data": {"checks": list(named.values())}}


def _message(command: Command) -> Message:
    return contract.topic(command.charger, "command"), command.message.encode(), False


def _ack_message(ack: Ack) -> tuple[str, bytes]:
    again = ',"again":true' if ack.again else ""
    check = "" if ack.check is None else f',"check":{ack.check}'
    payload = f'{{"epoch":{ack.epoch},"seq":{ack.seq}{check}{again}}}'
    return contract.topic(ack.charger, "ack"), payload.encode()

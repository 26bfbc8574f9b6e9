"""Taking records: each once, in order, acknowledged after the commit and only up to the first that is missing.

A record is named by charger, epoch and sequence. One that is here already is ignored when it says the same, and a
conflict when it does not: then two devices use one identity, or a flash was copied. Records that come early wait in
the table. An epoch never seen before is a new flash. Whatever cannot be taken is in `problems`, never silently gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import books, contract
from hostsim.backoffice.models import Charger, Problem, Record, Session, Stream

MAX_AHEAD = 256
"""How far after the last gapless record an early one is kept; the charger's window is 16."""


@dataclass(frozen=True)
class Ack:
    """To be sent after the commit. `again`: send what comes after `seq` once more."""

    charger: str
    epoch: int
    seq: int
    again: bool = False


class Ingest:
    """`take` is the only way in; `received`, `stored`, `duplicates` and `refused` count since the start."""

    def __init__(self, engine: Engine, now_ms: Callable[[], int]) -> None:
        """`now_ms` gives the wall clock for received_at."""
        self._engine = engine
        self._now_ms = now_ms
        self.received = 0
        self.stored = 0
        self.duplicates = 0
        self.refused = 0

    def take(self, batch: Iterable[tuple[str, bytes]]) -> list[Ack]:
        """Stores a batch of (charger, payload) in one transaction and answers what may now be acknowledged."""
        touched: dict[tuple[str, int], bool] = {}
        with Db(self._engine) as db, db.begin():
            for charger, payload in batch:
                self.received += 1
                stream = self._take_one(db, charger, payload)
                if stream is not None:
                    touched.setdefault((charger, stream.epoch), False)
            acks = [self._settle(db, charger, epoch) for charger, epoch in touched]
        return acks

    def position(self, charger: str, epoch: int) -> int:
        """The highest sequence committed without a gap; 0 when nothing is."""
        with Db(self._engine) as db:
            stream = db.get(Stream, (charger, epoch))
            return stream.committed_seq if stream is not None else 0

    def _take_one(self, db: Db, charger: str, payload: bytes) -> Stream | None:
        """The stream to acknowledge, None when the record was not taken."""
        try:
            message = contract.parse(payload)
            unusual = contract.check_record(message)
        except contract.ContractError as exc:
            self.refused += 1
            self.report(db, charger, "malformed", str(exc), payload=payload)
            return None
        stream = self._stream(db, charger, message["epoch"])
        seq = message["seq"]
        existing = _find(db, stream, seq)
        if existing is not None:
            return self._repeated(db, stream, existing, message)
        if seq <= stream.committed_seq or seq > stream.committed_seq + MAX_AHEAD:
            self.refused += 1
            self.report(db, charger, "gap", _gap_text(stream, seq), stream.epoch, stream.committed_seq + 1)
            return stream if seq > stream.committed_seq else None
        fields = {k: v for k, v in message.items() if k not in ("epoch", "seq", "type", "version", "at")}
        record = Record(
            charger=charger, epoch=stream.epoch, seq=seq, type=message["type"], version=message["version"],
            at=message["at"], payload=fields, received_at=self._now_ms(), applied=False,
        )  # fmt: skip
        db.add(record)
        self.stored += 1
        if unusual:
            self.report(db, charger, f"{unusual}_record", _unusual_text(message), stream.epoch, seq, payload)
        return stream

    def _repeated(self, db: Db, stream: Stream, existing: Record, message: dict[str, Any]) -> Stream | None:
        same = {"epoch": existing.epoch, "seq": existing.seq, "type": existing.type, "version": existing.version}
        same |= {"at": existing.at, **existing.payload}
        if same == message:
            self.duplicates += 1
            return stream
        self.refused += 1
        detail = f"record {existing.seq} is here with other contents: is this charger's identity or flash used twice?"
        text = json.dumps(message).encode()
        self.report(db, stream.charger, "conflict", detail, stream.epoch, existing.seq, text)
        return None

    def _stream(self, db: Db, name: str, epoch: int) -> Stream:
        charger = known_charger(db, name)
        stream = db.get(Stream, (name, epoch))
        if stream is None:
            stream = Stream(charger=name, epoch=epoch, committed_seq=0, first_at=self._now_ms())
            db.add(stream)
            db.flush()
            if charger.epoch:
                self.report(db, name, "new_epoch", _replaced_text(db, charger), epoch)
            charger.epoch = epoch
        elif charger.epoch != epoch:
            self.report(db, name, "old_epoch", "records of a flash that had been replaced came again", epoch)
        return stream

    def _settle(self, db: Db, charger: str, epoch: int) -> Ack:
        """Applies what is gapless now. Called once a batch for every stream in it."""
        db.flush()
        stream = db.get_one(Stream, (charger, epoch))
        query = (
            select(Record)
            .where(Record.charger == charger, Record.epoch == epoch, Record.seq > stream.committed_seq)
            .order_by(Record.seq)
        )
        waiting = False
        for record in db.scalars(query).all():
            if record.seq != stream.committed_seq + 1:
                waiting = True
                break
            self._apply(db, record)
            stream.committed_seq = record.seq
        return Ack(charger, epoch, stream.committed_seq, waiting)

    def _apply(self, db: Db, record: Record) -> None:
        record.applied = True
        try:
            books.apply(db, record)
        except books.Impossible as exc:
            text = json.dumps(record.payload).encode()
            self.report(
                db, record.charger, "impossible", f"{record.type}: {exc}", record.epoch, record.seq, text, record.at
            )
        if record.type in ("alarm", "security"):
            detail = f"{record.payload['code']}: {record.payload['detail']}"
            self.report(db, record.charger, record.type, detail, record.epoch, record.seq, at=record.at)
        elif record.type == "lost":
            self.report(db, record.charger, "lost_record", "the charger's flash lost it", record.epoch, record.seq)

    def report(
        self, db: Db, charger: str, code: str, detail: str, epoch: int = 0, seq: int = 0, payload: bytes = b"",
        at: int = 0,
    ) -> None:  # fmt: skip
        """One row per problem; the same one again is counted."""
        query = select(Problem).where(
            Problem.charger == charger, Problem.epoch == epoch, Problem.seq == seq, Problem.code == code
        )
        if code == "malformed":
            query = query.where(Problem.detail == detail[:500])
        problem = db.scalars(query).first()
        when = at or self._now_ms()
        if problem is not None:
            problem.count += 1
            problem.at = when
            return
        shown = payload[:2000].decode(errors="replace")
        db.add(Problem(charger=charger, epoch=epoch, seq=seq, code=code, detail=detail[:500], payload=shown, at=when))
        db.flush()


def known_charger(db: Db, name: str) -> Charger:
    """The charger's row, made when it is new."""
    charger = db.get(Charger, name)
    if charger is None:
        charger = Charger(name=name, epoch=0, status={}, figures={})
        db.add(charger)
        db.flush()
    return charger


def _find(db: Db, stream: Stream, seq: int) -> Record | None:
    query = select(Record).where(
        Record.charger == stream.charger, Record.epoch == stream.epoch, Record.seq == seq
    )
    return db.scalars(query).first()


def _gap_text(stream: Stream, seq: int) -> str:
    return f"record {seq} came, but {stream.committed_seq + 1} is missing"


def _unusual_text(message: dict[str, Any]) -> str:
    return f"{message['type']} version {message['version']} is newer than this back office; kept as it came"


def _replaced_text(db: Db, charger: Charger) -> str:
    query = select(Session.sess).where(
        Session.charger == charger.name,
        Session.epoch == charger.epoch,
        Session.state.not_in(("captured", "cancelled", "declined")),
    )
    still_open = [str(sess) for sess in db.scalars(query)]
    text = f"the flash was replaced (it was {charger.epoch})"
    return text + (f"; sessions left open in the old one: {', '.join(still_open)}" if still_open else "")

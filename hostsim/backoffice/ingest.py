"""Taking records: each once, in order, acknowledged after the commit and only up to the first that
is missing.

A record is named by charger, epoch and sequence. One that is here already is ignored when it says
the same, and a conflict when it does not: then two devices use one identity, or a flash was
copied or put back. From then on nothing new is taken from that flash and nothing acknowledged
behind it, until the device has shown that its records are those here (copies.py). Records that
come early wait in the table. An epoch never seen before is a new flash.
Whatever cannot be taken is in `problems`, never silently gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import books, contract, copies, gaps, ingest_texts, lost, odd, problems
from hostsim.backoffice.at_hand import AtHand
from hostsim.backoffice.copies import Ack
from hostsim.backoffice.fall import BROKEN
from hostsim.backoffice.follow import Follower
from hostsim.backoffice.invoices import issue
from hostsim.backoffice.likely import LAST_AT
from hostsim.backoffice.models import Record, Stream, writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.rules import Impossible

MAX_AHEAD = 256
"""How far after the last gapless record an early one is kept; the charger's window is 16."""

_WITH_DOCUMENT = ("captured", "refunded")
_HEAD = ("epoch", "seq", "type", "version", "at")


@dataclass(frozen=True)
class _Message:
    fields: dict[str, Any]
    payload: bytes
    unusual: str


@dataclass
class _Taken:
    """What came of one charger's one flash. `before`: what was committed until now; `known`: its
    records that are here; `waiting`: those that came early; `ready`: for the books, in order;
    `taken` counts what is here now, `repeated` is the highest number of these."""

    stream: Stream
    before: int
    known: dict[int, Record]
    waiting: dict[int, Record]
    ready: list[Record] = field(default_factory=list)
    taken: int = 0
    repeated: int = 0


class Ingest:
    """`take` is the only way in; `received`, `stored`, `duplicates` and `refused` count since the
    start."""

    def __init__(
        self, engine: Engine, now_ms: Callable[[], int], operator: Operator | None = None
    ) -> None:
        """`now_ms` gives the wall clock for received_at; `operator` heads the invoices."""
        self._engine = engine
        self._now_ms = now_ms
        self.follower = Follower(operator or Operator(), now_ms)
        self.received = 0
        self.stored = 0
        self.duplicates = 0
        self.refused = 0

    def take(self, batch: Iterable[tuple[str, bytes]]) -> list[Ack]:
        """Stores a batch of (charger, payload) in one transaction and answers what may now be
        acknowledged. A batch that fails by what is in it is taken charger by charger, and a
        charger's record by record: only the one at fault is left out."""
        whole = list(batch)
        self.received += len(whole)
        try:
            return self._take(whole)
        except BROKEN:
            acks: list[Ack] = []
            for name in sorted({charger for charger, _ in whole}):
                acks += self._take_charger([one for one in whole if one[0] == name])
            return acks

    def _take_charger(self, batch: list[tuple[str, bytes]]) -> list[Ack]:
        try:
            return self._take(batch)
        except BROKEN:
            acks: dict[int, Ack] = {}
            for charger, payload in batch:
                for ack in self._take_alone(charger, payload):
                    if ack.seq >= acks.get(ack.epoch, ack).seq:
                        acks[ack.epoch] = ack
            return list(acks.values())

    def _take_alone(self, charger: str, payload: bytes) -> list[Ack]:
        """One record, kept also when the books cannot take it; one that cannot even be kept is
        shown."""
        try:
            return self._take([(charger, payload)], alone=True)
        except BROKEN as exc:
            self.refused += 1
            with writing(self._engine) as db:
                about = ingest_texts.UNTAKEN
                detail = ingest_texts.fault(exc)
                self.report(db, charger, "malformed", detail, payload=payload, about=about)
            return []

    def _take(self, batch: list[tuple[str, bytes]], alone: bool = False) -> list[Ack]:
        counts = (self.stored, self.duplicates, self.refused)
        try:
            return self._take_all(batch, alone)
        except BROKEN:
            self.stored, self.duplicates, self.refused = counts
            raise

    def _take_all(self, batch: list[tuple[str, bytes]], alone: bool) -> list[Ack]:
        messages: dict[tuple[str, int], list[_Message]] = {}
        with writing(self._engine) as db:
            for charger, payload in batch:
                message = self._parsed(db, charger, payload)
                if message is not None:
                    messages.setdefault((charger, message.fields["epoch"]), []).append(message)
            hand = AtHand(db, messages)
            found = [
                self._take_stream(db, hand, self._stream(db, hand, *key), messages[key])
                for key in sorted(messages, key=lambda key: key[0])  # a charger's as they came
            ]
            ready = [record for one in found for record in one.ready]
            if alone:
                for record in ready:
                    self._apply_alone(db, record)
            else:
                self._apply_all(db, ready)
            problems.report_replaced(db, hand.replaced, self._now_ms())
            return [ack for one in found if (ack := self._ack(db, one)) is not None]

    def go_on_behind(self, db: Db, stream: Stream, through: int) -> int:
        """What is missing up to `through` will not come any more: what came early is told to the
        books, in order. Answers how many up to there were here."""
        early = select(Record).where(
            Record.charger == stream.charger,
            Record.epoch == stream.epoch,
            Record.seq > stream.committed_seq,
        )
        stream.committed_seq = through
        here = 0
        for record in db.scalars(early.order_by(Record.seq)).all():
            if record.seq > stream.committed_seq + 1:
                break
            here += record.seq <= through
            stream.committed_seq = max(stream.committed_seq, record.seq)
            self._apply_alone(db, record)
        return here

    def position(self, charger: str, epoch: int) -> int:
        """The highest sequence committed without a gap; 0 when nothing is."""
        with Db(self._engine) as db:
            return position(db, charger, epoch)

    def _parsed(self, db: Db, charger: str, payload: bytes) -> _Message | None:
        try:
            fields = contract.parse(payload)
            return _Message(fields, payload, contract.check_record(fields))
        except contract.ContractError as exc:
            self.refused += 1
            self.report(
                db, charger, "malformed", str(exc), payload=payload, about=exc.about
            )
            return None

    def _take_stream(
        self, db: Db, hand: AtHand, stream: Stream, messages: list[_Message]
    ) -> _Taken:
        """One charger's records of one flash, stored; the books are still to be told."""
        waiting = hand.waiting(stream)
        known = waiting | hand.committed(stream, [one.fields["seq"] for one in messages])
        found = _Taken(stream, stream.committed_seq, known, waiting)
        for message in messages:
            seq = message.fields["seq"]
            here = known.get(seq)
            if not self._doubted(db, stream, here, message) and self._take_one(
                db, stream, message, known, waiting
            ):
                found.taken += 1
                found.repeated = max(found.repeated, seq)
            while (record := waiting.pop(stream.committed_seq + 1, None)) is not None:
                found.ready.append(record)
                stream.committed_seq = record.seq
        return found

    def _apply_all(self, db: Db, ready: list[Record]) -> None:
        """The books are told, in each stream's order."""
        desk = books.Books(db)
        desk.prepare(ready)
        issue.prepare(db, sorted({one.charger for one in ready if one.type in _WITH_DOCUMENT}))
        for record in ready:
            self._apply(db, desk, record)

    def _apply_alone(self, db: Db, record: Record) -> None:
        """The books as they were, and a problem, when they cannot take it."""
        record.applied = True
        db.flush()
        try:
            with db.begin_nested():
                self._apply_all(db, [record])
        except BROKEN as exc:
            db.info.pop("chains", None)  # what was kept of them may be rolled back
            self._show(db, record, "impossible", ingest_texts.fault(exc))

    def _ack(self, db: Db, found: _Taken) -> Ack | None:
        """No acknowledgement when every record was refused, none behind a conflict, and behind
        what was only repeated none."""
        stream = found.stream
        reached = stream.committed_seq
        doubt = copies.doubt_of(db, stream)
        if doubt:
            reached = min(reached, found.repeated, doubt - 1)
        elif reached == found.before and not found.waiting:
            reached = min(reached, found.repeated)
        if not found.taken:
            return None
        again = bool(found.waiting)
        return copies.ack(
            db, stream.charger, stream.epoch, reached, again, found.known.get(reached)
        )

    def _doubted(self, db: Db, stream: Stream, here: Record | None, message: _Message) -> bool:
        """Whether the device that sends is perhaps not the one whose records are here: nothing is
        taken from it then. Its record at the place of the conflict decides."""
        doubt = copies.doubt_of(db, stream)
        if here is not None:
            if not copies.same(here, message.fields):
                self._conflict(db, stream, here, message)
                return True
            if here.seq == doubt:
                copies.set_doubt(db, stream.charger, 0, 0)
            if here.seq <= doubt:
                return False
        if doubt:
            self.refused += 1
            seq = message.fields["seq"]
            detail = ingest_texts.conflict(doubt, seq)
            self.report(db, stream.charger, "conflict", detail, stream.epoch, seq)
        return bool(doubt)

    def _take_one(
        self,
        db: Db,
        stream: Stream,
        message: _Message,
        known: dict[int, Record],
        waiting: dict[int, Record],
    ) -> bool:
        """Whether the record is in the database now."""
        fields = message.fields
        seq = fields["seq"]
        if seq in known:
            self.duplicates += 1
            return True
        if seq <= stream.committed_seq or seq > stream.committed_seq + MAX_AHEAD:
            self.refused += 1
            self.report(
                db,
                stream.charger,
                "gap",
                gaps.said(db, stream) or ingest_texts.gap(stream, seq),
                stream.epoch,
                stream.committed_seq + 1,
            )
            return seq > stream.committed_seq
        record = Record(
            charger=stream.charger,
            epoch=stream.epoch,
            seq=seq,
            type=fields["type"],
            version=fields["version"],
            at=fields["at"],
            payload={k: v for k, v in fields.items() if k not in _HEAD},
            received_at=self._now_ms(),
            applied=False,
        )
        db.add(record)
        known[seq] = waiting[seq] = record
        self.stored += 1
        if message.unusual:
            detail = ingest_texts.unusual(fields)
            code = f"{message.unusual}_record"
            self.report(db, stream.charger, code, detail, stream.epoch, seq, message.payload)
        return True

    def _conflict(self, db: Db, stream: Stream, existing: Record, message: _Message) -> None:
        self.refused += 1
        doubt = min(copies.doubt_of(db, stream) or existing.seq, existing.seq)
        copies.set_doubt(db, stream.charger, stream.epoch, doubt)
        detail = ingest_texts.conflict(doubt, existing.seq)
        self.report(
            db, stream.charger, "conflict", detail, stream.epoch, existing.seq, message.payload
        )

    def _stream(self, db: Db, hand: AtHand, name: str, epoch: int) -> Stream:
        charger = hand.chargers[name]
        stream = hand.streams.get((name, epoch))
        if stream is None:
            stream = Stream(charger=name, epoch=epoch, committed_seq=0, first_at=self._now_ms())
            db.add(stream)
            hand.streams[name, epoch] = stream
            self._epoch_twice(db, name, epoch)
            if charger.epoch:
                hand.replaced.append((name, charger.epoch, epoch))
            charger.epoch = epoch
        elif charger.epoch != epoch:
            self.report(
                db,
                name,
                "old_epoch",
                "records of a flash that had been replaced came again",
                epoch,
            )
        return stream

    def _epoch_twice(self, db: Db, name: str, epoch: int) -> None:
        """A flash of another charger's number: its image was copied, or its name changed."""
        db.flush()
        query = select(Stream.charger).where(Stream.epoch == epoch, Stream.charger != name)
        other = db.scalars(query.order_by(Stream.charger).limit(1)).first()
        if other is not None:
            detail = f"{name} has the flash {epoch} that {other} has: was its image copied?"
            self.report(db, name, "epoch_twice", detail, epoch)

    def _apply(self, db: Db, desk: books.Books, record: Record) -> None:
        record.applied = True
        try:
            desk.apply(record)
            self._look(db, desk, record)
            self.follower.after(db, desk, record)
        except Impossible as exc:
            said = lost.unbooked(db, desk, record)
            if said is None:
                self._show(db, record, "impossible", str(exc))
            elif said:
                first = record.type not in lost.ENDS
                self._show(db, record, problems.UNBOOKED, said, lost.about(record), first)
        if record.type in ("alarm", "security"):
            detail = f"{record.payload['code']}: {record.payload['detail']}"
            self.report(
                db, record.charger, record.type, detail, record.epoch, record.seq, at=record.at
            )
        elif record.type == "lost":
            said = "the charger's flash lost it"
            self.report(db, record.charger, "lost_record", said, record.epoch, record.seq)

    def _look(self, db: Db, desk: books.Books, record: Record) -> None:
        """The books have it; what is odd about it is shown."""
        sess = record.payload.get("sess")
        session = desk.find(record.charger, record.epoch, sess) if sess else None
        found = odd.faults(db, record, session)
        if found:
            self._show(db, record, odd.CODE, "; ".join(found))

    def _show(
        self, db: Db, record: Record, code: str, what: str, about: str = "", first: bool = False
    ) -> None:
        text = json.dumps(record.payload).encode()
        detail = what if about else f"{record.type}: {what}"
        self.report(
            db, record.charger, code, detail, record.epoch, record.seq, text, record.at, about,
            first,
        )  # fmt: skip

    def report(
        self,
        db: Db,
        charger: str,
        code: str,
        detail: str,
        epoch: int = 0,
        seq: int = 0,
        payload: bytes = b"",
        at: int = 0,
        about: str = "",
        first: bool = False,
    ) -> None:
        """One row per problem (problems.py, also for `about` and `first`)."""
        when = at if 0 < at <= LAST_AT else self._now_ms()
        problems.report(db, charger, code, detail, when, epoch, seq, payload, about, first)


def position(db: Db, charger: str, epoch: int) -> int:
    """The highest sequence committed without a gap; 0 when nothing is."""
    stream = db.get(Stream, (charger, epoch))
    return stream.committed_seq if stream is not None else 0

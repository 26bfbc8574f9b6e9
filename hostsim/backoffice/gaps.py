"""After the database was put back to a backup: records that a charger was told are here and that
are not. What its flash still has it repeats by itself; the older ones are lost with the database,
and the queue stands until somebody says that they are given up.

What is given up stays to be seen: a problem that keeps its numbers when it is closed, and a line
in the audit log. Numbers of documents go on behind all that the lost database may have given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit, copies, problems
from hostsim.backoffice.at_hand import locked_chargers
from hostsim.backoffice.copies import Ack
from hostsim.backoffice.invoices import issue
from hostsim.backoffice.models import Charger, Problem, Record, Session, Stream, writing

if TYPE_CHECKING:
    from hostsim.backoffice.ingest import Ingest

GIVEN_UP = "gap_accepted"
"""Code of the problem that tells what was given up; `payload` has the numbers as JSON: first,
last, sessions (left open before it) and skipped (document numbers, issue.skip)."""

MOST = 10_000_000
"""More records than a charger writes in its life."""

_ENDED = ("captured", "cancelled", "declined")
_NAMED = 20  # sessions


class GapError(ValueError):
    """Nothing was given up; str() says why."""


class NoCharger(GapError):
    """None of that name was heard of."""


@dataclass(frozen=True)
class Gap:
    """Records `first` to `acked` were acknowledged and are not here; of these `first` to `last`
    are in flash no more (`last` below `first`: all are there). `sure`: the charger said so;
    earlier firmware does not, then all may be lost."""

    charger: str
    epoch: int
    first: int
    last: int
    acked: int
    sure: bool

    @property
    def lost(self) -> bool:
        """Whether the queue stands until something is given up."""
        return self.last >= self.first

    @property
    def text(self) -> str:
        """What an operator reads of it."""
        there = _numbers(max(self.last + 1, self.first), self.acked)
        if not self.lost:
            return f"records not here: {there} still in the charger, which repeats them"
        if not self.sure:
            return (
                f"{span(self.first, self.last)} not here; this charger does not say which of them"
                " it still has"
            )
        rest = f", {there} still in the charger" if self.last < self.acked else ""
        return f"{span(self.first, self.last)} lost{rest}"


def span(first: int, last: int) -> str:
    """records 41 to 229 are, record 41 is"""
    return f"record{'s' * (first != last)} {_numbers(first, last)}"


def _numbers(first: int, last: int) -> str:
    return f"{first} is" if first == last else f"{first} to {last} are"


def of(row: Charger, committed: int) -> Gap | None:
    """By the charger's newest status; `committed`: the stream's that the status speaks of."""
    epoch, acked = row.status.get("epoch", 0), row.status.get("acked_seq", 0)
    if not epoch or acked <= committed:
        return None
    oldest = row.status.get("oldest_seq", 0)
    last = min(oldest - 1, acked) if oldest else acked
    return Gap(row.name, epoch, committed + 1, last, acked, oldest > 0)


def committed(db: Db, rows: list[Charger]) -> dict[str, int]:
    """Of each charger, how far the records of the flash its status speaks of are here; asked for
    at once where that is the flash it is known to use."""
    current = (Stream.charger == Charger.name) & (Stream.epoch == Charger.epoch)
    query = select(Charger.name, Stream.committed_seq).join(Stream, current)
    if len(rows) == 1:
        query = query.where(Charger.name == rows[0].name)
    found: dict[str, int] = {name: seq for name, seq in db.execute(query)}
    for row in rows:
        epoch = row.status.get("epoch", 0)
        if epoch not in (0, row.epoch):
            stream = db.get(Stream, (row.name, epoch))
            found[row.name] = stream.committed_seq if stream is not None else 0
    return found


def find(db: Db, row: Charger) -> Gap | None:
    """One charger's."""
    return of(row, committed(db, [row]).get(row.name, 0))


def every(engine: Engine) -> list[Gap]:
    """All chargers', by name."""
    with Db(engine) as db:
        rows = list(db.scalars(select(Charger).order_by(Charger.name)))
        here = committed(db, rows)
        found = [of(row, here.get(row.name, 0)) for row in rows]
        return [gap for gap in found if gap is not None]


def said(db: Db, stream: Stream) -> str:
    """What is missing of a flash, by its charger's newest status; "" when that says nothing."""
    row = db.get_one(Charger, stream.charger)
    gap = of(row, stream.committed_seq) if row.status.get("epoch") == stream.epoch else None
    return gap.text if gap is not None else ""


def closed(db: Db, charger: str, epoch: int, committed_seq: int) -> None:
    """What was missing up to here is missing no more."""
    db.execute(
        update(Problem)
        .where(Problem.charger == charger, Problem.epoch == epoch, Problem.open,
               Problem.code == "gap", Problem.seq <= committed_seq)
        .values(open=False)
    )  # fmt: skip


def give_up(
    engine: Engine, ingest: Ingest, charger: str, through: int, by: str, note: str, now_ms: int
) -> Ack:
    """An operator's word that the records up to `through`, as shown, will not come: what came
    early is taken, the numbers of documents go on behind what may have been given. The answer is
    to be sent: the charger then repeats what it has. Raises GapError."""
    note = note.strip()
    if not 3 <= len(note) <= 200:
        raise GapError("please say in 3 to 200 characters why")
    with writing(engine) as db:
        known = db.scalar(select(Charger.name).where(Charger.name == charger))
        if known is None:
            raise NoCharger("there is no such charger")
        row = locked_chargers(db, [charger])[charger]
        gap = find(db, row)
        _check(db, row, gap, through)
        assert gap is not None
        stream = _stream(db, row, gap.epoch, now_ms)
        skipped = issue.skip(db, charger, gap.acked - stream.committed_seq)
        open_before = _open(db, row.name, gap.epoch)
        here = ingest.go_on_behind(db, stream, through)
        closed(db, charger, gap.epoch, stream.committed_seq)
        detail = _said(gap, here, open_before, skipped)
        facts = {
            "first": gap.first, "last": through, "sessions": open_before, "skipped": skipped,
        }  # fmt: skip
        db.add(Problem(
            charger=charger, epoch=gap.epoch, seq=through, code=GIVEN_UP,
            detail=f"{detail} ({by}: {note})"[:500], payload=json.dumps(facts), at=now_ms,
        ))  # fmt: skip
        audit.note(db, now_ms, by, "records given up", charger, f"{detail}: {note}")
        return copies.ack(db, charger, gap.epoch, stream.committed_seq, True)


def _check(db: Db, row: Charger, gap: Gap | None, through: int) -> None:
    """Raises GapError when nothing, or something else than was shown, is to be given up."""
    if gap is None or not gap.lost:
        raise GapError("nothing is lost")
    if gap.last != through:
        raise GapError(f"it has changed meanwhile: {gap.text}")
    if gap.acked - gap.first >= MOST:
        raise GapError(f"a charger does not write {gap.acked - gap.first + 1} records")
    stream = db.get(Stream, (row.name, gap.epoch))
    if stream is not None and copies.doubt_of(db, stream):
        raise GapError("its records are in conflict with those here; that is to be cleared first")


def _stream(db: Db, row: Charger, epoch: int, now_ms: int) -> Stream:
    """The stream of the flash in use, made where the backup is of before it."""
    stream = db.get(Stream, (row.name, epoch))
    if stream is None:
        stream = Stream(charger=row.name, epoch=epoch, committed_seq=0, first_at=now_ms)
        db.add(stream)
        if row.epoch:
            problems.report_replaced(db, [(row.name, row.epoch, epoch)], now_ms)
    row.epoch = epoch
    return stream


def _open(db: Db, charger: str, epoch: int) -> list[int]:
    query = select(Session.sess).where(
        Session.charger == charger, Session.epoch == epoch, Session.state.not_in(_ENDED)
    )
    return list(db.scalars(query.order_by(Session.sess).limit(_NAMED)))


def _said(gap: Gap, here: int, open_before: list[int], skipped: dict[str, int]) -> str:
    text = f"{span(gap.first, gap.last)} given up"
    if here:
        text += f", but {here} of them that had come early"
    if open_before:
        cut = ", ".join(map(str, open_before))
        text += f"; left open before it: session{'s' * (len(open_before) > 1)} {cut}"
    return text + f"; {skipped['count']} numbers of documents are left out"


def given_up(db: Db, charger: str) -> list[dict[str, Any]]:
    """What was given up of a charger, newest first, also when its problem was closed: at, detail,
    `sessions`: the first and the last that are not in the books, or not whole; None when unknown.
    """
    rows = db.scalars(
        select(Problem)
        .where(Problem.charger == charger, Problem.code == GIVEN_UP)
        .order_by(Problem.id.desc())
    )
    return [{"at": row.at, "detail": row.detail, "sessions": _between(db, row)} for row in rows]


def _between(db: Db, row: Problem) -> tuple[int, int] | None:
    """Sessions that began in the gap: those between the last that is here from before it and the
    first from behind it, for a charger numbers them one by one."""
    facts = facts_of(row)
    before = _opening(db, row, Record.seq < facts.get("first", 0), newest=True)
    behind = _opening(db, row, Record.seq > facts.get("last", 0), newest=False)
    if behind is None or behind - (before or 0) < 2:
        return None
    return (before or 0) + 1, behind - 1


def _opening(db: Db, row: Problem, where: Any, newest: bool) -> int | None:
    order = Record.seq.desc() if newest else Record.seq
    found = db.scalars(
        select(Record.payload)
        .where(Record.charger == row.charger, Record.epoch == row.epoch,
               Record.type == "hold_asked", where)
        .order_by(order)
    ).first()  # fmt: skip
    return int(found["sess"]) if found else None


def facts_of(row: Problem) -> dict[str, Any]:
    """The numbers in such a problem; {} where it has none (of an earlier version)."""
    try:
        found = json.loads(row.payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

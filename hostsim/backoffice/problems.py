"""What cannot be taken as it came, kept for an operator: one open row per problem, the same one
again is counted; what comes after somebody closed it is a new row. Whoever holds a charger's
certificate may make up as many flashes, records and values as he likes: a charger's flashes have
one open row, a flash's conflicts and gaps one each, and malformed messages one a field; an alarm
of each start has one for what it says, a session that cannot be booked one.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import copies, ingest_texts
from hostsim.backoffice.models import Charger, Problem, Stream

_LONGEST = 500
_LONGEST_PAYLOAD = 2000
_TOLD = 4  # replaced flashes of one batch
_OF_CHARGER = ("new_epoch", "old_epoch")
_OF_FLASH = ("conflict", "gap")
_AT_EACH_START = "ledger_damaged: "
"""An alarm that a charger raises whenever it starts, while that lasts."""
UNBOOKED = "unbooked"
"""Code of what is wrong with a session as a whole (lost.py)."""
_NEWEST = (*_OF_FLASH, "malformed", UNBOOKED)
"""What their rows say is of the newest."""


def report(
    db: Db, charger: str, code: str, detail: str, at: int,
    epoch: int = 0, seq: int = 0, payload: bytes = b"", about: str = "", first: bool = False,
) -> None:  # fmt: skip
    """One open row per problem; the same one again is counted. `about`: what `detail` begins with
    before a colon or a full stop, for messages and sessions of which there is one row; `first`:
    what that says already stays."""
    problem = _same(db, _query(charger, code, about or detail, epoch, seq))
    shown = payload[:_LONGEST_PAYLOAD].decode(errors="replace")
    if problem is not None:
        problem.count += 1
        problem.at = at
        problem.epoch = epoch
        if first:
            return
        if code in _NEWEST or detail.startswith(_AT_EACH_START):
            problem.seq, problem.detail = seq, detail[:_LONGEST]
            problem.payload = shown or problem.payload
        return
    db.add(
        Problem(
            charger=charger[:64], epoch=epoch, seq=seq, code=code, detail=detail[:_LONGEST],
            payload=shown, at=at,
        )
    )  # fmt: skip


def report_replaced(db: Db, replaced: Iterable[tuple[str, int, int]], at: int) -> None:
    """A batch's (charger, old epoch, new epoch): each charger's open row counts all, and tells of
    those that left sessions open before the others."""
    chargers: dict[str, list[tuple[int, int]]] = {}
    for name, old, new in replaced:
        chargers.setdefault(name, []).append((old, new))
    for name, flashes in chargers.items():
        epoch = flashes[-1][1]
        # the oldest too: its sessions were in the books before this batch
        last = flashes[:0:-1][: _TOLD - 1] + flashes[:1]
        told = [ingest_texts.replaced(db, name, old) for old, _ in last]
        problem = _same(db, _query(name, "new_epoch", "", epoch, 0))
        if problem is None:
            problem = Problem(
                charger=name, epoch=epoch, code="new_epoch", detail="", at=at, count=0
            )
            db.add(problem)
        problem.count += len(flashes)
        problem.at = at
        problem.epoch = epoch
        problem.detail = ingest_texts.flashes(problem.count, told, problem.detail)[:_LONGEST]


def lasting(db: Db, rows: Iterable[Problem]) -> set[int]:
    """Ids of the conflicts and gaps that go on: nothing is taken from that flash meanwhile."""
    found = set()
    for one in rows:
        if one.code not in _OF_FLASH:
            continue
        stream = db.get(Stream, (one.charger, one.epoch))
        if stream is None:  # its records were acknowledged by another database
            row = db.get(Charger, one.charger)
            status = row.status if row is not None else {}
            missing = status.get("epoch") == one.epoch and status.get("acked_seq", 0) >= one.seq
            lasts = one.code == "gap" and missing
        elif one.code == "gap":
            lasts = stream.committed_seq < one.seq
        else:
            lasts = copies.doubt_of(db, stream) > 0
        if lasts:
            found.add(one.id)
    return found


def _query(charger: str, code: str, about: str, epoch: int, seq: int) -> Select[Problem]:
    """The open row that this belongs to."""
    query = select(Problem).where(
        Problem.open, Problem.charger == charger[:64], Problem.code == code
    )
    if code in _OF_CHARGER:
        return query
    query = query.where(Problem.epoch == epoch)
    if code in ("malformed", UNBOOKED):
        same = [Problem.detail == about[:_LONGEST]]
        same += [Problem.detail.startswith(about + end, autoescape=True) for end in ":."]
        return query.where(or_(*same))
    if code == "alarm" and about.startswith(_AT_EACH_START):
        return query.where(Problem.detail == about[:_LONGEST])
    return query if code in _OF_FLASH else query.where(Problem.seq == seq)


def _same(db: Db, query: Select[Problem]) -> Problem | None:
    db.flush()
    return db.scalars(query.limit(1)).first()

"""What cannot be taken as it came, kept for an operator: one row per problem, the same one again
is counted. A charger's flashes have one open row, however many of them come: whoever holds a
charger's certificate may make up as many as he likes.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import ingest_texts
from hostsim.backoffice.models import Problem

_LONGEST = 500
_LONGEST_PAYLOAD = 2000
_TOLD = 4  # replaced flashes of one batch


def report(
    db: Db, charger: str, code: str, detail: str, at: int,
    epoch: int = 0, seq: int = 0, payload: bytes = b"",
) -> None:  # fmt: skip
    """One row per problem; the same one again is counted."""
    problem = _same(db, _query(charger, code, detail, epoch, seq))
    if problem is not None:
        problem.count += 1
        problem.at = at
        problem.epoch = epoch
        return
    shown = payload[:_LONGEST_PAYLOAD].decode(errors="replace")
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


def _query(charger: str, code: str, detail: str, epoch: int, seq: int) -> Select[Problem]:
    query = select(Problem).where(Problem.charger == charger[:64], Problem.code == code)
    if code in ("new_epoch", "old_epoch"):  # of one flash, whatever became of it; else the open
        return query.where(or_(Problem.epoch == epoch, Problem.open)).order_by(Problem.open)
    query = query.where(Problem.epoch == epoch, Problem.seq == seq)
    if code == "malformed":
        query = query.where(Problem.detail == detail[:_LONGEST])
    return query


def _same(db: Db, query: Select[Problem]) -> Problem | None:
    db.flush()
    return db.scalars(query.limit(1)).first()

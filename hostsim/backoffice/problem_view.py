"""Problems as pages and commands show them: what to do, whether it goes on, whose and of which
session it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import problems, todo
from hostsim.backoffice.at_hand import among
from hostsim.backoffice.models import Charger, Problem, Record, Session
from hostsim.backoffice.pay_tables import Pay

_FIELDS = ("id", "charger", "epoch", "seq", "code", "detail", "payload", "at", "count", "open")
_PAYMENT = "payment "  # what a gateway's alarm has as its payload, and then the reference
_AT_ONCE = 200  # rows whose sessions are asked for in one query


def dicts(db: Db, rows: Sequence[Problem]) -> list[dict[str, Any]]:
    """A Problem's fields, and `todo`: what to do; `lasts`: what comes is refused meanwhile;
    `session`: id, 0 where none is known; `known`: the charger has a page."""
    lasting = problems.lasting(db, rows)
    names = {row.charger for row in rows}
    known = set(db.scalars(select(Charger.name).where(Charger.name.in_(names))))
    sessions: dict[int, int] = {}
    for at in range(0, len(rows), _AT_ONCE):
        sessions |= _of_records(db, rows[at : at + _AT_ONCE])
        sessions |= _of_payments(db, rows[at : at + _AT_ONCE])
    return [
        {name: getattr(row, name) for name in _FIELDS}
        | {"todo": todo.of(row.code, row.detail), "lasts": row.id in lasting,
           "session": sessions.get(row.id, 0), "known": row.charger in known}
        for row in rows
    ]  # fmt: skip


def _of_records(db: Db, rows: Sequence[Problem]) -> dict[int, int]:
    """Id of a problem -> id of the session its record is about."""
    places = [(row.charger, row.epoch, row.seq) for row in rows if row.seq]
    if not places:
        return {}
    query = select(Record).where(among(db, (Record.charger, Record.epoch, Record.seq), places))
    about: dict[Any, Any] = {
        (r.charger, r.epoch, r.seq): r.payload.get("sess") for r in db.scalars(query)
    }
    keys = {(*place[:2], sess) for place, sess in about.items() if isinstance(sess, int)}
    if not keys:
        return {}
    key = among(db, (Session.charger, Session.epoch, Session.sess), sorted(keys))
    ids: dict[Any, int] = {
        (s.charger, s.epoch, s.sess): s.id for s in db.scalars(select(Session).where(key))
    }
    found = {}
    for row in rows:
        sess = about.get((row.charger, row.epoch, row.seq))
        found[row.id] = ids.get((row.charger, row.epoch, sess), 0)
    return {identity: session for identity, session in found.items() if session}


def _of_payments(db: Db, rows: Sequence[Problem]) -> dict[int, int]:
    told = {row.id: row.payload.removeprefix(_PAYMENT) for row in rows
            if row.payload.startswith(_PAYMENT)}  # fmt: skip
    if not told:
        return {}
    query = select(Pay.reference, Pay.session_id).where(Pay.reference.in_(told.values()))
    sessions = {reference: session for reference, session in db.execute(query) if session}
    return {row: sessions[name] for row, name in told.items() if name in sessions}

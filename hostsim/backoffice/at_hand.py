"""Rows that a batch of messages needs, asked for at once: a query for all its chargers costs a
database about what one for a single charger does. Kept until the transaction ends, for SQLAlchemy
itself forgets what nobody holds.

Several processes take batches of the same chargers. Each first makes the chargers that are new,
then locks all in the order of their names, then reads: none waits for one that waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, cast, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Charger, Record, Stream

Key = TypeVar("Key")
_AT_ONCE = 500  # names or keys in one query


class AtHand:
    """Of the batch of one transaction."""

    def __init__(self, db: Db, keys: Iterable[tuple[str, int]]) -> None:
        """The streams of these keys (charger, epoch) and the records that wait in them, with their
        chargers. A charger's other streams are left alone, for it may have any number of them."""
        wanted = sorted(set(keys))
        self._db = db
        self.chargers = locked_chargers(db, sorted({name for name, _ in wanted}))
        self.streams: dict[tuple[str, int], Stream] = {}
        self.replaced: list[tuple[str, int, int]] = []  # name, old epoch, new one
        self._early: dict[tuple[str, int], dict[int, Record]] = {}
        same = (Stream.charger == Record.charger) & (Stream.epoch == Record.epoch)
        for part in parts(wanted):
            these = among(db, (Stream.charger, Stream.epoch), part)
            for stream in db.scalars(select(Stream).where(these)):
                self.streams[stream.charger, stream.epoch] = stream
            early = select(Record).join(Stream, same).where(these)
            for record in db.scalars(early.where(Record.seq > Stream.committed_seq)):
                self._early.setdefault((record.charger, record.epoch), {})[record.seq] = record

    def waiting(self, stream: Stream) -> dict[int, Record]:
        """Records of a stream that came early, by number."""
        return dict(self._early.get((stream.charger, stream.epoch), {}))

    def committed(self, stream: Stream, numbers: list[int]) -> dict[int, Record]:
        """Those of these numbers that are in the books."""
        old = [seq for seq in numbers if seq <= stream.committed_seq]
        if not old:
            return {}
        query = select(Record).where(
            Record.charger == stream.charger, Record.epoch == stream.epoch, Record.seq.in_(old)
        )
        return {record.seq: record for record in self._db.scalars(query)}


def parts(keys: list[Key]) -> Iterable[list[Key]]:
    """As many as go into one query."""
    for at in range(0, len(keys), _AT_ONCE):
        yield keys[at : at + _AT_ONCE]


def among(
    db: Db, columns: Sequence[Any], keys: Sequence[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """Whether these columns are one of these keys, by their index. SQLite before 3.41 reads the
    whole table for `IN (VALUES ...)` of several rows, but takes the index for a query in that
    place whose columns have the types of these."""
    if db.get_bind().dialect.name != "sqlite":
        return tuple_(*columns).in_(keys)
    each = func.json_each(json.dumps(keys)).table_valued("value")
    key = [
        cast(func.json_extract(each.c.value, f"$[{place}]"), column.type)
        for place, column in enumerate(columns)
    ]
    return tuple_(*columns).in_(select(*key))


def locked_chargers(db: Db, names: list[str]) -> dict[str, Charger]:
    """The chargers' rows by name, made where they are new; others who take their records wait
    until this transaction ends (PostgreSQL; SQLite has one writer anyway). `names` in order."""
    found: dict[str, Charger] = {}
    for part in parts(names):
        known = set(db.scalars(select(Charger.name).where(Charger.name.in_(part))))
        _make(db, [name for name in part if name not in known])
    for part in parts(names):
        query = select(Charger).where(Charger.name.in_(part)).order_by(Charger.name)
        query = query.with_for_update().execution_options(populate_existing=True)
        found |= {charger.name: charger for charger in db.scalars(query)}
    return found


def known_charger(db: Db, name: str) -> Charger:
    """The charger's row, made when it is new."""
    charger = db.get(Charger, name)
    if charger is None:
        _make(db, [name])
        charger = db.get_one(Charger, name)
    return charger


def _make(db: Db, names: list[str]) -> None:
    """Another process may make them at this very moment."""
    if names:
        make = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
        rows = [{"name": name, "status": {}, "figures": {}} for name in names]
        db.flush()
        db.execute(make(Charger).values(rows).on_conflict_do_nothing())

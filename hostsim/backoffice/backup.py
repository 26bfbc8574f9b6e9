"""Backup and restore: every row of every table in one file that no database program is needed for.

The file is gzip; a line of JSON first (format, schema version), then a line a row, [table,
values], and last the number of rows and the SHA-256 of all lines before. It is written from one
snapshot while the back office works, and restores into SQLite or PostgreSQL alike, only into an
empty database and whole or not at all. It holds password hashes and card references: keep it as
you keep the database.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, text

from hostsim.backoffice import schema, tables
from hostsim.backoffice.models import Base

FORMAT = "forecourt-backup-1"
_BATCH = 1000
_LEFT_OUT = (tables.Login.__tablename__,)  # nobody stays logged in over a restore


class BackupError(ValueError):
    """A backup cannot be written or restored; str() says why."""


def backup(engine: Engine, path: Path) -> int:
    """Writes the file, first beside it, then in its place; how many rows."""
    part = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    count = 0
    with _snapshot(engine) as connection, gzip.open(part, "wb", compresslevel=6) as out:

        def put(value: Any) -> None:
            line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            digest.update(line)
            out.write(line)

        put({"format": FORMAT, "version": schema.NEWEST})
        for table in _tables():
            query = select(table).order_by(*table.primary_key)
            result = connection.execution_options(yield_per=_BATCH).execute(query)
            for row in result:
                put([table.name, list(row)])
                count += 1
        end = {"rows": count, "sha256": digest.hexdigest()}
        out.write(json.dumps(end).encode() + b"\n")
    part.replace(path)
    return count


def restore(engine: Engine, path: Path) -> int:
    """Reads a file into an empty database; how many rows. Raises BackupError, and has changed
    nothing then."""
    known = {table.name: table for table in _tables()}
    with engine.begin() as connection:
        for table in known.values():
            if connection.scalar(select(func.count()).select_from(table)):
                raise BackupError(f"the database is not empty: {table.name} has rows")
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        count = 0
        waiting: list[dict[str, Any]] = []
        at = ""
        for name, values in _rows(path):
            if name not in known:
                raise BackupError(f"{path.name}: has the table {name[:40]}, which is not known")
            if waiting and (name != at or len(waiting) >= _BATCH):
                connection.execute(insert(known[at]), waiting)
                waiting = []
            at = name
            columns = [column.name for column in known[name].columns]
            if len(values) != len(columns):
                raise BackupError(f"{path.name}: a row of {name} has {len(values)} values")
            waiting.append(dict(zip(columns, values, strict=True)))
            count += 1
        if waiting:
            connection.execute(insert(known[at]), waiting)
        if engine.dialect.name == "postgresql":
            _count_on(connection, list(known.values()))
    return count


def _tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name not in _LEFT_OUT]


def _snapshot(engine: Engine) -> Connection:
    connection = engine.connect()
    if engine.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    connection.execute(text("BEGIN"))
    return connection


def _rows(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """The rows, checked: the last line's count and hash are those of the lines before it."""
    digest = hashlib.sha256()
    count = 0
    last: dict[str, Any] | None = None
    try:
        with gzip.open(path, "rb") as source:
            head = source.readline()
            first = json.loads(head)
            if not isinstance(first, dict) or first.get("format") != FORMAT:
                raise BackupError(f"{path.name}: is not a backup")
            if first.get("version") != schema.NEWEST:
                raise BackupError(
                    f"{path.name}: is of version {first.get('version')}, this is {schema.NEWEST}"
                )
            digest.update(head)
            for line in source:
                value = json.loads(line)
                if isinstance(value, dict):
                    last = value
                    break
                digest.update(line)
                count += 1
                yield str(value[0]), list(value[1])
    except (OSError, EOFError, ValueError) as exc:
        if isinstance(exc, BackupError):
            raise
        raise BackupError(f"{path.name}: cannot be read to its end ({exc})") from exc
    if last != {"rows": count, "sha256": digest.hexdigest()}:
        raise BackupError(f"{path.name}: is not whole, or was changed")


def _count_on(connection: Connection, all_tables: list[Table]) -> None:
    """PostgreSQL's own counters go on behind the restored ids."""
    for table in all_tables:
        if "id" in table.columns and table.columns["id"].autoincrement is not False:
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name}
            )
            if sequence:
                connection.execute(
                    text(
                        f"SELECT setval('{sequence}', COALESCE((SELECT MAX(id) FROM"
                        f" {table.name}), 1))"
                    )
                )

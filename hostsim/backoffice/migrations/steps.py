"""What migrations are made of: each step is left out where it was done before, for databases
of the weeks before there were versions have some of the tables already."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def new_table(name: str, *parts: Any) -> None:
    """CREATE TABLE"""
    if name not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table(name, *parts)


def new_index(name: str, table: str, columns: list[str]) -> None:
    """CREATE INDEX"""
    there = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
    if name not in there:
        op.create_index(name, table, columns)


def new_column(table: str, column: sa.Column[Any]) -> None:
    """ALTER TABLE ADD COLUMN; the column's server_default fills the rows that are there."""
    there = {one["name"] for one in sa.inspect(op.get_bind()).get_columns(table)}
    if column.name not in there:
        op.add_column(table, column)


def note_what_is_there() -> None:
    """What was settled before there were invoices and sums gets both: notes for BackOffice and
    reports.roll. Refunds have their new words for their states."""
    for old, new in (("refunded", "done"), ("asked", "approved")):
        op.execute(f"UPDATE refunds SET state = '{new}' WHERE state = '{old}'")
    op.execute("DELETE FROM stat_todo")
    for table in ("stat_days", "stat_hours", "stat_vat", "stat_reasons"):
        op.execute(f"DELETE FROM {table}")
    op.execute(
        "INSERT INTO stat_todo (kind, ref) SELECT 'session', id FROM sessions"
        " WHERE state IN ('captured', 'cancelled', 'declined')"
    )
    op.execute(
        "INSERT INTO stat_todo (kind, ref) SELECT 'refund', id FROM refunds WHERE state = 'done'"
    )
    op.execute(
        "INSERT INTO stat_todo (kind, ref) SELECT 'unbilled', s.id FROM sessions s"
        " WHERE s.state = 'captured' AND s.receipt_no > 0"
        " AND NOT EXISTS (SELECT 1 FROM invoices i WHERE i.session_id = s.id) ORDER BY s.id"
    )


def count_again() -> None:
    """The sums of reports are forgotten; notes for reports.roll make them again."""
    op.execute("DELETE FROM stat_todo WHERE kind IN ('session', 'refund', 'bill')")
    for table in ("stat_days", "stat_hours", "stat_vat", "stat_reasons"):
        op.execute(f"DELETE FROM {table}")
    for query in (
        "'session', id FROM sessions WHERE state IN ('captured', 'cancelled', 'declined')",
        "'refund', id FROM refunds WHERE state = 'done'",
        "'bill', CAST(SUBSTR(number, 3) AS INTEGER) FROM bills",
    ):
        op.execute(f"INSERT INTO stat_todo (kind, ref) SELECT {query}")

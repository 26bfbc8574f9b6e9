"""The VAT per rate as the charger said it (`priced` version 2); passwords that must be changed; an
end of day's currency; stays counted on the days they were on, and by tariff; reasons by charger
and tariff; where the chain of monthly invoices ends. The sums are made again from the books.
"""

import sqlalchemy as sa
from alembic import op

from hostsim.backoffice.migrations import steps

revision = "0010"
down_revision = "0009"

_CURRENCY = """
UPDATE ends_of_day SET currency = COALESCE((
    SELECT s.currency FROM sessions s
    WHERE s.charger = ends_of_day.charger AND s.currency <> '' AND {which}
    ORDER BY s.id DESC LIMIT 1
), '') WHERE currency = ''
"""


def upgrade() -> None:
    """Up to this version."""
    steps.new_column("sessions", sa.Column("vat", sa.JSON(), nullable=False, server_default="[]"))
    steps.new_column(
        "people",
        sa.Column("must_change", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    steps.new_column(
        "ends_of_day", sa.Column("currency", sa.String(3), nullable=False, server_default="")
    )
    for which in ("s.opened_at <= ends_of_day.at", "s.opened_at > ends_of_day.at"):
        op.execute(_CURRENCY.format(which=which))
    for table in ("stat_hours", "stat_reasons"):
        op.drop_table(table)
    steps.new_table(
        "stat_hours",
        _key("day"), _key("hour"), _word("tariff", 36), _word("currency", 3),
        *(sa.Column(name, steps.BIG, nullable=False) for name in
          ("occupied_ms", "charging_ms", "starts")),
        sa.PrimaryKeyConstraint("day", "hour", "tariff", "currency"),
    )  # fmt: skip
    steps.new_table(
        "stat_reasons",
        _key("day"), _word("charger", 32), _word("tariff", 36), _word("kind", 8),
        _word("reason", 80), _word("currency", 3),
        *(sa.Column(name, steps.BIG, nullable=False) for name in ("count", "amount_minor")),
        sa.PrimaryKeyConstraint("day", "charger", "tariff", "kind", "reason", "currency"),
    )  # fmt: skip
    steps.new_index("ix_stat_reasons_charger", "stat_reasons", ["charger", "day"])
    steps.new_table(
        "bill_chain", _key("id"), sa.Column("position", steps.BIG, nullable=False),
        _word("head", 64), sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    op.execute(
        "INSERT INTO bill_chain (id, position, head) SELECT 1, CAST(SUBSTR(number, 3) AS INTEGER),"
        " hash FROM bills ORDER BY number DESC LIMIT 1"
    )
    steps.count_again()


def _key(name: str) -> "sa.Column[int]":
    return sa.Column(name, steps.BIG, autoincrement=False, nullable=False)


def _word(name: str, most: int) -> "sa.Column[str]":
    return sa.Column(name, sa.String(most), nullable=False)

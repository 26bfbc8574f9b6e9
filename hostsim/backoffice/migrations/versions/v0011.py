"""Indexes for what is looked for all the time and is little of much: commands without an answer,
open problems, ends of day that differ or prove nothing, the newest orders. None of orders by state
any more: nearly all have the same, and SQLite preferred it to the session's.
"""

import sqlalchemy as sa
from alembic import op

from hostsim.backoffice.migrations import steps

revision = "0011"
down_revision = "0010"

_DIFFERS = sa.text("terminal_minor != ledger_minor OR ledger_minor != books_minor")


def upgrade() -> None:
    """Up to this version."""
    steps.new_index("ix_commands_state", "commands", ["state"])
    steps.new_index("ix_problems_open", "problems", ["open", "code"])
    steps.new_index("ix_refund_orders_requested_at", "refund_orders", ["requested_at"])
    steps.new_index("ix_ends_of_day_result", "ends_of_day", ["result"])
    op.drop_index("ix_refund_orders_state", "refund_orders")
    op.create_index(
        "ix_ends_of_day_differ", "ends_of_day", ["id"], sqlite_where=_DIFFERS,
        postgresql_where=_DIFFERS,
    )  # fmt: skip

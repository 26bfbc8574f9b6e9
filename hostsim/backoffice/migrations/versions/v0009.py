"""Lines of a bill that an order gives back; a dispute's form; troubles that finance closed."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Up to this version."""
    steps.new_column(
        "refund_orders", sa.Column("lines", sa.JSON(), nullable=False, server_default="[]")
    )
    steps.new_column(
        "disputes", sa.Column("once", sa.String(36), nullable=False, server_default="")
    )
    steps.new_table(
        "closed_troubles",
        sa.Column("code", sa.String(40), primary_key=True),
        sa.Column("ref", sa.String(64), primary_key=True),
        sa.Column("mark", steps.BIG, primary_key=True, autoincrement=False),
        sa.Column("at", steps.BIG, nullable=False),
        sa.Column("person", sa.String(40), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
    )

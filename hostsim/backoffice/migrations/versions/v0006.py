"""Monthly invoices of accounts, and the accounts' terms."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Up to this version."""
    steps.new_table(
        "bills",
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("month", steps.BIG, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", steps.BIG, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("issued_at", steps.BIG, nullable=False),
        sa.Column("due_at", steps.BIG, nullable=False),
        sa.Column("paid_at", steps.BIG, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    steps.new_index("ix_bills_account", "bills", ["account"])
    steps.new_index("ix_bills_state", "bills", ["state"])
    steps.new_table(
        "bill_items",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("ref", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("bill", sa.String(length=16), nullable=False),
        sa.Column("position", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("kind", "ref"),
        sa.UniqueConstraint("bill", "position"),
    )
    steps.new_index("ix_bill_items_bill", "bill_items", ["bill"])
    steps.new_table(
        "account_terms",
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("limit_minor", steps.BIG, nullable=False),
        sa.Column("pay_days", steps.BIG, nullable=False),
        sa.Column("blocked", sa.String(length=8), nullable=False),
        sa.Column("look", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )

"""Members: accounts, their cards and tariffs, and the list that chargers get."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Up to this version."""
    steps.new_table(
        "members",
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("email", sa.String(length=120), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("vat_id", sa.String(length=32), nullable=False),
        sa.Column("tariff", sa.String(length=36), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
    steps.new_table(
        "member_cards",
        sa.Column("uid_hash", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=40), nullable=False),
        sa.Column("expires_at", steps.BIG, nullable=False),
        sa.Column("revoked_at", steps.BIG, nullable=False),
        sa.Column("added_at", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(["account"], ["members.account"]),
        sa.PrimaryKeyConstraint("uid_hash"),
    )
    steps.new_index("ix_member_cards_account", "member_cards", ["account"])
    steps.new_table(
        "member_tariffs",
        sa.Column("name", sa.String(length=36), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("crc", steps.BIG, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("changed_at", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.new_table(
        "member_list",
        sa.Column("id", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("version", steps.BIG, nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )

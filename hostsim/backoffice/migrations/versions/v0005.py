"""Pay by phone: payments at a gateway, their refunds, the events that were heard."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Up to this version."""
    steps.new_table(
        "pays",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("page", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("connector", steps.BIG, nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("amount_minor", steps.BIG, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("method", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("email", sa.String(length=120), nullable=False),
        sa.Column("why", sa.String(length=24), nullable=False),
        sa.Column("fault", sa.String(length=200), nullable=False),
        sa.Column("attempt", steps.BIG, nullable=False),
        sa.Column("tries", steps.BIG, nullable=False),
        sa.Column("next_at", steps.BIG, nullable=False),
        sa.Column("alarmed", sa.Boolean(), nullable=False),
        sa.Column("back", sa.String(length=300), nullable=False),
        sa.Column("command", sa.String(length=36), nullable=False),
        sa.Column("session_id", steps.BIG, nullable=False),
        sa.Column("capture_minor", steps.BIG, nullable=False),
        sa.Column("captured_minor", steps.BIG, nullable=False),
        sa.Column("released_minor", steps.BIG, nullable=False),
        sa.Column("refunded_minor", steps.BIG, nullable=False),
        sa.Column("created_at", steps.BIG, nullable=False),
        sa.Column("asked_at", steps.BIG, nullable=False),
        sa.Column("held_at", steps.BIG, nullable=False),
        sa.Column("hold_until", steps.BIG, nullable=False),
        sa.Column("settled_at", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("page"),
        sa.UniqueConstraint("code"),
    )
    steps.new_index("ix_pays_charger", "pays", ["charger"])
    steps.new_index("ix_pays_created_at", "pays", ["created_at"])
    steps.new_index("ix_pays_due", "pays", ["state", "next_at"])
    steps.new_index("ix_pays_reference", "pays", ["reference"])
    steps.new_index("ix_pays_session_id", "pays", ["session_id"])
    steps.new_table(
        "pay_refunds",
        sa.Column("refund", sa.String(length=36), nullable=False),
        sa.Column("session_id", steps.BIG, nullable=False),
        sa.Column("payment", sa.String(length=64), nullable=False),
        sa.Column("amount_minor", steps.BIG, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("fault", sa.String(length=200), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("look", sa.Boolean(), nullable=False),
        sa.Column("tries", steps.BIG, nullable=False),
        sa.Column("next_at", steps.BIG, nullable=False),
        sa.Column("asked_at", steps.BIG, nullable=False),
        sa.Column("done_at", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("refund"),
    )
    steps.new_index("ix_pay_refunds_payment", "pay_refunds", ["payment"])
    steps.new_index("ix_pay_refunds_session_id", "pay_refunds", ["session_id"])
    steps.new_index("ix_pay_refunds_state", "pay_refunds", ["state"])
    steps.new_table(
        "pay_events",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("payment", sa.String(length=64), nullable=False),
        sa.Column("at", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    steps.new_index("ix_pay_events_at", "pay_events", ["at"])

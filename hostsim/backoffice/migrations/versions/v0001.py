"""The first floor: records, books, commands."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Up to this version."""
    steps.new_table(
        "chargers",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("epoch", steps.BIG, nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("seen_at", steps.BIG, nullable=False),
        sa.Column("command_counter", steps.BIG, nullable=False),
        sa.Column("status", sa.JSON(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.new_table(
        "problems",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("charger", sa.String(length=64), nullable=False),
        sa.Column("epoch", steps.BIG, nullable=False),
        sa.Column("seq", steps.BIG, nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("at", steps.BIG, nullable=False),
        sa.Column("count", steps.BIG, nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_index("ix_problems_charger", "problems", ["charger"])
    steps.new_table(
        "commands",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("counter", steps.BIG, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("expires_at", steps.BIG, nullable=False),
        sa.Column("sent_at", steps.BIG, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_index("ix_commands_charger", "commands", ["charger"])
    steps.new_table(
        "records",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("epoch", steps.BIG, nullable=False),
        sa.Column("seq", steps.BIG, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("version", steps.BIG, nullable=False),
        sa.Column("at", steps.BIG, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("received_at", steps.BIG, nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("charger", "epoch", "seq"),
    )
    steps.new_table(
        "retained",
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=8), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.PrimaryKeyConstraint("charger", "name"),
    )
    steps.new_table(
        "sessions",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("epoch", steps.BIG, nullable=False),
        sa.Column("sess", steps.BIG, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("opened_at", steps.BIG, nullable=False),
        sa.Column("connector", steps.BIG, nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("uid_hash", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("tariff", sa.String(), nullable=False),
        sa.Column("tariff_crc", steps.BIG, nullable=False),
        sa.Column("meter_serial", sa.String(), nullable=False),
        sa.Column("energised_at", steps.BIG, nullable=False),
        sa.Column("start_at", steps.BIG, nullable=False),
        sa.Column("end_at", steps.BIG, nullable=False),
        sa.Column("elapsed_ms", steps.BIG, nullable=False),
        sa.Column("start_wh", steps.BIG, nullable=False),
        sa.Column("end_wh", steps.BIG, nullable=False),
        sa.Column("billed_wh", steps.BIG, nullable=False),
        sa.Column("receipt_no", steps.BIG, nullable=False),
        sa.Column("total_minor", steps.BIG, nullable=False),
        sa.Column("net_minor", steps.BIG, nullable=False),
        sa.Column("vat_minor", steps.BIG, nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("stop_reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("charger", "epoch", "sess"),
    )
    steps.new_index("ix_sessions_charger", "sessions", ["charger"])
    steps.new_index("ix_sessions_state", "sessions", ["state"])
    steps.new_table(
        "streams",
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("epoch", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("committed_seq", steps.BIG, nullable=False),
        sa.Column("first_at", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.PrimaryKeyConstraint("charger", "epoch"),
    )
    steps.new_table(
        "payments",
        sa.Column("session_id", steps.BIG, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("hold_minor", steps.BIG, nullable=False),
        sa.Column("authorised_minor", steps.BIG, nullable=False),
        sa.Column("captured_minor", steps.BIG, nullable=False),
        sa.Column("released_minor", steps.BIG, nullable=False),
        sa.Column("receipt", steps.BIG, nullable=False),
        sa.Column("trace", steps.BIG, nullable=False),
        sa.Column("terminal_id", sa.String(), nullable=False),
        sa.Column("vu", sa.String(), nullable=False),
        sa.Column("auth_code", sa.String(), nullable=False),
        sa.Column("pan", sa.String(), nullable=False),
        sa.Column("card", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("failures", steps.BIG, nullable=False),
        sa.Column("code", steps.BIG, nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("authorised_at", steps.BIG, nullable=False),
        sa.Column("settled_at", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("session_id"),
    )
    steps.new_index("ix_payments_state", "payments", ["state"])
    steps.new_table(
        "periods",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("session_id", steps.BIG, nullable=False),
        sa.Column("start_ms", steps.BIG, nullable=False),
        sa.Column("end_ms", steps.BIG, nullable=False),
        sa.Column("energy_mwh", steps.BIG, nullable=False),
        sa.Column("charging_ms", steps.BIG, nullable=False),
        sa.Column("parking_ms", steps.BIG, nullable=False),
        sa.Column("min_ma", steps.BIG, nullable=False),
        sa.Column("max_ma", steps.BIG, nullable=False),
        sa.Column("min_w", steps.BIG, nullable=False),
        sa.Column("max_w", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_index("ix_periods_session_id", "periods", ["session_id"])
    steps.new_table(
        "refunds",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("session_id", steps.BIG, nullable=False),
        sa.Column("charger", sa.String(), nullable=False),
        sa.Column("epoch", steps.BIG, nullable=False),
        sa.Column("refund", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("amount_minor", steps.BIG, nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("receipt", steps.BIG, nullable=False),
        sa.Column("trace", steps.BIG, nullable=False),
        sa.Column("credit_no", steps.BIG, nullable=False),
        sa.Column("code", steps.BIG, nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("asked_at", steps.BIG, nullable=False),
        sa.Column("done_at", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("charger", "epoch", "refund"),
    )
    steps.new_index("ix_refunds_session_id", "refunds", ["session_id"])
    # ### end Alembic commands ###

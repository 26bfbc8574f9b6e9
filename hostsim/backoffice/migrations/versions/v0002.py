"""The desk: documents, people, refund orders, tariffs, sums."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Up to this version."""
    steps.new_table(
        "api_tokens",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("created_at", steps.BIG, nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("last_used_at", steps.BIG, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("token"),
    )
    steps.new_table(
        "audit",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("at", steps.BIG, nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_index("ix_audit_at", "audit", ["at"])
    steps.new_index("ix_audit_subject", "audit", ["subject"])
    steps.new_table(
        "people",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("password", sa.String(length=200), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", steps.BIG, nullable=False),
        sa.Column("last_login_at", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.new_table(
        "stat_days",
        sa.Column("day", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("tariff", sa.String(length=36), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("sessions", steps.BIG, nullable=False),
        sa.Column("declined", steps.BIG, nullable=False),
        sa.Column("cancelled", steps.BIG, nullable=False),
        sa.Column("energy_wh", steps.BIG, nullable=False),
        sa.Column("gross_minor", steps.BIG, nullable=False),
        sa.Column("net_minor", steps.BIG, nullable=False),
        sa.Column("vat_minor", steps.BIG, nullable=False),
        sa.Column("energy_minor", steps.BIG, nullable=False),
        sa.Column("idle_minor", steps.BIG, nullable=False),
        sa.Column("idle_sessions", steps.BIG, nullable=False),
        sa.Column("occupied_ms", steps.BIG, nullable=False),
        sa.Column("charging_ms", steps.BIG, nullable=False),
        sa.Column("refunds", steps.BIG, nullable=False),
        sa.Column("refunded_minor", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("day", "charger", "tariff", "currency"),
    )
    steps.new_index("ix_stat_days_charger", "stat_days", ["charger", "day"])
    steps.new_table(
        "stat_hours",
        sa.Column("day", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("hour", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("occupied_ms", steps.BIG, nullable=False),
        sa.Column("starts", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("day", "hour"),
    )
    steps.new_table(
        "stat_reasons",
        sa.Column("day", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("count", steps.BIG, nullable=False),
        sa.Column("amount_minor", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("day", "kind", "reason", "currency"),
    )
    steps.new_table(
        "stat_todo",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("ref", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_table(
        "stat_vat",
        sa.Column("month", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("vat_e4", steps.BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("documents", steps.BIG, nullable=False),
        sa.Column("net_minor", steps.BIG, nullable=False),
        sa.Column("tax_minor", steps.BIG, nullable=False),
        sa.Column("gross_minor", steps.BIG, nullable=False),
        sa.PrimaryKeyConstraint("month", "currency", "vat_e4", "kind"),
    )
    steps.new_table(
        "tariff_versions",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("tariff", sa.String(length=36), nullable=False),
        sa.Column("crc", steps.BIG, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", steps.BIG, nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_index("ix_tariff_versions_tariff", "tariff_versions", ["tariff"])
    steps.new_table(
        "ends_of_day",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("epoch", steps.BIG, nullable=False),
        sa.Column("seq", steps.BIG, nullable=False),
        sa.Column("at", steps.BIG, nullable=False),
        sa.Column("result", sa.String(length=40), nullable=False),
        sa.Column("count", steps.BIG, nullable=False),
        sa.Column("terminal_minor", steps.BIG, nullable=False),
        sa.Column("ledger_minor", steps.BIG, nullable=False),
        sa.Column("books_minor", steps.BIG, nullable=False),
        sa.Column("books_count", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("charger", "epoch", "seq"),
    )
    steps.new_index("ix_ends_of_day_at", "ends_of_day", ["at"])
    steps.new_table(
        "invoice_chains",
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("position", steps.BIG, nullable=False),
        sa.Column("invoices", steps.BIG, nullable=False),
        sa.Column("credit_notes", steps.BIG, nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.PrimaryKeyConstraint("charger"),
    )
    steps.new_table(
        "log_lines",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("at", steps.BIG, nullable=False),
        sa.Column("level", sa.String(length=12), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_index("ix_log_lines_charger", "log_lines", ["charger"])
    steps.new_table(
        "logins",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", steps.BIG, nullable=False),
        sa.Column("seen_at", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.name"],
        ),
        sa.PrimaryKeyConstraint("token"),
    )
    steps.new_index("ix_logins_person", "logins", ["person"])
    steps.new_table(
        "rollouts",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("version_id", steps.BIG, nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("sent_at", steps.BIG, nullable=False),
        sa.Column("sent_by", sa.String(length=40), nullable=False),
        sa.Column("answered_at", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["tariff_versions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_index("ix_rollouts_charger", "rollouts", ["charger"])
    steps.new_index("ix_rollouts_version_id", "rollouts", ["version_id"])
    steps.new_table(
        "disputes",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("session_id", steps.BIG, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("amount_minor", steps.BIG, nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("opened_at", steps.BIG, nullable=False),
        sa.Column("closed_at", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.new_index("ix_disputes_session_id", "disputes", ["session_id"])
    steps.new_index("ix_disputes_state", "disputes", ["state"])
    steps.new_table(
        "invoices",
        sa.Column("id", steps.BIG, nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("position", steps.BIG, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("number", sa.String(length=48), nullable=False),
        sa.Column("session_id", steps.BIG, nullable=False),
        sa.Column("refund_id", steps.BIG, nullable=False),
        sa.Column("receipt_no", steps.BIG, nullable=False),
        sa.Column("issued_at", steps.BIG, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", steps.BIG, nullable=False),
        sa.Column("net_minor", steps.BIG, nullable=False),
        sa.Column("vat_minor", steps.BIG, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("charger", "position"),
        sa.UniqueConstraint("number"),
    )
    steps.new_index("ix_invoices_found_by", "invoices", ["charger", "receipt_no"])
    steps.new_index("ix_invoices_issued", "invoices", ["issued_at"])
    steps.new_index("ix_invoices_session_id", "invoices", ["session_id"])
    steps.new_index("ix_invoices_refund_id", "invoices", ["refund_id"])
    steps.new_table(
        "refund_orders",
        sa.Column("refund", sa.String(length=36), nullable=False),
        sa.Column("charger", sa.String(length=32), nullable=False),
        sa.Column("session_id", steps.BIG, nullable=False),
        sa.Column("receipt_no", steps.BIG, nullable=False),
        sa.Column("amount_minor", steps.BIG, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("card", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("acquirer", sa.String(length=12), nullable=False),
        sa.Column("acquirer_reference", sa.String(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=False),
        sa.Column("confirmation", sa.String(), nullable=False),
        sa.Column("requested_at", steps.BIG, nullable=False),
        sa.Column("approved_at", steps.BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["charger"],
            ["chargers.name"],
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("refund"),
    )
    steps.new_index("ix_refund_orders_charger", "refund_orders", ["charger"])
    steps.new_index("ix_refund_orders_session_id", "refund_orders", ["session_id"])
    steps.new_index("ix_refund_orders_state", "refund_orders", ["state"])
    steps.new_index("ix_payments_settled", "payments", ["state", "settled_at", "session_id"])
    steps.new_index("ix_payments_auth_code", "payments", ["auth_code"])
    steps.new_index("ix_payments_receipt", "payments", ["receipt"])
    steps.new_index("ix_payments_trace", "payments", ["trace"])
    steps.new_index("ix_sessions_receipt", "sessions", ["charger", "receipt_no"])
    steps.new_column(
        "refunds", sa.Column("receipt_no", steps.BIG, nullable=False, server_default="0")
    )
    steps.new_column(
        "refunds", sa.Column("operator", sa.String(), nullable=False, server_default="")
    )
    steps.new_column(
        "refunds", sa.Column("net_minor", steps.BIG, nullable=False, server_default="0")
    )
    steps.new_column(
        "refunds", sa.Column("vat_minor", steps.BIG, nullable=False, server_default="0")
    )
    steps.new_column("refunds", sa.Column("lines", sa.JSON(), nullable=False, server_default="[]"))
    steps.new_column(
        "refunds", sa.Column("sent_at", steps.BIG, nullable=False, server_default="0")
    )
    # ### end Alembic commands ###
    steps.note_what_is_there()

"""Sessions that began by a command: the back office's own id of each."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Up to this version."""
    steps.new_column(
        "sessions", sa.Column("remote", sa.String(length=32), nullable=False, server_default="")
    )
    steps.new_index("ix_sessions_remote", "sessions", ["remote"])

"""A payment's and a refund's turn: how often a gateway answered that it had failed."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Up to this version."""
    for table in ("pays", "pay_refunds"):
        steps.new_column(table, sa.Column("turn", steps.BIG, nullable=False, server_default="0"))

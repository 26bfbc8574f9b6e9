"""The VAT per rate as the charger said it (`priced` version 2)."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Up to this version."""
    steps.new_column("sessions", sa.Column("vat", sa.JSON(), nullable=False, server_default="[]"))

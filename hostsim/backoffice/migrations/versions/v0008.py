"""A payment's tariff as the page showed it; statements of account sessions: their own series."""

import sqlalchemy as sa

from hostsim.backoffice.migrations import steps

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Up to this version."""
    steps.new_column("pays", _number("tariff_crc"))
    for name in ("statements", "adjustments"):
        steps.new_column("invoice_chains", _number(name))


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, steps.BIG, nullable=False, server_default="0")

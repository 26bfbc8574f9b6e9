"""Of payments by phone: whether the hold may become greater, when the gateway was last asked for
it during the session, and since when the charger shows that the session cannot be running.
"""

import sqlalchemy as sa
from alembic import op

from hostsim.backoffice.migrations import steps

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Up to this version."""
    steps.new_column(
        "pays", sa.Column("more", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    for name in ("looked_at", "odd_at"):
        steps.new_column("pays", sa.Column(name, steps.BIG, nullable=False, server_default="0"))
    op.execute("UPDATE pays SET looked_at = held_at")

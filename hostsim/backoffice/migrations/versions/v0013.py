"""A refund names its order, whose id has room for the charger's name; an order for each refund
that is under way without one, as after a database was put back to a backup: it waits for a person.
"""

import sqlalchemy as sa
from alembic import op

from hostsim.backoffice.migrations import steps

revision = "0013"
down_revision = "0012"

_LOST = """
    INSERT INTO refund_orders (refund, charger, session_id, receipt_no, amount_minor, reason,
        operator, card, state, approved_by, note, text, command, acquirer, acquirer_reference,
        confirmed_by, confirmation, requested_at, approved_at, lines)
    SELECT r.refund, r.charger, r.session_id, r.receipt_no, r.amount_minor, r.reason,
        CASE WHEN r.operator = '' THEN 'charger' ELSE r.operator END, false, 'requested', '', '',
        '', '', '', '', '', '', r.asked_at, 0, '[]'
    FROM refunds r
    WHERE r.state IN ('requested', 'approved', 'sent') AND length(r.refund) <= 36
        AND NOT EXISTS (SELECT 1 FROM refund_orders o WHERE o.refund = r.refund)
        AND NOT EXISTS (SELECT 1 FROM refunds s WHERE s.refund = r.refund AND s.id < r.id)
"""


def upgrade() -> None:
    """Up to this version."""
    for table in ("refund_orders", "pay_refunds"):
        with op.batch_alter_table(table) as batch:
            batch.alter_column(
                "refund", existing_type=sa.String(36), type_=sa.String(80), nullable=False
            )
    steps.new_column(
        "refunds", sa.Column("order_id", sa.String(80), nullable=False, server_default="")
    )
    op.execute("UPDATE refunds SET order_id = substr(refund, 1, 80)")
    op.execute(_LOST)
    steps.new_index("ix_payments_terminal", "payments", ["terminal_id"])
    steps.new_index("ix_streams_epoch", "streams", ["epoch"])

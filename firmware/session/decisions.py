"""What the machine decides. Each decision is a tuple: one of these names, then its arguments.

The runner performs a list in its order and stops at the first that fails, so a RECORD before an
action means: in flash before it is acted on (design.md, "Money").
"""

from micropython import const

RECORD = const(0)  # kind, fields: one ledger record
# hold_minor, reference: ask the terminal for a hold; answered by on_authorised, on_declined
AUTHORISE = const(1)
ABORT = const(2)  # end what the terminal is waiting for
CAPTURE = const(3)  # receipt, authorised_minor, used_minor; answered by on_outcome(outcome)
CANCEL = const(4)  # receipt; answered by on_outcome(outcome)
PENDING = const(5)  # ask the terminal for its open holds; answered by on_pending(receipts)
CONTACTOR = const(6)  # closed: bool
OFFER = const(7)  # milliamps on the control pilot, 0 for none
REFUND = const(8)  # work on the refunds that are open (firmware/refunds/work.py)
EXTEND = const(9)  # ask for more than is held (firmware/session/extension.py)
DAY = const(10)  # close the terminal's day when it is due (firmware/day.py)

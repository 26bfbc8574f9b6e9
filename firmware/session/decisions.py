"""What the machine decides. Each decision is a tuple: one of these names, then its arguments.

The runner performs a list in its order and stops at the first that fails, so a RECORD before an action means: in flash
before it is acted on (design.md, "Money").
"""

RECORD = "record"  # kind, fields: one ledger record
AUTHORISE = "authorise"  # hold_minor, reference: ask the terminal for a hold; answered by on_authorised / on_declined
ABORT = "abort"  # end what the terminal is waiting for
CAPTURE = "capture"  # receipt, authorised_minor, used_minor; answered by on_capture(outcome)
CANCEL = "cancel"  # receipt; answered by on_cancel(outcome)
PENDING = "pending"  # ask the terminal for its open holds; answered by on_pending(receipts)
CONTACTOR = "contactor"  # closed: bool
OFFER = "offer"  # milliamps on the control pilot, 0 for none

# The ledger's schema as rows: number, name, version, fields.
from firmware.ledger.codec import row
from firmware.ledger.schema import KINDS

ROWS: "tuple" = tuple([row(line) for line in KINDS.split(b"\n")[1:-1]])

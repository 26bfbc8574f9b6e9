# The ledger's schema as rows: number, name, version, fields.
from firmware.ledger.codec import find_row
from firmware.ledger.schema import KINDS

ROWS: "tuple" = tuple([find_row(1, text.split(" ")[0]) for text in KINDS if text])

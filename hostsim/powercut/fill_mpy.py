"""Makes a flash on which the ring has gone round, nearly at the end of a sector, for the power-cut
campaign: `micropython fill_mpy.py FILE SECTORS LEFT` leaves at most LEFT bytes in the sector in
use and the next one erased. Prints epoch and the newest record's number, all of them acknowledged.
"""

import os
import sys

import loop_mpy  # type: ignore[import-not-found]

sys.modules["os"] = loop_mpy.Module(os, urandom=lambda n: b"\x07" * n)  # always the same epoch

from board.host_flash import FileFlash  # noqa: E402 - behind the replacement
from firmware.ledger.ledger import Ledger  # noqa: E402


def fill(path: str, sectors: int, left: int) -> None:
    flash = FileFlash(path, sectors)
    ledger = Ledger(flash, lambda: 0)
    ledger.mount()
    ring = ledger.ring
    noted = False
    free = 0
    while flash.erased < sectors + 1 or not noted or not left <= free < left + 100:
        ledger.acknowledge(
            ledger.epoch, ledger.append("security", code="x", detail="." * (ledger.next_seq % 199))
        )
        before = ring.pos
        ledger.idle()  # erases ahead, and notes every 32nd acknowledgement
        noted = ring.pos != before
        free = ring.sectors.size - ring.pos
    print(ledger.epoch, ledger.acked_seq)
    flash.close()


fill(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

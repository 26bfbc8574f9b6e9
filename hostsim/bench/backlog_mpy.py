"""Runs under MicroPython: writes finished sessions, none of them acknowledged, into a flash image
with the firmware's own ledger. Arguments: FILE SECTORS SESSIONS CHECKPOINTS FIRST_WH NOW_MS.
Prints one JSON object: records, free sectors, whether another session would be sold.
"""

import json
import sys

from board.host_nor import FileNor
from firmware.ledger.ledger import Ledger

MINUTES = 12
WH = 1000
HOLD = 6000
TOTAL = 59


def write(ledger, number, checkpoints, start_wh, start_at):
    """One session as the runner writes it."""
    put = ledger.append
    sess = number
    put("hold_asked", sess=sess, hold_minor=HOLD, currency="EUR", tariff="ADHOC-1",
        tariff_crc=3405691582, method="card", connector=1, reference="S%d" % number,
        uid_hash="a1b2c3d4e5f60718", remote="")  # fmt: skip
    put("authorised", sess=sess, amount_minor=HOLD, receipt=number, trace=2 * number - 1,
        terminal_id="52523535", vu="804011926", auth_code="123456", pan="xxxxxxxxxxxx1111",
        card="VISA")  # fmt: skip
    put("energising", sess=sess, register_wh=start_wh, serial="21034567")
    whole_ms = MINUTES * 60000
    for n in range(1, checkpoints + 1):
        elapsed = whole_ms * n // (checkpoints + 1)
        put("checkpoint", sess=sess, register_wh=start_wh + WH * n // (checkpoints + 1),
            elapsed_ms=elapsed,
            state=[elapsed, 90000 * n, 5900, 12, 0, 3000000 + n, 0, 0, 16000, 11000])  # fmt: skip
    put("period", sess=sess, start_ms=0, end_ms=whole_ms, energy_mwh=WH * 1000,
        charging_ms=whole_ms, parking_ms=0, min_ma=6000, max_ma=16000, min_w=4100,
        max_w=11040)  # fmt: skip
    put("power_off", sess=sess, register_wh=start_wh + WH, elapsed_ms=whole_ms, reason="unplug")
    put("priced", sess=sess, receipt_no=number, start_at=start_at, end_at=start_at + whole_ms,
        start_wh=start_wh, end_wh=start_wh + WH, billed_wh=WH, elapsed_ms=whole_ms,
        total_minor=TOTAL, net_minor=50, vat_minor=9, currency="EUR",
        lines=[0, WH * 1000, 5900, 190000, TOTAL], reason="unplug", vat=[])  # fmt: skip
    put("captured", sess=sess, captured_minor=TOTAL, released_minor=HOLD - TOTAL, receipt=number,
        trace=2 * number, how="release")  # fmt: skip


def main(path, sectors, sessions, checkpoints, first_wh, now_ms):
    clock = [now_ms]
    ledger = Ledger(FileNor(path, sectors, 4096), lambda: clock[0])
    ledger.mount()
    for number in range(1, sessions + 1):
        write(ledger, number, checkpoints, first_wh + WH * (number - 1), clock[0])
        clock[0] += MINUTES * 60000
    print(json.dumps({
        "records": ledger.next_seq - 1, "free_sectors": ledger.free_sectors(),
        "room": ledger.room_for_session(), "left_out": ledger.left_out,
    }))  # fmt: skip


main(sys.argv[1], *[int(word) for word in sys.argv[2:]])

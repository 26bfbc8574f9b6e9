"""Memory on the emulated Pico, which has 32-bit pointers and the heap of a real one: the whole
firmware, run from the console as `make logs` does, so that it says how much it uses.
"""

import ast
import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from hostsim.emulator import storage
from hostsim.emulator.image import ensure_image
from hostsim.emulator.loop import BoardLoop
from hostsim.emulator.rig import Rig
from hostsim.emulator.suite import note
from tests.board_bench import DATA

pytestmark = [pytest.mark.board, pytest.mark.timeout(840)]

SESSIONS = int(os.environ.get("FORECOURT_BOARD_SESSIONS", "2"))
"""Each is a minute or two of a processor: `FORECOURT_BOARD_SESSIONS=20 make test-board` for the
figures that are published (docs/reliability.md)."""
FREE_AT_LEAST = 24_000
RUN = """
import sys, gc
sys.path.insert(0, "/a")
import board.mcu
said = None
def trace(self, kind, fields):
    global said
    if kind == "ledger" and fields["type"] == "captured":
        said = "after"
    if kind == "view" and said == "after" and fields["state"] == "receipt":
        said = None
        gc.collect()
        print("HEAP", (fields["heap"]["peak"], gc.mem_free(), gc.mem_alloc()))
board.mcu.Board.trace = trace
del sys.argv[:]
import main
"""


async def to_console(rig: Rig, source: str) -> None:
    """Runs source from the raw REPL, as mpremote does."""
    board = rig.board
    assert board
    await rig.until(lambda: board.connected)
    await asyncio.sleep(0.5)  # main.py closes the keyboard, looks at the jumper, opens it
    board.to_console += b"\r\x03\x03\r\x01"
    await rig.until(lambda: board.console.endswith(b"raw REPL; CTRL-B to exit\r\n>"))
    board.console.clear()
    board.to_console += source.encode() + b"\x04"


def heap_lines(console: bytearray) -> list[tuple[int, int, int]]:
    lines = console.decode(errors="replace").splitlines()
    return [ast.literal_eval(line[5:]) for line in lines if line.startswith("HEAP ")]


def test_memory_stays_the_same_from_session_to_session(tmp_path: Path) -> None:
    loop = BoardLoop()
    stored = storage.make(DATA, {"a": storage.tree()})
    rig = Rig(loop, ensure_image(), DATA, stored, tmp_path)
    rig.jumper = True
    figures: dict[str, Any] = {"sessions": SESSIONS, "free_after": []}

    async def scenario() -> None:
        await rig.start()
        board = rig.power_on()
        await to_console(rig, RUN)
        for number in range(1, SESSIONS + 1):
            await rig.drive_through(number)
            await rig.until(lambda n=number: len(heap_lines(board.console)) >= n)  # type: ignore[misc]
            peak, free, used = heap_lines(board.console)[-1]
            figures["free_after"].append(free)
            figures["peak"] = peak
            figures["total"] = free + used
        await rig.stop()

    loop.run_until_complete(scenario())
    note("heap", figures)
    free = figures["free_after"]
    assert min(free) > FREE_AT_LEAST, figures
    assert max(free) - min(free) < 4096, figures

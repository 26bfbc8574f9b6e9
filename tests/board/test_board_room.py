"""What a board's file system must hold: the version in force, the one before and the charger's own
files, on LittleFS with its blocks, as large as board/models.py lets a version become.
"""

import json

import pytest

from board import plan
from board.models import MODELS
from hostsim.setup import BUILD, boards, room


def sizes_of(board: str) -> dict[str, int]:
    """The files of this build (`make build`) that go on the board."""
    manifest = json.loads((BUILD / "manifest.json").read_text())
    modules = manifest["modules"]
    wanted = boards.sources_of(board)
    found = {}
    for path, entry in manifest["files"].items():
        stem = path.removesuffix(".mpy")
        source = modules.get(stem, stem)
        if not source.startswith("board/") or source in wanted:
            found[path] = entry["size"]
    return found


@pytest.mark.parametrize("board", plan.names())
def test_two_versions_and_all_that_is_the_chargers_own_fit(board: str) -> None:
    """Each file made larger, up to the budget of the board."""
    sizes = sizes_of(board)
    assert 50 < len(sizes)
    total, budget = sum(sizes.values()), MODELS[board]["code_bytes"]
    assert total < budget
    grown = {path: size * budget // total for path, size in sizes.items()}
    assert room.MARGIN <= room.left(plan.load(board), grown)


def test_files_that_do_not_fit_leave_less_than_the_margin() -> None:
    data = dict(plan.load("w5500_evb_pico2"), files=(2, 150))
    assert room.left(data, {f"file{n}.mpy": 3000 for n in range(70)}) < room.MARGIN
    data["files"] = (2, 230)
    assert room.left(data, {f"file{n}.mpy": 3000 for n in range(70)}) > room.MARGIN

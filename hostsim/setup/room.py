"""How much of a board's file system is left with all in it that must fit at once: the version in
force, the one before, and the charger's own files. Counted by LittleFS itself (room_mpy.py): a
file takes whole sectors, a small one lies with its name, a folder takes two.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from board import plan
from board.chips import CHIPS
from board.models import MODELS
from hostsim.setup import MICROPYTHON

MARGIN = 4
"""Sectors: LittleFS writes a sector anew before it gives the old one back."""
_SCRIPT = Path(__file__).parents[1] / "emulator" / "room_mpy.py"
_PAGE = {"rp2": 256, "esp32": 32}
"""MicroPython's `progsize` (board/rp2_boot.py; ports/esp32/modules/inisetup.py)."""


def left(data: dict[str, Any], sizes: dict[str, int]) -> int:
    """Sectors left of a board's files with two versions whose files have these sizes (path to
    bytes); below 0 when they do not fit.
    """
    sectors = plan.regions(data)["files"][1] // plan.SECTOR
    page = _PAGE[CHIPS[MODELS[data["name"]]["chip"]]["port"]]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({f"/{path}": size for path, size in sizes.items()}, file)
        file.flush()
        done = subprocess.run(
            [MICROPYTHON, "-X", "heapsize=16m", _SCRIPT, file.name, str(sectors), str(page)],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=120,
            check=False,
        )
    if "OSError: 28" in done.stderr + done.stdout:  # ENOSPC
        return -1
    return int(done.stdout)

"""What is in a board's flash as flashing and provisioning leave it, made without the board: tests
that are about something else need not wait for mpremote.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hostsim.commission import SUPPLIER
from hostsim.setup import MICROPYTHON, boards, stages

SECTOR = 4096
SECTORS = 352
_LFS = Path(__file__).with_name("lfs_mpy.py")
CONFIG: dict[str, Any] = {
    "charger": "FC-0001",
    "hold_minor": 6000,
    "salt": "0123456789abcdef",
    "mqtt": {"host": "broker.invalid", "command_key": "00" * 32},
    "supplier": SUPPLIER,
}
TARIFF: dict[str, Any] = {
    "country_code": "DE",
    "party_id": "FCT",
    "id": "BOARD-1",
    "currency": "EUR",
    "type": "AD_HOC_PAYMENT",
    "tax_included": "YES",
    "elements": [
        {
            "price_components": [
                {"type": "ENERGY", "price": 0.59, "vat": 19.0, "step_size": 1},
                {"type": "FLAT", "price": 0.50, "vat": 19.0, "step_size": 1},
            ]
        }
    ],
    "last_updated": "2026-11-01T00:00:00Z",
}
"""Without the time of day, which a board without network does not know."""


def make(
    data: dict[str, Any],
    trees: dict[str, Path],
    slot: str = "a",
    config: dict[str, Any] | None = None,
    more: dict[str, str] | None = None,
) -> bytes:
    """The whole storage of a board with this DATA. `trees`: slot letter to a compiled tree;
    `more`: further files of the root, name to text (`trial`, ...).
    """
    with tempfile.TemporaryDirectory(prefix="forecourt-storage-") as folder:
        root, first = Path(folder) / "files", Path(folder) / "first"
        root.mkdir()
        first.mkdir()
        (first / "boot.py").write_bytes(stages.stages(data)["first.py"])
        for name, body in boards.root_files(data, Path(folder)).items():
            (root / name).write_bytes(body)
        for letter, tree in trees.items():
            shutil.copytree(tree, root / letter)
            (root / letter / "whole").write_text("0.1.0 test\n")
        (root / "slot").write_text(slot)
        (root / "board.txt").write_text(data["name"])
        (root / "tariff.json").write_text(json.dumps(TARIFF))
        (root / "config.json").write_text(json.dumps(CONFIG | (config or {})))
        for name, text in (more or {}).items():
            (root / name).write_text(text)
        begin, count = data["files"]
        storage = bytearray(_filesystem(first, SECTORS)[: begin * SECTOR])
        storage += _filesystem(root, count)
    storage += b"\xff" * (SECTORS * SECTOR - len(storage))
    return bytes(storage)


def _filesystem(folder: Path, sectors: int) -> bytes:
    image = folder.with_suffix(".img")
    subprocess.run(
        [MICROPYTHON, "-X", "heapsize=8m", _LFS, folder, image, str(sectors)],
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return image.read_bytes()


def tree() -> Path:
    """This version as `make build BOARD=pico` leaves it. Raises SetupError."""
    return boards.build("pico").folder / "mpy"

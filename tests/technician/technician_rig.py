"""A board without the emulation: MicroPython executes what the technician's commands send it, on a
folder. Where the time goes is left out: the line, the flash, the restart.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from hostsim.setup import MICROPYTHON, ROOT
from hostsim.technician.link import _ON_BOARD, Link, TechnicianError

_SCRIPT = Path(__file__).with_name("technician_board_mpy.py")


class Gone(BaseException):
    """The cable was pulled; nothing catches it."""


class FolderLink(Link):
    """`cut`: the cable is pulled before the so many-th thing the board is asked to do; with
    `heard` after the board has done it, and before it says so.
    """

    def __init__(self, folder: Path, cut: int = -1, heard: bool = False) -> None:
        self.port = "folder"
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        if not (folder / "flash.bin").exists():
            (folder / "flash.bin").write_bytes(b"\xff" * 64 * 4096)
        self.root = str(self.files)
        self.cut = -1
        self.heard = heard
        self.asked = 0
        self.sent: list[str] = []
        self._board = subprocess.Popen(
            [str(MICROPYTHON), "-X", "heapsize=2m", str(_SCRIPT), str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.run(_ON_BOARD)
        self.asked = 0
        self.cut = cut

    def run(self, code: str, timeout_s: float = 0) -> str:
        cut = self.asked == self.cut
        if cut and not self.heard:
            raise Gone
        self.asked += 1
        self.sent.append(code)
        assert self._board.stdin and self._board.stdout
        self._board.stdin.write(f"{len(code)}\n{code}")
        self._board.stdin.flush()
        out = ""
        while out.count("\x04") < 2:
            line = self._board.stdout.readline()
            assert line, "the board died: " + out
            out += line
        if cut:
            raise Gone
        said, failed, _ = out.split("\x04")
        if failed:
            raise TechnicianError("the board says: " + failed.strip().splitlines()[-1])
        return said

    def close(self) -> None:
        assert self._board.stdin
        self._board.stdin.close()
        self._board.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

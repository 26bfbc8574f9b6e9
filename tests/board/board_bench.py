"""A board on the bench for the tests on the emulated board: small versions in its slots, a person
with a jumper and a power switch.
"""

import json
import tempfile
from pathlib import Path

from board import plan
from hostsim.emulator import storage
from hostsim.emulator.image import ensure_image
from hostsim.emulator.pico import Pico

DATA = plan.load("pico")


def slot(folder: Path, main: str, **files: str) -> Path:
    """A version that consists of main.py and more modules."""
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(main)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def with_slots(more: dict[str, str] | None = None, **mains: str) -> bytes:
    """Storage of a board whose slots hold these main.py, `a` in force."""
    with tempfile.TemporaryDirectory(prefix="forecourt-slots-") as name:
        trees = {letter: slot(Path(name) / letter, text) for letter, text in mains.items()}
        return storage.make(DATA, trees, more=more)


class Bench:
    """One board after the other over the same storage: every `switch_on` is a power-on.
    `rom_bytes`: of a ROMFS partition, with which the storage begins.
    """

    def __init__(self, stored: bytes, rom_bytes: int = 0) -> None:
        self.stored = stored
        self.rom_bytes = rom_bytes
        self.board: Pico | None = None

    def switch_on(self, jumper: bool = False, cut: int = 0) -> Pico:
        image = ensure_image(bool(self.rom_bytes))
        board = Pico(image, self.stored, cut, self.rom_bytes)
        board.drive(DATA["feedback"][0], bool(plan.feedback_level(DATA, False)))
        for name in ("stop", "emergency", "jumper"):
            pin, active = DATA[name]
            there = name == "jumper" and jumper
            board.drive(pin, bool(active) if there else not active)
        self.board = board
        return board

    def switch_off(self) -> None:
        assert self.board
        self.board.power_off()
        self.stored = self.board.storage()

    def says(self, text: str, limit_s: float = 20) -> bool:
        """Runs until the board has printed this."""
        assert self.board
        board = self.board
        return board.run(lambda: text.encode() in board.console, limit_s)

    def contactor(self) -> bool:
        """Whether the board drives the contactor's coil."""
        assert self.board
        pin, active = DATA["contactor"]
        return self.board.pin(pin) == bool(active)

    def files(self) -> dict[str, str]:
        """The small files of the root by name, and the names of all; read by the REPL of a copy
        of the board with the jumper set.
        """
        other = Bench(self.board.storage() if self.board else self.stored, self.rom_bytes)
        board = other.switch_on(jumper=True)
        assert board.boot()
        board.run(lambda: False, 1)  # main.py closes the keyboard, looks at the jumper, opens it
        source = (
            "import os,json\n"
            "def r(n):\n"
            " try:\n  return open('/'+n).read()\n"
            " except OSError: return None\n"
            "n=('slot','trial','starts','back','slot.new','trial.new','starts.new','back.new')\n"
            "print(json.dumps({k:r(k) for k in n if r(k) is not None}))"
        )
        answer = board.exec(source)
        assert answer is not None, bytes(board.console)
        assert not answer[1], answer[1]
        found: dict[str, str] = json.loads(answer[0])
        return found

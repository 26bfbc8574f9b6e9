"""`make test-board`: the tests on the emulated board, with what they need. Arguments go to pytest.

Where the image cannot be had (no compiler for ARM, no network for its sources) the tests are left
out, said aloud, and the exit code is 0: nothing was found wrong. Otherwise it is pytest's. Writes
what was measured to build/board.json. The tests end after a quarter of an hour at most.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hostsim.emulator.image import NoToolchainError, ensure_image
from hostsim.setup import BUILD, ROOT, VENV_PYTHON, boards, stamps
from hostsim.setup.progress import SetupError, Step, run, say

FIGURES = BUILD / "board.json"
_LOCK = ROOT / "hostsim" / "setup" / "emulator.lock"
_LIMIT_S = 15 * 60
_LONGEST = ("_heap", "_session", "_romfs", "_cuts", "_flash")


def ensure_emulator() -> None:
    """Rp2040py in .venv, by hash. Raises NoToolchainError when it cannot be had."""
    whole = stamps.fingerprint("emulator", _LOCK, str(stamps.read("venv")))
    if stamps.read("emulator") == whole:
        return
    command: list[str | Path] = [VENV_PYTHON, "-m", "pip", "install", "--no-input", "--no-compile"]
    options = ["--disable-pip-version-check", "--require-hashes", "-r", str(_LOCK)]
    try:
        with Step("the emulator of the RP2040"):
            run([*command, *options], "emulator-pip")
    except SetupError as error:
        raise NoToolchainError("rp2040py cannot be installed", *error.advice) from error
    stamps.write("emulator", whole)


def note(name: str, figures: Any) -> None:
    """Keeps figures under a name in build/board.json."""
    known: dict[str, Any] = {}
    if FIGURES.exists():
        known = json.loads(FIGURES.read_text())
    known[name] = figures
    new = FIGURES.with_suffix(f".{name}")
    new.write_text(json.dumps(known, indent=1, sort_keys=True))
    new.replace(FIGURES)


def _skipped(error: SetupError) -> int:
    bar = "*" * 78
    why = "\n* ".join((str(error), *error.advice))
    sys.stderr.write(f"{bar}\n* SKIPPED: the tests on the emulated board were NOT run.\n")
    sys.stderr.write(f"* {why}\n{bar}\n")
    return 0


def _rank(name: str) -> int:
    return next((n for n, long in enumerate(_LONGEST) if long in name), len(_LONGEST))


def main(arguments: list[str]) -> int:
    try:
        ensure_emulator()
        ensure_image()
        made = boards.build("pico")
    except NoToolchainError as error:
        return _skipped(error)
    except SetupError as error:
        sys.stderr.write("\n  ".join((f"test-board: {error}", *error.advice)) + "\n")
        return 1
    FIGURES.unlink(missing_ok=True)
    note("mpy_bytes", {"total": made.manifest.total_bytes, "rooms": made.manifest.rooms()})
    found = (ROOT / "tests" / "board").glob("test_board_*.py")
    # the longest first: it decides when all are done
    tests = sorted(map(str, found), key=lambda name: (_rank(name), name))
    command = [sys.executable, "-m", "pytest", "-m", "board", "-n", "2", "--dist", "loadfile"]
    try:
        code = subprocess.run([*command, *tests, *arguments], timeout=_LIMIT_S).returncode
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"test-board: not done within {_LIMIT_S // 60} minutes, ended\n")
        return 1
    say(f"board: {json.dumps(json.loads(FIGURES.read_text()), sort_keys=True)}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

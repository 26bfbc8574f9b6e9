"""Runs MicroPython for tests: `run_mpy("micropython32", "tests/pure/_runner.py",
"tests.pure.test_money")`.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hostsim.setup import LIB, MICROPYTHON, MICROPYTHON32, POINTER_BITS32, ROOT

INTERPRETERS = ("micropython", "micropython32")
NO_32_BIT = "NO 32-BIT MICROPYTHON ON THIS HOST: what only shows there is not tested here"


def has_32_bit() -> bool:
    """Whether set-up found a 32-bit MicroPython for this host."""
    return POINTER_BITS32.exists()


def interpreter(which: str) -> Path:
    """Path of `micropython` or `micropython32`. Raises FileNotFoundError when set-up has not been
    run.
    """
    path = {"micropython": MICROPYTHON, "micropython32": MICROPYTHON32}[which]
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: run `make setup`")
    return path


def run_mpy(
    which: str,
    script: str | Path,
    *args: str | Path,
    heap: str = "192k",
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    check: bool = False,
) -> "subprocess.CompletedProcess[str]":
    """Run a script on MicroPython from the repository's root and return what it printed.

    `which` is `micropython` (64-bit) or `micropython32`; `script` is a path, or source text when
    it holds a newline. Imports are found in the repository, build/lib and tests. Raises
    subprocess.TimeoutExpired after `timeout` seconds.
    """
    source = str(script)
    what = ["-c", source] if "\n" in source else [source]
    command = [interpreter(which), "-X", f"heapsize={heap}", *what, *args]
    path = ":".join(str(folder) for folder in (ROOT, LIB, ROOT / "tests", ".frozen"))
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, "MICROPYPATH": path, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=check,
    )

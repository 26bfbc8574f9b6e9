"""Set-up of this checkout: fetches tools, makes `.venv`, compiles the firmware.

Runs on the machine's own Python, before `.venv` exists: standard library only, and nothing else of
hostsim. Everything it makes lies under `.venv` and `build`; nothing outside the checkout is
changed and no root is needed.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
TOOLS = BUILD / "tools"
TOOLS_BIN = TOOLS / "bin"
LIB = BUILD / "lib"
LOCALSTRIPE = BUILD / "localstripe"
TYPINGS = BUILD / "typings"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
MICROPYTHON = TOOLS_BIN / "micropython"
MICROPYTHON32 = TOOLS_BIN / "micropython32"
MOSQUITTO = TOOLS_BIN / "mosquitto"
POINTER_BITS32 = TOOLS / "pointer_bits32"
"""Exists, and says 32, when this host has a 32-bit MicroPython. Its absence means: 64-bit with
twice the heap.
"""


def firmware_interpreter(heap_kib: int) -> tuple[Path, str, int]:
    """What the firmware runs on here: program, its `-X heapsize=` value, pointer bits.

    The 32-bit build with this heap; on a host without one the 64-bit build with twice the heap
    (objects there take exactly twice the space), which the caller says aloud.
    """
    if POINTER_BITS32.exists():
        return MICROPYTHON32, f"{heap_kib}k", 32
    return MICROPYTHON, f"{2 * heap_kib}k", 64


def own_make() -> dict[str, str]:
    """The environment of a make of our own. One above us hands its flags and its ARGS="..." on to
    all below it; what it was told is not meant for ours."""
    above = ("MFLAGS", "ARGS")
    return {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k not in above}

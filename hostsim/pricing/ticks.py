"""What a meter tick costs the tariff engine, measured under MicroPython; for `make bench`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from hostsim.pricing.cli import interpreter
from hostsim.setup import ROOT

SCRIPT = Path(__file__).with_name("ticks_mpy.py")


def measure() -> dict[str, int]:
    """Times and bytes of ticks_mpy.py: a tick in minute 1 and in hour 20, a look at the price, and
    what re-pricing the whole session at every tick would take instead.

    Raises PriceError without MicroPython, subprocess.CalledProcessError when the script fails.
    """
    done = subprocess.run(
        [str(interpreter()[0]), "-X", "heapsize=8m", str(SCRIPT)],
        capture_output=True,
        text=True,
        env={"MICROPYPATH": str(ROOT)},
        check=True,
    )
    found: dict[str, int] = json.loads(done.stdout)
    return found

"""`make probe PORT=y`: which meter is on a jumpered charger's line, how good the line is and what
is to be changed.

    python -m hostsim.technician.probe [PORT] [--every-unit]

The search is the firmware's own (probe.py, firmware/meter/probe.py), on the board, with the slot
that would start. `--every-unit` asks all 247 unit numbers (minutes).
"""

from __future__ import annotations

import contextlib
import sys

from hostsim.technician.link import Link, TechnicianError
from hostsim.technician.say import ended, say


def search(link: Link, every_unit: bool) -> None:
    """Prints what is found as it is found, until the search or Ctrl-C ends it. Raises
    TechnicianError.
    """
    slot = link.text("slot")[:1]
    if not slot:
        raise TechnicianError("there is no version on this board", "make flash comes first.")
    code = f"sys.path.insert(0,{'/' + slot!r})\nimport probe\nprobe.run({every_unit})"
    with contextlib.suppress(KeyboardInterrupt):
        for line in link.lines(code):
            say(line)


def main(arguments: list[str]) -> int:
    words = [word for word in arguments if not word.startswith("--")]
    with ended():
        link = Link(words[0] if words else "")
        try:
            search(link, "--every-unit" in arguments)
        finally:
            link.reset(interrupt=True)
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

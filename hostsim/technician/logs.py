"""`make logs PORT=y`: runs the charger from the console and shows what it says, for the technician
at a jumpered board. Ctrl-C ends it.

    python -m hostsim.technician.logs BOARD PORT [SECONDS]

The charger runs in the foreground of the prompt, with the watchdog it always has: when the console
is left it restarts, with the jumper into safe mode. Without the jumper a charger says nothing at
its console; what it logs is with the back office (topic `log`).
"""

from __future__ import annotations

import contextlib
import sys
import time

from hostsim.technician.link import Link, TechnicianError
from hostsim.technician.say import ended, say

_RUN = """
import board.mcu
def _t(s,kind,fields):
    if kind=='log':print(fields['level']+': '+fields['text'])
    elif kind in ('ledger','hello','contactor','card'):print(kind,fields)
board.mcu.Board.trace=_t
del sys.argv[:]
import main
"""


def follow(link: Link, seconds: float) -> None:
    """Starts the charger and prints until Ctrl-C or for so many seconds (0: for ever)."""
    slot = link.text("slot")[:1]
    if not slot:
        raise TechnicianError("there is no version on this board", "make flash comes first.")
    link.run(f"sys.path.insert(0,{'/' + slot!r})")
    with contextlib.suppress(KeyboardInterrupt):
        for line in link.lines(_RUN, time.monotonic() + seconds if seconds else None):
            say(line)


def main(arguments: list[str]) -> int:
    port = arguments[1] if len(arguments) > 1 else ""
    seconds = float(arguments[2]) if len(arguments) > 2 else 0.0
    with ended():
        link = Link(port)
        try:
            follow(link, seconds)
        finally:
            link.reset(interrupt=True)
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

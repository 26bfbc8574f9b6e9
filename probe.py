"""For a technician: `probe.run()` says which meter is on the line, how good the line is and what
to change, `probe.run(True)` asks every unit number (minutes). `make probe PORT=...` runs it.
"""

import asyncio
import sys


def run(every_unit: bool = False) -> None:
    """Prints the answer. Nothing of the charger runs meanwhile: mpremote's soft reset ended it."""
    name = "host"
    if sys.platform != "linux":
        with open("board.txt") as f:
            name = f.read().strip()
    # first: a board without network stands in for the modules that its MicroPython lacks
    board = __import__("board." + name, None, None, ("Board",)).Board()
    from firmware.meter.probe import probe

    def open_uart(*line):
        return board.uart("meter", *line)

    asyncio.run(probe(open_uart, print, every_unit))

"""Runs under MicroPython: the firmware's own probe on the tty given, every unit with a second
argument.
"""

import asyncio
import sys

from board.host_uart import UART
from firmware.meter.probe import probe


def open_uart(*line):
    return UART(sys.argv[1], *line)


async def main():
    found = await probe(open_uart, print, len(sys.argv) > 2)
    return 0 if found and found.chosen() else 1


sys.exit(asyncio.run(main()))

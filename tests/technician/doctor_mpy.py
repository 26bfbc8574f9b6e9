"""Runs on MicroPython (unix): `import doctor` on a board whose meter is to be searched for and
whose watchdog counts. Where it waits it waits a hundredth.

Usage: micropython doctor_mpy.py FOLDER METER TERMINAL. FOLDER has the charger's files, the others
are serial lines. The last line it prints is JSON: how often the watchdog was fed, what was shown.
"""

import asyncio
import json
import sys
import time

import board.host
from board.host_nor import FileNor
from board.host_uart import UART
from firmware.meter import detect

FOLDER, METER, TERMINAL = sys.argv[1:]


class Watchdog:
    fed = 0

    def feed(self):
        self.fed += 1


class Clock:
    def uptime_ms(self):
        return time.ticks_ms()

    def real_ms(self, ms):
        return ms


class Lines:
    def pilot(self):
        return "A"

    def feedback(self):
        return False

    emergency = stop_pressed = stop_held = feedback

    def contactor(self, closed):
        assert not closed

    def offer(self, milliamps):
        pass


class Screen:
    columns = 40
    rows = 8
    shown: list = []

    def show(self, lines, *_):
        self.shown.append(lines[-1])


class Network:
    def ready(self):
        return True


class Board:
    name = "host"
    has_network = True
    files = FOLDER

    def __init__(self):
        self.clock, self.lines, self.screen = Clock(), Lines(), Screen()
        self.watchdog, self.network = watchdog, Network()
        self.flash = FileNor(FOLDER + "/flash.bin", 64, 4096)

    def uart(self, role, baudrate, bits=8, parity=None, stop=1):
        port = {"meter": METER, "terminal": TERMINAL}.get(role)
        return UART(port, baudrate=baudrate, bits=bits, parity=parity, stop=stop) if port else None

    def tasks(self):
        return ()

    def trace(self, kind, fields):
        pass

    def power(self):
        return 5000, "power_on"


watchdog = Watchdog()
board.host.Board = Board
detect.LINES = detect.LINES[:1]
waits = asyncio.sleep_ms
asyncio.sleep_ms = lambda ms: waits(ms // 100)
import doctor  # noqa: E402, F401 - it runs now

print(json.dumps({"fed": watchdog.fed, "shown": Screen.shown}))

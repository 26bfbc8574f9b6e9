"""The board of the host simulator: UARTs on ptys, flash in a file, lines and screen over a loopback socket.

Everything the firmware knows of the simulator goes through the ports of firmware/ports.py. The socket carries one line a
message. From the world: `pilot B`, `feedback 1`, `emergency 1`, `stop`, `net 0`, `speed 10`. To the world: `contactor 1`,
`offer 32000`, and `screen`, `trace` and `hello` with JSON. When the world closes the socket the process ends.

Where things are comes from the environment: FORECOURT_WORLD (host:port), FORECOURT_DIR, FORECOURT_METER and
FORECOURT_TERMINAL (tty paths).
"""

import asyncio
import json
import os
import socket
import sys
import time

from board.host_flash import FileFlash
from board.host_uart import UART

_FLASH_SECTORS = 64
_SECTOR = 4096


class Clock:
    """Charger time: real ticks times the world's speed, without a jump when the speed changes."""

    def __init__(self):
        self.speed = 1
        self._last = time.ticks_ms()
        self._ms = 0

    def uptime_ms(self) -> int:
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last) * self.speed
        self._last = now
        return self._ms

    def real_ms(self, ms: int) -> int:
        return ms // self.speed

    def set_speed(self, speed: int) -> None:
        self.uptime_ms()
        self.speed = speed


class World:
    """The socket to the simulator: what it says becomes the state of lines, network and clock."""

    def __init__(self, address: str, clock: Clock):
        host, port = address.split(":")
        self._socket = socket.socket()
        self._socket.connect(socket.getaddrinfo(host, int(port))[0][-1])
        self._clock = clock
        self.pilot = "A"
        self.feedback = False
        self.emergency = False
        self.stop = False
        self.net = True

    def send(self, text: str) -> None:
        self._socket.write(text + "\n")

    async def listen(self) -> None:
        reader = asyncio.StreamReader(self._socket)
        while True:
            line = await reader.readline()
            if not line:
                sys.exit(0)
            self._heard(line.decode().split())

    def _heard(self, words) -> None:
        name = words[0]
        if name == "pilot":
            self.pilot = words[1]
        elif name == "stop":
            self.stop = True
        elif name == "speed":
            self._clock.set_speed(int(words[1]))
        elif name in ("feedback", "emergency", "net"):
            setattr(self, name, words[1] == "1")


class Lines:
    def __init__(self, world: World):
        self._w = world

    def pilot(self) -> str:
        return self._w.pilot

    def feedback(self) -> bool:
        return self._w.feedback

    def emergency(self) -> bool:
        return self._w.emergency

    def stop_pressed(self) -> bool:
        pressed = self._w.stop
        self._w.stop = False
        return pressed

    def contactor(self, closed: bool) -> None:
        self._w.send("contactor %d" % closed)

    def offer(self, milliamps: int) -> None:
        self._w.send("offer %d" % milliamps)


class Network:
    def __init__(self, world: World):
        self._w = world

    def ready(self) -> bool:
        return self._w.net


class ScreenPort:
    columns = 40
    rows = 8

    def __init__(self, world: World):
        self._w = world

    def show(self, lines, qr: str, light: str) -> None:
        self._w.send("screen " + json.dumps({"lines": lines, "qr": qr, "light": light}))


class Watchdog:
    """The world notices a charger that stopped feeding: one line a second while it lives."""

    def __init__(self, world: World):
        self._w = world
        self._last = time.ticks_ms()

    def feed(self) -> None:
        now = time.ticks_ms()
        if time.ticks_diff(now, self._last) >= 1000:
            self._last = now
            self._w.send("alive")


class Board:
    name = "host"

    def __init__(self):
        self.files = os.getenv("FORECOURT_DIR")
        self.clock = Clock()
        self._world = World(os.getenv("FORECOURT_WORLD"), self.clock)
        self.lines = Lines(self._world)
        self.network = Network(self._world)
        self.screen = ScreenPort(self._world)
        self.watchdog = Watchdog(self._world)
        self.flash = FileFlash(self.files + "/flash.bin", _FLASH_SECTORS, _SECTOR)

    def uart(self, role: str, baudrate: int, bits: int = 8, parity=None, stop: int = 1):
        """A UART on the pty the world prepared for this role; None where there is none."""
        path = os.getenv("FORECOURT_" + role.upper())
        return UART(path, baudrate=baudrate, bits=bits, parity=parity, stop=stop) if path else None

    def tasks(self):
        return (("world", self._world.listen),)

    def trace(self, kind: str, fields) -> None:
        self._world.send("trace " + json.dumps([kind, fields]))

    def reset(self) -> None:
        """The watchdog's way out: the world starts the process again."""
        sys.exit(3)

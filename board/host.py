"""The board of the host simulator: UARTs on ptys, flash in a file, lines and screen over a
loopback socket.

Everything the firmware knows of the simulator goes through the ports of firmware/ports.py. The
socket carries one line a message. From the world: `pilot B`, `feedback 1`, `emergency 1`, `stop`,
`net 0`, `speed 10`. To the world: `contactor 1`, `offer 32000`, and `screen`, `trace` and `hello`
with JSON. When the world closes the socket the process ends.

Where things are comes from the environment: FORECOURT_WORLD (host:port), FORECOURT_DIR,
FORECOURT_METER and FORECOURT_TERMINAL (tty paths); FORECOURT_FLASH_KIB is the size of the ledger's
region (256 when not given).
"""

import json
import os
import socket
import sys
import time
from asyncio import core as _core

from micropython import const

from board.host_nor import FileNor
from board.host_uart import UART

_SECTOR = const(4096)
_IPPROTO_TCP = const(6)
_TCP_CORK = const(3)  # Linux: nothing leaves before it is 0 again


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
    """The socket to the simulator. What it says is the state of lines and network, so this
    object is those ports, and the screen and the watchdog, whose words go the other way (Lines,
    Network, ScreenPort, Watchdog of firmware/ports.py).
    """

    columns = 40
    rows = 8

    def __init__(self, address: str, clock: Clock):
        host, port = address.split(":")
        self._socket = socket.socket()
        self._socket.connect(socket.getaddrinfo(host, int(port))[0][-1])
        self._clock = clock
        self._fed = time.ticks_ms()
        self._said = {"pilot": "A", "feedback": "0", "emergency": "0", "net": "1"}
        self._stop = False

    def send(self, text: str) -> None:
        self._socket.write(text + "\n")

    def say(self, kind: str, what) -> None:
        """A word and JSON, written piece by piece: no text of it takes memory. The socket is
        blocking, its world reads.
        """
        s = self._socket
        s.setsockopt(_IPPROTO_TCP, _TCP_CORK, 1)
        s.write(kind)
        json.dump(what, s)
        s.write("\n")
        s.setsockopt(_IPPROTO_TCP, _TCP_CORK, 0)

    async def _heard(self):  # as firmware/serialio.py waits; asyncio's streams cost 1 KB of heap
        yield _core._io_queue.queue_read(self._socket)

    async def listen(self) -> None:
        line = b""
        while True:
            await self._heard()
            more = self._socket.readline()
            if more is None:
                continue
            if not more:
                sys.exit(0)
            line += more
            if line[-1] != 10:
                continue
            words = line.decode().split()
            line = b""
            if words[0] == "stop":
                self._stop = True
            elif words[0] == "speed":
                self._clock.set_speed(int(words[1]))
            else:
                self._said[words[0]] = words[1]

    def pilot(self) -> str:
        return self._said["pilot"]

    def feedback(self) -> bool:
        return self._said["feedback"] == "1"

    def emergency(self) -> bool:
        return self._said["emergency"] == "1"

    def ready(self) -> bool:
        return self._said["net"] == "1"

    def stop_pressed(self) -> bool:
        pressed = self._stop
        self._stop = False
        return pressed

    def contactor(self, closed: bool) -> None:
        self.send("contactor %d" % closed)

    def offer(self, milliamps: int) -> None:
        self.send("offer %d" % milliamps)

    def show(self, lines, qr: str, light: str) -> None:
        self.say("screen ", {"lines": lines, "qr": qr, "light": light})

    def feed(self) -> None:
        """The world notices a charger that stopped feeding: one line a second while it lives."""
        now = time.ticks_ms()
        if time.ticks_diff(now, self._fed) >= 1000:
            self._fed = now
            self.send("alive")

    def came_up(self) -> None: ...

    def stuck(self) -> None: ...


class Board:
    name = "host"
    has_network = True

    def __init__(self):
        self.files = os.getenv("FORECOURT_DIR")
        self.clock = Clock()
        self._world = World(os.getenv("FORECOURT_WORLD"), self.clock)
        self.lines = self.network = self.screen = self.watchdog = self._world
        sectors = int(os.getenv("FORECOURT_FLASH_KIB") or 256) * 1024 // _SECTOR
        self.flash = FileNor(self.files + "/flash.bin", sectors, _SECTOR)

    def uart(self, role: str, baudrate: int, bits: int = 8, parity=None, stop: int = 1):
        """A UART on the pty the world prepared for this role; None where there is none."""
        path = os.getenv("FORECOURT_" + role.upper())
        return UART(path, baudrate=baudrate, bits=bits, parity=parity, stop=stop) if path else None

    def tasks(self):
        return (("world", self._world.listen),)

    def trace(self, kind: str, fields) -> None:
        self._world.say("trace ", (kind, fields))

    def reset(self) -> None:
        """The watchdog's way out: the world starts the process again."""
        sys.exit(3)

    again = reset

    def let_go(self) -> bool:
        return False

    def power(self):
        return 5000, "power_on"

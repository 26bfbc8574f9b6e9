"""The charger's own hardware beside its UARTs: pilot, contactor with feedback, buttons, screen.

The firmware's host board (board/host.py) connects here over a loopback socket, one line a message.
What a driver sees on the real thing is what this object holds; what the vehicle may do with the
mains follows from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Protocol

Notify = Callable[[str, dict[str, Any]], None]

FAULTS = {
    "contactor_stuck_open": "the contactor does not close when told to",
    "contactor_welded": "the contactor stays closed when told to open",
    "contactor_bypassed": "2300 W flow past the contactor, whether it is open or closed",
}
_BYPASS_W = 2300


class Car(Protocol):
    """What the pilot needs of the vehicle (hostsim.vehicle.Vehicle)."""

    def pilot(self, offered_ma: int) -> str:
        """IEC 61851-1 state letter for the current offered (0: none)."""
        ...


class Evse:
    """Serves one firmware process at a time on `address` (loopback)."""

    def __init__(self, car: Car, notify: Notify) -> None:
        self._car = car
        self._notify = notify
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.address = ""
        self.contactor = False  # the contacts, not the command
        self.commanded = False
        self.offered_ma = 0
        self.emergency = False
        self.network = True
        self.speed = 1
        self.screen: dict[str, Any] = {"lines": [], "qr": "", "light": "off"}
        self.faults: set[str] = set()
        self.switchings = 0
        self.connected = asyncio.Event()
        self._sent_pilot = ""

    async def start(self) -> None:
        """Listen on a free loopback port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"

    async def stop(self) -> None:
        """Hang up: the firmware process ends by itself."""
        if self._writer:
            self._writer.close()
        if self._server:
            self._server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1)

    def _say(self, text: str) -> None:
        if self._writer and not self._writer.is_closing():
            self._writer.write(text.encode() + b"\n")

    def _greet(self) -> None:
        """What a firmware process that has started must know."""
        self._sent_pilot = ""
        self._say(f"speed {self.speed}")
        self._say(f"feedback {int(self.contactor)}")
        self._say(f"emergency {int(self.emergency)}")
        self._say(f"net {int(self.network)}")
        self.refresh_pilot()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._greet()
        self.connected.set()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                self._heard(line.decode(errors="replace").rstrip("\n"))
        if self._writer is writer:
            self._writer = None
            self.connected.clear()
            self.dead()
        writer.close()

    def _heard(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        if name == "contactor":
            self.commanded = rest == "1"
            self._switch()
        elif name == "offer":
            self.offered_ma = int(rest)
            self._notify("lines", {"name": "offered_ma", "value": self.offered_ma})
            self.refresh_pilot()
        elif name == "screen":
            self.screen = json.loads(rest)
            self._notify("screen", self.screen)
        elif name == "trace":
            kind, fields = json.loads(rest)
            self._notify(kind, fields)
        elif name == "alive":
            self._notify("alive", {})

    def _switch(self) -> None:
        closed = self.commanded
        if "contactor_stuck_open" in self.faults and closed:
            closed = False
        if "contactor_welded" in self.faults and self.contactor:
            closed = True
        if closed != self.contactor:
            self.contactor = closed
            self.switchings += 1
            self._notify("lines", {"name": "contactor", "value": closed})
        self._say(f"feedback {int(self.contactor)}")

    @property
    def bypass_w(self) -> int:
        """What flows past the contactor."""
        return _BYPASS_W if "contactor_bypassed" in self.faults else 0

    def dead(self) -> None:
        """The firmware is gone: the contactor's coil has no voltage, no current is offered."""
        self.commanded = False
        self.offered_ma = 0
        self._switch()
        self.screen = {"lines": [], "qr": "", "light": "off"}
        self._notify("screen", self.screen)

    def set_fault(self, name: str, on: bool) -> None:
        """A fault of FAULTS; KeyError for another."""
        FAULTS[name]
        (self.faults.add if on else self.faults.discard)(name)
        self._switch()

    def refresh_pilot(self) -> str:
        """Tells the firmware the pilot's state when it changed; to be called when it may have."""
        letter = self._car.pilot(self.offered_ma)
        if letter != self._sent_pilot:
            self._sent_pilot = letter
            self._say(f"pilot {letter}")
            self._notify("lines", {"name": "pilot", "value": letter})
        return letter

    def press_stop(self) -> None:
        self._say("stop")
        self._notify("lines", {"name": "stop", "value": True})

    def press_language(self, code: str) -> None:
        """The language button: the screen speaks that one until the driver has gone."""
        self._say(f"language {code}")

    def set_emergency(self, on: bool) -> None:
        """The emergency stop also cuts the coil's supply by hardware."""
        self.emergency = on
        if on:
            self.commanded = False
            self._switch()
        self._say(f"emergency {int(on)}")
        self._notify("lines", {"name": "emergency", "value": on})

    def set_network(self, on: bool) -> None:
        self.network = on
        self._say(f"net {int(on)}")

    def set_speed(self, speed: int) -> None:
        self.speed = speed
        self._say(f"speed {speed}")

"""What the chargers of one site share: time, certificates, broker, back office, time server.

A World makes its own when it is given none. What it keeps on disk goes on when it is started
again: database, certificates, and the time of day.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostsim.backoffice import contract
from hostsim.backoffice.service import BackOffice
from hostsim.broker import Broker
from hostsim.clock import WorldClock
from hostsim.pki import Pki
from hostsim.timeserver import TimeServer

OnMqtt = Callable[[str, dict[str, Any]], None]


class Site:
    """`directory`: where broker, certificates, database and clock are kept."""

    def __init__(
        self, directory: Path, start_epoch_ms: int | None = None, speed: float = 1
    ) -> None:
        """Nothing runs yet. Without `start_epoch_ms` the clock goes on where it stopped."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._clock_file = directory / "clock.json"
        self.clock = WorldClock(start_epoch_ms or self._time_to_go_on(), speed)
        self.pki = Pki(directory / "pki")
        self.broker = Broker(directory / "broker", self.pki)
        self.time_server = TimeServer(self.clock)
        self.back_office: BackOffice | None = None
        self.trouble = asyncio.Lock()  # whoever stops and starts a shared part holds it
        self._listeners: dict[str, OnMqtt] = {}
        self._started = contextlib.AsyncExitStack()

    async def start(self, progress: Callable[[str], None] = lambda text: None) -> None:
        """Starts all of it. Raises BrokerError."""
        undo = self._started
        undo.callback(self.save_clock)
        progress("certificates and broker")
        undo.push_async_callback(asyncio.to_thread, self.broker.stop)
        await asyncio.to_thread(self.broker.start)
        progress("back office")
        self.back_office = BackOffice(
            f"sqlite:///{self.directory / 'backoffice.db'}",
            self.broker,
            self.pki,
            self.clock.now_ms,
            self._heard,
        )
        undo.push_async_callback(asyncio.to_thread, self.back_office.close)
        await self.back_office.start()
        undo.push_async_callback(self.time_server.stop)
        await self.time_server.start()

    async def stop(self) -> None:
        """Ends what was started."""
        await self._started.aclose()

    def listen(self, charger: str, handler: OnMqtt) -> None:
        """`handler(kind, data)` gets every MQTT message of that charger."""
        self._listeners[charger] = handler

    def _heard(self, kind: str, data: dict[str, Any]) -> None:
        charger = data["topic"].removeprefix(contract.PREFIX).partition("/")[0]
        handler = self._listeners.get(charger)
        if handler is not None:
            handler(kind, data)

    def _time_to_go_on(self) -> int | None:
        """Now; or where this site's clock stopped, when that had run ahead: it never goes back."""
        try:
            stopped_ms = int(json.loads(self._clock_file.read_text())["now_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        now_ms = time.time_ns() // 1_000_000
        return stopped_ms if stopped_ms > now_ms else None

    def save_clock(self) -> None:
        """The time of day, for the next start."""
        fresh = self._clock_file.with_suffix(".new")
        fresh.write_text(json.dumps({"now_ms": self.clock.now_ms()}))
        fresh.replace(self._clock_file)

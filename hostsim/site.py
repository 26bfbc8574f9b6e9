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
from typing import TYPE_CHECKING, Any

from hostsim.backoffice import contract
from hostsim.backoffice.locations import DEMO
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from hostsim.broker import Broker
from hostsim.clock import WorldClock
from hostsim.pki import Pki
from hostsim.timeserver import TimeServer

if TYPE_CHECKING:
    from hostsim.backoffice.gateways.base import Gateway
    from hostsim.gateway.proxy import Proxy

OnMqtt = Callable[[str, dict[str, Any]], None]


class Site:
    """`directory`: where broker, certificates, database and clock are kept. With a payment gateway
    (`gateway`) drivers may pay by phone at `pages_url`: the back office's pages are served there,
    unless whoever made the site serves them at the `pages_url` given.
    """

    def __init__(
        self,
        directory: Path,
        start_epoch_ms: int | None = None,
        speed: float = 1,
        gateway: bool = False,
        pages_url: str = "",
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
        self.gateway: Proxy | None = None
        self.pages_url = pages_url
        self._speed = max(1, round(speed))
        self._with_gateway = gateway
        self.trouble = asyncio.Lock()  # whoever stops and starts a shared part holds it
        self._listeners: dict[str, OnMqtt] = {}
        self._started = contextlib.AsyncExitStack()

    async def start(self, progress: Callable[[str], None] = lambda text: None) -> None:
        """Starts all of it. Raises BrokerError."""
        undo = self._started
        undo.callback(self.save_clock)
        opening = None
        if self._with_gateway:
            opening = asyncio.create_task(self._start_gateway(progress))
        progress("certificates and broker")
        undo.push_async_callback(asyncio.to_thread, self.broker.stop)
        try:
            await asyncio.to_thread(self.broker.start)
        finally:  # what was begun is up before anything is ended
            gateway = await opening if opening is not None else None
        progress("back office")
        self.back_office = BackOffice(
            f"sqlite:///{self.directory / 'backoffice.db'}",
            self.broker,
            self.pki,
            self.clock.now_ms,
            self._heard,
            self._operator() if gateway else Operator(location=DEMO),
            gateway=gateway,
        )
        undo.push_async_callback(asyncio.to_thread, self.back_office.close)
        await self.back_office.start()
        if self.gateway is not None:
            await self._start_pages()
        undo.push_async_callback(self.time_server.stop)
        await self.time_server.start()

    async def _start_gateway(self, progress: Callable[[str], None]) -> Gateway:
        """localstripe in a process of its own, and the SDK that talks to it. Raises PeerError."""
        from hostsim.backoffice.gateways.base import TEST, Settings, opened
        from hostsim.gateway.proxy import Proxy

        progress("payment gateway")
        self.gateway = Proxy(self.directory / "gateway")
        self._started.push_async_callback(asyncio.to_thread, self.gateway.stop)
        await asyncio.to_thread(self.gateway.start)
        keys = Settings("stripe", TEST, self.gateway.url, self.gateway.environ)
        return await asyncio.to_thread(opened, keys)

    def _operator(self) -> Operator:
        """The demo's. What the back office waits for happens in real time: at a greater speed it
        waits for more of the simulated."""
        more_s = 20 * (self._speed - 1)
        return Operator(
            gateway="stripe",
            location=DEMO,
            pay_wait_s=120 + more_s,
            pay_confirm_s=900 + more_s,
            pay_give_up_s=60 + more_s,
        )

    async def _start_pages(self) -> None:
        """The back office's pages, for phones and for the gateway's events."""
        assert self.gateway is not None and self.back_office is not None
        if not self.pages_url:
            from hostsim.backoffice.web import create_app
            from hostsim.front.server import serve

            ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            app = create_app(self.back_office)
            serving = asyncio.create_task(serve(app, port=0, on_ready=ready.set_result))
            self._started.push_async_callback(_ended, serving)
            self.pages_url = f"http://127.0.0.1:{await ready}"
        self.gateway.hooks.url = f"{self.pages_url}/gateway/events"

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


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

"""The world around one charger: vehicle, meter, terminal, broker, back office, time, and itself.

Everything is real where it can be: MicroPython runs the firmware, mosquitto the broker, pymodbus
the meter, SQLite the back office. A World is started, acted on (`act`, by name, as the front page
does) and looked at (`snapshot`, `subscribe`). What it keeps on disk goes on when it is started
again: flash, terminal's books, database, meter's register, and the time of day.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hostsim import books as books_module
from hostsim import commission
from hostsim.backoffice.service import BackOffice
from hostsim.broker_proxy import BrokerProxy
from hostsim.charger import Charger, Machine
from hostsim.commission import DEFAULT_TARIFF
from hostsim.defaults import CHARGER_ID as CHARGER_ID
from hostsim.errors import WorldError
from hostsim.evse import Evse
from hostsim.hands import Hands
from hostsim.ledgerimage import read_image
from hostsim.line import PtyLine
from hostsim.meter.sim import MeterSim
from hostsim.rfid import RfidReader
from hostsim.site import Site
from hostsim.snapshot import snapshot
from hostsim.terminal.books import Books
from hostsim.terminal.pt import TerminalSim
from hostsim.vehicle import Vehicle
from hostsim.waiting import Waiting

__all__ = ["CHARGER_ID", "DEFAULT_TARIFF", "Options", "World", "WorldError"]

_STEP_S = 0.05
_TELL_EVERY = 5
_SAVE_EVERY = 40
_QUEUE = 2000
_METER_START_WH = 1_234_560
_EVENT_KINDS = ("zvt", "modbus", "mqtt", "lines", "ledger", "log", "fault")


@dataclass
class Options:
    """How a world is set up. `directory`: where everything is kept; `flash_kib`: size of the
    ledger's region; `proxied`: the charger reaches the broker through a hostile network (`net`);
    `gateway`: drivers may pay by phone (`pages_url`: hostsim.site); `rfid`: members may tap.
    """
    directory: Path
    rom: bool = False
    bits: int = 32
    speed: int = 1
    hold_minor: int = 6000
    tariff: str | None = None
    wanted_wh: int | None = None
    max_power_w: int = 11_000
    seed: int = 1
    start_epoch_ms: int | None = None
    receipt_url: str = ""
    config: dict[str, Any] | None = None
    meter: dict[str, Any] | None = None  # as MeterSim: model, serial, start_wh, unit, baud
    bank_s: float = 0.8
    charger: str = CHARGER_ID
    flash_kib: int = 256
    proxied: bool = False
    beside: str = ""  # charger.Machine.beside
    gateway: bool = False
    pages_url: str = ""
    rfid: bool = False


class World(Waiting):
    """See the module. `progress(text)` hears what is being started. `site`: a started one that
    several worlds share; without it the world makes one and ends it.
    """

    def __init__(
        self,
        options: Options,
        progress: Callable[[str], None] = lambda text: None,
        site: Site | None = None,
    ) -> None:
        self.options = options
        self._progress = progress
        self.charger_id = options.charger
        self.random = random.Random(options.seed)
        self._owns_site = site is None
        o = options
        self.site = site or Site(o.directory, o.start_epoch_ms, o.speed, o.gateway, o.pages_url)
        self.clock = self.site.clock
        self.pki = self.site.pki
        self.broker = self.site.broker
        self.time_server = self.site.time_server
        self.net = BrokerProxy(self.broker, self.pki, options.seed) if options.proxied else None
        self.charger: Charger | None = None
        self.view: dict[str, Any] = {}
        self.hello: dict[str, Any] = {}
        self.log: deque[str] = deque(maxlen=500)
        self.receipt: list[str] = []
        self.records: dict[str, dict[str, Any]] = {}  # the newest of each kind since the start
        self.newest_seq = 0  # of the records heard of since the charger's start
        self.cards_read: list[dict[str, Any]] = []
        self.refusal = ""  # why the charger sells nothing at all, in its own words
        self.books_seen: dict[str, Any] = {}
        self.mqtt: deque[dict[str, Any]] = deque(maxlen=5000)
        self.deaths = 0  # starts that came to nothing, in a row
        self.resets_seen = 0
        self._totals: dict[str, int] | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._queues: list[asyncio.Queue[dict[str, Any]]] = []
        self._told: dict[str, Any] = {}
        self._started = contextlib.AsyncExitStack()
        self._make_parts(options)

    def _make_parts(self, o: Options) -> None:
        self.files = o.directory / "charger"
        self.files.mkdir(parents=True, exist_ok=True)
        self._began_ms = self.clock.now_ms()
        battery_wh = max(60_000, (o.wanted_wh or 0) * 5 // 4)
        stored = battery_wh - (o.wanted_wh or 40_000)
        self.vehicle = Vehicle(
            self.clock,
            battery_wh=battery_wh,
            stored_wh=stored // 2,
            wanted_wh=o.wanted_wh,
            max_power_w=o.max_power_w,
        )
        self.evse = Evse(self.vehicle, self._heard)
        self.evse.speed = o.speed
        self.meter_line = PtyLine(0)  # stays when the meter is changed
        self.meter = self._a_meter("meter.json", **(o.meter or {}))
        self.terminal = TerminalSim(
            self.clock,
            profile="cvend",
            books=Books(o.directory / "terminal.json"),
            on_event=self._terminal_event,
            bank_s=o.bank_s,
        )
        self.terminal_line = PtyLine(baud=9600)
        self.reader = RfidReader(o.seed) if o.rfid else None
        self.hands = Hands(self)

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts every part, the charger last. Raises WorldError, BrokerError, ChargerError."""
        o = self.options
        undo = self._started
        commission.check_build(o.rom)
        machine = replace(Machine.choose(o.rom, o.bits), beside=o.beside)
        if machine.bits != o.bits:
            self._printed("no 32-bit MicroPython here: the 64-bit one, with twice the heap")
        undo.callback(self.terminal_line.close)
        if self._owns_site:
            undo.push_async_callback(self.site.stop)
            await self.site.start(self._progress)
        self.site.listen(self.charger_id, self._mqtt_event)
        if self.net is not None:
            undo.push_async_callback(asyncio.to_thread, self.net.stop)
            await asyncio.to_thread(self.net.start)
        self._progress("meter, terminal, vehicle")
        undo.push_async_callback(self._stop_meter)
        await self.meter.start()
        undo.push_async_callback(self._end_tasks)
        undo.push_async_callback(self.evse.stop)
        await self.evse.start()
        self._tasks.append(
            asyncio.create_task(self.terminal.serve(self.terminal_line, True), name="terminal")
        )
        self._tasks.append(asyncio.create_task(self._turn(), name="world"))
        if self.reader is not None:
            undo.callback(self.reader.begin())
        commission.write_files(self)
        self._progress("charger")
        self.charger = Charger(machine, commission.environment(self), self._printed)
        undo.push_async_callback(self.charger.power_off)
        await self.charger.power_on()

    async def stop(self) -> None:
        """Ends everything that was started, the charger first."""
        await self._started.aclose()

    async def _end_tasks(self) -> None:
        self.hands.let_go()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _a_meter(self, state: str, **kind: Any) -> MeterSim:
        return MeterSim(
            self.clock,
            self._power_w,
            state_file=self.options.directory / state,
            on_event=self._meter_event,
            seed=self.options.seed,
            line=self.meter_line,
            heed_baud=True,
            **{"start_wh": _METER_START_WH, **kind},
        )

    async def change_meter(self, **kind: Any) -> None:
        """Another meter takes the place of the one there is: model, serial, start_wh, unit, baud
        as MeterSim.
        """
        await self.meter.stop()
        self.meter = self._a_meter(f"meter-{kind.get('serial', 'new')}.json", **kind)
        await self.meter.start()

    async def _stop_meter(self) -> None:
        await self.meter.stop()
        self.meter_line.close()

    async def set_power(self, on: bool) -> None:
        """The charger's supply: off is a cut between any two instructions."""
        assert self.charger
        if on:
            return await self.charger.power_on()
        await self.charger.power_off()
        self.view = {}
        self._event("fault", {"name": "power", "on": True})

    # --- physics ---------------------------------------------------------------------------------

    def _power_w(self) -> int:
        power: int = self.vehicle.power_w(self.evse.contactor, self.evse.offered_ma)
        return power + self.evse.bypass_w

    async def _turn(self) -> None:
        turns = 0
        while True:
            await asyncio.sleep(_STEP_S)
            self.evse.refresh_pilot()
            turns += 1
            if turns % _TELL_EVERY == 0:
                self._tell_changes()
            if turns % _SAVE_EVERY == 0:
                self.site.save_clock()

    # --- what happens ----------------------------------------------------------------------------

    def _event(self, kind: str, data: dict[str, Any]) -> None:
        message = {"t": "event", "kind": kind, "data": data, "at_ms": self.age_ms}
        for queue in self._queues:
            if not queue.full():
                queue.put_nowait(message)

    def _heard(self, kind: str, data: dict[str, Any]) -> None:
        """From the charger's lines and traces."""
        keep = {
            "view": self._heard_view,
            "hello": self._heard_hello,
            "log": self._heard_log,
            "ledger": self._heard_record,
            "card": self.cards_read.append,
        }.get(kind)
        if keep:
            keep(data)
        if kind == "screen":
            self._tell({"screen": data})
        elif kind == "receipt":
            self.receipt = [*self.receipt[: data["number"]], data["line"]]
        elif kind in ("contactor", "card"):
            self._event("lines", {"name": kind, "value": data})
        elif kind in _EVENT_KINDS:
            self._event(kind, data)
        self.meter.step()

    def _heard_view(self, data: dict[str, Any]) -> None:
        self.view = data
        self.deaths = 0

    def _heard_hello(self, data: dict[str, Any]) -> None:
        self.hello = data
        self.refusal = ""
        self.newest_seq = 0

    def _heard_log(self, data: dict[str, Any]) -> None:
        text = data["text"]
        self.log.append(f"{data['level']}: {text}")
        if data["level"] == "error" and text.startswith(("config:", "ledger:", "tariff:")):
            self.refusal = text

    def _heard_record(self, data: dict[str, Any]) -> None:
        self.records[data["type"]] = data["fields"]
        self.newest_seq = data["seq"]
        if data["type"] == "tariff" and data["fields"]["result"] == "accepted":
            self.refusal = ""

    def _printed(self, text: str) -> None:
        self.log.append(text)
        self._event("log", {"level": "info", "text": text})

    def _meter_event(self, kind: str, data: dict[str, Any]) -> None:
        self._event("modbus", {"kind": kind, **data})

    def _mqtt_event(self, kind: str, data: dict[str, Any]) -> None:
        self._event(kind, data)
        self.mqtt.append(data)

    def _terminal_event(self, kind: str, data: dict[str, Any]) -> None:
        self._totals = None
        if kind == "apdu":
            fields = {k: v for k, v in data.items() if k not in ("dir", "hex", "name")}
            said = {"direction": data["dir"], "name": data.get("name", ""), "hex": data["hex"]}
            self._event("zvt", {**said, "fields": fields})
        elif kind == "display":
            self._tell({"terminal": {"display": data["text"]}})
        elif kind != "line" or data["what"] != "ack":  # every frame has one
            self._event("zvt", {"direction": "", "name": kind, "hex": "", "fields": data})

    # --- looking ---------------------------------------------------------------------------------

    def subscribe(self) -> asyncio.Queue[dict[str, Any]]:
        """What happens from now on; see hostsim.front.world."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_QUEUE)
        self._queues.append(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[dict[str, Any]]) -> None:
        with contextlib.suppress(ValueError):
            self._queues.remove(queue)

    def _tell(self, changes: dict[str, Any]) -> None:
        for queue in self._queues:
            if not queue.full():
                queue.put_nowait({"t": "state", **changes})

    def _tell_changes(self) -> None:
        if not self._queues:
            return
        now = self.snapshot()
        changes = {key: value for key, value in now.items() if self._told.get(key) != value}
        self._told = now
        if changes:
            self._tell(changes)

    @property
    def back_office(self) -> BackOffice | None:
        """The site's; None until it is started."""
        return self.site.back_office

    @property
    def running(self) -> bool:
        """The firmware's process lives and talks."""
        return self.charger is not None and self.charger.running and self.evse.connected.is_set()

    @property
    def state(self) -> str:
        """The charger's state as its own view says it; "" while it does not run."""
        state: str = self.view.get("state", "") if self.running else ""
        return state

    @property
    def age_ms(self) -> int:
        """Simulated time since the world was made."""
        return self.clock.now_ms() - self._began_ms

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as hostsim.front.world describes it."""
        return snapshot(self)

    def terminal_totals(self) -> dict[str, int]:
        """Totals of the terminal's own books; computed anew when the terminal did something."""
        if self._totals is None:
            summary = self.terminal.books.summary()
            self._totals = {k: v for k, v in summary.items() if isinstance(v, int)}
        return self._totals

    # --- the three books -------------------------------------------------------------------------

    def charger_records(self) -> list[dict[str, Any]]:
        """What is in the charger's flash, by the independent reader."""
        return read_image(self.files / "flash.bin")

    def compare_books(self) -> dict[str, Any]:
        """The three books and their differences (four with a payment gateway), kept as well."""
        self.books_seen = books_module.of_world(self)
        return self.books_seen

    # --- acting ----------------------------------------------------------------------------------

    async def act(self, name: str, /, **args: Any) -> dict[str, Any]:
        """Does what hostsim.front.acts names; {"ok": False, "error": ...} when it cannot now."""
        try:
            await self.hands.do(name, args)
        except (WorldError, ValueError, KeyError) as e:
            return {"ok": False, "error": str(e)}
        self._tell_changes()
        return {"ok": True}

"""The world around one charger: vehicle, meter, terminal, broker, back office, time, and the charger itself.

Everything is real where it can be: MicroPython runs the firmware, mosquitto the broker, pymodbus the meter, SQLite the
back office. A World is started, acted on (`act`, by name, as the front page does) and looked at (`snapshot`, `subscribe`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostsim import books as books_module
from hostsim.backoffice.service import BackOffice
from hostsim.broker import Broker
from hostsim.charger import Charger, Machine
from hostsim.clock import WorldClock
from hostsim.evse import Evse
from hostsim.ledgerimage import read_image
from hostsim.line import PtyLine
from hostsim.meter.sim import MeterSim
from hostsim.pki import Pki
from hostsim.terminal.books import Books
from hostsim.terminal.cards import CARDS
from hostsim.terminal.pt import TerminalSim
from hostsim.timeserver import TimeServer
from hostsim.vehicle import Vehicle

CHARGER_ID = "FC-0001"
DEFAULT_TARIFF = Path(__file__).with_name("data") / "tariff.json"
_STEP_S = 0.05
_TELL_EVERY = 5
_QUEUE = 2000
_METER_START_WH = 1_234_560
_EVENT_KINDS = ("zvt", "modbus", "mqtt", "lines", "ledger", "log", "fault")


class WorldError(RuntimeError):
    """The world cannot be set up or cannot do that; str() says what to do."""


@dataclass
class Options:
    """How a world is set up. `directory`: where everything is kept; one that was used before goes on."""

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
    bank_s: float = 0.8


class World:
    """See the module. `progress(text)` hears what is being started."""

    def __init__(self, options: Options, progress: Callable[[str], None] = lambda text: None) -> None:
        self.options = options
        self._progress = progress
        self.clock = WorldClock(options.start_epoch_ms, options.speed)
        self.random = random.Random(options.seed)
        self.back_office: BackOffice | None = None
        self.charger: Charger | None = None
        self.view: dict[str, Any] = {}
        self.hello: dict[str, Any] = {}
        self.log: deque[str] = deque(maxlen=500)
        self.receipt: list[str] = []
        self.on_mqtt: Callable[[dict[str, Any]], None] | None = None
        self._card = ""
        self._tasks: list[asyncio.Task[Any]] = []
        self._queues: list[asyncio.Queue[dict[str, Any]]] = []
        self._books: dict[str, Any] = {}
        self._told: dict[str, Any] = {}
        self.changed = asyncio.Event()
        directory = options.directory
        self.files = directory / "charger"
        self.files.mkdir(parents=True, exist_ok=True)
        stored = 60_000 - min(options.wanted_wh or 40_000, 55_000)
        self.vehicle = Vehicle(self.clock, stored_wh=stored // 2, wanted_wh=options.wanted_wh,
                               max_power_w=options.max_power_w)  # fmt: skip
        self.evse = Evse(self.vehicle, self._heard)
        self.evse.speed = options.speed
        self.meter = MeterSim(self.clock, self._power_w, "SDM630", start_wh=_METER_START_WH,
                              state_file=directory / "meter.json", on_event=self._meter_event,
                              seed=options.seed)  # fmt: skip
        self.terminal = TerminalSim(self.clock, profile="cvend", books=Books(directory / "terminal.json"),
                                    on_event=self._terminal_event, bank_s=options.bank_s)  # fmt: skip
        self.terminal_line = PtyLine(baud=9600)
        self.pki = Pki(directory / "pki")
        self.broker = Broker(directory / "broker", self.pki)
        self.time_server = TimeServer(self.clock)

    # --- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts every part, the charger last. Raises WorldError, BrokerError, ChargerError."""
        o = self.options
        self._progress("certificates and broker")
        await asyncio.to_thread(self.broker.start)
        self._progress("back office")
        self.back_office = BackOffice(f"sqlite:///{o.directory / 'backoffice.db'}", self.broker, self.pki,
                                      self.clock.now_ms, self._mqtt_event)  # fmt: skip
        await self.back_office.start()
        self._progress("meter, terminal, vehicle")
        await self.evse.start()
        await self.meter.start()
        await self.time_server.start()
        self._tasks.append(asyncio.create_task(self.terminal.serve(self.terminal_line, True)))
        self._tasks.append(asyncio.create_task(self._turn()))
        self._write_charger_files()
        self._progress("charger")
        self.charger = Charger(Machine.choose(o.rom, o.bits), self._environment(), self._printed)
        await self.charger.power_on()

    async def stop(self) -> None:
        """Ends everything; no process is left behind."""
        if self.charger:
            await self.charger.power_off()
        await self.evse.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.meter.stop()
        self.terminal_line.close()
        await self.time_server.stop()
        if self.back_office:
            await self.back_office.stop()
            self.back_office.close()
        await asyncio.to_thread(self.broker.stop)

    def _write_charger_files(self) -> None:
        o = self.options
        self.pki.charger(CHARGER_ID).install(self.files)
        tariff = self.files / "tariff.json"
        if o.tariff is not None or not tariff.exists():
            tariff.write_text(o.tariff if o.tariff is not None else DEFAULT_TARIFF.read_text())
        currency = "EUR"
        with contextlib.suppress(ValueError, AttributeError):
            currency = json.loads(tariff.read_text()).get("currency", currency)
        assert self.back_office
        config = {
            "charger": CHARGER_ID,
            "evse_id": "DE*FCT*E0001*1",
            "currency": currency,
            "hold_minor": o.hold_minor,
            "min_hold_minor": min(100, o.hold_minor),
            "salt": self._salt(),
            "receipt_url": o.receipt_url,
            "mqtt": {
                "host": "127.0.0.1",
                "port": self.broker.port,
                "command_key": self.back_office.command_key(CHARGER_ID).hex(),
            },
            "time_server": {"host": "127.0.0.1", "port": self.time_server.port},
        }
        config.update(o.config or {})
        (self.files / "config.json").write_text(json.dumps(config, indent=1))

    def _salt(self) -> str:
        path = self.files / "salt"
        if not path.exists():
            path.write_text(secrets.token_hex(16))
        return path.read_text()

    def _environment(self) -> dict[str, str]:
        return {
            "FORECOURT_WORLD": self.evse.address,
            "FORECOURT_DIR": str(self.files),
            "FORECOURT_METER": self.meter.path,
            "FORECOURT_TERMINAL": self.terminal_line.path,
        }

    # --- physics -------------------------------------------------------------------------------------------------

    def _power_w(self) -> int:
        power: int = self.vehicle.power_w(self.evse.contactor, self.evse.offered_ma)
        return power

    async def _turn(self) -> None:
        turns = 0
        while True:
            await asyncio.sleep(_STEP_S)
            self.evse.refresh_pilot()
            turns += 1
            if turns % _TELL_EVERY == 0:
                self._tell_changes()

    # --- what happens --------------------------------------------------------------------------------------------

    def _event(self, kind: str, data: dict[str, Any]) -> None:
        message = {"t": "event", "kind": kind, "data": data, "at_ms": self.clock.now_ms()}
        for queue in self._queues:
            if not queue.full():
                queue.put_nowait(message)

    def _heard(self, kind: str, data: dict[str, Any]) -> None:
        """From the charger's lines and traces."""
        if kind == "view":
            self.view = data
            self.changed.set()
        elif kind == "hello":
            self.hello = data
        elif kind == "screen":
            self._tell({"screen": data})
        elif kind == "log":
            self.log.append(f"{data['level']}: {data['text']}")
            self._event("log", data)
        elif kind == "receipt":
            self.receipt = data["lines"]
        elif kind in ("contactor", "card"):
            self._event("lines", {"name": kind, "value": data})
        elif kind in _EVENT_KINDS:
            self._event(kind, data)
        self.meter.step()

    def _printed(self, text: str) -> None:
        self.log.append(text)
        self._event("log", {"level": "info", "text": text})

    def _meter_event(self, kind: str, data: dict[str, Any]) -> None:
        self._event("modbus", {"kind": kind, **data})

    def _mqtt_event(self, kind: str, data: dict[str, Any]) -> None:
        self._event(kind, data)
        if self.on_mqtt:
            self.on_mqtt(data)

    def _terminal_event(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "apdu":
            fields = {k: v for k, v in data.items() if k not in ("dir", "hex", "name")}
            self._event("zvt", {"direction": data["dir"], "name": data.get("name", ""), "hex": data["hex"], "fields": fields})
        elif kind == "display":
            self._tell({"terminal": {"display": data["text"]}})
        else:
            self._event("zvt", {"direction": "", "name": kind, "hex": "", "fields": data})

    # --- looking -------------------------------------------------------------------------------------------------

    def subscribe(self) -> asyncio.Queue[dict[str, Any]]:
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
    def running(self) -> bool:
        return self.charger is not None and self.charger.running and self.evse.connected.is_set()

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as hostsim.front.world describes it."""
        v = self.view if self.running else {}
        return {
            "charger": CHARGER_ID,
            "speed": self.evse.speed,
            "sim_time_ms": self.clock.now_ms(),
            "up": self.running,
            "power": bool(self.charger and self.charger.powered),
            "screen": self.evse.screen,
            "lines": {
                "pilot": self.vehicle.pilot(self.evse.offered_ma),
                "contactor": self.evse.contactor,
                "feedback": self.evse.contactor,
                "emergency": self.evse.emergency,
                "offered_ma": self.evse.offered_ma,
            },
            "vehicle": {
                "plugged": self.vehicle.plugged,
                "power_w": self.meter.power_w,
                "energy_wh": self.vehicle.delivered_wh,
                "wanted_wh": self.vehicle.wanted_wh,
                "soc_pct": self.vehicle.stored_percent,
                "paused": self.vehicle.paused,
                "full": self.vehicle.full,
            },
            "meter": self._meter_state(),
            "terminal": self._terminal_state(),
            "network": {"connected": self.evse.network, "broker_up": self.broker.running},
            "session": v.get("session"),
            "sync": v.get("sync", {}),
            "heap": v.get("heap", {}),
            "firmware": {
                "version": self.hello.get("version", ""),
                "pointer_bits": self.hello.get("bits", 0),
                "micropython": self.hello.get("micropython", ""),
            },
            "cards": [{"name": card.name, "help": card.about} for card in CARDS.values()],
            "languages": ["en", "de", "fr"],
            "books": self._books,
        }

    def _meter_state(self) -> dict[str, Any]:
        assert self.meter.line
        return {
            "connected": self.meter.line.connected,
            "register_wh": self.meter.register_wh,
            "registers": {name: str(value) for name, value in self.meter.registers().items()},
            "faults": {name: True for name in self.meter.faults},
        }

    def _terminal_state(self) -> dict[str, Any]:
        return {
            "connected": self.terminal_line.connected,
            "powered": self.terminal.powered,
            "display": self.terminal.display,
            "card": self._card,
            "books": {k: v for k, v in self.terminal.books.summary().items() if isinstance(v, int)},
            "faults": {},
        }

    # --- the three books -----------------------------------------------------------------------------------------

    def charger_records(self) -> list[dict[str, Any]]:
        """What is in the charger's flash, by the independent reader."""
        return read_image(self.files / "flash.bin")

    def compare_books(self) -> dict[str, Any]:
        """The three books and their differences; also kept for the snapshot."""
        assert self.back_office
        charger = books_module.from_records("charger", self.charger_records())
        terminal = books_module.from_terminal(self.terminal.books.summary())
        back = books_module.from_records("back office", self.back_office.records(CHARGER_ID))
        self._books = books_module.compare(charger, terminal, back)
        return self._books

    # --- acting --------------------------------------------------------------------------------------------------

    async def act(self, name: str, /, **args: Any) -> dict[str, Any]:
        """Does what hostsim.front.acts names; {"ok": False, "error": ...} when it cannot be done now."""
        try:
            await self._act(name, args)
        except (WorldError, ValueError, KeyError) as e:
            return {"ok": False, "error": str(e)}
        self._tell_changes()
        return {"ok": True}

    async def _act(self, name: str, args: dict[str, Any]) -> None:
        acts: dict[str, Callable[..., Awaitable[None] | None]] = {
            "tap": self.tap,
            "remove_card": self.remove_card,
            "plug": self.plug,
            "unplug": self.unplug,
            "stop": self.evse.press_stop,
            "emergency": self.evse.set_emergency,
            "vehicle_full": self.vehicle_full,
            "vehicle_pause": self.vehicle_pause,
            "speed": self.set_speed,
            "network": self.set_network,
            "meter": self.set_meter,
            "terminal": self.set_terminal,
            "power": self.set_power,
            "meter_fault": self.meter_fault,
            "terminal_fault": self.terminal_fault,
            "language": self.evse.press_language,
        }
        done = acts[name](*args.values())
        if done is not None:
            await done

    async def tap(self, card: str) -> None:
        """Holds a card to the reader for as long as a person does: until the terminal has done with it, at most 6 s."""
        self.terminal.present_card(card)
        self._card = card
        self._tasks = [t for t in self._tasks if not t.done()]
        self._tasks.append(asyncio.create_task(self._take_card_away(card)))

    async def _take_card_away(self, card: str) -> None:
        await asyncio.sleep(6)
        if self._card == card:
            self.remove_card()

    def remove_card(self) -> None:
        self._card = ""
        self.terminal.remove_card()

    def plug(self) -> None:
        if self.vehicle.plugged:
            raise WorldError("the vehicle is plugged in already")
        self.vehicle.plug()
        self.evse.refresh_pilot()

    def unplug(self) -> None:
        if not self.vehicle.plugged:
            raise WorldError("no vehicle is plugged in")
        self.meter.step()
        self.vehicle.unplug()
        self.evse.refresh_pilot()

    def vehicle_full(self) -> None:
        """The vehicle has enough: what it got is what it wanted."""
        self.meter.step()
        self.vehicle.wanted_wh = self.vehicle.delivered_wh
        self.evse.refresh_pilot()

    def vehicle_pause(self, on: bool) -> None:
        self.meter.step()
        self.vehicle.pause(on)
        self.evse.refresh_pilot()

    def set_speed(self, n: int) -> None:
        self.clock.speed = n
        self.evse.set_speed(n)

    def set_network(self, on: bool) -> None:
        """Pulling the cable: the broker falls silent, the charger's link goes down."""
        if self.evse.network == on:
            return
        (self.broker.resume if on else self.broker.pause)()
        self.evse.set_network(on)

    def set_meter(self, on: bool) -> None:
        assert self.meter.line
        self.meter.line.connected = on

    def set_terminal(self, on: bool) -> None:
        self.terminal_line.connected = on

    async def set_power(self, on: bool) -> None:
        assert self.charger
        if on:
            await self.charger.power_on()
        else:
            await self.charger.power_off()
            self.view = {}
            self._event("fault", {"name": "power", "on": True})

    def meter_fault(self, name: str, on: bool) -> None:
        if on:
            self.meter.set_fault(name)
        else:
            self.meter.clear_fault(name)

    def terminal_fault(self, name: str, on: bool) -> None:
        self.terminal.set_fault(name, on)

    # --- waiting (demo, scenarios) -------------------------------------------------------------------------------

    async def until(self, what: Callable[[], bool], timeout_s: float, why: str) -> None:
        """Waits until `what()`; WorldError with the reason after `timeout_s` real seconds."""
        end = time.monotonic() + timeout_s
        while not what():
            if time.monotonic() > end:
                tail = "\n".join(list(self.log)[-8:])
                raise WorldError(f"waited {timeout_s:.0f} s for {why}; the charger is {self.state!r}\n{tail}")
            await asyncio.sleep(0.02)

    @property
    def state(self) -> str:
        """The charger's state as its own view says it; "" while it does not run."""
        state: str = self.view.get("state", "") if self.running else ""
        return state

    def synced(self) -> bool:
        """Every record of the charger is acknowledged."""
        sync = self.view.get("sync", {})
        return bool(sync) and sync["acked_seq"] + 1 == sync["next_seq"]

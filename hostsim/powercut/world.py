"""Everything around one firmware process, in virtual time: what keeps its own state over a cut.

The terminal, its books, the meter's counter, the vehicle, the charger's own lines, the back office
with its database and the flash are the simulator's real ones; `peers` carries bytes between them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.pool import StaticPool

from board.host_flash import FileFlash, PowerCut
from hostsim.backoffice.desk import Desk
from hostsim.backoffice.ingest import Ingest
from hostsim.backoffice.models import open_database
from hostsim.backoffice.refunds import Refunds
from hostsim.ledgerimage import records_of
from hostsim.meter.device import MeterDevice
from hostsim.meter.models import model
from hostsim.powercut.commands import Commands
from hostsim.powercut.lines import VirtualEvse
from hostsim.powercut.loop import VirtualClock, VirtualLoop
from hostsim.powercut.order import Order
from hostsim.powercut.peers import WAY_S, Broker, KeepingBooks, ModbusSlave, Port
from hostsim.powercut.plan import Plan
from hostsim.powercut.timeline import Timeline
from hostsim.powercut.worker import (
    CLOSE,
    DATA,
    DATAGRAM,
    ERASE,
    OPEN,
    PROGRAM,
    RESET,
    UART,
    Worker,
)
from hostsim.terminal.pt import TerminalSim
from hostsim.timeserver import TimeServer
from hostsim.vehicle import Vehicle

SAID = 100  # watched: bytes of the terminal
ARRIVES = 200  # watched: something is about to reach the firmware
SECTORS = 12
METER, TERMINAL = 1, 2
_PORTS = {"1001": "lines", "1002": "broker", "1003": "time"}
_ENDS = ("captured", "cancelled", "declined")
_TELEMETRY = ("/session", "/log")  # not kept here: nothing rests on it
_STEP_S = 0.05
_RESTART_S = 0.5
_BATCH_S = 0.004
_START_WH = 1_234_560


class VirtualWorld:
    """`watch(kind, channel, data)` is asked before every item takes effect: who loses power there
    and after how many of its bytes; None: nobody (see cuts.py).
    """

    def __init__(
        self,
        loop: VirtualLoop,
        plan: Plan,
        foundry: Path,
        image: tuple[bytes, bytes],
        first_seq: int,
    ) -> None:
        self.loop = loop
        self.plan = plan
        self.first_seq = first_seq
        self.clock = VirtualClock(loop, plan.start_ms, plan.speed)
        self.flash = FileFlash("", SECTORS, seed=plan.seed)
        self.flash.load(*image)
        self.worker = Worker(loop, foundry, self._item, self._arrives)
        self.resets = 0
        self.torn = -1  # the sector whose erase was cut, and in which life of the firmware
        self._torn_in = 0
        self.looked = -1  # how far into it was looked until it was erased anew; -1: unknown
        loop.set_partner(self.worker)
        self.watch: Callable[[int, int, bytes], tuple[str, int] | None] = _nobody
        self.cut: Callable[[str], None] = lambda who: None
        self._sockets: dict[int, str] = {}
        self._text = b""
        self.view: dict[str, Any] = {}
        self.log: list[str] = []
        self.written: list[tuple[int, str, dict[str, Any]]] = []  # what append returned for
        self._known: list[dict[str, Any]] | None = None  # records(), until flash changes
        self.order = Order(self.records, first_seq - 1)
        self.timeline = Timeline()
        self._make_peers()
        self._tasks = [
            loop.create_task(self.terminal.serve(self._terminal_port, True)),
            loop.create_task(self._turn()),
            loop.create_task(self._remind()),
        ]

    def _make_peers(self) -> None:
        plan = self.plan
        self.vehicle = Vehicle(self.clock, wanted_wh=plan.wanted_wh)
        self.evse = VirtualEvse(self.vehicle, self._heard, self._to_lines)
        self.evse.speed = plan.speed
        self.meter = MeterDevice(
            self.clock, self._power_w, model("SDM630"), "21034567", _START_WH, 1
        )
        self._meter_line = ModbusSlave(self.meter, lambda data: self._give(UART, METER, data))
        self.terminal_events: list[tuple[str, dict[str, Any]]] = []
        self.terminal = TerminalSim(
            self.clock,
            profile="cvend",
            books=KeepingBooks() if plan.keeps else None,
            bank_s=0.02,
            on_event=self._terminal_event,
        )
        self._terminal_port = Port(self._said)
        self.engine = open_database("sqlite://", poolclass=StaticPool)
        ingest = Ingest(self.engine, self.clock.now_ms)
        self.desk = Desk(self.engine, ingest, self.clock.now_ms, self._to_charger)
        self.commands = Commands(self.engine, self.clock.now_ms, self.desk.send_next)
        self.refunds = Refunds(self.engine, self.commands.send, self.clock.now_ms)
        self.desk.chores.append(self.refunds.tend)
        self._inbox: list[tuple[str, bytes, bool]] = []
        self.broker: Broker | None = None
        self._times = TimeServer(self.clock)

    # --- life ------------------------------------------------------------------------------------

    def power_on(self) -> None:
        self.view = {}
        self._sockets = {}
        environment = {
            "FORECOURT_WORLD": "world:1001",
            "FORECOURT_DIR": str(self.plan.directory),
            "FORECOURT_METER": str(METER),
            "FORECOURT_TERMINAL": str(TERMINAL),
        }
        self.worker.power_on(environment, self.flash, self.plan.seed + self.worker.starts)

    def power_off(self) -> None:
        """The charger's power fails; what it had on its lines is gone."""
        self.worker.power_off()
        self.order.forget()
        self.view = {}
        self.meter.step()
        self.evse.dead()
        self.meter.step()
        if self.broker is not None:
            self.broker.closed()
            self.broker = None
        self._sockets = {}

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(_STEP_S if self.vehicle.plugged else 10 * _STEP_S)
            self.meter.step()
            self.evse.refresh_pilot()

    async def _remind(self) -> None:
        while True:
            await asyncio.sleep(1)
            for topic, payload, _ in self.desk.reminders():
                self._to_charger(topic, payload, False)

    # --- from the firmware -----------------------------------------------------------------------

    def _item(self, kind: int, channel: int, data: bytes) -> bool:
        """One item takes effect, whole or up to the cut. Whether the firmware lives on."""
        found = self.watch(kind, channel, data)
        if found is None:
            self._take(kind, channel, data)
            return True
        who, done = found
        if kind in (PROGRAM, ERASE):
            self._flash_item(kind, data, done)
        elif who == "t":
            self._take(kind, channel, data)
        elif done:
            self._take(kind, channel, data[:done])
        self.cut(who)
        return who == "t"

    def _said(self, data: bytes) -> None:
        """Bytes of the terminal."""
        found = self.watch(SAID, TERMINAL, data)
        if found is None:
            self.order.said(data)
            self._give(UART, TERMINAL, data)
            return
        who, done = found
        self.order.said(data[:done])
        self._give(UART, TERMINAL, data[:done])
        self.cut(who)

    def _arrives(self) -> bool:
        """Something is about to reach the firmware."""
        found = self.watch(ARRIVES, 0, b"")
        if found is not None:
            self.cut(found[0])
        return found is None

    def _take(self, kind: int, channel: int, data: bytes) -> None:
        self.timeline.said_ms = self.clock.now_ms()
        if kind in (PROGRAM, ERASE):
            self._flash_item(kind, data, -1)
        elif kind == UART:
            self._uart(channel, data)
        elif kind == OPEN:
            self._open(channel, data.decode())
        elif kind == DATA:
            self._socket_data(self._sockets.get(channel, ""), data)
        elif kind == DATAGRAM:
            answer = self._times.answer(data)
            if answer is not None:
                self.loop.call_later(2 * WAY_S, self._give, DATAGRAM, channel, answer)
        elif kind == CLOSE:
            if self._sockets.pop(channel, "") == "broker" and self.broker is not None:
                self.broker.closed()
                self.broker = None
        elif kind == RESET:
            self.resets += 1
            self.power_off()
            self.loop.call_later(_RESTART_S, self.power_on)

    def _uart(self, channel: int, data: bytes) -> None:
        if channel == TERMINAL:
            self.order.heard(data)
            self._terminal_port.arrived(data)
        else:
            self._meter_line.arrived(data)

    def _flash_item(self, kind: int, data: bytes, until: int) -> None:
        flash = self.flash
        sector = int.from_bytes(data[:2], "little")
        self._judge_flash(kind, sector, data)
        if until >= 0:
            flash.cut_after_bytes = until
            flash.page_tears = until % 3 == 1
        if kind == ERASE:
            self._erasing(sector, int.from_bytes(data[2:4], "little"), until >= 0)
        try:
            if kind == ERASE:
                flash.ioctl(6, sector)
            else:
                flash.writeblocks(sector, data[4:], int.from_bytes(data[2:4], "little"))
        except PowerCut:
            pass
        flash.power_on()

    def _judge_flash(self, kind: int, sector: int, data: bytes) -> None:
        size = self.flash.sector_size
        if kind == ERASE:
            self.order.erases(self.flash.image()[sector * size : (sector + 1) * size])
        else:
            self.order.programs(data[4:])
        self._known = None

    def _erasing(self, sector: int, looked: int, cut: bool) -> None:
        if cut and self.torn < 0:
            self.torn = sector
            self._torn_in = self.worker.starts
        elif sector == self.torn and self.looked < 0 and self._torn_in:
            # what an earlier life than this one looked at, nobody counted
            if not cut and self.worker.starts == self._torn_in + 1:
                self.looked = looked
            self._torn_in = 0

    def _open(self, channel: int, port: str) -> None:
        what = self._sockets[channel] = _PORTS[port]
        if what == "lines":
            self._text = b""
            self.evse.connect()
        elif what == "broker":
            self.broker = Broker(
                lambda data: self._later(DATA, channel, data), self._to_back_office, self._wanted
            )

    def _socket_data(self, what: str, data: bytes) -> None:
        if what == "lines":
            self.order.lines(data)
            *lines, self._text = (self._text + data).split(b"\n")
            for line in lines:
                self.meter.step()
                self.evse.heard(line.decode())
                self.meter.step()
        elif what == "broker" and self.broker is not None:
            self.broker.arrived(data)

    def _heard(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "view":
            self.view = data
        elif kind == "log":
            self.log.append(f"{data['level']}: {data['text']}")
        elif kind == "ledger" and data["seq"]:
            self.written.append((data["seq"], data["type"], data["fields"]))
        elif kind == "lines":
            self._line_moved(data["name"], data["value"])

    def _line_moved(self, name: str, value: Any) -> None:
        now = round(self.clock.now_ms())
        if name == "contactor":
            self.timeline.contactor(value, now, self.meter.register_wh)
        elif name == "pilot":
            self.timeline.pilot(value, now)

    def _terminal_event(self, kind: str, data: dict[str, Any]) -> None:
        if kind in ("book", "error"):
            self.terminal_events.append((kind, data))

    # --- to the firmware -------------------------------------------------------------------------

    def _give(self, kind: int, channel: int, data: bytes) -> None:
        self.worker.give(kind, channel, data)

    def _later(self, kind: int, channel: int, data: bytes) -> None:
        """After its way; what belongs to a connection that has ended is lost."""
        boot = self.worker.starts

        def arrive() -> None:
            if boot == self.worker.starts:
                self.worker.give(kind, channel, data)

        self.loop.call_later(WAY_S, arrive)

    def _to_lines(self, data: bytes) -> None:
        for channel, what in self._sockets.items():
            if what == "lines":
                self.worker.give(DATA, channel, data)

    # --- the back office -------------------------------------------------------------------------

    def _to_back_office(self, topic: str, payload: bytes, retained: bool) -> None:
        self.order.published(topic, payload)
        if topic.endswith(_TELEMETRY):
            return
        if not self._inbox:
            self.loop.call_later(_BATCH_S, self._handle)
        self._inbox.append((topic, payload, retained))

    def _handle(self) -> None:
        batch, self._inbox = self._inbox, []
        self.desk.handle(batch)

    def _wanted(self, topic: str) -> None:
        """After a restart a command that was sent before comes once more."""
        newest = self.commands.newest
        if topic.endswith("/command") and newest and self.worker.starts > self.commands.sent_in:
            self._to_charger(topic, newest, False)

    def _to_charger(self, topic: str, payload: bytes, _retain: bool) -> None:
        if topic.endswith("/ack"):
            self.order.acknowledged(payload)
        elif topic.endswith("/command"):
            self.commands.newest, self.commands.sent_in = payload, self.worker.starts
        if self.broker is not None:
            self.broker.publish(topic, payload)

    # --- looking ---------------------------------------------------------------------------------

    def _power_w(self) -> int:
        power: int = self.vehicle.power_w(self.evse.contactor, self.evse.offered_ma)
        return power

    @property
    def state(self) -> str:
        return str(self.view.get("state", ""))

    def records(self) -> list[dict[str, Any]]:
        """What this run wrote, as it is in flash."""
        if self._known is None:
            self._known = records_of(self.flash.image(), first_seq=self.first_seq)
        return self._known

    def session_open(self) -> bool:
        """A hold was asked, and its end is not in flash."""
        last = ""
        for record in self.records():
            if record["kind"] in _ENDS or record["kind"] == "hold_asked":
                last = record["kind"]
        return last == "hold_asked"

    @property
    def synced(self) -> bool:
        """The charger's own view: everything was acknowledged."""
        sync = self.view.get("sync", {})
        return bool(sync) and sync["acked_seq"] + 1 == sync["next_seq"]


def _nobody(_kind: int, _channel: int, _data: bytes) -> None:
    """Power stays on."""

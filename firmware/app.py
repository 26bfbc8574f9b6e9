"""Composition: a board's ports in, named tasks out. The only module that knows every room.

Start-up order matters: config, then the ledger (what happened before), then the machine with its recovery, then the
tasks. Until the ledger has been read nothing may be switched or asked.
"""

import asyncio
import gc
import sys

import logging

from firmware.clock import WallClock
from firmware.config import parse
from firmware.errors import ConfigError, ForecourtError, LedgerError
from firmware.ledger.ledger import Ledger
from firmware.meter.bus import ModbusBus
from firmware.meter.meter import Meter
from firmware.paper import receipt_lines
from firmware.prices import Prices
from firmware.remote import Remote
from firmware.screen.screen import Screen
from firmware.serialio import Serial
from firmware.session import recovery
from firmware.session.machine import Machine
from firmware.session.runner import Runner
from firmware.supervisor import Supervisor
from firmware.sync.sync import Sync
from firmware.terminal.profiles import load as terminal_profile
from firmware.terminal.zvt import ZvtTerminal
from firmware.view import View

VERSION = "0.1.0"
# ISO 4217 numbers of the currencies a terminal may be told to use
_CURRENCY = {"EUR": 978, "GBP": 826, "CHF": 756, "USD": 840, "CAD": 124, "SEK": 752, "NOK": 578, "DKK": 208,
             "PLN": 985, "CZK": 203}
_PARITY = {"N": None, "E": 0, "O": 1}


class _LogHandler:
    """micropython-logging's records go to the back office and to whoever looks at the board."""

    def __init__(self, parts):
        self._p = parts

    def emit(self, record) -> None:
        text = record.msg % record.args if record.args else record.msg
        level = record.levelname.lower()
        self._p.board.trace("log", {"level": level, "text": text})
        if self._p.sync:
            self._p.sync.log(level, text)


class App:
    """Everything that makes one charger; `parts` for the rooms that need more than their own folder."""

    def __init__(self, board):
        self.board = board
        self.version = VERSION
        self.sync = None
        self.cfg = None
        self._logger = logging.getLogger("forecourt")
        self._logger.addHandler(_LogHandler(self))
        self.trace = board.trace

    def log(self, level: str, text: str) -> None:
        self._logger.log(getattr(logging, level.upper()), text)

    def build(self, reason: str) -> None:
        """Reads config, tariff and ledger and composes the rooms. Raises ConfigError, LedgerError."""
        board = self.board
        with open(board.files + "/config.json") as f:
            cfg = self.cfg = parse(f.read())
        self.clock = WallClock(board.clock)
        self.prices = Prices(board.files, cfg.time_zone, cfg.currency)
        self.prices.missing_now()
        self._load_tariff()
        self.ledger = Ledger(board.flash, self.clock.epoch_ms)
        self.ledger.mount()
        self.machine = Machine(cfg, self.prices, self.ledger.books, self.clock.epoch_ms)
        self._build_lines(cfg)
        self.remote = Remote(self)
        self.sync = Sync(_sync_settings(cfg, board.files), self.ledger, self.clock, board.network, self.remote)
        self.runner = Runner(self)
        self.view = View(self)
        self.append("boot", version=VERSION, reason=reason, safe=0)

    def _build_lines(self, cfg) -> None:
        board = self.board
        uart = board.uart("meter", cfg.meter_baud, 8, _PARITY[cfg.meter_parity], cfg.meter_stop_bits)
        self.meter = Meter(ModbusBus(Serial(uart), cfg.meter_baud), cfg.meter_model, cfg.meter_unit, board.clock,
                           cfg.max_power_w)
        uart = board.uart("terminal", cfg.terminal_baud, 8, None, 2)
        self.terminal = ZvtTerminal(Serial(uart), terminal_profile(cfg.terminal_profile), _CURRENCY[cfg.currency],
                                    cfg.terminal_password, cfg.salt, board.clock)
        self.terminal.on_time = self.remote_time

    def remote_time(self, *when) -> None:
        """The terminal's clock, used while the network says nothing."""
        self.remote.on_terminal_time(*when)

    def _load_tariff(self) -> None:
        reason = self.prices.load()
        if reason:
            self.log("error", "tariff: " + reason)

    def append(self, kind: str, **fields) -> None:
        """One ledger record, in flash when this returns; shown to whoever looks. Raises LedgerError."""
        seq = self.ledger.append(kind, **fields)
        self.trace("ledger", {"seq": seq, "type": kind, "fields": fields})
        if self.sync:
            self.sync.wake()

    def print_receipt(self) -> None:
        """The driver's receipt, as soon as the bill is in flash."""
        language = self.view.language or self.cfg.languages[0]
        self.trace("receipt", {"lines": receipt_lines(self, language)})

    def recover(self) -> None:
        """What was open when the power went is brought to its end."""
        decided = recovery.begin(self.machine, self.ledger.books.open, self.prices, self.board.clock.uptime_ms())
        self.runner.perform(decided)

    async def run(self) -> None:
        """All tasks, for ever."""
        s = self.supervisor = Supervisor(self.board.watchdog, self.log)
        r = self.runner
        for name, make in (("lines", r.watch_lines), ("meter", r.watch_meter), ("terminal", self.terminal.run),
                           ("cards", r.watch_cards), ("reader", r.watch_reader), ("jobs", r.do_jobs),
                           ("ticks", r.tick), ("view", self.view.run), ("sync", self.sync.run),
                           ("ledger", self._tend_ledger)):  # fmt: skip
            s.add(name, make)
        for name, make in self.board.tasks():
            s.add(name, make)
        await s.run()

    async def _tend_ledger(self) -> None:
        """Housekeeping of the flash ring in quiet moments: at most one erase a turn."""
        while True:
            self.clock.in_session = self.machine.busy
            try:
                self.ledger.idle()
            except LedgerError as e:
                self.log("error", "ledger: %s" % e)
            await asyncio.sleep_ms(500)


def _sync_settings(cfg, files: str) -> dict:
    """The configuration as firmware/sync reads it."""
    return {
        "charger_id": cfg.charger,
        "command_key": cfg.mqtt_command_key,
        "mqtt": {
            "host": cfg.mqtt_host, "port": cfg.mqtt_port, "server_name": cfg.mqtt_server_name,
            "keepalive_s": cfg.mqtt_keepalive_s, "retry_min_ms": 500, "retry_max_ms": 60000,
            "ca": files + "/ca.crt", "cert": files + "/charger.crt", "key": files + "/charger.key",
        },
        "time": {"server": cfg.time_server_host, "port": cfg.time_server_port, "interval_s": 600},
    }


def refuse(board, screen_text: str) -> None:
    """Nothing can be sold: said on the screen, contactor open; the board's own tasks go on."""
    board.lines.contactor(False)
    board.screen.show(("Forecourt " + VERSION, "", screen_text[:40], screen_text[40:80]), "", "red")


async def _wait(board) -> None:
    for _, make in board.tasks():
        asyncio.create_task(make())
    while True:
        board.watchdog.feed()
        await asyncio.sleep_ms(500)


def start(board, reason: str = "power_on") -> None:
    """Runs the charger; returns never."""
    board.lines.contactor(False)
    app = App(board)
    try:
        app.build(reason)
    except (ForecourtError, OSError) as e:
        what = "config" if isinstance(e, (ConfigError, OSError)) else "ledger"
        app.log("error", "%s: %s" % (what, e))
        refuse(board, "%s: %s" % (what, e))
        asyncio.run(_wait(board))
    gc.collect()
    board.trace("hello", {
        "version": VERSION, "bits": 64 if sys.maxsize > 0x7FFFFFFF else 32,
        "micropython": ".".join(str(n) for n in sys.implementation[1][:3]),
        "heap": gc.mem_alloc() + gc.mem_free(), "used": gc.mem_alloc(),
    })
    app.screen = Screen(board.screen, app.cfg.languages)
    app.recover()
    asyncio.run(app.run())

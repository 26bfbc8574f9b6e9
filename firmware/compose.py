"""Start-up, entered once and left again: composes the rooms of an App, or says why it cannot be.

Order matters: config, then the ledger (what happened before), then the machine with its
recovery. Until the ledger has been read nothing may be switched or asked. The rooms that stay
are imported by firmware/app.py.
"""

import asyncio
import gc
import os
import sys

from micropython import const

from firmware.clock import WallClock
from firmware.errors import ConfigError, ForecourtError, LedgerCorrupt
from firmware.ledger.books import Books
from firmware.ledger.ledger import Ledger
from firmware.ledger.ring import Ring
from firmware.ledger.sector import Sectors
from firmware.meter.bus import ModbusBus
from firmware.meter.meter import Meter
from firmware.meter.plausible import Plausibility
from firmware.orders.remote import Remote
from firmware.paper import leave
from firmware.prices import Prices
from firmware.screen.screen import Screen
from firmware.screen.texts import Words
from firmware.serialio import Serial
from firmware.session.contactor import ContactorWatch
from firmware.session.core import Core
from firmware.session.machine import Machine
from firmware.session.runner import Runner
from firmware.session.settlement import Settlement
from firmware.supervisor import Supervisor
from firmware.sync.link import Link
from firmware.sync.outbox import Outbox
from firmware.sync.sync import Sync
from firmware.sync.timesync import TimeSync
from firmware.sync.wire import Wire
from firmware.terminal.dialogue import Dialogue
from firmware.terminal.framing import Receiver
from firmware.terminal.link import SerialLink
from firmware.terminal.zvt import ZvtTerminal
from firmware.terminal.zvt_money import Money
from firmware.view import View

_PARITY = {"N": None, "E": 0, "O": 1}
_LATE_S = const(60)  # of a checkpoint: the last reading of a meter that stutters


def begin(app, reason: str):
    """Composes `app`, recovers what was open; gives the function whose coroutine runs for ever."""
    board = app.board
    try:
        fault = build(app)
    except (ForecourtError, OSError) as e:
        what = "config" if isinstance(e, (ConfigError, OSError)) else "ledger"
        text = "%s: %s" % (what, e)
        app.log("error", text)
        _keep_why(board.files, what + "_later" * isinstance(e, LedgerCorrupt))
        board.screen.show(("Forecourt " + app.version, "", text[:40], text[40:80]), "", "red")
        return lambda: _wait(board)
    if fault:
        app.append("alarm", code="config_refused", sess=0, detail=fault)
    app.append("boot", firmware=app.version, reason=reason, safe=0)
    gc.collect()
    board.trace("hello", {
        "version": app.version, "bits": 64 if sys.maxsize > 0x7FFFFFFF else 32,
        "micropython": ".".join([str(n) for n in sys.implementation.version[:3]]),
        "heap": gc.mem_alloc() + gc.mem_free(), "used": gc.mem_alloc(),
    })  # fmt: skip
    app.screen = Screen(board.screen, app.cfg.languages)
    try:
        _recover(app)
    except ForecourtError as e:  # the session stays open in flash; nothing is guessed or sold
        app.log("error", "recovery: %s" % e)
        app.machine.broken = "recovery_failed"
        app.runner.record("alarm", {"code": "recovery_failed", "sess": 0, "detail": str(e)})
    if not app.ledger.books.open:
        app.remote.take_in(True)
    run = _tasks(app).run
    _give_back(type(app))
    return run


def _keep_why(files: str, what: str) -> None:
    """For safe mode, which says it; goes with a start that comes to something (board/mcu.py)."""
    try:
        with open(files + "/why", "w") as f:
            f.write(what)
    except OSError:
        pass  # three starts have failed, it says then


def build(app) -> str:
    """Reads config, tariff and ledger and makes the rooms; nothing is written. Gives why the
    configuration before is in force, or "". Raises ConfigError, LedgerError, OSError.
    """
    board = app.board
    fault = stored_config(app)
    cfg = app.cfg
    once = cfg.once
    cfg.once = None
    app.clock = WallClock(board.clock)
    app.prices = Prices(board.files, once["time_zone"], cfg.currency)
    _tariff(app)
    if "rfid" in cfg.cards_kinds:
        _member_tariffs(app)
    app.ledger = Ledger(board.flash, app.clock.epoch_ms)
    app.ledger.mount()
    app.machine = Machine(cfg, app.prices, app.ledger.books, app.clock.epoch_ms)
    app.remote = Remote(app)
    said = _meter(app, once)
    app.terminal = _terminal(board, cfg, once)
    app.terminal.beats = app.beats
    app.terminal.on_time = app.remote.on_terminal_time
    settings = sync_settings(cfg.charger, once, board.files, app.beats)
    settings["members"] = "rfid" in cfg.cards_kinds
    app.sync = Sync(settings, app.ledger, app.clock, board.network, app.remote)
    if said:
        app.log("info", "meter: " + said)
    _rfid(app)
    app.runner = Runner(app)
    app.view = View(app)
    if fault:
        app.log("error", "the configuration before is in force, config.json is not: " + fault)
    return fault


def stored_config(app) -> str:
    """The stored configuration into `app.cfg`; the one before it where that cannot be used, and
    then why. Raises the first one's ConfigError or OSError when there is none to use.
    """
    from firmware.config import parse
    from firmware.usable import check

    files = app.board.files
    names = os.listdir(files)
    if "config.json" not in names and "config.new" in names:  # a cut between two renames
        os.rename(files + "/config.new", files + "/config.json")
    fault = None
    try:
        for name in ("/config.json", "/config.old"):
            try:
                with open(files + name, "rb") as f:
                    cfg = parse(f.read())
                check(cfg)
            except (ConfigError, OSError) as e:
                fault = fault or e
                continue
            app.cfg = cfg
            app.config_kept = fault is not None
            return str(fault) if fault else ""
    finally:
        leave("firmware.config", "firmware.usable")
    raise fault


def _tariff(app) -> None:
    from firmware.tariffs import load

    reason = load(app.prices)
    leave("firmware.tariffs")
    if reason:
        app.log("error", "tariff: " + reason)


def _meter(app, once: dict) -> str:
    """Makes the meter; what a search for it has to say."""
    from firmware.meter.profiles import load

    board = app.board
    cfg = app.cfg
    name = once["meter.model"]
    unit = once["meter.unit"]
    baud = once["meter.baud"]
    parity = _PARITY[once["meter.parity"]]
    stop = once["meter.stop_bits"]
    said = ""
    cfg.meter_patience_s = 0
    if name == "auto":
        line, unit, name, said = _found(app)
        baud = int(line[:-4])
        parity = _PARITY[line[-2]]
        stop = int(line[-1])
    serial = Serial(board.uart("meter", baud, 8, parity, stop))
    bus = ModbusBus(serial, baud, 9 + stop + (parity is not None))
    bus.eager = cfg.meter_poll_ms < 200
    app.bus = bus
    app.meter = Meter(bus, load(name), unit, board.clock, cfg.max_power_w)
    leave("firmware.meter.profiles")
    return said


def _found(app):
    """Line, unit and model of config "auto", and what to say: the kept ones, or after a search."""
    from firmware.meter import kept

    files = app.board.files
    app.cfg.meter_patience_s = kept.patience_s(files)
    known = kept.read(files)
    leave("firmware.meter.kept")
    if "model" in known:
        found = known["line"], known["unit"], known["model"]
        return found + ("%s at %s, unit %d was found" % (found[2], found[0], found[1]),)
    return _searched(app)


def _searched(app):
    """The meter that is there now; see firmware/meter/auto.py. A meter that was found is kept and
    the charger starts anew: a search leaves holes in the memory of all that is still to come.
    """
    from firmware.meter import auto

    board = app.board

    def open_uart(*line):
        return board.uart("meter", *line)

    board.screen.show(("Forecourt " + app.version, "", "Looking for the meter ..."), "", "yellow")
    certain, said = auto.find(board.files, open_uart, board.watchdog.feed)
    leave("firmware.meter.auto", "firmware.meter.kept", "firmware.meter.detect")
    if certain:
        board.reset()
    return "9600 8N1", 1, "SDM630", said  # stands in where no meter is known


def _terminal(board, cfg, once: dict) -> ZvtTerminal:
    from firmware.terminal.profiles import load

    profile = load(once["terminal.profile"])
    leave("firmware.terminal.profiles")
    if not profile.extend:
        cfg.extend = (0, 0)
    serial = Serial(board.uart("terminal", once["terminal.baud"], 8, None, 2))
    from firmware.usable import currency_number

    currency = currency_number(cfg.currency)
    leave("firmware.usable")
    password = once["terminal.password"]
    return ZvtTerminal(serial, profile, currency, password, once["salt"], board.clock)


def _member_tariffs(app) -> None:
    """Members' own tariffs are made ready while there is memory for it."""
    from firmware.cards.member_tariff import prepare

    wrong = prepare(app.board.files, app.cfg.currency)
    leave("firmware.cards.member_tariff")
    if wrong:
        app.log("error", wrong)


def _rfid(app) -> None:
    """The RFID reader, where one is configured and the board has a UART for it."""
    if "rfid" not in app.cfg.cards_kinds:
        return
    uart = app.board.uart("rfid", 115200, 8, None, 1)
    if uart is None:
        app.log("error", "cards.kinds: this board has no UART for an RFID reader")
        return
    from firmware.cards.members import head
    from firmware.cards.rfid import Rfid

    app.rfid = Rfid(app, Serial(uart))
    app.rfid.list_version, _, app.rfid.salt = head(app.board.files)
    leave("firmware.cards.members")


def sync_settings(charger: str, once: dict, files: str, beats: dict) -> dict:
    """The configuration as firmware/sync reads it."""
    return {
        "charger_id": charger,
        "command_key": once["mqtt.command_key"],
        "mqtt": {
            "host": once["mqtt.host"], "port": once["mqtt.port"],
            "server_name": once["mqtt.server_name"], "keepalive_s": once["mqtt.keepalive_s"],
            "beats": beats, "retry_min_ms": 500, "retry_max_ms": 60000,
            "ca": files + "/ca.crt", "cert": files + "/charger.crt", "key": files + "/charger.key",
        },
        "time": {
            "server": once["time_server.host"], "port": once["time_server.port"],
            "interval_s": 600,
        },
    }  # fmt: skip


def _recover(app) -> None:
    """What was open when the power went is brought to its end."""
    from firmware.session import recovery

    opened = app.ledger.books.open
    now_ms = app.board.clock.uptime_ms()
    damage = recovery.damage(app.ledger)
    if damage:
        sess = opened.sess if opened else 0
        app.append("alarm", code="ledger_damaged", sess=sess, detail=damage)
    app.machine.settlement.foreign = recovery.foreign_holds(app.ledger, opened)
    app.terminal.last_receipt = recovery.last_receipt(app.ledger)
    app.runner.perform(recovery.begin(app.machine, opened, app.prices, now_ms))
    leave("firmware.session.recovery")
    if opened and opened.energising:
        known = opened.checkpoint or opened.energising
        cfg = app.cfg
        # full power from the last checkpoint until the power failed; where flash was so full that
        # checkpoints were left out, that is not known
        span_s = cfg.checkpoint_s + cfg.meter_lost_s + _LATE_S
        span_s = span_s if app.ledger.room_for_session() else -1
        app.meter.expect(opened.energising["serial"], known["register_wh"], span_s)


def _tasks(app) -> Supervisor:
    r = app.runner
    s = app.supervisor = Supervisor(app.board.watchdog, app.log, r.fatal, app.beats, app.machine)
    # real seconds without a sign of life; what talks to the terminal beats while the terminal does
    for name, make, limit_s in (("lines", r.watch_lines, 15), ("meter", r.watch_meter, 180),
                                ("cards", r.watch_cards, 300), ("jobs", r.do_jobs, 300),
                                ("ticks", r.tick, 60)):  # fmt: skip
        s.add(name, make, limit_s * 1000, True)
    for name, make in (("terminal", app.terminal.run), ("view", app.view.run),
                       ("sync", app.sync.run)):  # fmt: skip
        s.add(name, make, 300000)
    if app.rfid:
        s.add("rfid", app.rfid.run)
    for name, make in app.board.tasks():
        s.add(name, make)
    return s


def _give_back(root) -> None:
    """What only a start asks of the rooms that stay: to make what there is one of, the mount and
    recovery. Its code is not kept; the next start reads it anew.
    """
    for kind in (
        root, WallClock, Prices, Core, Settlement, ContactorWatch, Remote, Runner, View, Screen,
        Words, Supervisor, Meter, Plausibility, ModbusBus, Ledger, Ring, Sectors, Books, Sync,
        Link, Wire, Outbox, TimeSync, ZvtTerminal, Money, Dialogue, SerialLink, Receiver,
    ):  # fmt: skip
        # a `del` would leave the function in its place of the dict
        kind.__init__ = None  # type: ignore[method-assign]
    Ring.find = Ring.create = Ring.settle = None  # type: ignore[method-assign]
    Ledger.mount = Ledger.recent = Books.skip = None  # type: ignore[method-assign]
    Meter.expect = ModbusBus.request = None  # type: ignore[method-assign]
    Prices.for_crc = Supervisor.add = None  # type: ignore[method-assign]


async def _wait(board) -> None:
    """Nothing can be sold; the board's own tasks go on."""
    for _, make in board.tasks():
        asyncio.create_task(make())
    for _ in range(120):
        board.watchdog.feed()
        await asyncio.sleep_ms(500)
    board.watchdog.stuck()
    while True:
        board.watchdog.feed()
        await asyncio.sleep_ms(500)

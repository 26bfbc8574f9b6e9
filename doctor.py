"""For a technician: `make doctor PORT=...` (or `mpremote exec "import doctor"`) examines a board
that has the jumper set: its rooms are made as at a start, but nothing is sold and nothing written
to the ledger; the meter is read, the terminal registers and asks its host, the link connects (an
order of the back office is refused), for at most half a minute; then firmware/doctor/examine.py
says what it found. The last line is the findings as JSON.
"""

import asyncio
import gc
import json
import sys

# What is the firmware's is imported after the board is there, as main.py does it: a board without
# network stands in for the modules that its MicroPython lacks.

_PATIENCE_S = 30


class _Restart(Exception):
    pass


def _restart():
    raise _Restart()


def _board():
    name = "host"
    if sys.platform != "linux":
        with open("board.txt") as f:
            name = f.read().strip()
    return __import__("board." + name, None, None, ("Board",)).Board()


def _fault(name: str, error, todo: str) -> dict:
    reason = "%s: %s" % (type(error).__name__, error)
    return {"name": name, "ok": False, "reason": reason, "todo": todo}


def _made(app):
    """Makes the rooms; a finding when that is impossible."""
    from firmware.compose import build
    from firmware.errors import ConfigError, ForecourtError

    try:
        try:
            build(app)
        except _Restart:  # the meter was found and is kept
            gc.collect()
            build(app)
    except (ConfigError, OSError) as e:
        return _fault("config", e, "correct it (docs/config.md), or make provision")
    except ForecourtError as e:
        return _fault("ledger", e, "read it out (make ledger), then see docs/reliability.md")
    return None


async def _read_meter(app) -> None:
    """As the runner, but nothing that the machine decides is done."""
    from firmware.errors import MeterError, ModbusError

    m = app.machine
    now = app.board.clock.uptime_ms
    while True:
        try:
            app.meter.begin(not m.meter_known)
            wait = app.meter.step()
            while wait >= 0:
                await asyncio.sleep_ms(wait)
                wait = app.meter.step()
            m.serial = app.meter.serial
            m.on_reading(now(), app.meter.reading)
        except (MeterError, ModbusError):
            m.on_meter_failed(now(), "")
        await asyncio.sleep_ms(1000)


def _deafen(app) -> None:
    """Nobody is served while the doctor looks, and nothing is written down."""
    from firmware.errors import ForecourtError

    def refuse(*_):
        raise ForecourtError("the doctor is at work: again after the next start")

    for name in ("on_tariff", "on_config", "on_command", "on_members"):
        setattr(app.remote, name, refuse)
    app.append = lambda kind, **fields: None
    app.machine.wants = lambda kind: False


def _ready(app) -> bool:
    linked = app.sync.online or not app.board.has_network
    read = app.rfid is None or app.rfid.state == "ready"
    return app.machine.meter_known and app.terminal.ready and app.clock.known and linked and read


async def _look(app) -> list:
    from firmware.doctor.examine import ask_host, examine

    tasks = [app.terminal.run, app.sync.run] + [make for _, make in app.board.tasks()]
    if app.rfid:
        tasks.append(app.rfid.run)
    for make in tasks:
        asyncio.create_task(make())
    asyncio.create_task(_read_meter(app))
    asked = False
    for _ in range(_PATIENCE_S * 5):
        await asyncio.sleep_ms(200)
        if app.terminal.ready and not asked:
            asked = True
            await ask_host(app)  # it may tell the time, too
        if _ready(app):
            break
    findings = []
    examine(app, findings.append)
    return findings


def run() -> None:
    board = _board()
    from firmware.app import App

    board.lines.contactor(False)
    board.reset = _restart
    # the hardware's watchdog starts with the first feed, nothing ends it, and nobody feeds it here
    board.watchdog.feed = lambda: None
    app = App(board)
    fault = _made(app)
    if not fault:
        _deafen(app)
    findings = [fault] if fault else asyncio.run(_look(app))
    for f in findings:
        print("%-5s %-12s %s" % ("good" if f["ok"] else "BAD", f["name"], f["reason"]))
        if f["todo"]:
            print("%-18s to do: %s" % ("", f["todo"]))
    gc.collect()
    print("[", end="")  # piece by piece: the whole text would be asked for in one
    for i, f in enumerate(findings):
        print(json.dumps(f), end=", " if i + 1 < len(findings) else "")
    print("]")


run()

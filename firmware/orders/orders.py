"""What the back office may ask of a charger: tariff, config, commands. Entered for one message and
left again.

Each answer is a dict for the result message; a refusal is an exception of the ForecourtError
family that names the field. The counter of a command is in flash with its effect, so that
nothing can be replayed across a restart.
"""

import binascii
import os

from micropython import const

from firmware.errors import (
    CommandError,
    ConfigError,
    FieldError,
    ForecourtError,
    LedgerFull,
    TariffError,
)
from firmware.paper import leave

_FINDINGS = const(3)
_COMMANDS = ("start", "stop", "extend", "report", "restart", "doctor", "refund", "refund_done")


def take_in(app, last_try: bool) -> None:
    """The tariff that was put aside: validated whole, stored, in force from the next session on;
    or refused, with the reason per field. Where memory is too short for it the charger restarts
    and does it first (`last_try`); where the files are full it is asked for again later.
    """
    name = app.prices.directory + "/tariff.in"
    app.remote.waiting = False
    try:
        with open(name, "rb") as f:
            raw = f.read()
    except OSError:
        return
    try:
        if raw:  # empty: there was no room for it
            app.sync.publish_result(_tariff(app, raw))
    except ForecourtError as e:
        _refused(app, raw, e)
    except OSError as e:
        app.sync.refuse("tariff", ForecourtError("cannot be stored: %s" % e))
        app.sync.again("tariff")
    except MemoryError:
        if not last_try:
            app.log("warning", "restarting to read a new tariff: memory is short")
            app.board.reset()
        _refused(app, raw, TariffError("", "too large for this charger"))
    os.remove(name)


def _refused(app, raw: bytes, error) -> None:
    with open(app.prices.directory + "/tariff.bad", "w") as f:
        f.write(str(binascii.crc32(raw)))
    app.append("tariff", tariff="", tariff_crc=0, result="refused", detail=str(error))
    app.sync.refuse("tariff", error)


def _tariff(app, raw: bytes) -> dict:
    from firmware.tariffs import store

    try:
        new = store(app.prices, raw)
    finally:
        leave("firmware.tariffs")
    name = app.prices.tariff.id
    if new:
        app.append("tariff", tariff=name, tariff_crc=app.prices.crc, result="accepted", detail="")
    detail = "tariff %s is in force from the next session on" % name
    return {"about": "tariff", "ok": True, "detail": detail}


def _parsed(raw):
    """Leaves what parses it before it is checked: memory holds one of them at a time."""
    from firmware.config import parse

    try:
        return parse(bytes(raw))
    finally:
        leave("firmware.config")


def config(app, raw) -> dict:
    """A new configuration is checked whole, tried as start-up would, and used after the next
    restart between sessions; the one in force is kept for a start-up that cannot use it.
    """
    from firmware.usable import check

    name = app.board.files + "/config.json"
    with open(name, "rb") as f:
        if f.read() == raw:
            return {"detail": "configuration is stored already"}
    try:
        cfg = _parsed(raw)
        check(cfg)
    except MemoryError:
        raise ConfigError("", "memory is short: send it again between sessions")
    finally:
        leave("firmware.usable")
    if cfg.charger != app.cfg.charger:
        raise ConfigError("charger", "must be %s, this charger" % app.cfg.charger, cfg.charger)
    with open(name + ".new", "wb") as f:
        f.write(raw)
    os.rename(name + ".new", app.board.files + "/config.new")
    if not app.config_kept:  # what is in force stays at hand, whatever comes before the restart
        os.rename(name, app.board.files + "/config.old")
        app.config_kept = True
    os.rename(app.board.files + "/config.new", name)
    return {"detail": "configuration stored, in force after a restart"}


def command(app, asked: dict):
    """A verified command: start (start.py), stop (the running session), extend (more.py), report,
    restart and doctor (between sessions), refund and refund_done (refund.py). Gives the answer; of
    start, refund and refund_done a coroutine that does, because these may walk through the whole
    flash: others go on meanwhile, commands wait.
    """
    name = asked["name"]
    if name == "extend" and not app.ledger.room_for_command():  # its effect is before its counter
        raise LedgerFull("command")
    if name == "start" or name[:6] == "refund" and name in _COMMANDS:
        return _walked(app, asked)
    try:
        answer = _checked(app, asked, name)
    except FieldError as e:
        _refuse(app, asked, e)
    _keep(app, asked, "ok", answer["detail"])
    if name == "stop":
        app.runner.perform(app.machine.on_stop(app.board.clock.uptime_ms(), "remote"))
    elif name == "restart":
        app.board.reset()
    elif name == "report":
        answer["data"] = _report(app)
    elif name == "doctor":
        answer["data"] = {"checks": _doctor(app, asked["id"])}
    return answer


async def _walked(app, asked: dict) -> dict:
    try:
        if asked["name"] == "start":
            from firmware.orders.start import start

            answer = await start(app, asked["args"])
        else:
            from firmware.orders import refund as refund_order

            work = refund_order.check if asked["name"] == "refund" else refund_order.close
            answer = await work(app, asked)
    except FieldError as e:
        _refuse(app, asked, e)
    finally:
        leave("firmware.orders.start", "firmware.orders.refund")
    _keep(app, asked, "ok", answer["detail"])
    return answer


def _refuse(app, asked: dict, error) -> None:
    """Used up as well: it must not work after a restart, when nobody waits for it any more."""
    _keep(app, asked, "refused", str(error))
    raise error


def _keep(app, asked: dict, result: str, detail: str) -> None:
    """Where flash is full, what is bound to one session or refund is done without: used again it
    changes nothing. So a `start` whose session is in flash never sounds as if it were not."""
    name = asked["name"]
    try:
        app.append("command", command=asked["id"], counter=asked["counter"], name=name,
                   result=result, detail=detail)  # fmt: skip
    except LedgerFull:
        bound = name == "refund_done" or name == "start" and result == "ok"
        if not bound and (name != "stop" or "session" not in asked["args"]):
            raise


def _checked(app, asked: dict, name: str) -> dict:
    """The answer to a command that may be done now. Raises CommandError."""
    if name not in _COMMANDS:
        raise CommandError("name", "must be one of " + ", ".join(_COMMANDS), name)
    if name in ("restart", "doctor") and app.machine.busy and not app.machine.broken:
        raise CommandError("name", name + " is refused while a session is open", name)
    if name == "extend":
        return _extend(app, asked)
    if name == "stop":
        _check_stop(app, asked["args"])
    return {"detail": "done", "data": {}}


def _check_stop(app, args: dict) -> None:
    """Whose session it is may be said; then another one is not stopped."""
    s = app.machine.session
    remote = args.get("session")
    if "session" in args and (s is None or not remote or s.remote != remote):
        raise CommandError("session", "must be the one that runs", remote)


def _extend(app, asked: dict) -> dict:
    from firmware.orders.more import extend

    try:
        return extend(app, asked["args"])
    finally:
        leave("firmware.orders.more")


def _doctor(app, identity: str) -> list:
    """The last findings; the others go before, a few at a time: no message may be long."""
    from firmware.doctor.examine import examine

    few: "list" = []

    def done(finding):
        if len(few) == _FINDINGS:
            app.sync.publish_result({"about": "command", "ok": True, "code": "part",
                                     "id": identity, "data": {"checks": few[:]}})  # fmt: skip
            few.clear()
        few.append(finding)

    try:
        examine(app, done)
    finally:
        leave("firmware.doctor.examine")
    return few


def _report(app) -> dict:
    m = app.machine
    return {"state": m.state, "meter": app.meter.state, "terminal": app.terminal.state,
            "serial": m.serial, "register_wh": m.register_wh, "version": app.version,
            "restarts": app.supervisor.restarts}  # fmt: skip

"""The doctor: one line about each part of the charger, good or not, why, and what to do. Entered
between sessions by the back office's command `doctor`, by five presses of Stop, or by a technician
(doctor.py); left again with its memory.

Promises: nothing is switched, nothing is sold, nothing is written to the ledger; it looks at what
the running charger knows. Who can wait asks the terminal's host before (`ask_host`). Texts are for
technicians, in English.
"""

import asyncio
import os

from micropython import const

from firmware.errors import ForecourtError
from firmware.paper import leave

_CAPTURED = const(10)
_END_OF_DAY = const(22)
_DAY_S = const(86400)
_SOON_DAYS = const(30)
_MANY = const(2000)
_LONG = const(120)
_SHOW = const(40)  # tenths of a second


def examine(app, done) -> None:
    """`done(finding)` hears each in order, a dict of name, ok, reason, todo ("" when ok). Never
    raises for what it finds.
    """
    for name, look in _LOOKS:
        try:
            todo, reason = look(app)
        except (ForecourtError, OSError, ValueError) as e:
            todo, reason = "see the log", "%s: %s" % (type(e).__name__, e)
        done({"name": name, "ok": not todo, "reason": reason[:_LONG], "todo": todo})
    leave("firmware.certificate", "firmware.day")


async def ask_host(app) -> None:
    """The terminal talks with its host, which is what a driver would find out next."""
    terminal = app.terminal
    if terminal.ready and not app.machine.busy:
        terminal.abort()  # it reads cards: that begins again afterwards
        await terminal.diagnose()


async def show(app) -> None:
    """Each finding on the screen for some seconds; ended by Stop, or when a driver begins."""
    remote = app.remote
    remote.shown = {"state": "doctor", "message": "terminal: its host is asked"}
    await ask_host(app)
    findings: "list" = []
    examine(app, findings.append)
    for finding in findings:
        text = "%s: %s" % (finding["name"], finding["reason"])
        if finding["todo"]:
            text += ". To do: " + finding["todo"]
        remote.shown = {"state": "doctor" if finding["ok"] else "doctor_bad", "message": text}
        for _ in range(_SHOW):
            await asyncio.sleep_ms(100)
            if app.machine.busy or not remote.presses:
                remote.shown = None
                return
    remote.shown = None


def _power(app):
    millivolts, cause = app.board.power()
    up = app.board.clock.uptime_ms() // 60000
    text = "on for %d h %02d min (%s)" % (up // 60, up % 60, cause)
    if app.supervisor and app.supervisor.restarts:
        n = app.supervisor.restarts
        return "see make logs; report it", text + ", %d tasks were restarted" % n
    if millivolts < 0:
        return "", text + "; supply not measured on this board"
    text += "; supply %d.%02d V" % (millivolts // 1000, millivolts % 1000 // 10)
    if 4500 <= millivolts <= 5500:
        return "", text
    return "measure the 5 V supply under load; check its terminals", text


def _clock(app):
    if app.clock.known:
        return "", "set by the %s, drift %d ppm" % (app.clock.source, app.clock.drift_ppm)
    return ("connect the network (time_server in config.json) or the card terminal",
            "time not known since power-on")  # fmt: skip


def _ledger(app):
    ledger = app.ledger
    waiting = ledger.next_seq - 1 - ledger.acked_seq
    text = "%d records, %d to be sent, epoch %d" % (ledger.next_seq - 1, waiting, ledger.epoch)
    if app.machine.broken:
        return "read it out (make ledger), then see docs/reliability.md", app.machine.broken
    if ledger.lost:
        return "read it out (make ledger) and report it", text + ", %d lost" % ledger.lost
    if not ledger.room_for_session():
        return "connect the back office: it has to take the records", text + "; no room"
    if ledger.books.open:
        text += "; a session is open"
    return "", text


def _meter(app):
    meter = app.meter
    if not app.machine.meter_known or meter.state == "silent":
        todo = "check its supply, A and B, unit, baud rate (make probe tries all)"
        return todo, "%s: %s" % (meter.state, meter.problem or "no answer yet")
    reading = meter.reading
    text = "serial %s, %d.%03d kWh, %d W" % (
        meter.serial or "unknown", reading.energy_wh // 1000, reading.energy_wh % 1000,
        reading.power_w)  # fmt: skip
    if meter.state != "ok":
        todo = "compare its display with meter.model in config.json"
        return todo, "%s: %s" % (meter.state, meter.problem)
    return "", text


def _line(app):
    bus = app.bus
    text = "%d requests, %d answers, %d damaged, %d without answer, %d bytes of noise" % (
        bus.requests, bus.answers, bus.damaged, bus.timeouts, bus.strays)  # fmt: skip
    few = max(bus.requests // 100, 3)  # one in a hundred, and what start-up costs
    if not bus.answers:
        return "check A and B (swap them), supply, unit number", text
    if bus.damaged > few or bus.foreign:
        return "check termination (120 ohm at both ends), shield and length", text
    if bus.timeouts > few:
        return "check A and B, and that no second master shares the line", text
    if bus.strays > _MANY:
        return "check the bias resistors: the idle line is not quiet", text
    return "", text


def _terminal(app):
    terminal = app.terminal
    if terminal.ready or terminal.state == "busy":
        text = "registered, %s; its host " % terminal.state
        if terminal.host_code > 0:
            return ("check its SIM or cable and its own menu; call its provider with the code",
                    text + "was not reached: code %02X" % terminal.host_code)  # fmt: skip
        return "", text + ("was not asked" if terminal.host_code else "answers")
    if terminal.state == "fault":
        return ("read its display; call its provider with the code",
                "it says %d" % terminal.fault_code)  # fmt: skip
    return ("check its power, the serial cable (TX to RX), baud rate and password",
            terminal.state)  # fmt: skip


def _end_of_day(app):
    books = app.ledger.books
    tries = app.runner.day_tries
    last, since = _last_day(app.ledger)
    text = "%d payments since the last end of day" % books.eod_count
    if tries > 0:
        return "read its display; the alarm says why", text + "; failed %d times" % tries
    if last and last["result"] not in ("agree", "late"):
        return ("compare with its own total and the desk's payments (docs/terminal.md)",
                text + "; %s: terminal %d, ledger %d" % (
                    last["result"], last["terminal_minor"], last["ledger_minor"]))  # fmt: skip
    if books.eod_count and since and app.clock.known and app.cfg.end_of_day_hour >= 0:
        from firmware.day import due_ms

        now = app.clock.epoch_ms()
        late = now - due_ms(app.prices.tz, since, app.cfg.end_of_day_hour)
        if late > _DAY_S * 1000:
            return ("it has no line to its host, or is never free at that hour: see its display",
                    text + ", due since %d h" % (late // 3600000))  # fmt: skip
    if books.eod_count > _MANY:
        return "the terminal has no line to its host: call its provider", text
    return "", text


def _last_day(ledger):
    """(fields of the last end of day or None, when it was or, without one, the oldest capture)."""
    since = 0
    for found in ledger.scan((_CAPTURED, _END_OF_DAY)):
        for record in reversed(found):
            if record.kind != "captured":
                return record.fields, record.at
            since = record.at or since
    return None, since


def _rfid(app):
    if app.rfid is None:
        if "rfid" in app.cfg.cards_kinds:
            return "another board, or cards.kinds without rfid", "this board has no UART for it"
        return "", "no reader configured"
    if app.rfid.state == "ready":
        return "", "reader %s answers, list %d" % (app.rfid.version, app.rfid.list_version)
    return "check its power, TX and RX, and that it is set to serial (HSU)", "it does not answer"


def _contactor(app):
    m = app.machine
    closed = app.board.lines.feedback()
    if m.contactor.leaking:
        return "power off at once: it is bridged, or its contact lies", "power flows though open"
    if closed != m.contactor.commanded:
        if closed:
            return ("power off; contacts welded, or the feedback is wired the wrong way round",
                    "told to open, but its feedback says closed")  # fmt: skip
        return "check the coil's supply and the feedback contact", "told to close, but it is open"
    return "", "feedback says %s, as told; not switched by the doctor" % (
        "closed" if closed else "open")  # fmt: skip


def _pilot(app):
    lines = app.board.lines
    if lines.emergency():
        return "turn the emergency stop's knob to release it", "emergency stop is pressed"
    letter = lines.pilot()
    if letter in "EF":
        return "check the pilot wire (CP) to the socket and the diode", "state %s" % letter
    return "", "state %s, %s" % (letter, "no vehicle" if letter == "A" else "vehicle plugged in")


def _network(app):
    if app.board.network.ready():
        return "", "link is up"
    if not app.board.has_network:
        return "", "this board has none: records are read out by a technician"
    return "check cable, switch, or the Wi-Fi's name and key", "no link or no address"


def _broker(app):
    link = app.sync.link
    if link.up:
        return "", "connected, %d records acknowledged" % app.sync.records_acked
    if not app.board.network.ready():
        return ("first the network" if app.board.has_network else ""), "no network"
    why = link.reason
    if _missing(app):
        return "make provision", "no " + _missing(app)
    if "tls" in why or "X509" in why or "cert" in why:
        return "check ca.crt, the charger's certificate, mqtt.server_name and the clock", why
    return "check mqtt.host and port, the firewall, and that the broker runs", why


def _missing(app) -> str:
    """What the link needs and is not among the files."""
    there = os.listdir(app.board.files or "/")
    wanted = ("charger.crt", "ca.crt", "charger.key")
    return ", ".join([name for name in wanted if name not in there])


def _certificate(app):
    from firmware.certificate import validity

    files = app.board.files
    if not app.board.has_network and "charger.crt" not in os.listdir(files or "/"):
        return "", "none: no network"
    if _missing(app):
        return "make provision", "no " + _missing(app)
    now_s = app.clock.epoch_ms() // 1000
    text = []
    for name in ("charger.crt", "ca.crt"):
        with open(files + "/" + name, "rb") as f:
            since, until = validity(f.read())
        days = (until - now_s) // _DAY_S
        if not now_s:
            text.append("%s ends on day %d of 1970" % (name, until // _DAY_S))
        elif now_s < since:
            return "check the clock, or wait", "%s is not valid yet" % name
        elif days < _SOON_DAYS:
            return "make provision: a new certificate", "%s: %d days left" % (name, days)
        else:
            text.append("%s: %d days left" % (name, days))
    return "", ", ".join(text)


def _config(app):
    if app.config_kept:
        return "correct config.json (docs/config.md)", "config.json is refused, the old used"
    if app.prices.tariff is None:
        return "send a tariff, or make provision", "no tariff"
    return "", "charger %s, tariff %s" % (app.cfg.charger, app.prices.tariff.id)


_LOOKS = (
    ("power", _power),
    ("clock", _clock),
    ("ledger", _ledger),
    ("meter", _meter),
    ("meter line", _line),
    ("terminal", _terminal),
    ("end of day", _end_of_day),
    ("rfid", _rfid),
    ("contactor", _contactor),
    ("pilot", _pilot),
    ("network", _network),
    ("broker", _broker),
    ("certificates", _certificate),
    ("config", _config),
)

"""What the doctor looks at first: what measures and what keeps the money. Entered by doctor.py and
left again. Each look gives (todo, reason); todo "" when it is good.
"""

from micropython import const

_CAPTURED = const(10)
_END_OF_DAY = const(22)
_DAY_S = const(86400)
_MANY = const(2000)


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
    if ledger.bad:
        return "replace the board before more fail", text + "; %d bad sectors" % ledger.bad
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


looks: "tuple" = (
    ("power", _power),
    ("clock", _clock),
    ("ledger", _ledger),
    ("meter", _meter),
    ("meter line", _line),
    ("terminal", _terminal),
    ("end of day", _end_of_day),
)

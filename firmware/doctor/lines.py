"""What the doctor looks at second: contacts, links and files. Entered by doctor.py and left again.
Each look gives (todo, reason); todo "" when it is good.
"""

import os

from micropython import const

_DAY_S = const(86400)
_SOON_DAYS = const(30)


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
            return ("power off; contacts welded, or the feedback is not of the board's kind",
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
    from firmware.doctor.certificate import validity

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


looks: "tuple" = (
    ("rfid", _rfid),
    ("contactor", _contactor),
    ("pilot", _pilot),
    ("network", _network),
    ("broker", _broker),
    ("certificates", _certificate),
    ("config", _config),
)

"""Whether the DATA of a board module has the form that board/plan.py describes: every entry there,
of its type, in its range, and none that nobody reads. Not on a charger.
"""

_WIRED = ("contactor", "stop", "emergency", "jumper")
_KINDS = ("nc", "no")
_SHOWN = ("lights", "screen", "network")
_NEEDED = ("name", "uarts", *_WIRED, "feedback", "pilot", *_SHOWN, "watchdog_ms")
_MAY = ("supply", "files", "ledger", "partitions")
_ROLES = ("meter", "terminal", "rfid")
_LOWEST = 65535
_CABLES = {
    "wiznet": {},
    "spi": {"cs": "pin", "int": "pin", "reset": "pin"},
    "mdc": {"mdc": "pin", "mdio": "pin", "power": "pin", "clock": "pin", "phy": "number"},
}
_MOST = 1 << 32


def wrong(data) -> "list[str]":
    """A line for each entry that is not as it must be, with its name; [] when the form is good."""
    if not isinstance(data, dict):
        return ["DATA is no dict"]
    out = ["%s missing" % key for key in _NEEDED if key not in data]
    out += ["%s: there is no such entry" % key for key in data if key not in _NEEDED + _MAY]
    if not out:
        _entries(data, out)
    return out


def _entries(data: dict, out: "list[str]") -> None:
    _value(data["name"], "name", "text", out)
    _uarts(data["uarts"], out)
    for name in _WIRED:
        _row(data[name], name, ("pin", "level"), out)
    _feedback(data["feedback"], out)
    _pilot(data["pilot"], out)
    _lights(data["lights"], out)
    if data["screen"] is not None:
        _row(data["screen"], "screen", ("text", "number", "pin", "pin", "number"), out)
    if isinstance(data["network"], dict):
        _network(data["network"], out)
    elif data["network"] is not None:
        out.append("network must be None or a dict")
    _value(data["watchdog_ms"], "watchdog_ms", "number", out)
    if "supply" in data:
        _row(data["supply"], "supply", ("pin", "number"), out)
    _regions(data, out)


def _feedback(wire, out: "list[str]") -> None:
    before = len(out)
    _row(wire, "feedback", ("pin", "level", "text"), out)
    if len(out) == before and wire[2] not in _KINDS:
        out.append("feedback: a contact is nc or no, not %r" % (wire[2],))


def _value(value, name: str, kind: str, out: "list[str]") -> None:
    """`kind`: a pin, a level, a text or a number from 0."""
    if kind == "text":
        good = isinstance(value, str)
    else:
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST
    if kind == "level":
        good = good and value <= 1
    if not good:
        out.append("%s: %r is no %s" % (name, value, kind))


def _row(value, name: str, kinds: tuple, out: "list[str]") -> None:
    if not isinstance(value, tuple) or len(value) != len(kinds):
        out.append("%s must be (%s)" % (name, ", ".join(kinds)))
        return
    for part, kind in zip(value, kinds):
        _value(part, name, kind, out)


def _uarts(uarts, out: "list[str]") -> None:
    if not isinstance(uarts, dict):
        out.append("uarts must be a dict, role to wires")
        return
    for role in _ROLES[:2]:
        if role not in uarts:
            out.append("uarts: %s missing" % role)
    for role, wires in uarts.items():
        if role not in _ROLES:
            out.append("uarts: there is no role %s" % role)
        elif isinstance(wires, tuple) and len(wires) == 4 and wires[3] is None:
            _row(wires[:3], role, ("number", "pin", "pin"), out)
        else:
            _row(wires, role, ("number", "pin", "pin", "pin"), out)


def _lights(lights, out: "list[str]") -> None:
    if not (isinstance(lights, tuple) and len(lights) == 3):
        out.append("lights must be three pins, red, green and blue, None for none")
        return
    for pin in lights:
        if pin is not None:
            _value(pin, "lights", "pin", out)


def _pilot(pilot, out: "list[str]") -> None:
    if not isinstance(pilot, dict) or set(pilot) != {"pwm", "adc", "levels"}:
        out.append("pilot must have pwm, adc and levels, and nothing else")
        return
    _value(pilot["pwm"], "pilot pwm", "pin", out)
    _value(pilot["adc"], "pilot adc", "pin", out)
    before = len(out)
    _row(pilot["levels"], "pilot levels", ("number",) * 4, out)
    if len(out) == before:
        a, b, c, d = pilot["levels"]
        if not _LOWEST > a > b > c > d > 0:
            out.append("pilot: the four levels must fall, between 65535 and 0")


def _network(network: dict, out: "list[str]") -> None:
    ways = [way for way in _CABLES if way in network]
    if len(ways) > 1 or not (ways or "wifi" in network):
        out.append("network must have one of %s, or wifi" % ", ".join(_CABLES))
        return
    wanted = _CABLES[ways[0]] if ways else {}
    for key in wanted:
        if key not in network:
            out.append("network: %s missing" % key)
    for key, value in network.items():
        if key in ("wiznet", "wifi"):
            if value is not True:
                out.append("network %s must be True, or not be there" % key)
        elif key == "spi":
            _row(value, "network spi", ("number", "pin", "pin", "pin"), out)
        elif key in wanted:
            _value(value, "network " + key, wanted[key], out)
        else:
            out.append("network: there is no entry %s" % key)


def _regions(data: dict, out: "list[str]") -> None:
    for name in ("files", "ledger"):
        if name in data:
            _row(data[name], name, ("number", "number"), out)
    if "partitions" not in data:
        return
    parts = data["partitions"]
    if not isinstance(parts, dict) or set(parts) != {"vfs", "ledger"}:
        out.append("partitions must have vfs and ledger, and nothing else")
        return
    for name, region in parts.items():
        _row(region, "partitions " + name, ("number", "number"), out)

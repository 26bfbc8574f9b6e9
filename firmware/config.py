"""One JSON file configures a charger. It is validated as a whole: every error names the field,
what is allowed and what was given, and nothing of a refused file takes effect. docs/config.md is
the operator's table of the same fields.

A row of FIELDS: path in the file, kind, lowest and highest (numbers: the value; text: its length),
default. A default of None means the field must be there. What runs all day is an attribute of
Config, its path with dots as underscores (`refund` and `extend` are tuples, in this order); what
only start-up needs is in the dict `once` by its path.
"""

import json

from firmware.errors import ConfigError

_INT = "whole number"
_TEXT = "text"
_LIST = "list of texts"

FIELDS = (
    ("charger", _TEXT, 1, 32, None),
    ("connector", _INT, 1, 99, 1),
    ("evse_id", _TEXT, 0, 48, ""),
    ("currency", _TEXT, 3, 3, "EUR"),
    ("hold_minor", _INT, 1, 100000000, 6000),
    ("min_hold_minor", _INT, 0, 100000000, 100),
    ("extend.step_minor", _INT, 0, 100000000, 0),
    ("extend.max_minor", _INT, 0, 100000000, 0),
    ("end_of_day_hour", _INT, -1, 23, -1),
    ("time_zone", _TEXT, 3, 48, "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("languages", _LIST, 1, 3, ("en", "de", "fr")),
    ("max_current_ma", _INT, 6000, 500000, 32000),
    ("max_power_w", _INT, 1000, 1000000, 22500),
    ("plug_timeout_s", _INT, 10, 3600, 120),
    ("pause_limit_s", _INT, 60, 604800, 86400),
    ("settle_after_s", _INT, 0, 86400, 43200),
    ("checkpoint_s", _INT, 10, 3600, 60),
    ("receipt_show_s", _INT, 5, 3600, 60),
    ("message_show_s", _INT, 2, 600, 8),
    ("meter_lost_s", _INT, 3, 600, 10),
    ("meter_wait_s", _INT, 60, 604800, 86400),
    ("receipt_url", _TEXT, 0, 120, ""),
    ("pay_url", _TEXT, 0, 120, ""),
    ("salt", _TEXT, 8, 64, None),
    ("meter.model", _TEXT, 1, 24, "SDM630"),
    ("meter.unit", _INT, 1, 247, 1),
    ("meter.baud", _INT, 1200, 115200, 9600),
    ("meter.parity", _TEXT, 1, 1, "N"),
    ("meter.stop_bits", _INT, 1, 2, 1),
    ("meter.poll_ms", _INT, 0, 60000, 1000),
    ("cards.kinds", _LIST, 0, 10, ("bank",)),
    ("cards.member_minor", _INT, 1, 100000000, 20000),
    ("terminal.profile", _TEXT, 1, 24, "cvend"),
    ("terminal.password", _TEXT, 6, 6, "123456"),
    ("terminal.baud", _INT, 9600, 115200, 9600),
    ("mqtt.host", _TEXT, 1, 120, None),
    ("mqtt.port", _INT, 1, 65535, 8883),
    ("mqtt.server_name", _TEXT, 1, 120, "localhost"),
    ("mqtt.keepalive_s", _INT, 5, 600, 30),
    ("mqtt.command_key", _TEXT, 0, 128, ""),
    ("time_server.host", _TEXT, 0, 120, ""),
    ("time_server.port", _INT, 1, 65535, 123),
    ("refund.day_minor", _INT, 0, 100000000, 50000),
    ("refund.at_terminal", _INT, 0, 1, 0),
    ("refund.fault_wh", _INT, 0, 1000000, 0),
    ("refund.fault_s", _INT, 0, 86400, 0),
    ("refund.waive_flat", _INT, 0, 1, 0),
    ("supplier.name", _TEXT, 1, 60, "Forecourt demo operator"),
    ("supplier.address", _TEXT, 0, 120, ""),
    ("supplier.vat_id", _TEXT, 0, 32, ""),
    ("supplier.helpline", _TEXT, 0, 32, ""),
)
_BAUD = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
_CHOICES = {
    "meter.baud": _BAUD,
    "terminal.baud": _BAUD,
    "meter.parity": ("N", "E", "O"),
    "languages": ("en", "de", "fr"),
    "cards.kinds": ("bank", "visa", "mastercard", "maestro", "girocard", "amex", "diners",
                    "discover", "jcb", "unionpay", "rfid"),
}

_SECRET = ("salt", "terminal.password", "mqtt.command_key")  # never in a reason
_ONCE = ("time_zone", "salt")
_ONCE_GROUPS = ("meter", "terminal", "mqtt", "time_server")
_KEPT = ("meter.poll_ms",)
_EXTEND = ("extend.step_minor", "extend.max_minor")
_REFUND = ("refund.day_minor", "refund.at_terminal", "refund.fault_wh", "refund.fault_s",
           "refund.waive_flat")  # fmt: skip


class Config:
    """Attributes as FIELDS names them (`supplier.name` is `supplier_name`); `once` for start-up,
    which empties it.

    It has no methods: a method would keep this module in memory as long as a Config lives.
    """

    once: dict
    charger: str
    connector: int
    refund: tuple
    extend: tuple
    cards_kinds: tuple
    languages: tuple


def parse(text) -> Config:
    """Config from the file's text or bytes; ConfigError for the first fault, and
    the file is refused whole.
    """
    try:
        given = json.loads(text)
    except (ValueError, RuntimeError) as e:  # too deep: where the reader recurses
        raise ConfigError("config", "must be JSON: %s" % e)
    if not isinstance(given, dict):
        raise ConfigError("config", "must be a JSON object")
    flat: dict = {}
    _flatten("", given, flat)
    values = {}
    for path, kind, low, high, default in FIELDS:
        if path in flat:
            values[path] = _checked(path, kind, low, high, flat.pop(path))
        elif default is None:
            raise ConfigError(path, "must be given")
        else:
            values[path] = default
    for path in flat:
        raise ConfigError(path, "is not a field of the configuration")
    _together(values)
    return _config(values)


def _config(values: dict) -> Config:
    cfg = Config()
    cfg.once = {}
    cfg.refund = tuple([values.pop(path) for path in _REFUND])
    cfg.extend = tuple([values.pop(path) for path in _EXTEND])
    for path, value in values.items():
        if path in _ONCE or (path.split(".")[0] in _ONCE_GROUPS and path not in _KEPT):
            cfg.once[path] = value
        else:
            setattr(cfg, path.replace(".", "_"), value)
    return cfg


def _flatten(prefix: str, given: dict, flat: dict) -> None:
    groups = {path.split(".")[0] for path, *_ in FIELDS if "." in path}
    for name, value in given.items():
        if not isinstance(name, str):  # MicroPython's reader takes {1: 2}
            raise ConfigError("config", "must be JSON", name)
        path = prefix + name
        if not prefix and name in groups:
            if not isinstance(value, dict):
                raise ConfigError(path, "must be an object")
            _flatten(path + ".", value, flat)
        else:
            flat[path] = value


def _checked(path: str, kind: str, low: int, high: int, value):
    shown = None if path in _SECRET else value
    if kind == _INT:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(path, "must be a whole number from %d to %d" % (low, high), shown)
        _chosen(path, (value,))
        return value
    if kind == _TEXT:
        if not isinstance(value, str) or not low <= len(value) <= high:
            raise ConfigError(path, "must be text of %d to %d characters" % (low, high), shown)
        _chosen(path, (value,))
        return value
    good = isinstance(value, list) and low <= len(value) <= high
    if not good or not all(isinstance(v, str) for v in value):
        raise ConfigError(path, "must be a list of %d to %d texts" % (low, high), value)
    _chosen(path, value)
    return tuple(value)


def _chosen(path: str, values) -> None:
    allowed = _CHOICES.get(path)
    for value in values:
        if allowed and value not in allowed:
            names = ", ".join([str(a) for a in allowed])
            raise ConfigError(path, "must be one of " + names, value)


def _together(v: dict) -> None:
    """Rules that tie fields together."""
    if v["min_hold_minor"] > v["hold_minor"]:
        allowed = "must not be above hold_minor (%d)" % v["hold_minor"]
        raise ConfigError("min_hold_minor", allowed, v["min_hold_minor"])
    if v["extend.step_minor"] and v["extend.max_minor"] <= v["hold_minor"]:
        allowed = "must be above hold_minor (%d)" % v["hold_minor"]
        raise ConfigError("extend.max_minor", allowed, v["extend.max_minor"])
    if not (v["terminal.password"].isdigit()):
        raise ConfigError("terminal.password", "must be six digits")
    key = v["mqtt.command_key"]
    if len(key) % 2 or not all(c in "0123456789abcdef" for c in key):
        raise ConfigError("mqtt.command_key", "must be lower-case hexadecimal")

"""Topics and the JSON the charger sends. Objects are written field by field: MicroPython's dicts keep no order.

The schemas of all of them are in docs/mqtt/; tests hold both together.
"""

import json

from firmware.errors import FieldError

PREFIX = "forecourt/v1/"

STATUS = ("online", "at", "reason", "state", "connector", "session", "faults", "version", "epoch", "next_seq",
          "acked_seq", "tariff", "clock", "uptime_ms", "heap_free")
SESSION = ("session", "state", "at", "started_at", "elapsed_ms", "energy_wh", "register_wh", "power_w", "price_minor",
           "hold_minor", "currency", "tariff", "reason")
RESULT = ("about", "id", "ok", "code", "field", "reason", "given", "detail", "at", "data")
LOG = ("at", "level", "text", "dropped")


def topic(charger: str, name: str) -> bytes:
    """forecourt/v1/<charger>/<name>"""
    return (PREFIX + charger + "/" + name).encode()


def dump(order: tuple, fields: dict) -> bytes:
    """A JSON object: the named fields that are there, in this order, then the others by name."""
    names = [name for name in order if name in fields]
    names.extend(sorted(name for name in fields if name not in order))
    parts = [json.dumps(name) + ":" + json.dumps(fields[name]) for name in names]
    return ("{" + ",".join(parts) + "}").encode()


def parse(payload, limit: int = 0) -> dict:
    """The JSON object in an incoming payload. FieldError says what is wrong with it (None: it was too large)."""
    if payload is None:
        raise FieldError("", "message too large for this charger")
    try:
        value = json.loads(payload)
    except ValueError:
        raise FieldError("", "not JSON", _shown(payload))
    except (MemoryError, RuntimeError):
        raise FieldError("", "message too large for this charger")
    if not isinstance(value, dict):
        raise FieldError("", "must be a JSON object", _shown(payload))
    return value


def natural(message: dict, name: str, kind=FieldError) -> int:
    """The field as an integer of 0 or more."""
    value = message.get(name)
    if type(value) is not int or value < 0:
        raise kind(name, "must be an integer, 0 or more", value)
    return value


def text(message: dict, name: str, kind=FieldError) -> str:
    """The field as text of 1 to 64 characters on one line."""
    value = message.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 64 or "\n" in value:
        raise kind(name, "must be text of 1 to 64 characters on one line", value)
    return value


def _shown(payload) -> str:
    """The beginning of a payload, printable whatever it is."""
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in payload[:40])

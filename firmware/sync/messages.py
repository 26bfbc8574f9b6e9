"""The prefix of all topics, and the JSON the charger sends and reads. Fields go in the order of
their names: MicroPython's dicts keep none.

The schemas of all of them are in docs/mqtt/; tests hold both together.
"""

import json

from firmware.errors import FieldError

PREFIX = "forecourt/v1/"


def dump(fields: dict) -> bytes:
    """A JSON object, its fields in the order of their names."""
    parts = [json.dumps(name) + ":" + json.dumps(fields[name]) for name in sorted(fields)]
    return ("{" + ",".join(parts) + "}").encode()


def parse(payload) -> dict:
    """The JSON object in an incoming payload. FieldError says what is wrong with it (None: it was
    too large)."""
    try:
        value = json.loads(payload) if payload is not None else None
    except ValueError:
        value = None
    except (MemoryError, RuntimeError):  # too long or too deep
        payload = None
    if payload is None:
        raise FieldError("", "too large")
    if (
        not isinstance(value, dict) or payload[-1:] != b"}"
    ):  # MicroPython reads a cut object as whole
        raise FieldError("", "must be a JSON object", payload[:40])
    return value


def natural(message: dict, name: str) -> int:
    """The field as an integer of 0 or more, of at most 63 bits."""
    value = message.get(name)
    if type(value) is not int or value < 0:
        raise FieldError(name, "must be an integer, 0 or more", value)
    if value >> 63:
        raise FieldError(name, "must have at most 63 bits")
    return value


def text(message: dict, name: str) -> str:
    """The field as text of 1 to 64 characters on one line, of at most 255 bytes: what a record of
    the ledger holds."""
    value = message.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 64 or "\n" in value:
        raise FieldError(name, "must be 1 to 64 characters", value)
    if len(value.encode()) > 255:
        raise FieldError(name, "must be at most 255 bytes", value)
    return value

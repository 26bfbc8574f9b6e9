"""What a page may ask the world to do, checked before the world sees it."""

from typing import Any

_CARD = 40

ACTS: dict[str, dict[str, type]] = {
    "tap": {"card": str},
    "remove_card": {},
    "plug": {},
    "unplug": {},
    "stop": {},
    "emergency": {"on": bool},
    "vehicle_full": {},
    "vehicle_pause": {"on": bool},
    "speed": {"n": int},
    "network": {"on": bool},
    "meter": {"on": bool},
    "terminal": {"on": bool},
    "reader": {"on": bool},
    "power": {"on": bool},
    "meter_fault": {"name": str, "on": bool},
    "terminal_fault": {"name": str, "on": bool},
    "language": {"code": str},
}
MIN_SPEED, MAX_SPEED = 1, 60


class BadActError(ValueError):
    """The request is no act; str() says what is allowed."""


def check(message: Any) -> tuple[str, dict[str, Any]]:
    """(name, arguments in ACTS' order) of {"act": name, "args": {...}}. Raises BadActError."""
    if not isinstance(message, dict):
        raise BadActError("a message is an object with act and args")
    name = message.get("act")
    if not isinstance(name, str) or name not in ACTS:
        raise BadActError(f"act {str(name)[:_CARD]!r} is not known; known are {', '.join(ACTS)}")
    args = message.get("args", {})
    wanted = ACTS[name]
    if not isinstance(args, dict) or set(args) != set(wanted):
        raise BadActError(f"{name} takes {', '.join(wanted) or 'no arguments'}")
    for key, kind in wanted.items():
        _check_value(name, key, kind, args[key])
    return name, {key: args[key] for key in wanted}


def _check_value(name: str, key: str, kind: type, value: Any) -> None:
    if type(value) is not kind:
        raise BadActError(f"{name}: {key} must be {kind.__name__}")
    if isinstance(value, str) and not 0 < len(value) <= _CARD:
        raise BadActError(f"{name}: {key} must have 1 to {_CARD} characters")
    if isinstance(value, int) and kind is int and not MIN_SPEED <= value <= MAX_SPEED:
        raise BadActError(f"{name}: {key} must be {MIN_SPEED} to {MAX_SPEED}")

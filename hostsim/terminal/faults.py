"""Faults on demand: one table, names for the command line, counters for "the next n times"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`takes` says what a parameter means; `default` is used when none is given ("times" 0: until
    switched off).
    """

    takes: str
    default: float | str
    about: str


FAULTS: dict[str, Fault] = {
    "silence": Fault("-", 1, "answers nothing at all, on the line or above it"),
    "nak": Fault("times", 1, "rejects that many good frames with NAK"),
    "bad-crc": Fault("times", 1, "sends that many frames with a wrong CRC"),
    "drop-ack": Fault(
        "times",
        1,
        "does not acknowledge that many frames on the serial line, though it takes them",
    ),
    "drop-040f": Fault(
        "times",
        1,
        "the result is never sent: the payment is reversed by the terminal itself",
    ),
    "lose-confirm": Fault(
        "times",
        1,
        "does not see the ECR's acknowledgement of the result, and reverses",
    ),
    "lose-completion": Fault(
        "times",
        1,
        "the money is booked, but completion (060F) is never sent",
    ),
    "duplicate": Fault("times", 1, "sends that many frames twice"),
    "collision": Fault("times", 1, "talks first: sends 0401 before it answers the next command"),
    "slow-answer": Fault("seconds", 3.0, "waits that long before it acknowledges a command"),
    "slow-result": Fault("seconds", 10.0, "the bank takes that much longer"),
    "garbage": Fault("bytes", 16, "noise before every frame (serial only)"),
    "fragment": Fault("seconds", 0.15, "sends in small pieces with that gap between them"),
    "unmasked": Fault("-", 1, "card number and track 2 in clear, as captured terminals did"),
    "unknown-command": Fault(
        "times",
        1,
        "asks the ECR something it cannot know (06E7) in the middle",
    ),
    "reversed-reservation": Fault(
        "receipt",
        0,
        "the acquirer drops an open hold at once (0: the newest)",
    ),
    "take-all": Fault("times", 1, "captures the whole hold instead, and tells so"),
    "tell-hold": Fault("-", 1, "names the whole hold in the answer to every capture"),
    "acquirer-down": Fault("-", 1, "no connection to the bank: result A0"),
    "decline-next": Fault("code", "05", "the next card is refused with that result code (hex)"),
    "long-apdu": Fault("-", 1, "the result has so much text that it needs the long length"),
    "long-trace": Fault("-", 1, "trace number 000000 and the real one in TLV 1F2B"),
    "out-of-service": Fault(
        "code",
        "51",
        "refuses money with that code (hex) until initialisation or diagnosis",
    ),
    "busy": Fault("times", 1, "answers that many commands with 84 9C 00"),
    "wait-card": Fault("-", 1, "sees no card, whatever is held to it"),
}


class Faults:
    """Which faults are on."""

    def __init__(self) -> None:
        """None are."""
        self._on: dict[str, float | str] = {}

    def set(self, name: str, param: float | str | bool | None = True) -> None:
        """Switch on (True: with the default) or off (False, None); raises ValueError."""
        if name not in FAULTS:
            raise ValueError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
        if param is None or param is False:
            self._on.pop(name, None)
        else:
            self._on[name] = _checked(name, FAULTS[name].default if param is True else param)

    def active(self, name: str) -> bool:
        """Whether it is on, without counting."""
        return name in self._on

    def number(self, name: str) -> float:
        """Its parameter as a number, 0 when it is off."""
        return float(self._on.get(name, 0))

    def take(self, name: str) -> bool:
        """Use it once; counts down where the parameter is "times"."""
        if name not in self._on:
            return False
        left = float(self._on[name])
        if left == 1:
            del self._on[name]
        elif left > 1:
            self._on[name] = left - 1
        return True

    def code(self, name: str, *, once: bool) -> int | None:
        """Its parameter as a hexadecimal code, None when it is off."""
        if name not in self._on:
            return None
        value = int(str(self._on[name]), 16)
        if once:
            del self._on[name]
        return value

    def names(self) -> list[str]:
        """What is on."""
        return list(self._on)


def _checked(name: str, param: float | str) -> float | str:
    kind = FAULTS[name].takes
    try:
        if kind == "code":
            code = int(str(param), 16)
            if not 0 < code <= 0xFF:
                raise ValueError
            return f"{code:02X}"
        value = float(param)
        if value < 0:
            raise ValueError
    except ValueError:
        raise ValueError(f"fault {name} takes {kind}, not {param!r}") from None
    return value

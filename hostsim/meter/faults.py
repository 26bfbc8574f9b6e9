"""The faults a simulated meter can be given, in one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`where` is "line" (frames) or "meter" (register values)."""

    name: str
    where: str
    default: int | str
    help: str


_ALL = (
    Fault("silence", "line", 0, "does not answer"),
    Fault("crc", "line", 0, "every answer has a wrong check sum"),
    Fault("wrong_unit", "line", 1, "answers as unit + N, check sum right"),
    Fault("exception", "meter", 4, "refuses every request with exception code N"),
    Fault("late", "line", 800, "answers N ms late"),
    Fault("echo", "line", 0, "the line echoes every request before the answer"),
    Fault("short", "line", 3, "the last N bytes of every answer are missing"),
    Fault("noise", "line", 3, "N bytes of rubbish before every answer"),
    Fault("drop", "line", 1, "N % of the frames, each way, are lost, cut or have a bit flipped"),
    Fault("nan", "meter", 0, "energy and power registers say not available"),
    Fault("rollback", "meter", 1000, "the energy register shows N Wh less than it counted"),
    Fault("jump", "meter", 100000, "the energy register shows N Wh more than it counted"),
    Fault("freeze", "meter", 0, "the energy register stands still, power is shown"),
    Fault("pace", "meter", 50, "the energy register counts N % of what flows"),
    Fault("power", "meter", 3000, "shows N W more than flow"),
    Fault(
        "swap", "meter", "99000001", "another meter with serial number N and a register of its own"
    ),
)
FAULTS = {fault.name: fault for fault in _ALL}


class FaultError(ValueError):
    """A fault that does not exist, or a parameter it cannot take."""


def parse(text: str) -> dict[str, int | str]:
    """`crc,late=900` -> {"crc": 0, "late": 900}; raises FaultError."""
    chosen: dict[str, int | str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, value = part.partition("=")
        chosen[name] = checked(name, value or None)
    return chosen


def checked(name: str, value: int | str | None = None) -> int | str:
    """The parameter to use; raises FaultError."""
    fault = FAULTS.get(name)
    if fault is None:
        raise FaultError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    if value is None:
        return fault.default
    if isinstance(fault.default, str):
        return str(value)
    try:
        number = int(value)
    except ValueError:
        raise FaultError(f"fault {name}: {value!r} is not a whole number") from None
    if number < 0:
        raise FaultError(f"fault {name}: {number} is negative")
    return number

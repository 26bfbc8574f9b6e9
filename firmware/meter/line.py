"""What happened on the meter's line, in words for the operator; entered after each bill and left
again (firmware/paper.py).
"""

from micropython import const

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.meter.bus import ModbusBus


def trouble(bus: "ModbusBus") -> str:
    """The line's counters since power-on; "" when nothing was added to them since this was asked
    last: every request was answered and nothing else was heard.
    """
    now = bus.requests - bus.answers + bus.echoes + bus.strays
    if now == bus.told:
        return ""
    bus.told = now
    return (
        "meter line since power-on: %d of %d requests answered, %d damaged, %d foreign,"
        " %d unanswered, %d refused, %d echoes, %d bytes of noise"
        % (bus.answers, bus.requests, bus.damaged, bus.foreign, bus.timeouts, bus.exceptions,
           bus.echoes, bus.strays)
    )  # fmt: skip

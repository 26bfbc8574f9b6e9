"""A technician's question: which meter is there, how good is the line, what is to be changed.
Answers in plain lines. On a board by `make probe` (probe.py), on the host by `python -m hostsim
probe`.
"""

import time

from micropython import const

from firmware.errors import ModbusError
from firmware.meter.detect import LINES, UNITS, line_settings, opener, search

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.meter.bus import ModbusBus
    from firmware.meter.detect import Found
    from firmware.meter.profiles import Profile

_QUALITY_POLLS = const(50)
_SLOW_MS = const(700)  # a poll that takes longer leaves no room for a retry within the second


async def probe(
    open_uart: "Callable[..., object]",
    say: "Callable[[str], None]",
    every_unit: bool = False,
    lines: "tuple[str, ...]" = LINES,
) -> "Found | None":
    """Says what is found, line by line; `open_uart` as detect.opener, `every_unit`: 1 to 247
    instead of the usual ones (minutes).
    """
    units = UNITS + tuple([u for u in range(1, 248) if u not in UNITS]) if every_unit else UNITS
    open_bus = opener(open_uart)
    found = await search(open_bus, lines, units)
    for text in report(found, every_unit):
        say(text)
    chosen = found.chosen() if found else None
    if chosen:
        say(await quality(open_bus(found.line), found.unit, chosen.profile))
        say(settings(found))
    return found


def report(found: "Found | None", every_unit: bool = False) -> "list[str]":
    """What was found."""
    if found is None:
        return [
            "No meter answers on any line setting.",
            "Check the meter's supply, swap A and B, then its unit number and baud rate."
            + ("" if every_unit else " Units asked: " + ", ".join([str(u) for u in UNITS]) + "."),
        ]
    out = ["A meter answers at %s, unit %d." % (found.line, found.unit)]
    if not found.candidates:
        out.append("No known model fits it: set meter.model by hand, or add a profile.")
    unsure = False
    for c in found.candidates:
        unsure = unsure or c.unsure
        if c.unsure:
            out.append("%s: perhaps, the line lost an answer." % c.profile.name)
            continue
        kwh = "%d.%03d" % (c.energy_wh // 1000, c.energy_wh % 1000)
        out.append(
            "%s: %s kWh, %d W, serial %s"
            % (c.profile.name, kwh, c.power_w, c.serial or "unknown")
        )
    chosen = found.chosen()
    if chosen is not None:
        out.append("Used: %s, register in steps of %d Wh."
                   % (chosen.profile.name, chosen.profile.resolution_wh))  # fmt: skip
    elif unsure:
        out.append("Not certain on this line: check termination, A/B and shield, then ask again.")
    elif found.candidates:
        out.append(
            "These would bill differently: set meter.model to the one whose kWh is on the display."
        )
    return out


def settings(found: "Found") -> str:
    """The lines of config.json that say what was found."""
    baud, parity, stop, _ = line_settings(found.line)
    return (
        'In config.json: "meter": {"model": "%s", "unit": %d, "baud": %d, "parity": "%s",'
        ' "stop_bits": %d}, or "meter": {"model": "auto"}.'
        % (found.chosen().profile.name, found.unit, baud,
           "N" if parity is None else "EO"[parity], stop)
    )  # fmt: skip


async def quality(bus: "ModbusBus", unit: int, profile: "Profile") -> str:
    """Polls for a while; one plain line about the wiring, with what to change."""
    began = time.ticks_ms()
    for _ in range(_QUALITY_POLLS):
        for group in profile.groups:
            try:
                await bus.request(unit, group.function, group.address, group.count)
            except ModbusError:
                continue
    poll_ms = time.ticks_diff(time.ticks_ms(), began) // _QUALITY_POLLS
    said = "Line: %d of %d requests answered, %d damaged, %d without answer, %d bytes of noise" % (
        bus.answers, bus.requests, bus.damaged, bus.timeouts, bus.strays)  # fmt: skip
    said += "; a poll takes %d ms: " % poll_ms
    if bus.damaged or bus.foreign:
        return said + "check termination (120 ohm at both ends), shield and cable length."
    if bus.timeouts:
        return said + "check A/B terminals and that no second master or unit shares the number."
    if bus.strays:
        return said + "check the bias resistors: the idle line is not quiet."
    if poll_ms > _SLOW_MS:
        return said + "good, but slow: set the meter to 9600 baud or more."
    if bus.echoes:
        return said + "good; the transceiver hears itself, its receiver may be switched off."
    return said + "good."

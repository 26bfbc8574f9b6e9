"""Config `meter.model: "auto"`: line, unit and model are found at start, kept in meter.json, and
found anew once the kept meter has not answered for a while and no session is open (the runner
calls kept.lost, then the charger restarts: memory for a search is only there before the rest is).

Goals: a meter once found is used at every start without a search, so that a power cut in a
session is not answered by another guess; nothing is used that is not certain. The limit that
follows: another model in the old one's place is only found when it does not answer as the old one
did; the serial number tells when it does.
"""

import asyncio

from micropython import const

from firmware.meter.detect import LINES, UNITS, opener, search
from firmware.meter.kept import keep, read

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.meter.detect import Found

_MORE_UNITS = const(40)  # beyond the usual ones, with each search that found nothing


def find(
    files: str,
    open_uart: "Callable[..., object]",
    feed: "Callable[[], None]",
) -> "tuple[bool, str]":
    """Whether a meter was found for certain, and is kept now; and what there is to say about it.

    `feed()` feeds the watchdog: a search takes seconds, and up to a minute when nothing is there.
    """
    missed = read(files).get("missed", 0)
    first = (missed - 1) * _MORE_UNITS % 240 + 1
    more = range(first, first + _MORE_UNITS) if missed else ()
    units = UNITS + tuple([u for u in more if u not in UNITS and u < 248])
    found = asyncio.run(_searched(feed, open_uart, units))
    if found is None:
        return False, "none answers on any line setting"
    said = "%s, unit %d" % (found.line, found.unit)
    chosen = found.chosen()
    if chosen is None:
        fits = ", ".join([c.profile.name + "?" * c.unsure for c in found.candidates]) or "none"
        if "?" in fits:
            fits += " (?: the line lost an answer)"
        return False, said + " answers; set meter.model, these fit: " + fits
    name = chosen.profile.name
    keep(files, {"line": found.line, "unit": found.unit, "model": name})
    return True, name


async def _searched(
    feed: "Callable[[], None]",
    open_uart: "Callable[..., object]",
    units: "tuple[int, ...]",
) -> "Found | None":
    """The search, while the loop turns for the watchdog."""

    async def feeding() -> None:
        while True:
            feed()
            await asyncio.sleep_ms(500)

    task = asyncio.create_task(feeding())
    try:
        return await search(opener(open_uart), LINES, units)
    finally:
        task.cancel()

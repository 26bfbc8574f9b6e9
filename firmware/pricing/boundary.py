"""Which components price now, and up to where that is certain.

Per dimension it is the first element in list order whose restrictions all hold (OCPI 2.2.1
mod_tariffs, Tariff object). Minimum inclusive, maximum exclusive; what cannot be measured does not
hold.
"""

from micropython import const

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.engine import Engine

FAR = const(0x3FFFFFFF)  # the largest small integer of a 32-bit build
_FARTHER = const(1 << 60)  # where a session is longer than that
# Kinds of restrictions, as tariff.py lists them.
_WINDOW = const(0)
_DAYS = const(1)
_SINCE = const(2)
_MIN_MS = const(4)
_MIN_MWH = const(6)
_MIN_MA = const(8)
_MAX_MA = const(9)


def look(engine: "Engine") -> int:
    """Read the local clock at the engine's instant; give the session ms when it next matters."""
    tariff = engine.tariff
    if not tariff.time_dependent:
        return FAR if engine.ms < FAR else _FARTHER
    now = (engine.epoch_ms + engine.ms) // 1000
    engine.days, second = engine.tz.local(now)
    engine.minute = minute = second // 60
    engine.weekday = (engine.days + 3) % 7
    then = tariff.cut_minutes[0] + 1440
    for cut in tariff.cut_minutes:
        if cut > minute:
            then = cut
            break
    return min(now - second + then * 60, engine.tz.until(now)) * 1000 - engine.epoch_ms


def _in_window(minute: int, window: int) -> bool:
    start = window // 2048
    end = window % 2048
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end


def holds(engine: "Engine", rule: tuple[int, ...]) -> bool:
    """Whether all restrictions of an element hold at the engine's instant and load."""
    for at in range(0, len(rule), 2):
        if not _one(engine, rule[at], rule[at + 1]):
            return False
    return True


def _one(engine: "Engine", kind: int, value: int) -> bool:
    if kind < _MIN_MS:
        if kind == _WINDOW:
            return _in_window(engine.minute, value)
        if kind == _DAYS:
            return bool(value >> engine.weekday & 1)
        return engine.days >= value if kind == _SINCE else engine.days < value
    if kind < _MIN_MA:
        now = engine.ms if kind < _MIN_MWH else engine.mwh
        return now < value if kind & 1 else now >= value
    if kind & 1:
        now = engine.high_ma if kind == _MAX_MA else engine.high_w
        return 0 <= now < value
    return (engine.low_ma if kind == _MIN_MA else engine.low_w) >= value


def active(engine: "Engine", dimension: int) -> int:
    """The component that prices a dimension now; -1 when it costs nothing."""
    tariff = engine.tariff
    for index, component in enumerate(tariff.components):
        if component[0] == dimension and holds(engine, tariff.rules[component[4]]):
            return index
    return -1


def choose(engine: "Engine") -> int:
    """Set the engine's active components; give the session ms until which they are certain in
    time.
    """
    tariff = engine.tariff
    until = look(engine)
    for cut in tariff.cut_ms:
        if cut > engine.ms:
            until = min(until, cut)
            break
    engine.energy = active(engine, 0) if engine.mwh >= tariff.free_mwh else -1
    engine.flat_now = active(engine, 3)
    engine.time = -1
    if engine.kind == 1:
        free = tariff.free_ms - engine.charged_ms
        if free <= 0:
            engine.time = active(engine, 1)
    elif engine.kind == 0:
        free = tariff.grace_ms - engine.parked_ms
        asleep = tariff.sleep >= 0 and _in_window(engine.minute, tariff.sleep)
        if free <= 0 and not asleep:
            engine.time = active(engine, 2)
    else:
        free = 0
    return min(until, engine.ms + free) if free > 0 else until


def energy_cut(engine: "Engine") -> int:
    """The session energy in mWh at which a restriction next changes."""
    for cut in engine.tariff.cut_mwh:
        if cut > engine.mwh:
            return cut
    return FAR if engine.mwh < FAR else _FARTHER


def between(cuts: list[int], low: int, high: int) -> tuple[int, int]:
    """The range [from, to) of a load in which no restriction changes; empty for a spread load."""
    if not cuts:
        return -1, FAR
    if low < 0 and high < 0:
        return -1, 0
    start, end = 0, FAR
    for cut in cuts:
        if cut <= low:
            start = cut
        elif cut < end:
            end = cut
    if not low <= high < end:
        return 0, 0
    return start, end


def crossing(
    start: tuple[int, int], end: tuple[int, int], cut_ms: int, cut_mwh: int, now_mwh: int
) -> tuple[int, int]:
    """Where the straight line between two readings (ms, mWh) first meets one of two cuts.

    Energy at a cut in time is rounded down to the mWh, time at a cut in energy up to the ms.
    """
    time = end[0] - start[0]
    energy = end[1] - start[1]
    if end[1] > cut_mwh and (
        end[0] <= cut_ms or (cut_mwh - start[1]) * time <= (cut_ms - start[0]) * energy
    ):
        ms = start[0] + ((cut_mwh - start[1]) * time + energy - 1) // energy
        return min(ms, end[0]), cut_mwh
    return cut_ms, max(now_mwh, start[1] + energy * (cut_ms - start[0]) // time)

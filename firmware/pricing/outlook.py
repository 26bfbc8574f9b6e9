"""When a price changes next: entered through the engine when asked, and left again."""

from micropython import const

from firmware.pricing import boundary
from firmware.pricing.limits import gross_price

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.engine import Engine

FAR = const(0x3FFFFFFF)
_MOST_CHANGES = const(64)


def next_change(engine: "Engine") -> tuple[int, int]:
    """The next change of a price known now: (epoch ms or -1, session energy in mWh or -1).

    In time it looks through up to 64 boundaries, as if load and energy stayed as they are, in
    energy as if the time did. Another element at the same price is no change. At a boundary
    itself, where the prices are still those of the interval before, it is this very instant.
    """
    if not engine.open:
        return -1, -1
    kept = engine.ms, engine.mwh, engine.charged_ms, engine.parked_ms
    engine.settle()
    now = _prices(engine)
    boundary.choose(engine)
    if _prices(engine) != now:
        return engine.epoch_ms + engine.ms, engine.mwh
    when = _next_time(engine, now)
    engine.ms = kept[0]
    energy = -1
    while energy < 0:
        cut = boundary.energy_cut(engine)
        if cut >= FAR:
            break
        engine.mwh = cut
        boundary.choose(engine)
        if _prices(engine) != now:
            energy = cut
    engine.mwh = kept[1]
    boundary.choose(engine)
    return when, energy


def _prices(engine: "Engine") -> tuple[int, int, int]:
    """What a kWh, an hour and, where it is not due yet, the flat fee cost now, with tax."""
    tariff = engine.tariff
    return (
        gross_price(tariff, engine.energy),
        gross_price(tariff, engine.time),
        gross_price(tariff, engine.flat_now) if engine.flat < 0 else 0,
    )


def _next_time(engine: "Engine", now: tuple[int, int, int]) -> int:
    charged, parked = engine.charged_ms, engine.parked_ms
    first = engine.ms
    found = -1
    for _ in range(_MOST_CHANGES):
        then = boundary.choose(engine)
        if then >= FAR:
            break
        engine.ms = then
        if engine.kind == 1:
            engine.charged_ms = charged + then - first
        elif engine.kind == 0:
            engine.parked_ms = parked + then - first
        boundary.choose(engine)
        if _prices(engine) != now:
            found = engine.epoch_ms + then
            break
    engine.charged_ms, engine.parked_ms = charged, parked
    return found

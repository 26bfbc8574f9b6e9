"""step_size: what is billed for what was used.

OCPI 2.2.1 mod_tariffs, PriceComponent and its notes: ENERGY rounds the session's priced total up
to the step of the component used last; of TIME and PARKING_TIME only one is rounded, PARKING_TIME
if any was priced; the surplus costs the price used last. A step of 0 or 1 rounds nothing.
"""

from micropython import const

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.engine import Engine


def billed(engine: "Engine", more_mwh: int, more_ms: int) -> list[list[int]]:
    """[component, quantity] in order of first use: mWh, ms or 1, steps and the flat fee included.

    more_mwh and more_ms are counted on top, at the components that are active now.
    """
    rows = [[engine.used[at], engine.amounts[at]] for at in range(len(engine.used))]
    energy = engine.last_energy
    if more_mwh and engine.energy >= 0:
        energy = engine.energy
        _count(rows, energy, more_mwh)
    time = engine.last_time
    parking = engine.last_parking
    if more_ms and engine.time >= 0:
        _count(rows, engine.time, more_ms)
        if engine.kind == 1:
            time = engine.time
        else:
            parking = engine.time
    _round(engine, rows, energy)
    _round(engine, rows, time if parking < 0 else parking)
    _round(engine, rows, engine.last_reserved)
    flat = engine.flat
    if flat < 0 and (more_mwh or more_ms):
        flat = engine.flat_now
    elif not (engine.ms or engine.mwh):
        flat = engine.first_flat
    if flat >= 0:
        rows.insert(0, [flat, 1])
    return rows


def _count(rows: list[list[int]], component: int, quantity: int) -> None:
    for row in rows:
        if row[0] == component:
            row[1] += quantity
            return
    rows.append([component, quantity])


def _round(engine: "Engine", rows: list[list[int]], last: int) -> None:
    if last < 0:
        return
    components = engine.tariff.components
    dimension, _, _, step, _ = components[last]
    if step < 2:
        return
    total = 0
    for row in rows:
        other = components[row[0]][0]
        if other == dimension or (dimension in (4, 6) and other in (4, 6)):
            total += row[1]
    _count(rows, last, -total % (step * 1000))

"""How far the money reaches: the rate, what is left under a limit.

left() is conservative by at most 1 Wh or 1 s; stop_before() finds the last instant exactly.
"""

from micropython import const

from firmware.pricing.bill import Bill

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.engine import Engine
    from firmware.pricing.tariff import Tariff

FAR = const(0x3FFFFFFF)
_COARSE = const(1000)  # left() stops searching at 1 Wh, 1 s


def gross_price(tariff: "Tariff", component: int) -> int:
    """A component's price with tax in 1e-4 of the currency, half-up; 0 for none."""
    if component < 0:
        return 0
    _, price, vat, _, _ = tariff.components[component]
    if tariff.tax == 1 or vat <= 0:
        return price
    return (price * (1000000 + vat) * 2 + 1000000) // 2000000


def _guess(price: int, minor: int, scale: int) -> int:
    """About how many mWh or ms (times 3.6) so many minor units buy at a gross price in 1e-4."""
    return minor * 10000 * 1000000 // (price * scale)


def ahead(engine: "Engine") -> tuple[int, int] | None:
    """(mWh, ms) that both together surely stay within engine.limit; None when it is passed
    already.
    """
    limit = engine.limit
    room = limit - Bill(engine).gross_minor()
    if room < 0:
        return None
    scale = Bill(engine).scale()
    energy = gross_price(engine.tariff, engine.energy)
    time = gross_price(engine.tariff, engine.time)
    more_mwh = _guess(energy, room, scale) // 2 if energy else FAR
    more_ms = _guess(time, room, scale) * 18 // 10 if time else FAR
    while energy or time:
        bill = Bill(engine, more_mwh if energy else 0, more_ms if time else 0)
        if bill.gross_minor() <= limit:
            break
        more_mwh //= 2
        more_ms //= 2
        if not more_mwh and not more_ms:
            break
    return more_mwh, more_ms


def stop_before(engine: "Engine", ms: int, mwh: int) -> bool:
    """Whether the price passes engine.limit on the way to (ms, mwh); then go to the last point
    before.
    """
    engine.settle()
    more_ms = ms - engine.ms
    more_mwh = mwh - engine.mwh
    if Bill(engine, more_mwh, more_ms).gross_minor() <= engine.limit:
        return False
    steps = max(more_ms, more_mwh)
    if not steps:
        return False
    low, high = 0, steps
    while high - low > 1:
        middle = (low + high) // 2
        bill = Bill(engine, more_mwh * middle // steps, more_ms * middle // steps)
        if bill.gross_minor() <= engine.limit:
            low = middle
        else:
            high = middle
    engine.ms += more_ms * low // steps
    engine.mwh += more_mwh * low // steps
    return True


def left(engine: "Engine", limit: int) -> tuple[int, int]:
    """(mWh, ms) that fit under a limit, each alone, at the prices of now; -1 where nothing is
    charged.
    """
    engine.settle()
    bill = Bill(engine)
    room = limit - bill.gross_minor()
    found = []
    for component in (engine.energy, engine.time):
        price = gross_price(engine.tariff, component)
        if not price:
            found.append(-1)
        elif room < 0:
            found.append(0)
        else:
            guess = _guess(price, room + 1, bill.scale()) * (36 if found else 10) // 10
            found.append(_search(engine, limit, guess, bool(found)))
    return found[0], found[1]


def _search(engine: "Engine", limit: int, guess: int, of_time: bool) -> int:
    low = 0
    high = guess + _COARSE
    while _fits(engine, limit, high, of_time):
        low = high
        high *= 2
        if high > 1 << 40:
            return -1
    step = max(guess // 8, _COARSE)
    while high - low > _COARSE:
        middle = max(high - step, (low + high) // 2)
        if _fits(engine, limit, middle, of_time):
            low = middle
        else:
            high = middle
    return low


def _fits(engine: "Engine", limit: int, more: int, of_time: bool) -> bool:
    bill = Bill(engine, 0, more) if of_time else Bill(engine, more, 0)
    return bill.gross_minor() <= limit

# Runs on MicroPython: micropython tests/pricing/pricing_driver.py PAIRS Each line of PAIRS is a
# JSON list [tariff text, POSIX TZ, start epoch ms, readings, limit, seed, rising]; a reading is
# [ms, mWh, kind, watts, milliamps]. Prices each pair in several ways that must agree and prints,
# per line, a JSON object with the totals, or what did not agree. Plain code, no pytest.
import json
import sys

from firmware.pricing import invoice
from firmware.pricing.calendar import TimeZone
from firmware.pricing.counter import CHARGING, IDLE, PARKED
from firmware.pricing.engine import Engine
from firmware.pricing.tariff import Tariff


class Dice:
    """A small generator of its own: the same on every build."""

    def __init__(self, seed):
        self.state = seed & 0x3FFFFFF or 1

    def below(self, limit):
        self.state = (self.state * 16807) % 2147483647
        return self.state % limit


def amounts(engine):
    engine.settle()
    return sorted([(component, engine.amounts[at]) for at, component in enumerate(engine.used)])


def finer(readings, dice):
    """The same straight lines, read more often where that is exact."""
    out = []
    t0 = e0 = 0
    for t, e, kind, watts, milliamps in readings:
        length = t - t0
        if length > 4 and (e - e0) % length == 0:
            slope = (e - e0) // length
            cuts = sorted([dice.below(length - 1) + 1 for _ in range(dice.below(4))])
            for cut in cuts:
                out.append((t0 + cut, e0 + slope * cut, kind, watts, milliamps))
        out.append((t, e, kind, watts, milliamps))
        t0, e0 = t, e
    return out


def check_lines(engine, problems, name):
    result = engine.bill()
    lines = result.lines()
    gross = result.gross_minor()
    if sum([line[4] for line in lines]) != gross:
        problems.append(name + ": lines do not add up to the total")
    if sum([group[3] for group in result.vat_groups()]) != gross:
        problems.append(name + ": VAT groups do not add up to the total")
    high = result.limit(True, 1)
    if high and gross * high[1] * 10000 > high[0] * result.scale() * 10000:
        problems.append(name + ": above max_price")
    return gross


def replay(tariff, tz, start, periods):
    """Price the published periods, as the price command does."""
    engine = Engine(tariff, tz)
    engine.start(start)
    mwh = 0
    for _, end, energy, charged, parked, low_ma, high_ma, low_w, high_w in periods:
        mwh += energy
        kind = CHARGING if charged else PARKED if parked else IDLE
        engine.interval(end - start, mwh, kind, low_ma, high_ma, low_w, high_w)
    engine.close()
    return engine


class Watcher:
    """Asks a running engine for its rate and the next change, which must not disturb it, and
    checks that no price changes before it was said to. The change in time is said as if energy
    stood still: where it passed a limit of the tariff since, nothing is checked.
    """

    def __init__(self):
        self.load = None
        self.rate = 0, 0
        self.when = self.at_mwh = -1

    def look(self, engine, load, problems):
        rate = engine.rate()
        if load == self.load and rate != self.rate:
            passed = [cut for cut in engine.tariff.cut_mwh if self.at_mwh < cut <= engine.mwh]
            if not passed and not 0 <= self.when <= engine.epoch_ms + engine.ms:
                problems.append(f"{self.rate} became {rate} at {engine.ms} without notice")
        self.load, self.rate = load, rate
        self.when, self.at_mwh = engine.next_change()[0], engine.mwh
        engine.left(5000)


def drive(tariff, tz, start, readings, problems, rising, on_period, restore_at=-1):
    engine = Engine(tariff, tz, on_period)
    engine.start(start, not readings or readings[0][2] == CHARGING)
    price = -1
    watcher = None if on_period else Watcher()
    for at, (t, e, kind, watts, milliamps) in enumerate(readings):
        engine.tick(t, e, kind, watts, milliamps)
        if watcher:
            watcher.look(engine, (kind, watts, milliamps), problems)
        now = engine.price_minor()
        if rising and now < price:
            problems.append(f"price fell from {price} to {now} at {t}")
        if t or e:  # before that the load, which may choose the flat fee, is not known
            price = now
        if at == restore_at:
            engine = Engine.restore(tariff, tz, engine.state(), on_period)
            if engine.price_minor() != now:
                problems.append("restored price differs")
    engine.close()
    return engine


def held(tariff, tz, start, readings, limit, problems, rising, full):
    periods = []
    engine = Engine(tariff, tz, lambda *period: periods.append(period))
    engine.start(start, not readings or readings[0][2] == CHARGING)
    first = engine.price_minor()
    engine.freeze_at(limit)
    for t, e, kind, watts, milliamps in readings:
        engine.tick(t, e, kind, watts, milliamps)
        now = engine.price_minor()
        if first <= limit < now:
            problems.append(f"price {now} above the limit {limit} at {t}")
    engine.close()
    if rising and full <= limit and engine.price_minor() != full:
        problems.append(f"stopped at {engine.price_minor()} though {full} fits {limit}")
    if amounts(replay(tariff, tz, start, periods)) != amounts(engine):
        problems.append("record of a stopped session differs")
    return engine.price_minor()


def pair(line):
    text, zone, start, readings, limit, seed, rising = json.loads(line)
    dice = Dice(seed)
    tariff = Tariff.from_json(text)
    tz = TimeZone(zone)
    problems: list[str] = []
    periods: list[tuple[int, ...]] = []
    engine = drive(
        tariff, tz, start, readings, problems, rising, lambda *period: periods.append(period)
    )
    gross = check_lines(engine, problems, "live")
    fine = finer(readings, dice)
    at = dice.below(len(fine) + 1)
    again = drive(tariff, tz, start, fine, problems, rising, None, at)
    if amounts(again) != amounts(engine) or again.price_minor() != gross:
        problems.append(f"read more often: {amounts(engine)} {amounts(again)}")
    other = replay(tariff, tz, start, periods)
    if amounts(other) != amounts(engine) or other.flat != engine.flat:
        problems.append(f"record: {amounts(engine)} {amounts(other)} {engine.flat} {other.flat}")
    stopped = held(tariff, tz, start, readings, limit, problems, rising, gross)
    result = engine.bill()
    excl, incl = result.total()
    return {
        "excl": None if excl is None else invoice.decimal_text(excl),
        "incl": invoice.decimal_text(incl),
        "exact": None if excl is None else [str(excl[0]), str(excl[1])],
        "exact_incl": [str(incl[0]), str(incl[1])],
        "parts": [
            None if p[0] is None else invoice.decimal_text(p[0])
            for p in [result.exact(b) for b in (1, 2, 4, 8)]
        ],
        "gross": gross,
        "stopped": stopped,
        "problems": problems,
    }


with open(sys.argv[1]) as source:
    for line in source:
        print(json.dumps(pair(line)))  # noqa: T201 - its answer

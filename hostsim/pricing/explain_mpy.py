"""Runs under MicroPython, with price_mpy.py: says which element priced what, when and why."""

from firmware.pricing import invoice, money, words
from firmware.pricing.counter import CHARGING, IDLE
from firmware.pricing.engine import Engine

UNIT = 360000000000  # amounts of firmware.pricing.bill in one unit of the currency
ALL = 255  # every dimension
MAXIMUM = 9  # kind of a line: max_price; one more: min_price
LABELS = ("ENERGY", "TIME", "PARKING_TIME", "FLAT")


class Explained(Engine):
    """The engine, keeping what it counted for whom."""

    def __init__(self, tariff, tz):
        super().__init__(tariff, tz)
        self.log = []

    def settle(self):
        """Count as the engine does, and write it down."""
        energy, time = self.mwh - self.stretch_mwh, self.ms - self.stretch_ms
        if energy or time:
            entry = [self.stretch_ms, self.ms, energy, time, self.kind, self.energy, self.time]
            self.log.append(entry + [self.flat_now if self.flat < 0 else -1])
        super().settle()


def local_text(tz, epoch_ms):
    """Local date and time for a reader."""
    days, second = tz.local(epoch_ms // 1000)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    if epoch_ms % 1000:
        clock += f".{epoch_ms % 1000:03d}"
    return words.date(days, "en") + " " + clock


def reason(tariff, component):
    """Which element, and why it."""
    dimension, element = tariff.components[component][0], tariff.components[component][4]
    before = [c[4] for c in tariff.components[:component] if c[0] == dimension and c[4] != element]
    text = f"elements[{element}]: {words.component(tariff, component, 'en')}"
    if before:
        text += f"; the first that holds, {len(before)} before it did not"
    return text


def why(tariff, component):
    """Who prices, or that nobody does."""
    if component >= 0:
        return "by " + reason(tariff, component)
    return "not priced: free, asleep, or no element holds"


def reserved(engine):
    """The reservation's lines."""
    lines = []
    for at, component in enumerate(engine.used):
        dimension = engine.tariff.components[component][0]
        if dimension >= 4:
            timed = dimension in (4, 6)
            what = f"{money.trimmed(engine.amounts[at], 3)} s reserved" if timed else "flat fee"
            lines.append(f"reservation: {what} {why(engine.tariff, component)}")
    return lines


def counted(engine):
    """What was counted, stretch by stretch."""
    lines = []
    tariff = engine.tariff
    for start, end, energy, time, kind, on_energy, on_time, flat in engine.log:
        when = local_text(engine.tz, engine.epoch_ms + start)
        when += " to " + local_text(engine.tz, engine.epoch_ms + end)
        if flat >= 0:
            lines.append(f"{when}: flat fee {why(tariff, flat)}")
        if energy and tariff.has(0):
            lines.append(f"{when}: {money.trimmed(energy, 6)} kWh {why(tariff, on_energy)}")
        if time and kind != IDLE and tariff.has(1 if kind == CHARGING else 2):
            what = "charging" if kind == CHARGING else "parking"
            lines.append(f"{when}: {money.trimmed(time, 3)} s {what} {why(tariff, on_time)}")
    return lines


def rounded(engine, result):
    """What steps, caps and limits made of it."""
    lines = []
    for kind, component, quantity, amount, _, dimension in result.rows:
        if component < 0:
            less = invoice.decimal_text((-amount, UNIT))
            lines.append(f"x_caps: {LABELS[dimension]} costs {less} less")
        elif component in engine.used:
            more = quantity - engine.amounts[engine.used.index(component)]
            unit = money.trimmed(more, 6) + " kWh" if kind == 0 else money.trimmed(more, 3) + " s"
            if more:
                lines.append(f"step_size: {unit} more are billed {why(engine.tariff, component)}")
    return lines + held(result)


def held(result):
    """What min_price and max_price made of the total."""
    lines = []
    kinds = {line[0] for line in result.lines()}
    exact, total = result.exact(ALL), result.total()
    for at, side in enumerate(("without", "with")):
        before, after = exact[at], total[at]
        if before is not None and before[0] * after[1] != after[0] * before[1]:
            name = "max_price" if before[0] * after[1] > after[0] * before[1] else "min_price"
            was, now = invoice.decimal_text(before), invoice.decimal_text(after)
            lines.append(f"{name}: {was} {side} tax becomes {now}")
    if not lines and kinds & {MAXIMUM, MAXIMUM + 1}:
        lines.append("min_price or max_price: only the receipt's rounding was adjusted")
    return lines


def explain(engine, result):
    """What was priced by which element, when and why, line by line."""
    return reserved(engine) + counted(engine) + rounded(engine, result)

"""Quantities to money: exact totals, and what a receipt prints.

Everything is an integer in units of 1/(3.6e11) of the currency until the very end: ENERGY costs
price * mWh * 36, time price * ms * 10, a flat fee price * 36e6 (price in 1e-4). VAT multiplies by
(1e6 + vat) / 1e6. OCPI totals are then given with 4 decimals half-up; the receipt rounds half-up
once per VAT rate to the minor unit, its lines share that rounding, and the total is the sum of the
lines.
"""

from micropython import const

from firmware.pricing import money
from firmware.pricing.steps import billed

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.engine import Engine

UNIT = const(360000000000)
_WHOLE = const(1000000)  # 100 % in 1e-4 percent
_FACTORS = (36, 10, 10, 36000000, 10, 36000000, 10, 36000000)
ALL = const(255)
RESERVED = const(240)
# Lines that are no component: kinds beyond the dimensions of tariff.py.
CAP = const(8)  # the cap of one dimension (x_caps)
MAXIMUM = const(9)  # max_price
MINIMUM = const(10)  # min_price


class Bill:
    """The bill of a session so far. Fractions are (numerator, denominator) of whole currency
    units.
    """

    def __init__(self, engine: "Engine", more_mwh: int = 0, more_ms: int = 0) -> None:
        self.tariff = engine.tariff
        self.energy_mwh = engine.mwh + more_mwh
        self.rows: list[
            tuple[int, ...]
        ] = []  # (kind, component, quantity, amount, vat, dimension)
        components = engine.tariff.components
        for index, quantity in billed(engine, more_mwh, more_ms):
            dimension, price, vat, _, _ = components[index]
            amount = price * quantity * _FACTORS[dimension]
            self.rows.append((dimension, index, quantity, amount, vat, dimension))
        for bits, cap in engine.tariff.caps:
            self._cap(bits, cap * (UNIT // 10000))

    def _cap(self, bits: int, cap: int) -> None:
        """Take back what dimensions cost beyond their cap, the last one first."""
        sums = [0, 0, 0]
        vat = -1
        for row in self.rows:
            if bits >> row[5] & 1:
                sums[row[5]] += row[3]
                if row[3]:
                    vat = row[4]
        over = sums[0] + sums[1] + sums[2] - cap
        for dimension in (2, 1, 0):
            back = min(over, sums[dimension])
            if back > 0:
                self.rows.append((CAP, -1, 0, -back, vat, dimension))
                over -= back

    # -- exact

    def exact(self, bits: int) -> tuple[tuple[int, int] | None, tuple[int, int]]:
        """What some dimensions cost before min_price and max_price: (without tax, with tax).

        Without tax it is None where prices include tax at an unknown rate.
        """
        if self.tariff.tax != 1:
            excl = incl = 0
            for row in self.rows:
                if bits >> row[5] & 1:
                    excl += row[3]
                    incl += row[3] * (_WHOLE + max(row[4], 0))
            return (excl, UNIT), (incl, UNIT * _WHOLE)
        return self._net_of(bits)

    def _net_of(self, bits: int) -> tuple[tuple[int, int] | None, tuple[int, int]]:
        """exact() where prices include tax: the part before tax over the product of the rates."""
        sums: dict[int, int] = {}
        for row in self.rows:
            if bits >> row[5] & 1:
                sums[row[4]] = sums.get(row[4], 0) + row[3]
        incl = net = 0
        base = 1
        known = True
        for vat, amount in sums.items():
            incl += amount
            known = known and (vat >= 0 or not amount)
            part = _WHOLE + max(vat, 0)
            net = net * part + amount * _WHOLE * base
            base *= part
        return (net, base * UNIT) if known else None, (incl, UNIT)

    def total(self) -> tuple[tuple[int, int] | None, tuple[int, int]]:
        """The session's cost (without tax or None, with tax), held within min_price and max_price.

        The two sides are held independently (OCPI 2.2.1 mod_tariffs, notes on min_price and
        max_price); where only one is given the other follows by the tariff's VAT: see _limit.
        """
        excl, incl = self.exact(ALL)
        if excl is not None:
            excl = _held(excl, self._limit(False, 0), self._limit(True, 0))
        return excl, _held(incl, self._limit(False, 1), self._limit(True, 1))

    def _limit(self, high: bool, side: int) -> tuple[int, int] | None:
        """min_price or max_price without (side 0) or with tax (side 1), None where there is none.

        A side that is not given is taken from the other at the VAT that binds later: so a price
        that mixes rates is never held before its given side would be, and still only ever rises.
        """
        given = self.tariff.max_price if high else self.tariff.min_price
        if given[side] >= 0:
            return given[side], 10000
        if given[1 - side] < 0:
            return None
        rates = [max(found[2], 0) for found in self.tariff.components if found[1]] or [0]
        part = _WHOLE + (max(rates) if high == (side == 1) else min(rates))
        if side:
            return given[0] * part, 10000 * _WHOLE
        return given[1] * _WHOLE, 10000 * part

    # -- as a receipt rounds

    def gross_minor(self) -> int:
        """What the driver pays, in minor units: the sum of the printed lines."""
        printed = 0
        for _, amount in self._groups():
            printed += amount
        return printed + self._adjustment(printed)

    def lines(self) -> list[tuple[int, ...]]:
        """Printed lines: (kind, component or -1, quantity, vat or -1, gross in minor units).

        kind is a dimension of tariff.py, or CAP, MAXIMUM, MINIMUM; quantity mWh, ms or 1.
        """
        found: list[tuple[int, ...]] = []
        for vat, _ in self._groups():
            exact = before = 0
            for row in self.rows:
                if row[4] == vat:
                    exact += row[3]
                    now = self._rounded(exact, vat)
                    found.append((row[0], row[1], row[2], vat, now - before))
                    before = now
        printed = sum([line[4] for line in found])
        more = self._adjustment(printed)
        if more:
            self._share(found, more, printed)
        return found

    def vat_groups(self) -> list[tuple[int, int, int, int]]:
        """Per VAT rate: (vat or -1, net, tax, gross) in minor units; tax = gross - net.

        Where prices include tax at an unknown rate (vat -1, tax YES), net is given as gross.
        """
        sums: dict[int, int] = {}
        adjusted = set()
        for kind, _, _, vat, amount in self.lines():
            sums[vat] = sums.get(vat, 0) + amount
            if kind >= MAXIMUM:
                adjusted.add(vat)
        found = []
        for vat in sorted(sums):
            gross = sums[vat]
            net = gross
            if vat > 0 and (self.tariff.tax == 1 or vat in adjusted):
                net = money.half_up(gross * _WHOLE, _WHOLE + vat)
            elif vat > 0:
                exact = sum([row[3] for row in self.rows if row[4] == vat])
                net = money.half_up(exact * self._scale(), UNIT)
            found.append((vat, net, gross - net, gross))
        return found

    def per_kwh(self) -> int:
        """The equivalent gross price per kWh in 1e-4 of the currency; -1 without energy."""
        if self.energy_mwh <= 0:
            return -1
        return money.half_up(self.gross_minor() * 10**10, self._scale() * self.energy_mwh)

    def _scale(self) -> int:
        return 10 ** money.exponent(self.tariff.currency)

    def _rounded(self, amount: int, vat: int) -> int:
        if self.tariff.tax == 1 or vat <= 0:
            return money.half_up(amount * self._scale(), UNIT)
        return money.half_up(amount * (_WHOLE + vat) * self._scale(), UNIT * _WHOLE)

    def _groups(self) -> list[tuple[int, int]]:
        """(vat, gross minor) per VAT rate, in order of first use."""
        rates: list[int] = []
        sums: list[int] = []
        for row in self.rows:
            if row[4] not in rates:
                rates.append(row[4])
                sums.append(0)
            sums[rates.index(row[4])] += row[3]
        return [(vat, self._rounded(sums[at], vat)) for at, vat in enumerate(rates)]

    def _adjustment(self, printed: int) -> int:
        """What min_price and max_price add to the printed lines."""
        scale = self._scale()
        low, high = self._limit(False, 1), self._limit(True, 1)
        target = printed
        if low:
            target = max(target, money.half_up(low[0] * scale, low[1]))
        if high:
            target = min(target, high[0] * scale // high[1])
        return target - printed

    def _share(self, found: list[tuple[int, ...]], more: int, printed: int) -> None:
        """Share an adjustment among the VAT rates in the proportion of what they cost."""
        kind = MINIMUM if more > 0 else MAXIMUM
        groups = self._groups()
        if printed <= 0 or not groups:
            found.append((kind, -1, 0, self.tariff.components[0][2], more))
            return
        run = before = 0
        for vat, amount in groups:
            run += amount
            now = money.half_up(more * run, printed)
            if now != before:
                found.append((kind, -1, 0, vat, now - before))
            before = now


def _held(
    value: tuple[int, int], low: tuple[int, int] | None, high: tuple[int, int] | None
) -> tuple[int, int]:
    if high and value[0] * high[1] > high[0] * value[1]:
        return high
    if low and value[0] * low[1] < low[0] * value[1]:
        return low
    return value


def decimal_text(value: tuple[int, int]) -> str:
    """A fraction as OCPI prints amounts: 4 decimals, half-up."""
    return money.fixed(money.half_up(value[0] * 10000, value[1]), 4)

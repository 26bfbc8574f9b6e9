"""Quantities to money: exact totals, and what a receipt prints.

Everything is an integer in units of 1/(3.6e11) of the currency until the very end: ENERGY costs
price * mWh * 36, time price * ms * 10, a flat fee price * 36e6 (price in 1e-4). VAT multiplies by
(1e6 + vat) / 1e6. OCPI totals are then given with 4 decimals half-up; the receipt rounds half-up
once per VAT rate to the minor unit, its lines share that rounding, and the total is the sum of the
lines.
"""

from micropython import const

from firmware.pricing import money
from firmware.pricing.paper import leave
from firmware.pricing.steps import billed

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any

    from firmware.pricing.engine import Engine

    Fraction = tuple[int, int]

_UNIT = const(360000000000)
_WHOLE = const(1000000)  # 100 % in 1e-4 percent
_FACTORS = (36, 10, 10, 36000000, 10, 36000000, 10, 36000000)
# Kinds of rows and lines beyond the dimensions of tariff.py: 8 the cap of a dimension (x_caps),
# 9 max_price, 10 min_price.
_CAP = const(8)


class Bill:
    """The bill of a session so far.

    `rows` are (kind, component or -1, quantity, amount, vat or -1, dimension), exact; fractions
    are (numerator, denominator) of whole units of the currency.
    """

    def __init__(self, engine: "Engine", more_mwh: int = 0, more_ms: int = 0) -> None:
        self.tariff = engine.tariff
        self.energy_mwh = engine.mwh + more_mwh
        self.rows: list[tuple[int, ...]] = []
        components = engine.tariff.components
        for index, quantity in billed(engine, more_mwh, more_ms):
            dimension, price, vat, _, _ = components[index]
            amount = price * quantity * _FACTORS[dimension]
            self.rows.append((dimension, index, quantity, amount, vat, dimension))
        for bits, cap in engine.tariff.caps:
            self._cap(bits, cap * (_UNIT // 10000))

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
                self.rows.append((_CAP, -1, 0, -back, vat, dimension))
                over -= back

    def limit(self, high: bool, side: int) -> tuple[int, int] | None:
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

    def gross_minor(self) -> int:
        """What the driver pays, in minor units: the sum of the printed lines."""
        printed = 0
        for _, amount in self.groups():
            printed += amount
        return printed + self.adjustment(printed)

    def per_kwh(self) -> int:
        """The equivalent gross price per kWh in 1e-4 of the currency; -1 without energy."""
        if self.energy_mwh <= 0:
            return -1
        return money.half_up(self.gross_minor() * 10**10, self.scale() * self.energy_mwh)

    def exact(self, bits: int) -> "tuple[Fraction | None, Fraction]":
        """What dimensions (bits) cost before min_price and max_price: (without tax, with tax).

        Without tax it is None where prices include tax at an unknown rate.
        """
        return self._invoice("exact", bits)

    def total(self) -> "tuple[Fraction | None, Fraction]":
        """The session's cost (without tax or None, with tax), within min_price and max_price."""
        return self._invoice("total")

    def lines(self) -> list[tuple[int, ...]]:
        """Printed lines: (kind, component or -1, quantity, vat or -1, gross in minor units).

        kind as in `rows`, or 9 for max_price, 10 for min_price; quantity mWh, ms or 1.
        """
        return self._invoice("lines")

    def vat_groups(self) -> list[tuple[int, int, int, int]]:
        """Per VAT rate: (vat or -1, net, tax, gross) in minor units; tax = gross - net.

        Where prices include tax at an unknown rate (vat -1, tax YES), net is given as gross.
        """
        return self._invoice("vat_groups")

    def _invoice(self, name: str, *more: int) -> "Any":
        """Enter the module that is only needed now and then."""
        from firmware.pricing import invoice

        found = getattr(invoice, name)(self, *more)
        leave("firmware.pricing.invoice")
        return found

    def scale(self) -> int:
        """Minor units of the currency in its whole unit."""
        return 10 ** money.exponent(self.tariff.currency)

    def rounded(self, amount: int, vat: int) -> int:
        """An exact amount as gross minor units."""
        if self.tariff.tax == 1 or vat <= 0:
            return money.half_up(amount * self.scale(), _UNIT)
        return money.half_up(amount * (_WHOLE + vat) * self.scale(), _UNIT * _WHOLE)

    def groups(self) -> list[tuple[int, int]]:
        """(vat, gross minor) per VAT rate, in order of first use."""
        rates: list[int] = []
        sums: list[int] = []
        for row in self.rows:
            if row[4] not in rates:
                rates.append(row[4])
                sums.append(0)
            sums[rates.index(row[4])] += row[3]
        return [(vat, self.rounded(sums[at], vat)) for at, vat in enumerate(rates)]

    def adjustment(self, printed: int) -> int:
        """What min_price and max_price add to the printed lines."""
        scale = self.scale()
        low, high = self.limit(False, 1), self.limit(True, 1)
        target = printed
        if low:
            target = max(target, money.half_up(low[0] * scale, low[1]))
        if high:
            target = min(target, high[0] * scale // high[1])
        return target - printed

"""What is made of a bill only when somebody wants it in full: exact totals, lines, VAT.

Entered through bill.Bill and left again. Fractions are (numerator, denominator) of whole units of
the currency.
"""

from micropython import const

from firmware.pricing import money

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.bill import Bill

    Fraction = tuple[int, int]

_UNIT = const(360000000000)  # of bill.py
_WHOLE = const(1000000)  # 100 % in 1e-4 percent
_ALL = const(255)
_MAXIMUM = const(9)
_MINIMUM = const(10)


def exact(bill: "Bill", bits: int) -> "tuple[Fraction | None, Fraction]":
    """What some dimensions cost before min_price and max_price: (without tax, with tax).

    Without tax it is None where prices include tax at an unknown rate.
    """
    sums: dict[int, int] = {}
    for row in bill.rows:
        if bits >> row[5] & 1:
            sums[row[4]] = sums.get(row[4], 0) + row[3]
    excl = incl = 0
    if bill.tariff.tax != 1:
        for vat, amount in sums.items():
            excl += amount
            incl += amount * (_WHOLE + max(vat, 0))
        return (excl, _UNIT), (incl, _UNIT * _WHOLE)
    base = 1  # the product of the rates
    known = True
    for vat, amount in sums.items():
        incl += amount
        known = known and (vat >= 0 or not amount)
        part = _WHOLE + max(vat, 0)
        excl = excl * part + amount * _WHOLE * base
        base *= part
    return (excl, base * _UNIT) if known else None, (incl, _UNIT)


def total(bill: "Bill") -> "tuple[Fraction | None, Fraction]":
    """The session's cost (without tax or None, with tax), held within min_price and max_price.

    The two sides are held independently (OCPI 2.2.1 mod_tariffs, notes on min_price and
    max_price); where only one is given the other follows by the tariff's VAT: see Bill.limit.
    """
    excl, incl = exact(bill, _ALL)
    if excl is not None:
        excl = _held(excl, bill.limit(False, 0), bill.limit(True, 0))
    return excl, _held(incl, bill.limit(False, 1), bill.limit(True, 1))


def _held(value: "Fraction", low: "Fraction | None", high: "Fraction | None") -> "Fraction":
    if high and value[0] * high[1] > high[0] * value[1]:
        return high
    if low and value[0] * low[1] < low[0] * value[1]:
        return low
    return value


def lines(bill: "Bill") -> list[tuple[int, ...]]:
    """Printed lines: see Bill.lines."""
    found: list[tuple[int, ...]] = []
    for vat, _ in bill.groups():
        sum_so_far = before = 0
        for row in bill.rows:
            if row[4] == vat:
                sum_so_far += row[3]
                now = bill.rounded(sum_so_far, vat)
                found.append((row[0], row[1], row[2], vat, now - before))
                before = now
    printed = sum([line[4] for line in found])
    more = bill.adjustment(printed)
    if more:
        _share(bill, found, more, printed)
    return found


def _share(bill: "Bill", found: list[tuple[int, ...]], more: int, printed: int) -> None:
    """Share an adjustment among the VAT rates in the proportion of what they cost."""
    kind = _MINIMUM if more > 0 else _MAXIMUM
    groups = bill.groups()
    if printed <= 0 or not groups:
        found.append((kind, -1, 0, bill.tariff.components[0][2], more))
        return
    run = before = 0
    for vat, amount in groups:
        run += amount
        now = money.half_up(more * run, printed)
        if now != before:
            found.append((kind, -1, 0, vat, now - before))
        before = now


def vat_groups(bill: "Bill") -> list[tuple[int, int, int, int]]:
    """Per VAT rate (vat or -1, net, tax, gross): see Bill.vat_groups."""
    sums: dict[int, int] = {}
    adjusted = set()
    for kind, _, _, vat, amount in lines(bill):
        sums[vat] = sums.get(vat, 0) + amount
        if kind >= _MAXIMUM:
            adjusted.add(vat)
    found = []
    for vat in sorted(sums):
        gross = sums[vat]
        net = gross
        if vat > 0 and (bill.tariff.tax == 1 or vat in adjusted):
            net = money.half_up(gross * _WHOLE, _WHOLE + vat)
        elif vat > 0:
            amount = sum([row[3] for row in bill.rows if row[4] == vat])
            net = money.half_up(amount * bill.scale(), _UNIT)
        found.append((vat, net, gross - net, gross))
    return found


def decimal_text(value: "Fraction") -> str:
    """A fraction as OCPI prints amounts: 4 decimals, half-up."""
    return money.fixed(money.half_up(value[0] * 10000, value[1]), 4)

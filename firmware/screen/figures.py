"""Figures as a driver reads them, by language, from integers only (no float carries energy or
money).
"""

from firmware.pricing import money

# thousands mark and decimal mark
_MARKS = {"en": (",", "."), "de": (".", ","), "fr": (" ", ",")}


def number(value: int, decimals: int, language: str) -> str:
    """`value` in units of 10**-decimals: number(123450, 2, "de") is 1.234,50."""
    mark, point = _MARKS.get(language, _MARKS["en"])
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**decimals)
    digits = str(whole)
    out = digits[-3:]
    digits = digits[:-3]
    while digits:
        out = digits[-3:] + mark + out
        digits = digits[:-3]
    if decimals:
        out += point + ("0" * decimals + str(part))[-decimals:]
    return sign + out


def amount(minor: int, currency: str, language: str) -> str:
    """605 EUR minor units as 6.05 €; pricing.money.amount with a thousands mark."""
    return number(minor, money.exponent(currency), language) + " " + money.sign(currency)


def energy(wh: int, language: str, resolution_wh: int = 1) -> str:
    """No more decimals than the meter's register has, and how far off that may be: 12.3 kWh ±0.1.
    Between two readings a register is right to one of its steps, up or down.
    """
    decimals = 3
    unit = 1
    while decimals and resolution_wh >= 10 * unit:
        decimals -= 1
        unit *= 10
    out = number(wh // unit, decimals, language) + " kWh"
    if resolution_wh > 1:
        out += " ±" + number(-(-resolution_wh // unit), decimals, language)
    return out


def power(watts: int, language: str) -> str:
    """Rounded to a tenth of a kW."""
    return number((watts + 50) // 100, 1, language) + " kW"


def span(ms: int) -> str:
    """h:mm:ss"""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"

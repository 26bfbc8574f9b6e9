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


def energy(wh: int, language: str) -> str:
    return number(wh, 3, language) + " kWh"


def power(watts: int, language: str) -> str:
    """Rounded to a tenth of a kW."""
    return number((watts + 50) // 100, 1, language) + " kW"


def span(ms: int) -> str:
    """h:mm:ss"""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"

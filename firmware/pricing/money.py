"""Integers to amounts of money and their text; money never meets a float.

Prices are integers of 1e-4 of the currency, amounts integers of its minor unit (ISO 4217).
"""

# Minor-unit exponents of ISO 4217 (list one) that are not 2.
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"


def exponent(currency: str) -> int:
    """Decimals of the currency's minor unit (ISO 4217): 2 for EUR, 0 for JPY, 3 for KWD."""
    if currency in _NONE:
        return 0
    return 3 if currency in _THREE else 4 if currency in _FOUR else 2


def sign(currency: str) -> str:
    """The currency's usual sign, or its ISO code where a sign would be ambiguous."""
    at = "EURGBPUSDJPY".find(currency)
    return "€£$¥"[at // 3] if at >= 0 and at % 3 == 0 else currency


def half_up(numerator: int, denominator: int) -> int:
    """Divide integers and round half away from zero; the denominator is positive."""
    if numerator < 0:
        return -half_up(-numerator, denominator)
    return (2 * numerator + denominator) // (2 * denominator)


def fixed(value: int, places: int, point: str = ".") -> str:
    """Write an integer of 10**-places as a decimal with all its places: (5125, 3) gives 5.125."""
    if places == 0:
        return str(value)
    minus = "-" if value < 0 else ""
    text = str(abs(value))
    if len(text) <= places:
        text = "0" * (places + 1 - len(text)) + text
    return minus + text[:-places] + point + text[-places:]


def trimmed(value: int, places: int, least: int = 0, point: str = ".") -> str:
    """Like fixed, but without trailing zeros beyond `least` decimals: (2500, 4, 2) gives 0.25."""
    while places > least and value % 10 == 0:
        value //= 10
        places -= 1
    return fixed(value, places, point)


def point(language: str) -> str:
    """The decimal separator of a language."""
    return "." if language == "en" else ","


def amount(minor: int, currency: str, language: str = "en") -> str:
    """An amount as a driver reads it: 12.30 € in English, 12,30 € in German and French."""
    return fixed(minor, exponent(currency), point(language)) + " " + sign(currency)

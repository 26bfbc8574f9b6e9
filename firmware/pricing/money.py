"""Decimal text to integers and back; money never meets a float.

Prices are integers of 1e-4 of the currency, amounts integers of its minor unit (ISO 4217).
"""

from firmware.errors import FieldError

# Minor-unit exponents of ISO 4217 (list one) that are not 2.
_EXPONENTS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3, "CLF": 4, "UYW": 4,
}  # fmt: skip
_SIGNS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥"}


def exponent(currency: str) -> int:
    """Decimals of the currency's minor unit (ISO 4217): 2 for EUR, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(currency, 2)


def sign(currency: str) -> str:
    """The currency's usual sign, or its ISO code where a sign would be ambiguous."""
    return _SIGNS.get(currency, currency)


def _digits(text: str, field: str) -> str:
    for char in text:
        if not "0" <= char <= "9":
            raise FieldError(field, "must be a decimal number", text)
    return text


def parts(text: str, field: str) -> tuple[int, int]:
    """Read a decimal as (mantissa, decimals): "-2.50" gives (-25, 1); JSON exponents are
    understood.

    Raises FieldError when the text is no decimal number or has more than 24 digits.
    """
    body = text[1:] if text[:1] == "-" else text
    power = 0
    at = body.lower().find("e")
    if at >= 0:
        tail = body[at + 1 :]
        minus = tail[:1] == "-"
        tail = _digits(tail[1:] if tail[:1] in ("-", "+") and tail else tail, field)
        if not tail or len(tail) > 2:
            raise FieldError(field, "must be a decimal number", text)
        power = -int(tail) if minus else int(tail)
        body = body[:at]
    whole, dot, fraction = body.partition(".")
    if not whole or (dot and not fraction):
        raise FieldError(field, "must be a decimal number", text)
    digits = _digits(whole + fraction, field)
    if len(digits) > 24 or power > 24:
        raise FieldError(field, "has too many digits", text)
    value = int(digits)
    places = len(fraction) - power
    while places > 0 and value % 10 == 0 and value:
        value //= 10
        places -= 1
    if places < 0:
        value *= 10**-places
    if places < 0 or not value:
        places = 0
    return (-value if text[0] == "-" else value), places


def decimal(text: str, places: int, field: str) -> int:
    """Read a decimal as an integer of 10**-places, refusing what does not fit exactly.

    Raises FieldError for text that is no decimal, is negative, or has more decimals than `places`.
    """
    value, given = parts(text, field)
    if value < 0:
        raise FieldError(field, "must not be negative", text)
    if given > places:
        raise FieldError(field, f"has more than the {places} decimals that are carried", text)
    return value * 10 ** (places - given)


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

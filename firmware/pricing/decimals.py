"""Decimal text to integers, exactly; what does not fit is refused, not rounded."""

from firmware.errors import FieldError


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

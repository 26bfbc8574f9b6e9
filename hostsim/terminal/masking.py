"""Card data in texts and in packed digits, made unreadable by the firmware's rule
(firmware/terminal/masking.py): of a card number first six and last four digits stay, of a track
behind it and a holder's name nothing.
"""

from __future__ import annotations

import re

# digits, one separator between two of them at most; a card number does not begin with 0
_RUN = re.compile(rb"([A-Za-z]?)([1-9](?:[ .-]?[0-9]){12,})([=^Dd].*)?", re.DOTALL)
_SCHEMES = (
    "mastercard", "maestro", "visa", "v pay", "vpay", "girocard", "american", "amex", "jcb",
    "diners", "discover", "union", "eurocard", "ec-", "bancontact", "carte banc", "debit",
    "credit",
)  # fmt: skip
_LONGEST_NAME = 16
# a card number does not begin with 0, which pads it
_PACKED = re.compile("[1-9][0-9]+")
_WHOLE = re.compile("(0*)([1-9][0-9]{12,18}?)(f?0*)")
_LONG = re.compile("[0-9]{13,}")
_CAPITAL = rb"[A-Z\x80-\xa5]"
_NAME = re.compile(rb"%b[A-Z\x80-\xa5 .'-]*/%b[A-Z\x80-\xa5 .'-]*" % (_CAPITAL, _CAPITAL))


def mask_numbers(data: bytes) -> bytes:
    """The same bytes, what looks like a card number, track or name in ASCII masked."""
    return _NAME.sub(lambda match: b"*" * len(match[0]), _RUN.sub(_stars, data))


def _stars(match: re.Match[bytes]) -> bytes:
    before, run, track = match[1], match[2], match[3] or b""
    digits = [byte for byte in run if 0x30 <= byte <= 0x39]
    if before and run.isdigit() and not track and len(digits) <= 19 and not _luhn(digits):
        return match[0]  # an application id (A0000000041010), say
    out = bytearray(run)
    count = 0
    for place, byte in enumerate(run):
        if 0x30 <= byte <= 0x39:
            if len(digits) > 19 or 6 <= count < len(digits) - 4:
                out[place] = 0x2A
            count += 1
    return before + bytes(out) + b"*" * len(track)


def mask_packed(data: bytes, text: bool = False) -> bytes:
    """The same bytes, what reads as a card number in packed digits (BCD, of 13 to 19; by its
    check digit where it begins as no card's does) masked with nibbles E. What is `text` as well
    only where all of it is such a number, check digit included.
    """
    found = data.hex()
    if text:
        whole = _WHOLE.fullmatch(found)
        if whole is None or not _luhn(whole[2].encode()):
            return data
        return bytes.fromhex(whole[1] + _hidden(whole[2]) + whole[3])
    return bytes.fromhex(_PACKED.sub(_nibbles, found))


def mask_runs(data: bytes) -> bytes:
    """The same bytes, any packed digits long enough for a card number masked: where no field says
    which begin it.
    """
    return bytes.fromhex(_LONG.sub(lambda match: _hidden(match[0]), data.hex()))


def _hidden(digits: str) -> str:
    return digits[:6] + "e" * (len(digits) - 10) + digits[-4:]


def _nibbles(match: re.Match[str]) -> str:
    digits = match[0]
    size = max(13, len(digits.rstrip("0"))) if len(digits) > 19 else len(digits)
    digits, padding = digits[:size], digits[size:]
    if not 13 <= size <= 19 or (digits[0] not in "23456" and not _luhn(digits.encode())):
        return match[0]
    return _hidden(digits) + padding


def printable(data: bytes) -> bool:
    """Whether it is a text, whose letters and digits may read as packed digits, too."""
    return all(byte == 0 or 0x20 <= byte < 0x7F for byte in data)


def packed_text(data: bytes) -> str:
    """In hexadecimal, as a person may see it; a hidden digit is E."""
    return mask_packed(data).hex()


def scheme(data: bytes) -> str:
    """The name of a card scheme, "card" for anything else a terminal may write there."""
    text = readable(data).strip()
    for name in _SCHEMES:
        if name in text.lower():
            return text if len(text) <= _LONGEST_NAME else name
    return "card"


def _luhn(digits: list[int] | bytes) -> bool:
    values = [byte - 0x30 for byte in reversed(digits)]
    return sum(sum(divmod(v * (1 + i % 2), 10)) for i, v in enumerate(values)) % 10 == 0


def readable(data: bytes) -> str:
    """Text as a person may see it: what looks like card data is masked."""
    return mask_numbers(data).decode("cp437")

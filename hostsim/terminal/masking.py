"""Card data in texts and in packed digits, made unreadable by the firmware's rule
(firmware/terminal/masking.py): of a card number first six and last four digits stay, of a track
behind it and a holder's name nothing. Dates and times in a printed line stay whole beside figures
that would make a card's number with them.
"""

from __future__ import annotations

import re

# digits, one separator between two of them at most; a card number does not begin with 0
_RUN = re.compile(rb"([A-Za-z]?)([1-9](?:[ .-]?[0-9]){12,})([=^Dd].*)?", re.DOTALL)
# between other figures: 29.11.2026, 29-11-26, 2026-11-29, 12.34.56
_DAY, _MONTH = rb"(?:0?[1-9]|[12][0-9]|3[01])", rb"(?:0?[1-9]|1[0-2])"
_MOMENT = re.compile(
    rb"(?<![0-9])(?<![0-9][.-])(?:%b([.-])%b\1(?:20)?[0-9]{2}|20[0-9]{2}-%b-%b"
    rb"|(?:[01]?[0-9]|2[0-3])([.-])[0-5][0-9]\2[0-5][0-9])(?![0-9])(?![.-][0-9])"
    % (_DAY, _MONTH, _MONTH, _DAY)
)
_SCHEMES = (
    "mastercard", "maestro", "visa", "v pay", "vpay", "girocard", "american", "amex", "jcb",
    "diners", "discover", "union", "eurocard", "ec-", "bancontact", "carte banc", "debit",
    "credit",
)  # fmt: skip
_LONGEST_NAME = 16
_LONGEST_UID = 10
_LONGEST = 19
# a card number does not begin with 0, which pads it
_PACKED = re.compile("[1-9][0-9]+")
_WHOLE = re.compile("(0*)([1-9][0-9]{12,18}?)(f?0*)")
_PACKED_TRACK = re.compile("0*[1-9][0-9]{11,18}d[0-9]{4}")
_LONG = re.compile("[0-9]{13,}")
_CAPITAL = rb"[A-Z\x80-\xa5]"
_NAME = re.compile(rb"%b[A-Z\x80-\xa5 .'-]*/%b[A-Z\x80-\xa5 .'-]*" % (_CAPITAL, _CAPITAL))


def mask_numbers(data: bytes) -> bytes:
    """The same bytes, what looks like a card number, track or name in ASCII masked."""
    return _NAME.sub(lambda match: b"*" * len(match[0]), _RUN.sub(_run, data))


def _run(match: re.Match[bytes]) -> bytes:
    if match[3] is not None:
        return _stars(match)
    text, at, out = match[1] + match[2], 0, b""
    for moment in _MOMENT.finditer(text):
        out += _RUN.sub(_stars, text[at : moment.start()]) + moment[0]
        at = moment.end()
    return out + _RUN.sub(_stars, text[at:])


def _stars(match: re.Match[bytes]) -> bytes:
    before, run, track = match[1], match[2], match[3] or b""
    if b"." in run and not track and not _some_card(run):
        return match[0]
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


def _some_card(run: bytes) -> bool:
    """Whether neighbours among a run's groups of digits may be a card's number: one that is long
    enough alone, groups of four, or what a check digit proves."""
    groups = re.split(rb"[ .-]", run)
    for first in range(len(groups)):
        for last in range(first + 1, len(groups) + 1):
            some = groups[first:last]
            number = b"".join(some)
            fours = {len(one) for one in some[:-1]} <= {4} and len(some[-1]) <= 4
            if len(number) > _LONGEST:
                break
            if len(number) >= 13 and (len(some) == 1 or fours or _luhn(number)):
                return True
    return any(len(one) > _LONGEST for one in groups)


def mask_id(data: bytes, uid: bool) -> bytes:
    """What should be a card's UID, of ten bytes at most, or an application's id, which begins with
    nibble A to D (ISO 7816-5): whole, but no packed number or track that is carried in its place.
    """
    digits = data.hex()
    if _PACKED_TRACK.match(digits):
        return b"\xee" * len(data)
    whole = len(data) <= _LONGEST_UID if uid else digits[:1] in "abcd"
    return data if whole else mask_packed(data)


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


def mask_runs(data: bytes, size: int) -> bytes:
    """The same bytes, any packed digits long enough for a card number masked that begin in the
    first `size` of them, where no field says which begin it; those that go on behind them only
    where they begin as a card's."""

    def masked(match: re.Match[str]) -> str:
        digits, inside = match[0], max(0, 2 * size - match.start())
        number = digits.lstrip("0")
        padding = len(digits) - len(number)
        if padding < inside < len(digits) and len(number) >= 13 and number[0] in "23456":
            return digits[:padding] + _hidden(number)
        shown = digits[:inside]
        return (_hidden(shown) if len(shown) >= 13 else shown) + digits[inside:]

    return bytes.fromhex(_LONG.sub(masked, data.hex()))


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
    return mask_packed(mask_numbers(data)).hex()


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

"""Card numbers in texts, made unreadable: first six and last four digits stay."""

from __future__ import annotations

import re

_CARD_NUMBER = re.compile(rb"([A-Za-z]?)(?<![0-9])([0-9]{6})[0-9]{3,9}([0-9]{4})(?![0-9])")


def mask_numbers(data: bytes) -> bytes:
    """The same bytes, what looks like a card number in ASCII digits masked."""
    return _CARD_NUMBER.sub(_stars, data)


def _stars(match: re.Match[bytes]) -> bytes:
    before, head, tail = match[1], match[2], match[3]
    digits = match[0][len(before) :]
    if before and not _luhn(digits):
        return match[0]  # an application id (A0000000041010), say
    return before + head + b"*" * (len(digits) - 10) + tail


def _luhn(digits: bytes) -> bool:
    values = [byte - 0x30 for byte in reversed(digits)]
    return sum(sum(divmod(v * (1 + i % 2), 10)) for i, v in enumerate(values)) % 10 == 0


def readable(data: bytes) -> str:
    """Text as a person may see it: what looks like a card number is masked."""
    return mask_numbers(data).decode("cp437")

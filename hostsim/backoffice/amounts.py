"""Amounts as people type them, in one currency. One reader for every form: what could be read in
two ways is refused, never guessed.
"""

from __future__ import annotations

import re
from decimal import Decimal

from hostsim.backoffice import figures

_MOST_DIGITS = 9
_SPACES = " \u00a0\u202f"  # as a French document has them, too
_SIGNS = {"€": "EUR", "£": "GBP", "$": "USD"}
_NAME = "([A-Za-z]{3}|[€£$])?"
_NAMED = re.compile(rf"{_NAME}\s*([0-9][0-9.,{_SPACES}]*?)\s*{_NAME}")
_PLAIN = re.compile(r"([0-9]+)(?:[.,]([0-9]+))?")
_GROUPED = re.compile(r"([0-9]{1,3}([., ])[0-9]{3}(?:\2[0-9]{3})*)(?:(?!\2)[.,]([0-9]+))?")


def parse(text: str, currency: str) -> int | None:
    """Minor units of 12.30, 12,30, 1.234,50 or 12.30 EUR; None when it is not an amount of this
    currency: more decimals than it has, another currency's name, digits of another script. A
    single group of three behind a point or comma (1.234) is read where the currency has no
    decimals, or three; else it could be either, and is refused.
    """
    named = _NAMED.fullmatch(text.strip())
    if named is None:
        return None
    for name in (named[1], named[3]):
        if name and _SIGNS.get(name, name.upper()) != currency:
            return None
    decimals = figures.exponent(currency)
    found = _read(named[2].translate(dict.fromkeys(map(ord, _SPACES), " ")), decimals)
    if found is None or len(found[0]) > _MOST_DIGITS or len(found[1]) > decimals:
        return None
    return int(Decimal(f"{found[0]}.{found[1] or 0}").scaleb(decimals))


def could_be(text: str) -> bool:
    """Whether it is an amount in some currency."""
    return any(parse(text, one) is not None for one in ("EUR", "KWD", "JPY", _name(text)))


def _name(text: str) -> str:
    found = re.search("[A-Za-z]{3}|[€£$]", text)
    return _SIGNS.get(found[0], found[0].upper()) if found else "EUR"


def _read(digits: str, decimals: int) -> tuple[str, str] | None:
    """Whole units and decimals."""
    plain, grouped = _PLAIN.fullmatch(digits), _GROUPED.fullmatch(digits)
    if plain and (not grouped or decimals == 3):
        return plain[1], plain[2] or ""
    if grouped is None:
        return None
    whole, mark, part = grouped[1], grouped[2], grouped[3] or ""
    single = whole.count(mark) == 1 and not part and mark != " "
    if whole.startswith("0") or (single and decimals):
        return None
    return whole.replace(mark, ""), part

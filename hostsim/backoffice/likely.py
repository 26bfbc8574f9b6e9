"""What no charger can have written into a record, whatever came before it: the books leave it out,
so that their columns and sums have room for all they take."""

from __future__ import annotations

import re
from typing import Any

from hostsim.backoffice.models import Record

LAST_AT = 32_503_680_000_000
"""Nothing greater is believed of a time (epoch ms: the year 3000), an amount, an energy or a
duration: a calendar has its dates, and sums fit 63 bits."""

LONGEST_REMOTE = 32
LONGEST_TARIFF = 36  # OCPI 2.2.1, 11.3.1 (Tariff object): CiString(36)
WHOLE = 1_000_000  # 100 % in 1e-4 percent
_FIGURES = ("_minor", "_wh", "_mwh", "_ms", "_at")
_SUMMED = ("lines", "vat")
_CURRENCY = re.compile("[A-Z]{3}")


def unlikely(record: Record) -> str:
    """What is wrong with a record by itself; "" when nothing is."""
    if record.at > LAST_AT:
        return f"at {record.at} is no time"
    for name, value in record.payload.items():
        if name in _SUMMED:
            most = max(map(abs, value), default=0)
        else:
            most = abs(value) if name.endswith(_FIGURES) and isinstance(value, int) else 0
        if most > LAST_AT:
            return f"{name}: {most} is too large"
    if record.type == "priced":
        return _unlike_a_bill(record.payload["lines"])
    return _unlike_a_hold(record.payload) if record.type == "hold_asked" else ""


def _unlike_a_bill(lines: list[int]) -> str:
    """Documents and reports of tax are made of them."""
    if len(lines) % 5:
        return "lines: must be groups of five"
    if min(lines[1::5], default=0) < 0:
        return f"lines: a quantity of {min(lines[1::5])}"
    wrong = [vat for vat in lines[3::5] if not -1 <= vat <= WHOLE]
    return f"lines: VAT of {wrong[0]} (in 1e-4 percent)" if wrong else ""


def _unlike_a_hold(f: dict[str, Any]) -> str:
    if not _CURRENCY.fullmatch(f["currency"]):
        return f"currency {f['currency'][:40]!r} is none"
    if len(f["tariff"]) > LONGEST_TARIFF:
        return f"a tariff's id has at most {LONGEST_TARIFF} characters"
    if len(f.get("remote", "")) > LONGEST_REMOTE:
        return f"remote {f['remote'][:40]!r}: no back office gave this id"
    return ""

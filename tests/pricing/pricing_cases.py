"""Short forms for tariffs, charging records and what they must cost; used by test_pricing_rules_*.

Expected figures are worked out by hand from the OCPI tariffs and CDRs modules, never taken from a
run of the firmware.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.pricing.test_pricing_cases import priced

DAY = "2019-01-14"  # a Monday


def part(kind: str, price: Any, vat: Any = None, step: Any = 1) -> dict[str, Any]:
    """A PriceComponent."""
    rate = {} if vat is None else {"vat": vat}
    return {"type": kind, "price": price, "step_size": step, **rate}


def element(*parts: dict[str, Any], **rule: Any) -> dict[str, Any]:
    """A TariffElement; the keywords are its restrictions."""
    return {"price_components": list(parts), **({"restrictions": rule} if rule else {})}


def tariff(*elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A Tariff in EUR."""
    return {"id": "T", "currency": "EUR", "elements": list(elements), **more}


def instant(text: str) -> str:
    """09:30 on DAY, or 15T09:30 in its month, or the text as it is."""
    if len(text) == 5:
        return f"{DAY}T{text}:00Z"
    if len(text) == 8 and text[2] == "T":
        return f"{DAY[:8]}{text}:00Z"
    return text


def cdr(end: str, *periods: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A CDR of periods (start, volumes by dimension) up to an end."""
    return {
        "start_date_time": instant(periods[0][0]),
        "end_date_time": instant(end),
        "currency": "EUR",
        "charging_periods": [
            {
                "start_date_time": instant(at),
                "dimensions": [{"type": kind, "volume": value} for kind, value in volumes.items()],
            }
            for at, volumes in periods
        ],
        **more,
    }


def check(
    folder: Path, given: Any, record: Any, want: dict[str, str], zone: str = "UTC"
) -> dict[str, Any]:
    """Price by the command; `want` gives "excl" or "excl incl" by the total's short name, - where
    it is null; incl is as excl where it is not given. Gives what the command printed.
    """
    found = priced(folder, given, record, zone)
    for name, text in want.items():
        sides = text.split()
        for side, value in zip(("excl_vat", "incl_vat"), (sides * 2)[:2], strict=True):
            got = found[f"total_{name}_cost" if name != "cost" else "total_cost"][side]
            assert got == (None if value == "-" else Decimal(value)), (name, side, got, value)
    lines = sum(Decimal(line["gross"]) for line in found["lines"])
    assert lines == Decimal(found["total"]["gross"])
    return found

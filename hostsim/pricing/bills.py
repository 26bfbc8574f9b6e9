"""What a bill in a ledger must come to by its tariff: an exact recomputation that shares no code
with the firmware, for the judges of the campaigns.

It knows tariffs whose prices include tax and which have no limits, caps or free amounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor
from typing import Any

KINDS = ("ENERGY", "TIME", "PARKING_TIME", "FLAT")
_UNITS = {"ENERGY": 10**6, "TIME": 3_600_000, "PARKING_TIME": 3_600_000, "FLAT": 1}
_HALF = Fraction(1, 2)


def lines_of(bill: dict[str, Any]) -> Iterator[tuple[str, int, int, int, int]]:
    """(dimension, mWh or ms or 1, gross unit price in 1e-4, VAT in 1e-4 percent, gross minor)."""
    flat = bill["lines"]
    for at in range(0, len(flat), 5):
        kind, quantity, price, vat, gross = flat[at : at + 5]
        yield KINDS[kind] if kind < len(KINDS) else str(kind), quantity, price, vat, gross


def quantity(bill: dict[str, Any], dimension: str) -> int:
    """mWh or ms that the bill's lines have of a dimension."""
    return sum(line[1] for line in lines_of(bill) if line[0] == dimension)


def components(tariff: dict[str, Any]) -> dict[tuple[str, int, int], int]:
    """Step by dimension, price in 1e-4 and VAT in 1e-4 percent. Raises ValueError for a tariff
    that this program cannot price.
    """
    odd = {"min_price", "max_price"} | {name for name in tariff if name.startswith("x_")}
    if tariff.get("tax_included") != "YES" or odd & set(tariff):
        raise ValueError(f"tariff {tariff.get('id')} is none that can be recomputed here")
    found = {}
    for element in tariff["elements"]:
        for part in element["price_components"]:
            price, vat = (Fraction(str(part.get(name, 0))) for name in ("price", "vat"))
            key = str(part["type"]), int(price * 10**4), int(vat * 10**4)
            found[key] = int(part.get("step_size", 1))
    return found


def faults(bill: dict[str, Any], tariff: dict[str, Any], hold_minor: int) -> list[str]:
    """What is wrong in a `priced` record: its lines beside the tariff, the energy on them beside
    what was billed, its sums beside the lines. At the hold the price stands still, and less may
    be on the lines than flowed.
    """
    known = components(tariff)
    wrong = []
    exact: dict[int, Fraction] = {}
    for line in lines_of(bill):
        dimension, amount, price, vat, gross = line
        if (dimension, price, vat) not in known:
            wrong.append(f"the line {line} is of no component of the tariff")
            continue
        cost = Fraction(price * amount, 100 * _UNITS[dimension])
        if abs(cost - gross) > 1:
            wrong.append(f"the line {line} must cost {float(cost):.3f}")
        exact[vat] = exact.get(vat, Fraction()) + cost
    if bill["total_minor"] < hold_minor:
        wrong += _quantities(bill, known, hold_minor - bill["total_minor"])
    return wrong + _sums(bill, exact)


def _quantities(
    bill: dict[str, Any], known: dict[tuple[str, int, int], int], left_minor: int
) -> list[str]:
    """`left_minor`: of the hold. A step of standing that would pass it is not begun."""
    wrong = []
    billed = quantity(bill, "ENERGY")
    if any(name == "ENERGY" for name, _, _ in known) and billed != bill["billed_wh"] * 1000:
        wrong.append(f"{bill['billed_wh']} Wh are billed, {billed} mWh are on the lines")
    parked = quantity(bill, "PARKING_TIME")
    step_ms = step_minor = 1000
    for (name, price, _), step in known.items():
        if name == "PARKING_TIME" and parked:
            step_ms = 1000 * max(step, 1)
            step_minor = -(-price * step_ms // (100 * _UNITS[name]))
    if parked % step_ms and left_minor > step_minor:
        wrong.append(f"{parked} ms of standing are no whole step of {step_ms} ms")
    sum_ms = quantity(bill, "TIME") + parked
    if sum_ms >= bill["elapsed_ms"] + step_ms:
        wrong.append(f"{sum_ms} ms are on the lines, it took {bill['elapsed_ms']} ms")
    return wrong


def _sums(bill: dict[str, Any], exact: dict[int, Fraction]) -> list[str]:
    """Half-up once per VAT rate, then summed; net of each rate from its gross."""
    gross = {vat: floor(amount + _HALF) for vat, amount in exact.items()}
    net = sum(floor(minor * 10**6 / Fraction(10**6 + vat) + _HALF) for vat, minor in gross.items())
    total = sum(gross.values())
    wrong = []
    if bill["total_minor"] != total:
        wrong.append(f"the total is {bill['total_minor']}, by the tariff it is {total}")
    if sum(line[4] for line in lines_of(bill)) != bill["total_minor"]:
        wrong.append(f"the lines do not add up to the total of {bill['total_minor']}")
    if (bill["net_minor"], bill["vat_minor"]) != (net, total - net):
        told = f"net {bill['net_minor']} and VAT {bill['vat_minor']}"
        wrong.append(f"{told}, by the tariff they are {net} and {total - net}")
    if bill["billed_wh"] != bill["end_wh"] - bill["start_wh"]:
        wrong.append(f"{bill['billed_wh']} Wh billed of {bill['start_wh']} to {bill['end_wh']}")
    if bill["start_at"] and bill["end_at"] != bill["start_at"] + bill["elapsed_ms"]:
        wrong.append(f"it ended at {bill['end_at']}, not {bill['elapsed_ms']} ms after its start")
    return wrong


def known_ms(flash: list[dict[str, Any]], sess: int) -> int:
    """The newest time of a session that was in flash when its charger last started before the
    bill; -1: it did not start meanwhile.
    """
    known, limit = 0, -1
    mine = False
    for record in flash:
        if record["kind"] == "boot" and mine:
            limit = known
        elif record.get("sess") == sess:
            mine = mine or record["kind"] == "energising"
            if record["kind"] == "priced":
                break
            if record["kind"] in ("checkpoint", "power_off"):
                known = record["elapsed_ms"]
    return limit

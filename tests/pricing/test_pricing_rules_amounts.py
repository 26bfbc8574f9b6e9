"""How much: step_size, VAT, price limits, tax included, flat fees and reservations.

OCPI 2.2.1 and 2.3.0 mod_tariffs; worked out by hand.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.pricing.pricing_cases import cdr, check, element, part, tariff

DAYTIME = {"end_time": "17:00"}
TWO_RATES = element(part("FLAT", 3, 20), part("ENERGY", 1, 10))  # 10 kWh: 13 / 14.6
BOOKED = {"reservation": "RESERVATION"}
EXPIRED = {"reservation": "RESERVATION_EXPIRES"}
TEN_KWH = [("09:30", {"ENERGY": 10})]


def stepped(first: Any, last: Any, kind: str = "ENERGY") -> dict[str, Any]:
    """Price 1 until 17:00 by the first step, price 2 after it by the last."""
    return tariff(
        element(part(kind, 1, None, first), **DAYTIME), element(part(kind, 2, None, last))
    )


OVER_17 = [("16:00", {"ENERGY": 4.3}), ("17:00", {"ENERGY": 1.1})]
TIMED = tariff(element(part("TIME", 6, None, 300), part("PARKING_TIME", 12, None, 600)))
SPEC_14 = tariff(
    element(part("TIME", 1.2, None, 1800), part("PARKING_TIME", 1, None, 900), end_time="17:00"),
    element(
        part("TIME", 2.4, None, 900), part("PARKING_TIME", 1, None, 900),
        start_time="17:00", end_time="20:00",
    ),
    element(part("TIME", 2.4, None, 900), start_time="20:00", end_time="00:00"),
)  # fmt: skip

# name: (tariff, end, periods, wanted)
STEPS: dict[str, tuple[Any, ...]] = {
    "the last element's step for all energy": (
        stepped(100, 500), "18:00", OVER_17, {"cost": "6.7"},  # 5.4 to 5.5 kWh
    ),
    "the last element has no step": (stepped(1000, 0), "18:00", OVER_17, {"cost": "6.5"}),
    "a step of 1 Wh rounds nothing": (
        stepped(1000, 1), "18:00", [("17:30", {"ENERGY": 0.1152})], {"cost": "0.2304"},
    ),
    "a whole number of steps": (
        stepped(1, 500), "18:00", [("17:30", {"ENERGY": 1.5})], {"cost": "3"},
    ),
    "a step larger than what was used": (
        stepped(1, 10000), "18:00", [("17:30", {"ENERGY": 0.001})], {"cost": "20"},
    ),
    "no energy, no step": (
        stepped(1, 10000), "18:00", [("17:30", {"ENERGY": 0})], {"cost": "0"},
    ),
    "time over an element's end": (
        stepped(1800, 900, "TIME"), "17:10", [("16:35", {"TIME": 0.5833})],
        {"cost": "1.0833"},  # 25 min at 1, 20 min at 2
    ),
    "charging, then parking: only parking is rounded": (
        TIMED, "09:58", [("09:30", {"TIME": 0.35}), ("09:51", {"PARKING_TIME": 0.1167})],
        {"cost": "4.1", "time": "2.1", "parking": "2"},  # 21 min; 7 to 10 min
    ),
    "parking, then charging: only parking is rounded": (
        TIMED, "09:58", [("09:30", {"PARKING_TIME": 0.1167}), ("09:37", {"TIME": 0.35})],
        {"cost": "4.1", "time": "2.1", "parking": "2"},
    ),
    "charging only": (TIMED, "09:51", [("09:30", {"TIME": 0.35})], {"cost": "2.5"}),
    "in turns: the parking of the session is rounded once": (
        TIMED, "10:00",
        [
            ("09:30", {"PARKING_TIME": 0.0833}), ("09:35", {"TIME": 0.1667}),
            ("09:45", {"PARKING_TIME": 0.1333}), ("09:53", {"TIME": 0.1167}),
        ],
        {"cost": "5.7", "time": "1.7", "parking": "4"},  # 17 min; 13 to 20 min
    ),
    "parking that no element prices leaves charging its step": (  # the spec: 0.60
        SPEC_14, "20:07",
        [("19:55", {"TIME": 0.0833}), ("20:00", {"TIME": 0.0833}),
         ("20:05", {"PARKING_TIME": 0.0333})],
        {"cost": "0.6", "parking": "0"},
    ),
    "parking at price 0 is priced, and takes the step": (
        tariff(element(part("TIME", 6, None, 300), part("PARKING_TIME", 0, None, 600))), "09:58",
        [("09:30", {"TIME": 0.35}), ("09:51", {"PARKING_TIME": 0.1167})], {"cost": "2.1"},
    ),
    "the step's surplus bears its component's VAT": (
        tariff(
            element(part("ENERGY", 1, 10, 1), **DAYTIME), element(part("ENERGY", 2, 20, 1000)),
        ),
        "18:00", OVER_17, {"cost": "7.7 8.81"},  # 4.3 at 1.1, 1.7 at 2.4
    ),
    "energy and time each have their step": (
        tariff(element(part("ENERGY", 1, None, 1000), part("TIME", 6, None, 600))), "09:51",
        [("09:30", {"TIME": 0.35, "ENERGY": 2.5})], {"energy": "3", "time": "3", "cost": "6"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_step_size(name: str, tmp_path: Path) -> None:
    given, end, periods, want = STEPS[name]
    check(tmp_path, given, cdr(end, *periods), want)


LIMITS: dict[str, tuple[Any, ...]] = {
    # name: (elements, more of the tariff, kWh, wanted)
    "VAT of each component": ([TWO_RATES], {}, 10, {"cost": "13 14.6", "fixed": "3 3.6"}),
    "no VAT named: none applies": (
        [element(part("FLAT", 3), part("ENERGY", 1, 10))], {}, 10, {"cost": "13 14"},
    ),
    "VAT of 0": ([element(part("ENERGY", 1, 0))], {}, 10, {"cost": "10 10"}),
    "VAT with decimals": ([element(part("ENERGY", 1, "8.8750"))], {}, 10, {"cost": "10 10.8875"}),
    "five decimals come half-up": (
        [element(part("ENERGY", "0.0005", "0"))], {}, "0.1", {"cost": "0.0001"},
    ),
    "the maximum without VAT only": (
        [TWO_RATES], {"max_price": {"excl_vat": 12, "incl_vat": 20}}, 10, {"cost": "12 14.6"},
    ),
    "the maximum with VAT only": (
        [TWO_RATES], {"max_price": {"excl_vat": 13.5, "incl_vat": 14}}, 10, {"cost": "13 14"},
    ),
    "both maxima": (
        [TWO_RATES], {"max_price": {"excl_vat": 12, "incl_vat": 13}}, 10, {"cost": "12 13"},
    ),
    "the minimum without VAT only": (
        [TWO_RATES], {"min_price": {"excl_vat": 14, "incl_vat": 14.5}}, 10, {"cost": "14 14.6"},
    ),
    "the minimum with VAT only": (
        [TWO_RATES], {"min_price": {"excl_vat": 12, "incl_vat": 15}}, 10, {"cost": "13 15"},
    ),
    "a minimum, nothing used": (
        [element(part("ENERGY", 1, 10))], {"min_price": {"excl_vat": 2, "incl_vat": 2.2}}, 0,
        {"cost": "2 2.2"},
    ),
    "a maximum without VAT alone, one rate": (
        [element(part("ENERGY", 1, 10))], {"max_price": {"excl_vat": 5}}, 10, {"cost": "5 5.5"},
    ),
    "a minimum with VAT alone, one rate": (
        [element(part("ENERGY", 1, 10))], {"min_price": {"incl_vat": 22}}, 10, {"cost": "20 22"},
    ),
    "between minimum and maximum": (
        [element(part("ENERGY", 1, 10))],
        {"min_price": {"before_taxes": 5, "after_taxes": 5.5},
         "max_price": {"before_taxes": 15, "after_taxes": 16.5}},
        10, {"cost": "10 11"},
    ),
    "a PriceLimit": (
        [element(part("ENERGY", 1, 10))], {"max_price": {"before_taxes": 9, "after_taxes": 9.5}},
        10, {"cost": "9 9.5"},
    ),
    "limits hold for the total, not for its parts": (
        [TWO_RATES], {"max_price": {"excl_vat": 5, "incl_vat": 6}}, 10,
        {"cost": "5 6", "energy": "10 11", "fixed": "3 3.6"},
    ),
    "tax included at a known rate": (
        [element(part("ENERGY", 1.1, 10))], {"tax_included": "YES"}, 10, {"cost": "10 11"},
    ),
    "tax included, no rate": (
        [element(part("ENERGY", 1.1))], {"tax_included": "YES"}, 10,
        {"cost": "- 11", "energy": "- 11"},
    ),
    "tax included, a rate of 0": (
        [element(part("ENERGY", 1.1, 0))], {"tax_included": "YES"}, 10, {"cost": "11 11"},
    ),
    "tax included, one of two rates known": (
        [element(part("ENERGY", 1.1, 10), part("FLAT", 1))], {"tax_included": "YES"}, 10,
        {"cost": "- 12", "energy": "10 11", "fixed": "- 1"},
    ),
    "tax included, the rate of what costs nothing is not needed": (
        [element(part("ENERGY", 1.1, 10), part("FLAT", 0))], {"tax_included": "YES"}, 10,
        {"cost": "10 11"},
    ),
    "tax included, a maximum with tax": (
        [element(part("ENERGY", 1.1, 10))],
        {"tax_included": "YES", "max_price": {"after_taxes": 5.5}}, 10, {"cost": "5 5.5"},
    ),
    "tax included, unknown rate, a minimum with tax": (
        [element(part("ENERGY", 1))], {"tax_included": "YES", "min_price": {"after_taxes": 20}},
        10, {"cost": "- 20"},
    ),
    "tax not included": (
        [element(part("ENERGY", 1, 10))], {"tax_included": "NO"}, 10, {"cost": "10 11"},
    ),
    "tax does not apply": (
        [element(part("ENERGY", 1))], {"tax_included": "N/A"}, 10, {"cost": "10 10"},
    ),
    "a cap of a dimension": (
        [TWO_RATES], {"x_caps": {"ENERGY": 4}}, 10, {"cost": "7 8", "energy": "4 4.4"},
    ),
    "free energy": ([TWO_RATES], {"x_free_kwh": 9}, 10, {"cost": "4 4.7"}),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_tax_and_limits(name: str, tmp_path: Path) -> None:
    elements, more, kwh, want = LIMITS[name]
    check(tmp_path, tariff(*elements, **more), cdr("10:30", ("09:30", {"ENERGY": kwh})), want)


START = element(part("FLAT", 0.5, 20), part("ENERGY", 0.25, 10))
RESERVED = {"RESERVATION_TIME": 0.25}

OTHERS: dict[str, tuple[Any, ...]] = {
    # name: (elements, end, periods, wanted)
    "one flat fee of two elements": (
        [element(part("FLAT", 1), end_time="10:00"), element(part("FLAT", 2))], "11:00",
        TEN_KWH, {"cost": "1", "fixed": "1"},
    ),
    "a flat fee of a later hour": (
        [element(part("FLAT", 2), start_time="10:00")], "11:00", TEN_KWH, {"cost": "2"},
    ),
    "a session without length owes its flat fee": (
        [element(part("FLAT", 2))], "09:30", [("09:30", {"ENERGY": 0})], {"cost": "2"},
    ),
    "a reservation, then charging": (
        [element(part("FLAT", 2, 20), part("TIME", 4, 20, 600), **BOOKED), START], "10:45",
        [("09:30", RESERVED), ("09:45", {"ENERGY": 20})],
        {"reservation": "3.3333 4", "fixed": "0.5 0.6", "cost": "8.8333 10.1"},
    ),
    "a reservation is no part of the session's duration": (
        [element(part("TIME", 4), **BOOKED), element(part("ENERGY", 1), min_duration=3600)],
        "10:45", [("09:30", RESERVED), ("09:45", {"ENERGY": 20})],
        {"reservation": "1", "energy": "0"},
    ),
    "charging time is not priced as a reservation": (
        [element(part("TIME", 4), **BOOKED)], "10:30", [("09:30", {"TIME": 1})],
        {"cost": "0", "time": "0"},
    ),
    "reserved time is not priced as charging": (
        [element(part("TIME", 4))], "10:45", [("09:30", RESERVED), ("09:45", {"TIME": 1})],
        {"cost": "4", "reservation": "0"},
    ),
    "a reservation at night": (
        [
            element(part("TIME", 4), start_time="20:00", **BOOKED),
            element(part("TIME", 8), **BOOKED),
        ],
        "10:45", [("09:30", RESERVED), ("09:45", {"TIME": 1})], {"reservation": "2"},
    ),
    "used, so the fee for expiring is not due": (
        [element(part("FLAT", 9), **EXPIRED), element(part("TIME", 4), **BOOKED), START], "10:45",
        [("09:30", RESERVED), ("09:45", {"ENERGY": 20})], {"reservation": "1"},
    ),
    "expired: the fee of an expired one, the time of a reservation": (
        [element(part("FLAT", 9, 10), **EXPIRED), element(part("TIME", 4, 20), **BOOKED), START],
        "09:45", [("09:30", RESERVED)],
        {"reservation": "10 11.1", "fixed": "0", "energy": "0", "cost": "10 11.1"},
    ),
    "expired: its own price of time": (
        [element(part("TIME", 8), **EXPIRED), element(part("TIME", 4), **BOOKED), START],
        "09:45", [("09:30", RESERVED)], {"reservation": "2"},
    ),
    "expired, nothing about that in the tariff": (
        [START], "09:45", [("09:30", RESERVED)], {"reservation": "0", "cost": "0"},
    ),
    "a reservation in two periods is stepped once": (
        [element(part("TIME", 4, None, 900), **BOOKED), START], "10:45",
        [("09:30", {"RESERVATION_TIME": 0.1}), ("09:36", {"RESERVATION_TIME": 0.1}),
         ("09:42", {"ENERGY": 20})],
        {"reservation": "1"},
    ),
    "charging and parking in one period, by volume": (
        [element(part("TIME", 2), part("PARKING_TIME", 6))], "11:30",
        [("09:30", {"TIME": 0.5, "PARKING_TIME": 1.5})],
        {"cost": "10", "time": "1", "parking": "9"},
    ),
    "a volume shorter than its period counts as given": (
        [element(part("TIME", 2))], "11:30", [("09:30", {"TIME": 0.5})], {"cost": "1"},
    ),
    "a period that names no time costs none": (
        [element(part("TIME", 2), part("ENERGY", 1))], "11:30", TEN_KWH,
        {"cost": "10", "time": "0"},
    ),
    "a volume of 10 decimals is its period's length": (
        [element(part("PARKING_TIME", 6, None, 300))], "10:15",
        [("09:30", {"PARKING_TIME": "0.7500000001"})], {"cost": "4.5"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_fees_reservations_and_volumes(name: str, tmp_path: Path) -> None:
    elements, end, periods, want = OTHERS[name]
    check(tmp_path, tariff(*elements), cdr(end, *periods), want)

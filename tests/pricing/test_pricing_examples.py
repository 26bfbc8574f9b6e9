"""The worked examples of OCPI's tariffs module (mod_tariffs) that are not among the cases.

The figures are the specification's; where it counts less than its own tariff gives, see
docs/pricing.md.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.pricing.test_pricing_cases import priced

DAY = "2019-01-14T"  # a Monday


def component(kind: str, price: float, vat: float | None = None, step: int = 1) -> dict[str, Any]:
    """A PriceComponent."""
    rate = {} if vat is None else {"vat": vat}
    return {"type": kind, "price": price, "step_size": step, **rate}


def element(*components: dict[str, Any], **rule: Any) -> dict[str, Any]:
    """A TariffElement."""
    return {"price_components": list(components), **({"restrictions": rule} if rule else {})}


START_FEE = element(component("FLAT", 0.5, 20), component("ENERGY", 0.25, 10))
FIRST_FREE = [
    element(component("ENERGY", 0, None, 0), max_kwh=1),
    element(component("ENERGY", 0.2), min_kwh=1),
    element(component("PARKING_TIME", 0, None, 0), max_duration=3600),
    element(component("PARKING_TIME", 2, None, 60), min_duration=3600, max_duration=14400),
    element(component("PARKING_TIME", 3, None, 60), min_duration=14400),
]
BOOKED_6 = element(component("TIME", 6, 20, 600), reservation="RESERVATION_EXPIRES")
BOOKED_3 = element(component("TIME", 3, 20, 600), reservation="RESERVATION")
BY_POWER = [
    element(component("ENERGY", 0.2, 20), max_power=16),
    element(component("ENERGY", 0.35, 20), max_power=32),
    element(component("ENERGY", 0.5, 20)),
]
STEPS = [
    element(
        component("TIME", 1.2, None, 1800),
        component("PARKING_TIME", 1, None, 900),
        end_time="17:00",
    ),
    element(component("TIME", 2.4, None, 900)),
]

# name: (elements, more of the tariff, periods, end, {total: (excl, incl)})
EXAMPLES: dict[str, tuple[Any, ...]] = {
    "2 alternative text": (
        [element(component("TIME", 1.9, 5.2, 300))], {}, [("09:30", {"TIME": 2.5})], "12:00",
        {"total_cost": ("4.75", "4.997")},
    ),
    "6 below the maximum": (
        [START_FEE], {"max_price": {"excl_vat": 10, "incl_vat": 11}}, [("09:30", {"ENERGY": 30})],
        "10:30", {"total_cost": ("8", "8.85")},
    ),
    "7 first hour and kWh free": (
        FIRST_FREE, {}, [("09:30", {"ENERGY": 20, "PARKING_TIME": 2.75})], "12:15",
        {"total_cost": ("7.3", None), "total_parking_cost": ("3.5", None)},
    ),
    "12 below the minimum": (
        [element(component("ENERGY", 0.25, 10))],
        {"min_price": {"before_taxes": 0.5, "after_taxes": 0.55}},
        [("09:30", {"ENERGY": 1})], "10:30", {"total_cost": ("0.5", "0.55")},
    ),
    "14 charging over 17:00": (
        STEPS, {}, [("16:35", {"TIME": 0.5833})], "17:10", {"total_cost": ("1.3", None)},
    ),
    "16 reservation fee": (
        [
            element(
                component("FLAT", 2, 20), component("TIME", 5, 20, 300), reservation="RESERVATION"
            ),
            START_FEE,
        ],
        {}, [("09:30", {"RESERVATION_TIME": 0.2167}), ("09:43", {"ENERGY": 20})], "10:30",
        {"total_cost": ("8.75", "10"), "total_reservation_cost": ("3.25", "3.9")},
    ),
    "18 reservation used": (
        [BOOKED_6, BOOKED_3, START_FEE], {},
        [("09:30", {"RESERVATION_TIME": 0.3667}), ("09:52", {"ENERGY": 20})], "10:30",
        {"total_cost": ("7", "7.9"), "total_reservation_cost": ("1.5", "1.8")},
    ),
    "18 reservation expired": (
        [BOOKED_6, BOOKED_3, START_FEE], {}, [("09:30", {"RESERVATION_TIME": 1.5})], "11:00",
        {"total_cost": ("9", "10.8"), "total_fixed_cost": ("0", "0")},
    ),
    "20 tax included": (
        [element(component("TIME", 2))], {"tax_included": "YES"}, [("09:30", {"TIME": 2.5})],
        "12:00", {"total_cost": (None, "5")},
    ),
    "max_power": (
        BY_POWER, {},
        [
            ("09:30", {"ENERGY": 1, "MAX_POWER": 6}), ("09:40", {"ENERGY": 40, "MAX_POWER": 48}),
            ("10:30", {"ENERGY": 0.5, "MAX_POWER": 4}),
        ],
        "10:40", {"total_cost": ("20.3", "24.36")},
    ),
    "step_size 25": (
        [element(component("ENERGY", 0.25, None, 25))], {}, [("09:30", {"ENERGY": 0.1152})],
        "10:30", {"total_cost": ("0.0313", None)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_example_of_the_specification(name: str, tmp_path: Path) -> None:
    elements, more, periods, end, totals = EXAMPLES[name]
    cdr = {
        "start_date_time": f"{DAY}{periods[0][0]}:00Z",
        "end_date_time": f"{DAY}{end}:00Z",
        "currency": "EUR",
        "charging_periods": [
            {
                "start_date_time": f"{DAY}{at}:00Z",
                "dimensions": [{"type": kind, "volume": value} for kind, value in volumes.items()],
            }
            for at, volumes in periods
        ],
    }
    tariff = {"id": "X", "currency": "EUR", "elements": elements, **more}
    found = priced(tmp_path, tariff, cdr, "UTC")
    for total, (excl, incl) in totals.items():
        if excl is None:
            assert found[total]["excl_vat"] is None
        else:
            assert found[total]["excl_vat"] == Decimal(excl)
        if incl is not None:
            assert found[total]["incl_vat"] == Decimal(incl)

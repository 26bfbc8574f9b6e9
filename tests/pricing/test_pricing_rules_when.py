"""Which element prices when: restrictions in time, date, energy, duration, current and power.

OCPI 2.2.1 and 2.3.0 mod_tariffs, TariffRestrictions; worked out by hand.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.pricing.pricing_cases import cdr, check, element, part, tariff

HOURS = {"TIME": 2}


def energy(price: Any, **rule: Any) -> dict[str, Any]:
    """An element that prices energy."""
    return element(part("ENERGY", price), **rule)


def time(price: Any, **rule: Any) -> dict[str, Any]:
    """An element that prices charging time."""
    return element(part("TIME", price), **rule)


def parking(price: Any, **rule: Any) -> dict[str, Any]:
    """An element that prices parking."""
    return element(part("PARKING_TIME", price), **rule)


NIGHT = [energy("0.2", start_time="22:00", end_time="06:00"), energy("0.4")]
WEEKEND = [time(1, day_of_week=["SATURDAY", "SUNDAY"]), time(2)]
TIERS = [energy("0.5", max_kwh=10), energy("0.4", min_kwh=10, max_kwh=20), energy("0.3")]
HOT = [time(10, start_time="02:00", end_time="03:00"), time(1)]
LOAD = [time(1, max_current=32), time(2, min_current=32, max_current="63.5"), time(4)]
KILOWATTS = [energy("0.2", max_power=16), energy("0.35", max_power=32), energy("0.5")]

# name: (elements, end, periods, zone, wanted total)
CASES: dict[str, tuple[Any, ...]] = {
    # time of day
    "window over midnight, period not divided": (
        NIGHT, "23:00", [("21:00", {"ENERGY": 10})], "UTC", "3",
    ),
    "window over midnight, periods at its ends": (
        NIGHT, "15T06:30",
        [("21:30", {"ENERGY": 1}), ("22:00", {"ENERGY": 8}), ("15T06:00", {"ENERGY": 1})],
        "UTC", "2.4",
    ),
    "window over midnight, whole night in one period": (
        NIGHT, "15T07:00", [("21:00", {"ENERGY": 10})], "UTC", "2.4",
    ),
    "start_time alone lasts to midnight": (
        [time(3, start_time="18:00"), time(1)], "15T01:00", [("17:00", {"TIME": 8})], "UTC", "20",
    ),
    "end_time alone reaches from midnight": (
        [time(3, end_time="08:00"), time(1)], "15T09:00", [("23:00", {"TIME": 10})], "UTC", "26",
    ),
    "end_time 00:00 is midnight to come": (
        [time(3, start_time="18:00", end_time="00:00"), time(1)], "15T01:00",
        [("17:00", {"TIME": 8})], "UTC", "20",
    ),
    "equal times are the whole day": (
        [time(3, start_time="08:00", end_time="08:00"), time(1)], "15T09:00",
        [("07:00", {"TIME": 26})], "UTC", "78",
    ),
    "start inclusive, end exclusive": (
        [time(3, start_time="10:00", end_time="11:00"), time(1)], "12:00",
        [("10:00", {"TIME": 1}), ("11:00", {"TIME": 1})], "UTC", "4",
    ),
    "local summer time": (
        NIGHT, "2025-07-01T21:00:00Z", [("2025-07-01T19:00:00Z", {"ENERGY": 10})],
        "Europe/Berlin", "3",
    ),
    "local time of a POSIX string": (
        NIGHT, "2025-07-01T21:00:00Z", [("2025-07-01T19:00:00Z", {"ENERGY": 10})],
        "CET-1CEST,M3.5.0,M10.5.0/3", "3",
    ),
    "a zone west of Greenwich": (
        NIGHT, "2025-07-02T03:00:00Z", [("2025-07-02T01:00:00Z", {"ENERGY": 10})],
        "America/New_York", "3",
    ),
    "a zone of half hours": (
        NIGHT, "2025-07-01T17:30:00Z", [("2025-07-01T15:30:00Z", {"ENERGY": 10})],
        "Asia/Kolkata", "3",
    ),
    "the hour that is skipped prices nothing": (
        HOT, "2025-03-30T01:30:00Z", [("2025-03-30T00:30:00Z", {"TIME": 1})],
        "Europe/Berlin", "1",
    ),
    "the hour that comes twice prices twice": (
        HOT, "2025-10-26T02:00:00Z", [("2025-10-25T23:30:00Z", {"TIME": 2.5})],
        "Europe/Berlin", "20.5",
    ),
    "a clock change in the south": (  # Auckland: 2025-04-06 03:00 back to 02:00
        HOT, "2025-04-05T15:00:00Z", [("2025-04-05T12:30:00Z", {"TIME": 2.5})],
        "Pacific/Auckland", "20.5",
    ),
    # days and dates
    "Friday into Saturday": (
        WEEKEND, "19T01:00", [("18T23:00", HOURS)], "UTC", "3",
    ),
    "Sunday into Monday": (
        WEEKEND, "21T01:00", [("20T23:00", HOURS)], "UTC", "3",
    ),
    "the weekday is the local one": (
        WEEKEND, "21T01:00", [("20T23:00", HOURS)], "Europe/Berlin", "4",
    ),
    "a night of Friday ends at midnight": (
        [time(9, day_of_week=["FRIDAY"], start_time="22:00", end_time="06:00"), time(1)],
        "19T01:00", [("18T21:00", {"TIME": 4})], "UTC", "20",
    ),
    "Friday's early hours are of Friday's night": (
        [time(9, day_of_week=["FRIDAY"], start_time="22:00", end_time="06:00"), time(1)],
        "18T07:00", [("18T05:00", HOURS)], "UTC", "10",
    ),
    "all seven days restrict nothing": (
        [time(1, day_of_week=["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY",
                              "SUNDAY"])],
        "11:30", [("09:30", HOURS)], "UTC", "2",
    ),
    "start_date is inclusive, end_date exclusive": (
        [time(5, start_date="2019-01-15", end_date="2019-01-16"), time(1)],
        "16T01:00", [("14T23:00", {"TIME": 26})], "UTC", "122",
    ),
    "a month's end": (
        [time(5, start_date="2019-02-01"), time(1)], "2019-02-01T01:00:00Z",
        [("31T23:00", HOURS)], "UTC", "6",
    ),
    "a year's end, local": (
        [time(5, start_date="2026-01-01"), time(1)], "2026-01-01T00:00:00Z",
        [("2025-12-31T22:00:00Z", HOURS)], "Europe/Berlin", "6",
    ),
    "a leap day": (
        [time(5, start_date="2028-02-29", end_date="2028-03-01"), time(1)],
        "2028-03-01T01:00:00Z", [("2028-02-28T23:00:00Z", {"TIME": 26})], "UTC", "122",
    ),
    "date, day and hours together": (
        [
            time(7, start_date="2019-01-15", day_of_week=["TUESDAY"], start_time="06:00",
                 end_time="07:00"),
            time(1),
        ],
        "15T08:00", [("14T05:00", {"TIME": 27})], "UTC", "33",
    ),
    # energy
    "tiers of energy in one period": (TIERS, "11:00", [("09:30", {"ENERGY": 25})], "UTC", "10.5"),
    "tiers of energy, a period each": (
        TIERS, "11:00",
        [("09:30", {"ENERGY": 10}), ("10:00", {"ENERGY": 10}), ("10:30", {"ENERGY": 5})],
        "UTC", "10.5",
    ),
    "max_kwh is exclusive": (TIERS, "11:00", [("09:30", {"ENERGY": 10})], "UTC", "5"),
    "fractions of a kWh": (
        [energy(1, max_kwh="0.123456"), energy(0)], "11:00", [("09:30", {"ENERGY": 2})], "UTC",
        "0.1235",
    ),
    "time until an energy": (
        [time(6, max_kwh=10)], "11:30", [("09:30", {"TIME": 2, "ENERGY": 20})], "UTC", "6",
    ),
    "a flat fee from an energy on": (
        [element(part("FLAT", 3), min_kwh=5)], "11:30", [("09:30", {"ENERGY": 6})], "UTC", "3",
    ),
    "a flat fee whose energy is not reached": (
        [element(part("FLAT", 3), min_kwh=5)], "11:30", [("09:30", {"ENERGY": 4})], "UTC", "0",
    ),
    # duration
    "parking costs after an hour of session": (
        [parking(5, min_duration=3600)], "11:30",
        [("09:30", {"TIME": 0.5}), ("10:00", {"PARKING_TIME": 1.5})], "UTC", "5",
    ),
    "a duration ends inside a period": (
        [energy(0, max_duration=1800), energy(1)], "10:30", [("09:30", {"ENERGY": 6})], "UTC",
        "3",
    ),
    "durations in tiers": (
        [
            parking(0, max_duration=3600), parking(2, min_duration=3600, max_duration=14400),
            parking(3, min_duration=14400),
        ],
        "14:30", [("09:30", {"PARKING_TIME": 5})], "UTC", "9",
    ),
    "min_duration is inclusive": (
        [parking(5, min_duration=3600)], "11:30",
        [("09:30", {"TIME": 1}), ("10:30", {"PARKING_TIME": 1})], "UTC", "5",
    ),
    # current and power
    "min_current is inclusive": (
        LOAD, "11:30", [("09:30", {"TIME": 2, "MIN_CURRENT": 32, "MAX_CURRENT": 32})], "UTC", "4",
    ),
    "below max_current": (
        LOAD, "11:30", [("09:30", {"TIME": 2, "MIN_CURRENT": 6, "MAX_CURRENT": 31.999})], "UTC",
        "2",
    ),
    "max_current is exclusive": (
        LOAD, "11:30", [("09:30", {"TIME": 2, "MIN_CURRENT": 63.5, "MAX_CURRENT": 63.5})], "UTC",
        "8",
    ),
    "MAX_CURRENT alone also tells of a minimum": (
        LOAD, "11:30", [("09:30", {"TIME": 2, "MAX_CURRENT": 43})], "UTC", "4",
    ),
    "MIN_CURRENT alone also tells of a maximum": (
        LOAD, "11:30", [("09:30", {"TIME": 2, "MIN_CURRENT": 10})], "UTC", "2",
    ),
    "what is not measured does not hold": (LOAD, "11:30", [("09:30", HOURS)], "UTC", "8"),
    "a load that changes from period to period": (
        LOAD, "12:30",
        [
            ("09:30", {"TIME": 1, "MIN_CURRENT": 16, "MAX_CURRENT": 16}),
            ("10:30", {"TIME": 1, "MIN_CURRENT": 40, "MAX_CURRENT": 48}),
            ("11:30", {"TIME": 1, "MIN_CURRENT": 80, "MAX_CURRENT": 96}),
        ],
        "UTC", "7",
    ),
    "the specification's max_power, minimum and maximum given": (
        KILOWATTS, "10:40",
        [
            ("09:30", {"ENERGY": 1, "MIN_POWER": 6, "MAX_POWER": 6}),
            ("09:40", {"ENERGY": 40, "MIN_POWER": 48, "MAX_POWER": 48}),
            ("10:30", {"ENERGY": 0.5, "MIN_POWER": 4, "MAX_POWER": 4}),
        ],
        "UTC", "20.3",
    ),
    "power in fractions of a kW": (
        [energy(1, min_power="7.36"), energy(2)], "11:30",
        [("09:30", {"ENERGY": 1, "MIN_POWER": 7.36, "MAX_POWER": 8}),
         ("10:30", {"ENERGY": 1, "MIN_POWER": 7.359, "MAX_POWER": 7.359})],
        "UTC", "3",
    ),
    "POWER of a period is both": (
        KILOWATTS, "10:30", [("09:30", {"ENERGY": 1, "POWER": 20})], "UTC", "0.35",
    ),
    # order
    "the first of two that hold": (
        [energy("0.2", max_kwh=100), energy("0.3", max_kwh=50), energy("0.4")], "10:30",
        [("09:30", {"ENERGY": 10})], "UTC", "2",
    ),
    "each dimension by its own element": (
        [element(part("ENERGY", 1), part("TIME", 10), max_kwh=1), element(part("ENERGY", 2))],
        "10:30", [("09:30", {"ENERGY": 2, "TIME": 1})], "UTC", "8",
    ),
    "the first component of a kind in an element": (
        [element(part("ENERGY", 1), part("ENERGY", 5))], "10:30", [("09:30", {"ENERGY": 2})],
        "UTC", "2",
    ),
    "no element for a dimension: free": (
        [energy(1, start_time="20:00")], "10:30", [("09:30", {"ENERGY": 2})], "UTC", "0",
    ),
    "a null restriction is no restriction": (
        [energy(1, start_time=None, max_kwh=None, day_of_week=[])], "10:30",
        [("09:30", {"ENERGY": 2})], "UTC", "2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_restriction(name: str, tmp_path: Path) -> None:
    elements, end, periods, zone, total = CASES[name]
    check(tmp_path, tariff(*elements), cdr(end, *periods), {"cost": total}, zone)

"""Random OCPI tariffs and sessions, the same for the same seed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

DAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Europe/Dublin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
]
CHARGING, PARKED = 1, 0
# Instants near which clocks change, years and leap days end.
EDGES = [
    datetime(2025, 3, 30, 0, 30, tzinfo=UTC),
    datetime(2025, 10, 26, 0, 10, tzinfo=UTC),
    datetime(2025, 11, 2, 4, 0, tzinfo=UTC),
    datetime(2025, 4, 5, 12, 0, tzinfo=UTC),
    datetime(2025, 12, 31, 21, 0, tzinfo=UTC),
    datetime(2028, 2, 28, 22, 0, tzinfo=UTC),
]


def price_text(dice: random.Random, highest: int) -> str:
    """A price with 0 to 4 decimals."""
    places = dice.choice([0, 1, 2, 2, 2, 4])
    return f"{dice.randrange(highest * 10**places + 1) / 10**places:.{places}f}"


def restrictions(dice: random.Random, day: datetime) -> dict[str, Any]:
    """Some restrictions."""
    rule: dict[str, Any] = {}
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        kind = dice.randrange(8)
        clock = f"{dice.randrange(24):02d}:{dice.choice([0, 0, 0, 15, 30, 59]):02d}"
        if kind == 0:
            rule["start_time"] = clock
        elif kind == 1:
            rule["end_time"] = clock
        elif kind == 2:
            rule["day_of_week"] = sorted(dice.sample(DAYS, dice.randrange(1, 7)))
        elif kind == 3:
            rule[dice.choice(["start_date", "end_date"])] = (
                (day + timedelta(days=dice.randrange(-1, 3))).date().isoformat()
            )
        elif kind == 4:
            rule[dice.choice(["min_kwh", "max_kwh"])] = dice.choice(
                ["1", "5", "10.5", "0.123456", "20", "0"]
            )
        elif kind == 5:
            rule[dice.choice(["min_duration", "max_duration"])] = dice.choice(
                ["60", "1800", "3600", "3601", "14400", "0"]
            )
        elif kind == 6:
            rule[dice.choice(["min_power", "max_power"])] = dice.choice(["3.7", "11", "22", "50"])
        else:
            rule[dice.choice(["min_current", "max_current"])] = dice.choice(["6", "16.5", "32"])
    return possible(rule)


def possible(rule: dict[str, Any]) -> dict[str, Any]:
    """Without the upper bounds that no session is below, which are refused."""
    for what in ("kwh", "duration", "power", "current"):
        if float(rule.get("max_" + what, 1)) <= float(rule.get("min_" + what, 0)):
            rule.pop("max_" + what, None)
    if rule.get("end_date", "9") <= rule.get("start_date", ""):
        del rule["end_date"]
    return rule


def tariff(dice: random.Random, day: datetime, steps: bool) -> dict[str, Any]:
    """A random tariff; without steps its price only rises."""
    found: dict[str, Any] = {
        "id": "R",
        "currency": dice.choice(["EUR", "EUR", "GBP", "JPY", "KWD"]),
        "elements": [],
    }
    tax = dice.choice([None, None, "NO", "YES"])
    if tax:
        found["tax_included"] = tax
    rates: list[str | None] = dice.choice(
        [["19"], ["20", "10"], ["21", "8.875", "0"], [None], [None, "7"]]
    )
    for _ in range(dice.choice([1, 1, 2, 3, 4, 5])):
        kinds = dice.sample(
            ["ENERGY", "TIME", "PARKING_TIME", "FLAT"], dice.choice([1, 1, 2, 3, 4])
        )
        components = []
        for kind in kinds:
            high = {"ENERGY": 1, "TIME": 12, "PARKING_TIME": 12, "FLAT": 3}[kind]
            one: dict[str, Any] = {"type": kind, "price": price_text(dice, high)}
            rate = dice.choice(rates)
            if rate is not None:
                one["vat"] = rate
            one["step_size"] = dice.choice(
                ["0", "1", "60", "300", "900", "1000"] if steps else ["0", "1"]
            )
            components.append(one)
        element: dict[str, Any] = {"price_components": components}
        if dice.random() < 0.7:
            element["restrictions"] = restrictions(dice, day)
        found["elements"].append(element)
    limits(dice, found)
    extras(dice, found, len(rates) == 1)
    return found


def limits(dice: random.Random, found: dict[str, Any]) -> None:
    """Sometimes min_price and max_price."""
    keys = dice.choice([["excl_vat", "incl_vat"], ["before_taxes", "after_taxes"]])
    for name, low in (("min_price", 0), ("max_price", 600)):
        if dice.random() < 0.2:
            net = low + dice.randrange(1, 400)
            both = {
                keys[0]: f"{net / 100:.2f}",
                keys[1]: f"{(net + dice.randrange(1, 100)) / 100:.2f}",
            }
            if dice.random() < 0.4:
                del both[dice.choice(keys)]
            found[name] = both


def extras(dice: random.Random, found: dict[str, Any], one_rate: bool) -> None:
    """Sometimes the x_ fields."""
    if dice.random() < 0.1:
        found["x_free_kwh"] = dice.choice(["1", "2.5"])
    if dice.random() < 0.1:
        found["x_free_minutes"] = dice.choice(["10", "60"])
    if dice.random() < 0.15:
        found["x_grace_minutes"] = dice.choice(["5", "30"])
    if dice.random() < 0.1:
        found["x_parking_sleep"] = {"start_time": "22:00", "end_time": "06:30"}
    if dice.random() < 0.15 and one_rate:
        found["x_caps"] = {
            dice.choice(["ENERGY", "TIME", "PARKING_TIME", "TIME+PARKING_TIME"]): dice.choice(
                ["0.5", "3", "12"]
            )
        }


def readings(dice: random.Random) -> list[list[int]]:
    """A session of straight lines; most have a whole number of mWh per ms, so that they can be
    read finer.
    """
    found = []
    t = e = 0
    kind = CHARGING
    for _ in range(dice.randrange(1, 9)):
        length = dice.choice(
            [
                1000,
                1000 * dice.randrange(1, 600),
                dice.randrange(1, 5_000_000),
                60000 * dice.randrange(1, 600),
            ]
        )
        if dice.random() < 0.3:
            kind = 1 - kind
        slope = dice.choice([0, 1, 2, 3, 6, 13]) if kind == CHARGING else dice.choice([0, 0, 0, 1])
        gain = slope * length if dice.random() < 0.8 else dice.randrange(slope * length + 1)
        t += length if dice.random() < 0.97 else 0
        e = min(e + gain, 10**9)
        watts = dice.choice([-1, 0, slope * 3600, slope * 3600])
        found.append([t, e, kind, watts, dice.choice([-1, 16000, 32000, 40000])])
    return found


def pair(seed: int) -> tuple[dict[str, Any], str, datetime, list[list[int]], bool, int]:
    """(tariff, IANA zone, start, readings, whether its price only rises, a limit in minor)."""
    dice = random.Random(seed)
    start = dice.choice(EDGES) + timedelta(milliseconds=dice.randrange(-7_200_000, 36_000_000))
    if dice.random() < 0.5:
        start = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(
            milliseconds=dice.randrange(3 * 365 * 86_400_000)
        )
    steps = dice.random() < 0.5
    return (
        tariff(dice, start, steps),
        dice.choice(ZONES),
        start,
        readings(dice),
        not steps,
        dice.randrange(0, 4000),
    )

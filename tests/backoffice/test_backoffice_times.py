"""Occupancy and utilisation: on the days and hours a stay was on, of the time that is over."""

from __future__ import annotations

import datetime
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hostsim.backoffice.operator import Operator
from hostsim.backoffice.reports import charts, query, roll
from hostsim.backoffice.reports.period import Days
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk
from tests.backoffice.records import Ledger

ZONE = ZoneInfo("Europe/Berlin")
HOUR = 3_600_000
JANUARY = Days(datetime.date(2026, 1, 1), datetime.date(2026, 1, 31))
LATER = 1_800_000_000_000


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path, Operator(time_zone="Europe/Berlin"))
    yield found
    found.close()


def at(day: int, hour: int = 0, month: int = 1) -> int:
    """Epoch ms of an hour in Berlin, 2026."""
    return int(datetime.datetime(2026, month, day, hour, tzinfo=ZONE).timestamp()) * 1000


def stay(ledger: Ledger, start: int, length: int, **held: Any) -> None:
    """A session; half of it charges, from its beginning. `held`: of its hold_asked."""
    sess = sum(1 for record in ledger.records if record["type"] == "hold_asked") + 1
    first = len(ledger.records)
    ledger.hold(sess).authorised(sess).energising(sess)
    ledger.records[first] |= held
    for begin, charging in ((0, length // 2), (length // 2, 0)):
        ledger.put("period", sess=sess, start_ms=begin, end_ms=begin + length // 2, energy_mwh=1,
                   charging_ms=charging, parking_ms=length // 2 - charging, min_ma=-1, max_ma=-1,
                   min_w=-1, max_w=-1)  # fmt: skip
    ledger.put("power_off", sess=sess, register_wh=2000, elapsed_ms=length, reason="unplugged")
    currency = held.get("currency", "EUR")
    ledger.priced(sess, start_at=start, end_at=start + length, elapsed_ms=length,
                  currency=currency)  # fmt: skip
    ledger.captured(sess)
    for record in ledger.records[first:]:
        record["at"] = start + length


def report(office: BackOffice, days: Days = JANUARY, now_ms: int = LATER, **only: str) -> Any:
    roll.catch_up(office.engine, ZONE)
    return query.read(office.engine, ZONE, days, now_ms, **only)


def day(number: int) -> Days:
    return Days(datetime.date(2026, 1, number), datetime.date(2026, 1, number))


def test_a_stay_of_three_days_occupies_three_days_not_one_threefold(office: BackOffice) -> None:
    ledger = Ledger()
    stay(ledger, at(6, 12), 72 * HOUR)
    desk.fill(office, ledger)
    shares = [report(office, day(number)).occupancy for number in range(5, 11)]
    assert shares == [0, 0.5, 1, 1, 0.5, 0]
    assert report(office, day(9)).total["sessions"] == 1, "it counts when it ended"
    assert report(office, day(7)).utilisation == 1 and report(office, day(8)).utilisation == 0
    one = report(office, day(9), charger="CP1")
    assert one.occupancy == 0.5 and sum(map(sum, one.occupied)) == 12 * HOUR


@pytest.mark.parametrize("seed", range(3))
def test_no_connector_is_occupied_above_all_of_the_time_and_the_days_make_up_the_stays(
    office: BackOffice, seed: int
) -> None:
    dice = random.Random(seed)
    month = Days(datetime.date(2026, 3, 1), datetime.date(2026, 3, 31))  # the clock changes in it
    whole = 0
    for charger in ("CP1", "CP2"):
        ledger = Ledger()
        now = at(1, 0, 3)
        while True:
            now += dice.choice((0, dice.randrange(1, 30 * HOUR)))
            length = 2 * dice.choice((dice.randrange(1, HOUR), dice.randrange(1, 50 * HOUR)))
            if now + length > at(1, 0, 4):
                break
            stay(ledger, now, length, tariff=dice.choice("AB"))
            whole, now = whole + length, now + length
        desk.fill(office, ledger, charger=charger)
    found = report(office, month)
    assert found.total["occupied_ms"] == sum(map(sum, found.occupied)) == whole
    assert found.total["charging_ms"] == sum(map(sum, found.delivering)) == whole // 2
    assert sum(row["occupied_ms"] for row in found.by_day) == whole
    for charger in ("CP1", "CP2"):
        one = report(office, month, charger=charger)
        for row in one.by_day:
            length = 23 if row["key"] == 20260329 else 24
            assert row["charging_ms"] <= row["occupied_ms"] <= length * HOUR
        for occupied, possible in zip(one.occupied, one.possible, strict=True):
            assert all(a <= b for a, b in zip(occupied, possible, strict=True))
    sums: dict[str, int] = defaultdict(int)
    for tariff in "AB":
        for charger in ("", "CP1", "CP2"):
            one = report(office, month, charger=charger, tariff=tariff)
            sums[charger] += one.total["occupied_ms"]
            assert sum(map(sum, one.occupied)) == one.total["occupied_ms"]
            assert sum(map(sum, one.delivering)) == one.total["charging_ms"]
    assert sums[""] == sums["CP1"] + sums["CP2"] == whole


def test_a_period_that_is_not_over_is_divided_by_what_is_over(office: BackOffice) -> None:
    ledger = Ledger()
    stay(ledger, at(1), 24 * HOUR)
    desk.fill(office, ledger)
    assert report(office, JANUARY, at(3)).occupancy == 0.5
    assert report(office, JANUARY, at(2, 12)).occupancy == pytest.approx(2 / 3)
    assert report(office, Days(datetime.date(2027, 1, 1), datetime.date(2027, 1, 2)),
                  at(3)).occupancy == 0  # fmt: skip


def test_the_heat_map_is_of_the_chosen_tariff_and_currency(office: BackOffice) -> None:
    ledger = Ledger()
    stay(ledger, at(1), HOUR, tariff="A")
    stay(ledger, at(1, 2), 2 * HOUR, tariff="B")
    stay(ledger, at(1, 5), 4 * HOUR, tariff="A", currency="JPY")
    desk.fill(office, ledger)
    for charger in ("", "CP1"):
        for tariff, currency, hours in (("A", "EUR", 1), ("B", "EUR", 2), ("", "EUR", 3),
                                        ("A", "JPY", 4), ("B", "JPY", 0)):  # fmt: skip
            found = report(office, tariff=tariff, currency=currency, charger=charger)
            assert sum(map(sum, found.occupied)) == hours * HOUR == found.total["occupied_ms"]


def test_hours_weekdays_chargers_and_tariffs_have_both_shares_as_tables(
    office: BackOffice,
) -> None:
    ledger = Ledger()
    stay(ledger, at(1, 2), 2 * HOUR)  # a Thursday
    desk.fill(office, ledger)
    tables = {table.name: table for table in charts.tables(report(office, day(1)))}
    assert tables["hours"].rows[2] == ("02:00", "1.0", "1.0", "100.0%", "100.0%")
    assert tables["hours"].rows[3] == ("03:00", "1.0", "0.0", "100.0%", "0.0%")
    assert tables["weekdays"].rows[3] == ("Thu", "2.0", "1.0", "8.3%", "4.2%")
    for name in ("chargers", "tariffs"):
        assert tables[name].rows[0][-2:] == ("8.3%", "4.2%")
        cells = dict(zip(tables[name].columns, tables[name].data[0], strict=True))
        assert (str(cells["occupied_h"]), str(cells["occupied_share"])) == ("2.0000", "0.083333")


def test_a_table_has_the_same_columns_before_its_days_have_come(office: BackOffice) -> None:
    ledger = Ledger()
    stay(ledger, at(1, 2), 2 * HOUR)
    desk.fill(office, ledger)
    early, late = (
        {table.name: table.columns for table in charts.tables(report(office, day(1), now))}
        for now in (at(1), LATER)
    )
    assert early == late and "occupied_share" in early["chargers"]


def test_reasons_stay_when_a_charger_or_a_tariff_is_chosen(office: BackOffice) -> None:
    for charger, tariff in (("CP1", "A"), ("CP2", "B")):
        ledger = Ledger()
        ledger.hold(1)
        ledger.records[-1]["tariff"] = tariff
        ledger.put("declined", sess=1, code=51, text=f"no {charger}")
        stay(ledger, at(1, 2), HOUR, tariff=tariff)
        ledger.refund_asked(charger, 2, 50)
        ledger.refunded(charger, 2, 50)
        for record in ledger.records:
            record["at"] = at(1, 4)
        desk.fill(office, ledger, charger=charger)
    assert len(report(office).declined) == 2 and report(office).refunded[0]["count"] == 2
    chosen: tuple[dict[str, Any], ...] = (
        {"charger": "CP1"}, {"tariff": "A"}, {"charger": "CP1", "tariff": "A"},
    )  # fmt: skip
    for only in chosen:
        for days in (JANUARY, day(1)):
            found = report(office, days, **only)
            assert [row["reason"] for row in found.declined] == ["no CP1 (code 51)"], only
            assert [row["count"] for row in found.refunded] == [1]
    assert report(office, charger="CP1", tariff="B").declined == []


def test_an_end_of_day_is_in_the_chargers_currency_and_local_time(office: BackOffice) -> None:
    ledger = Ledger()
    stay(ledger, at(1, 2), HOUR, currency="JPY")
    ledger.put("end_of_day", count=1, terminal_minor=1500, ledger_minor=1500, result="agree")
    ledger.records[-1]["at"] = at(2, 1)
    desk.fill(office, ledger)
    assert report(office, currency="EUR").terminals == []
    found = report(office, currency="JPY")
    table = next(table for table in charts.tables(found) if table.name == "terminals")
    assert table.rows[0][0] == "2026-01-02 01:00:00 CET"
    assert table.rows[0][3] == "1,500 JPY"
    assert [str(cell) for cell in table.data[0][3:5]] == ["JPY", "1500"]

"""What a running session may expect. Runs on CPython and MicroPython."""

from firmware.ahead import Ahead
from firmware.pricing.calendar import TimeZone
from firmware.pricing.tariff import Tariff
from firmware.session.running import RunningBill

# 22:00 to 06:00: 0.20 a kWh, else 0.40; from the 10th kWh on 0.50; occupancy 6.00 an hour
TARIFF = """{"currency": "EUR", "tax_included": "YES", "elements": [
 {"price_components": [{"type": "ENERGY", "price": 0.5}], "restrictions": {"min_kwh": 10}},
 {"price_components": [{"type": "ENERGY", "price": 0.2}],
  "restrictions": {"start_time": "22:00", "end_time": "06:00"}},
 {"price_components": [{"type": "ENERGY", "price": 0.4},
                       {"type": "PARKING_TIME", "price": 6}]}]}"""
MIDNIGHT = 1735689600000  # 2025-01-01T00:00:00Z
HOUR = 3600000


def begin(start_ms):
    tz = TimeZone("UTC0")
    return RunningBill(Tariff.from_json(TARIFF), tz, 1000, 0, start_ms, 22000), tz


def seen(ahead, bill, tz, start_at):
    view: dict = {}
    ahead.look(view, bill, tz, start_at)
    return view


def test_rate_change_and_what_is_left():
    start = MIDNIGHT + 21 * HOUR
    bill, tz = begin(start)
    ahead = Ahead()
    bill.reading(HOUR // 2, 5000, True, 10000, 16000)
    view = seen(ahead, bill, tz, start)
    left = view.pop("hold_left_wh")
    # 8.00 at 0.40, up to half a cent more, as if it went on at the price of now
    assert 20000 <= left <= 20012
    assert view == {
        "price_per_kwh": 4000,
        "price_per_hour": 0,
        "change_at_ms": start + HOUR,
        "change_clock": "22:00",
        "change_at_wh": 10000,
        "hold_left_ms": -1,
    }


def test_a_change_that_has_come_is_looked_for_again():
    start = MIDNIGHT + 21 * HOUR
    bill, tz = begin(start)
    ahead = Ahead()
    bill.reading(HOUR // 2, 1000, True, 10000, 16000)
    assert seen(ahead, bill, tz, start)["change_clock"] == "22:00"
    bill.reading(HOUR + 1000, 2000, True, 10000, 16000)
    view = seen(ahead, bill, tz, start)
    assert (view["price_per_kwh"], view["change_clock"]) == (2000, "06:00")
    bill.reading(2 * HOUR, 12000, True, 10000, 16000)
    view = seen(ahead, bill, tz, start)
    assert (view["price_per_kwh"], view["change_at_wh"], view["change_at_ms"]) == (5000, -1, -1)


def test_occupancy_has_its_own_rate():
    start = MIDNIGHT + 12 * HOUR
    bill, tz = begin(start)
    bill.reading(HOUR, 5000, True, 10000, 16000)
    bill.reading(HOUR + 1000, 5000, False, 0, 0)
    view = seen(Ahead(), bill, tz, start)
    assert view["price_per_hour"] == 60000
    assert 4799000 <= view["hold_left_ms"] <= 4803000  # 8.00 at 6.00 an hour


def test_without_a_clock_no_time_of_day():
    bill, tz = begin(5000)
    bill.reading(1000, 100, True, 10000, 16000)
    view = seen(Ahead(), bill, tz, 0)
    assert (view["change_at_ms"], view["change_clock"]) == (-1, "")
    assert view["change_at_wh"] == 10000

"""What `make bench` shows of the tariff engine."""

from hostsim.pricing import ticks


def test_ticks_allocate_nothing_and_do_not_grow_dearer() -> None:
    found = ticks.measure()
    assert found["bytes_per_10000_ticks"] == 0
    assert found["tick_ns_hour_20"] < 2 * found["tick_ns_minute_1"]
    assert found["repricing_us_hour_20"] > 100 * found["price_refresh_us"]

# Pure: what a tick costs. Allocation shows only on MicroPython; there it is forbidden outright.
import sys

from firmware.pricing.calendar import TimeZone
from firmware.pricing.engine import CHARGING, Engine
from firmware.pricing.tariff import Tariff

TARIFF = (
    '{"currency":"EUR","elements":[{"price_components":[{"type":"ENERGY","price":0.25,"vat":10,"step_size":1},'
    '{"type":"TIME","price":1.2,"vat":10,"step_size":60}],"restrictions":{"max_power":50,"start_time":"00:00",'
    '"end_time":"23:00"}}]}'
)


def ticks(engine, first, count):
    for at in range(first, first + count):
        engine.tick(at * 100, at * 300, CHARGING, 10800 + at % 7, 16000 + at % 5)


def test_ten_thousand_ticks_allocate_nothing():
    engine = Engine(Tariff.from_json(TARIFF), TimeZone("UTC0"))
    engine.start(1547458200000)
    ticks(engine, 1, 10)
    if sys.implementation.name == "micropython":
        gc = __import__("gc")  # by name: CPython's has not what is used here
        micropython = __import__("micropython")

        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        micropython.heap_lock()  # an allocation is a MemoryError from here on
        try:
            ticks(engine, 11, 10000)
        finally:
            micropython.heap_unlock()
        after = gc.mem_alloc()
        gc.enable()
        assert after == before, f"{after - before} bytes allocated"
    else:
        ticks(engine, 11, 10000)
    assert engine.bill().rows[0][2] == 10010 * 300


def test_a_tick_in_hour_20_takes_what_it_takes_in_minute_1():
    if sys.implementation.name != "micropython":
        return
    time = __import__("time")

    engine = Engine(Tariff.from_json(TARIFF), TimeZone("UTC0"))
    engine.start(1547424000000)  # midnight
    best = []
    for first in (1, 720000):
        ticks(engine, first, 10)
        runs = []
        for run in range(7):
            begin = time.ticks_us()
            ticks(engine, first + 10 + run * 2000, 2000)
            runs.append(time.ticks_diff(time.ticks_us(), begin))
        best.append(min(runs))
    assert best[1] < best[0] * 2, best

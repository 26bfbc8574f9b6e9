"""Runs under MicroPython: what a meter tick costs the engine, as one JSON object.

A session of 20 hours read every second, by a tariff with restrictions in time, power and energy.
"""

import gc
import json
import sys
import time

from firmware.pricing.calendar import TimeZone
from firmware.pricing.counter import CHARGING
from firmware.pricing.engine import Engine
from firmware.pricing.tariff import Tariff

TARIFF = (
    '{"currency":"EUR","elements":[{"price_components":['
    '{"type":"FLAT","price":0.5,"vat":19,"step_size":1},'
    '{"type":"ENERGY","price":0.29,"vat":19,"step_size":1},'
    '{"type":"TIME","price":1.2,"vat":19,"step_size":60}],'
    '"restrictions":{"max_power":50,"start_time":"06:00","end_time":"22:00"}},'
    '{"price_components":[{"type":"ENERGY","price":0.49,"vat":19,"step_size":1},'
    '{"type":"TIME","price":0.6,"vat":19,"step_size":60}]}]}'
)
START = 1735707600000  # 2025-01-01T05:00:00Z
HOUR_20 = 20 * 3600
SAMPLE = 2000


def begin():
    """A session that has just started."""
    engine = Engine(Tariff.from_json(TARIFF), TimeZone("CET-1CEST,M3.5.0,M10.5.0/3"))
    engine.start(START)
    engine.freeze_at(100000)
    return engine


def ticks(engine, first, last):
    """One reading a second; the current and power move a little, as they do."""
    for at in range(first, last):
        engine.tick(at * 1000, at * 3000, CHARGING, 10800 + (at & 7), 16000 + (at & 3))


def quickest(engine, first, run):
    """The shortest of ten runs of a sample of ticks, in ns a tick."""
    best = 1 << 29
    step = SAMPLE // 10
    for part in range(10):
        start = time.ticks_us()
        run(engine, first + part * step, first + part * step + step)
        best = min(best, time.ticks_diff(time.ticks_us(), start))
    return best * 1000 // step


def refresh_us(engine):
    """A look at the price, in us."""
    start = time.ticks_us()
    for _ in range(100):
        engine.price_minor()
    return time.ticks_diff(time.ticks_us(), start) // 100


def allocated(engine, first):
    """Bytes that 10,000 ticks within one stretch take from the heap."""
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    ticks(engine, first, first + 10000)
    after = gc.mem_alloc()
    gc.enable()
    return after - before


def repriced_us(seconds):
    """Pricing a session of so many seconds from its first reading on, in us."""
    engine = begin()
    start = time.ticks_us()
    ticks(engine, 1, seconds)
    engine.price_minor()
    return time.ticks_diff(time.ticks_us(), start)


def main():
    """Measure and print."""
    engine = begin()
    ticks(engine, 1, 10)
    minute_1 = quickest(engine, 10, ticks)
    bytes_10k = allocated(engine, 3700)
    ticks(engine, 3700 + 10000, HOUR_20)
    hour_20 = quickest(engine, HOUR_20, ticks)
    print(
        json.dumps(
            {
                "pointer_bits": 32 if sys.maxsize < 1 << 32 else 64,
                "tick_ns_minute_1": minute_1,
                "tick_ns_hour_20": hour_20,
                "bytes_per_10000_ticks": bytes_10k,
                "price_refresh_us": refresh_us(engine),
                "repricing_us_minute_1": repriced_us(60),
                "repricing_us_hour_20": repriced_us(HOUR_20),
            }
        )
    )


main()

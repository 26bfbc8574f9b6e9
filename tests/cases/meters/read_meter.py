"""Runs on MicroPython: a firmware Meter that does what a test writes to stdin; JSON lines out.

Arguments: tty, model, unit, baud, charger-time speed, name=value settings of the bus; or detect,
tty, patience, line settings. `patience`: the bus's watch runs so many times slower than the
machine's.
"""

import asyncio
import gc
import json
import sys
import time

from board.host_uart import UART
from firmware.errors import ForecourtError
from firmware.meter import bus as bus_module
from firmware.meter.bus import ModbusBus
from firmware.meter.meter import Meter
from firmware.meter.probe import probe
from firmware.serialio import Serial


class Clock:
    def __init__(self, speed):
        self.speed = speed
        self.began = time.ticks_ms()

    def uptime_ms(self):
        return time.ticks_diff(time.ticks_ms(), self.began) * self.speed


class Watch:
    """For the bus instead of `time`: a simulator that was kept from the processor for a moment is
    not late by a slow one.
    """

    ticks_diff = staticmethod(time.ticks_diff)

    def __init__(self, times):
        self.times = times
        self.began_ms = time.ticks_ms()
        self.began_us = time.ticks_us()

    def ticks_ms(self):
        return time.ticks_diff(time.ticks_ms(), self.began_ms) // self.times

    def ticks_us(self):
        return time.ticks_diff(time.ticks_us(), self.began_us) // self.times


COUNTERS = (
    "requests",
    "answers",
    "retries",
    "timeouts",
    "damaged",
    "foreign",
    "exceptions",
    "echoes",
    "strays",
)


async def one(meter, bus, words):
    what = words[0]
    if what == "read":
        await poll(meter)
        r = meter.reading
        return {
            "wh": r.energy_wh,
            "w": r.power_w,
            "ma": r.current_ma,
            "mv": r.voltage_mv,
            "at_ms": r.at_ms,
        }
    if what == "identify":
        await poll(meter, True)
        return {"serial": meter.serial}
    if what == "expect":
        meter.expect(words[1], int(words[2]))
    elif what == "forget":
        meter.forget()
    elif what == "stats":
        return {name: getattr(bus, name) for name in COUNTERS}
    elif what == "many":
        return await many(meter, int(words[1]))
    return {}


async def poll(meter, identify=False):
    """As Runner.watch_meter does it."""
    meter.begin(identify)
    wait = meter.step()
    while wait >= 0:
        await asyncio.sleep_ms(wait)
        wait = meter.step()


async def many(meter, count):
    await poll(meter)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    began = time.ticks_us()
    for _ in range(count):
        meter.begin()
        wait = meter.step()
        while wait >= 0:
            await asyncio.sleep_ms(wait)
            wait = meter.step()
    took = time.ticks_diff(time.ticks_us(), began)
    used = gc.mem_alloc() - before
    gc.enable()
    return {"us_per_read": took // count, "bytes": used}


async def detect(path, patience, *lines):
    bus_module.time = Watch(int(patience))
    said = []
    found = await probe(lambda *line: UART(path, *line), said.append, False, lines)
    out = {"report": said}
    if found and found.chosen():
        out["model"] = found.chosen().profile.name
    sys.stdout.write(json.dumps(out) + "\n")


async def main(path, model, unit, baud, speed, *settings):
    chosen = dict([setting.split("=") for setting in settings])
    bus_module.time = Watch(int(chosen.pop("patience", 1)))
    bus = ModbusBus(Serial(UART(path)), baud=int(baud))
    for name, value in chosen.items():
        setattr(bus, name, int(value))
    meter = Meter(bus, model, int(unit), Clock(int(speed)))
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        try:
            answer = await one(meter, bus, line.split())
        except ForecourtError as exc:
            answer = {"error": type(exc).__name__, "text": str(exc)}
        answer["state"] = meter.state
        answer["problem"] = meter.problem
        answer["resolution_wh"] = meter.resolution_wh
        sys.stdout.write(json.dumps(answer) + "\n")


if sys.argv[1] == "detect":
    asyncio.run(detect(*sys.argv[2:]))
else:
    asyncio.run(main(*sys.argv[1:]))

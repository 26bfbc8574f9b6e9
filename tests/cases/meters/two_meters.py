"""Runs on MicroPython: two meters on one bus, polled by two tasks, with an RS-485 direction line.

Arguments: tty, baud, polls. One JSON line: readings, order of answers, direction changes.
"""

import asyncio
import json
import sys
import time

from board.host_uart import UART
from firmware.meter.bus import ModbusBus
from firmware.meter.meter import Meter
from firmware.serialio import Serial


class Clock:
    def uptime_ms(self):
        return time.ticks_ms()


async def poll(name, meter, count, order, values):
    for _ in range(count):
        meter.begin()
        wait = meter.step()
        while wait >= 0:
            await asyncio.sleep_ms(wait)
            wait = meter.step()
        values.append(meter.reading.energy_wh)
        order.append(name)


async def main(path, baud, count):
    turns = []
    bus = ModbusBus(Serial(UART(path)), baud=int(baud), direction=turns.append)
    order = []
    first = []
    second = []
    clock = Clock()
    await asyncio.gather(
        poll("a", Meter(bus, "SDM630", 1, clock), int(count), order, first),
        poll("b", Meter(bus, "EM340", 7, clock), int(count), order, second),
    )
    answer = {"first": first, "second": second, "order": "".join(order), "turns": turns}
    answer["retries"] = bus.retries
    sys.stdout.write(json.dumps(answer) + "\n")


asyncio.run(main(*sys.argv[1:]))

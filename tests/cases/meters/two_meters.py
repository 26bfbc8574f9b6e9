"""Runs on MicroPython: two meters on one bus, polled by two tasks, behind an RS-485 transceiver
that a pin switches.

Arguments: tty, baud, polls. One JSON line: readings, order of answers, direction changes, retries.
"""

import asyncio
import json
import sys
import time

from board.host_uart import UART
from board.rs485 import Rs485
from firmware.meter.bus import ModbusBus
from firmware.meter.meter import Meter
from firmware.serialio import Serial


class Clock:
    def uptime_ms(self):
        return time.ticks_ms()


class Wire(UART):
    """A UART that takes its time, and may call the last character sent before it has left."""

    def __init__(self, path, baud):
        UART.__init__(self, path)
        self.char_us = 10000000 // baud
        self.began_us = 0
        self.size = 0

    def write(self, data):
        self.began_us = time.ticks_us()
        self.size = len(data)
        return UART.write(self, data)

    def left_us(self):
        took_us = time.ticks_diff(time.ticks_us(), self.began_us)
        return self.size * self.char_us - took_us

    def txdone(self):
        return self.left_us() <= self.char_us


class Pin:
    """The direction pin. What comes while it is high is heard by nobody; it must not be taken off
    before the request has left.
    """

    def __init__(self, wire):
        self.wire = wire
        self.turns = []
        self.early = 0
        self.deaf = 0

    def value(self, level):
        self.turns.append(bool(level))
        if not level:
            self.early += self.wire.left_us() > 0
            self.deaf += UART.readinto(self.wire, bytearray(300)) or 0


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
    wire = Wire(path, int(baud))
    pin = Pin(wire)
    bus = ModbusBus(Serial(Rs485(wire, pin)), baud=int(baud))
    order = []
    first = []
    second = []
    clock = Clock()
    await asyncio.gather(
        poll("a", Meter(bus, "SDM630", 1, clock), int(count), order, first),
        poll("b", Meter(bus, "EM340", 7, clock), int(count), order, second),
    )
    answer = {"first": first, "second": second, "order": "".join(order), "turns": pin.turns}
    answer.update({"retries": bus.retries, "early": pin.early, "deaf": pin.deaf})
    sys.stdout.write(json.dumps(answer) + "\n")


asyncio.run(main(*sys.argv[1:]))

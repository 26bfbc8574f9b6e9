# What a technician is told about the line, by what the bus has counted. On CPython and both
# MicroPython builds.
import asyncio

from firmware.errors import ModbusTimeout
from firmware.meter import probe
from firmware.meter.profiles import load


class Time:
    """Stands still."""

    def ticks_ms(self):
        return 0

    def ticks_diff(self, later, earlier):
        return later - earlier


class Bus:
    """Answers at once; what it has counted is given."""

    def __init__(self, **counted):
        self.requests = self.answers = self.damaged = self.foreign = 0
        self.timeouts = self.strays = self.echoes = 0
        for name, value in counted.items():
            setattr(self, name, value)
        self.deaf = self.timeouts

    async def request(self, unit, function, address, count):
        self.requests += 1
        if self.requests <= self.deaf:
            raise ModbusTimeout("0 of %d bytes came in time" % count)
        self.answers += 1


def said(**counted):
    profile = load("SDM630")
    bus = Bus(**counted)
    real = probe.time
    probe.time = Time()  # type: ignore[assignment]
    try:
        text = asyncio.run(probe.quality(bus, 1, profile))  # type: ignore[arg-type]
    finally:
        probe.time = real
    assert bus.requests == 50 * len(profile.groups)
    start, verdict = text.split(" ms: ")
    figures = bus.answers, bus.requests, bus.damaged, bus.timeouts, bus.strays
    wanted = "Line: %d of %d requests answered, %d damaged, %d without answer, %d bytes of noise"
    assert start == wanted % figures + "; a poll takes 0", text
    return verdict


def test_a_line_without_a_fault_is_good():
    assert said() == "good."


def test_what_is_to_be_looked_at_is_named():
    for counted, words in (
        ({"damaged": 1, "timeouts": 1, "strays": 1}, "check termination"),
        ({"foreign": 1}, "check termination"),
        ({"timeouts": 2, "strays": 1}, "check A/B terminals"),
        ({"strays": 3}, "check the bias resistors"),
        ({"echoes": 50}, "good; the transceiver hears itself"),
    ):
        assert said(**counted).startswith(words), counted

# Which meter it is, on good lines and bad ones. On CPython and both MicroPython builds.
import asyncio
import struct

from firmware.errors import ModbusCrcError, ModbusException, ModbusTimeout
from firmware.meter import detect
from firmware.meter.probe import report

EASTRON = {0x00: 231.0, 0x02: 230.0, 0x04: 229.0, 0x06: 0.0, 0x08: 0.0, 0x0A: 0.0, 0x34: 0.0,
           0x48: 1234.5}  # fmt: skip
"""An SDM630's registers of function 4, each a float of two words."""
GAVAZZI = {0x00: 2310, 0x02: 2300, 0x04: 2290, 0x10: -5, 0x34: 777, 0x3E: -5, 0x42: 12345,
           0x48: 0xBF80}  # fmt: skip
"""An EM24's, each an integer, its low word first; at 0x34 it has something else, that could be an
EM340's energy, and at 0x10, 0x3E and 0x48 what can be nobody's energy."""


class Bus:
    """A meter and its line. `lost(key, n)`: what becomes of the n-th request of all, None where it
    is answered. `attempts` as on the real bus.
    """

    def __init__(self, known, lost=lambda key, n: None, silent=False):
        self.known = known
        self.lost = lost
        self.silent = silent
        self.attempts = 1
        self.sent = 0

    async def request(self, unit, function, address, count):
        key = (function, address, count)
        for left in range(self.attempts - 1, -1, -1):
            self.sent += 1
            error = self.lost(key, self.sent)
            if error is None:
                return self.answer(function, address, count)
            if not left:
                raise error

    def answer(self, function, address, count):
        if (function, address, count) == (4, 0x5000, 7):
            return b"0001234" + bytes(7)
        if function == 3 and (address, count) == (0xFC00, 2):
            return struct.pack(">I", 4711)
        if function == 3 or address + count > 0x50:
            if self.silent:
                raise ModbusTimeout("silence")
            raise ModbusException(2)
        out = bytearray(2 * count + 4)
        for at in range(count):
            value = self.known.get(address + at)
            if isinstance(value, float):
                struct.pack_into(">f", out, 2 * at, value)
            elif value is not None:
                struct.pack_into(">HH", out, 2 * at, value & 0xFFFF, value >> 16 & 0xFFFF)
        return memoryview(out)[: 2 * count]


def found(bus):
    answer = asyncio.run(detect.search(lambda line: bus, ("9600 8N1",), (1,)))
    assert answer and (answer.line, answer.unit) == ("9600 8N1", 1)
    return answer


def in_doubt(answer):
    return [c.profile.name for c in answer.candidates if c.unsure]


def energy_of(name):
    return detect.Candidate(detect.load(name)).energy_key()


def test_a_good_line_leaves_no_doubt():
    answer = found(Bus(EASTRON))
    assert answer.chosen().profile.name == "SDM630" and in_doubt(answer) == []
    assert (answer.chosen().energy_wh, answer.chosen().serial) == (1234500, "4711")
    assert report(answer)[-1].startswith("Used: SDM630")


def test_a_meter_that_is_silent_where_others_refuse_is_certain_on_a_good_line():
    answer = found(Bus(EASTRON, silent=True))
    assert answer.chosen().profile.name == "SDM630" and in_doubt(answer) == []


def test_a_model_whose_answer_the_line_lost_stays_in_doubt_and_nothing_is_certain():
    """Of two that look alike the right one's request is lost: the other is not certain for that.
    """
    whole = found(Bus(GAVAZZI))
    assert [c.profile.name for c in whole.candidates] == ["EM24", "EM340"]
    assert whole.chosen() is None and "differently" in report(whole)[-1]
    right = (4, 0x42, 2)
    for error in (ModbusTimeout("0 of 9 bytes came in time"), ModbusCrcError("damaged")):
        asked: list = []

        def lost(key, n, error=error, asked=asked):
            asked.append(key)
            if key == right or (right in asked and key[1] == 0 and len(asked) % 2):
                return error  # and of the rest about half, while one looks
            return None

        answer = found(Bus(GAVAZZI, lost))
        names = [c.profile.name for c in answer.candidates]
        assert names[0] == "EM340" and in_doubt(answer) == ["EM24"], names
        assert energy_of("EM340") != energy_of("EM24")
        assert answer.chosen() is None
        said = report(answer)
        assert "EM24: perhaps, the line lost an answer." in said
        assert said[-1].startswith("Not certain on this line")


def test_doubt_about_one_that_bills_the_same_is_none():
    """SDM72D-M reads what SDM630 reads; its own request is lost."""
    own = (4, 0x34, 22)
    assert own in [(g.function, g.address, g.count) for g in detect.load("SDM72D-M").groups]
    answer = found(Bus(EASTRON, lambda key, n: ModbusCrcError("x") if key == own else None))
    assert in_doubt(answer) == ["SDM72D-M"] and answer.chosen().profile.name == "SDM630"


def test_a_line_that_loses_all_after_the_first_answer_leaves_everything_in_doubt():
    answer = found(Bus(EASTRON, lambda key, n: ModbusTimeout("x") if n > 1 else None))
    assert len(in_doubt(answer)) == len(answer.candidates) == len(detect.names())
    assert answer.chosen() is None

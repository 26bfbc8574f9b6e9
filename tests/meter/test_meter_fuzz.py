"""A million generated answers through codec and register types: only declared errors."""

import random

import pytest

from firmware.errors import ModbusError
from firmware.meter.modbus import check_reply, crc16, reply_size
from firmware.meter.profiles import Field, load, names
from firmware.meter.registers import TEXT, decode, text


def fields() -> list[tuple[Field, bool]]:
    found = []
    for name in names():
        profile = load(name)
        own = profile.fields + (profile.serial.fields if profile.serial else [])
        found += [(field, profile.low_first) for field in own]
    return found


def answer(dice: random.Random, unit: int, function: int, count: int) -> bytearray:
    """Rubbish, or a right answer, or one that is nearly right."""
    kind = dice.randrange(4)
    if kind == 0:
        return bytearray(dice.randbytes(dice.randrange(40)))
    body = bytearray((unit, function, 2 * count)) + dice.randbytes(2 * count)
    if kind == 1:
        body[dice.randrange(3)] ^= dice.randrange(256)
    if kind == 2:
        del body[dice.randrange(len(body)) :]
    crc = crc16(body, len(body))
    return body + bytearray((crc & 0xFF, crc >> 8))


def campaign(turns: int, seed: int) -> int:
    """Turns done; how many answers were taken is returned."""
    dice = random.Random(seed)
    every = fields()
    taken = 0
    for _ in range(turns):
        unit, function, count = dice.randrange(1, 248), dice.choice((3, 4)), dice.randrange(1, 9)
        data = answer(dice, unit, function, count)
        reply_size(data, len(data), count)
        try:
            check_reply(data, len(data), unit, function, count)
        except ModbusError:
            continue
        taken += 1
        field, low_first = dice.choice(every)
        if field.kind == TEXT:
            assert text(data, 3, 2 * count).isprintable()
        elif field.words <= count:
            value = decode(data, 3, field.kind, low_first, field.power)
            assert value is None or isinstance(value, int)
    return taken


def test_twenty_thousand_answers() -> None:
    assert 4000 < campaign(20_000, 1) < 12_000


@pytest.mark.long
def test_a_million_answers() -> None:
    assert campaign(1_000_000, 2) > 100_000

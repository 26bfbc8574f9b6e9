"""The firmware's meter on both MicroPython builds against a simulated meter on a real line."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from firmware.meter.profiles import names
from tests import mpy
from tests.cases.meters.rig import Rig

BUILDS = [
    "micropython",
    pytest.param(
        "micropython32", marks=pytest.mark.skipif(not mpy.has_32_bit(), reason=mpy.NO_32_BIT)
    ),
]
both = pytest.mark.parametrize("which", BUILDS)


def run(work: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(work())


@both
def test_register_and_power_arrive_at_9600_baud(which: str) -> None:
    async def work() -> None:
        async with Rig(which, baud=9600) as rig:
            assert (await rig.do("identify"))["serial"] == "21034567"
            rig.flow(11000)
            answer = await rig.do("read")
            assert answer["state"] == "ok"
            assert answer["wh"] == 1_234_567
            assert answer["w"] == 11000
            assert answer["ma"] == 15914
            assert answer["mv"] in (230399, 230400)

    run(work)


@both
def test_difference_of_readings_is_the_meters_own_at_sixty_fold_time(which: str) -> None:
    async def work() -> None:
        async with Rig(which, speed=60) as rig:
            rig.flow(0)
            before_book = rig.sim.register_wh
            before = await rig.do("read")
            rig.flow(11000)
            for _ in range(8):
                await asyncio.sleep(0.2)
                answer = await rig.do("read")
                assert answer["state"] == "ok", answer
            rig.flow(0)
            after = await rig.do("read")
            assert after["state"] == "ok"
            assert after["wh"] - before["wh"] == rig.sim.register_wh - before_book > 200

    run(work)


@both
def test_an_exponent_the_meter_changes_is_followed_and_its_step_stated(which: str) -> None:
    """The WM3M4C says in a register of its own which power of ten its counter has."""

    async def work() -> None:
        for exponent, wh, step in ((-3, 1_234_567, 1), (0, 1_234_567, 1), (2, 1_234_500, 100)):
            async with Rig(which, model="WM3M4C") as rig:
                rig.sim.device.exponent = exponent
                answer = await rig.do("read")
                assert (answer["state"], answer["wh"]) == ("ok", wh), (exponent, answer)
                assert answer["resolution_wh"] == step
                assert rig.sim.register_wh == wh
        async with Rig(which, model="WM3M4C") as rig:
            for wild in (19, 100, 32766, 32767):
                rig.sim.device.exponent = wild
                answer = await rig.do("read")
                assert answer["problem"].startswith("the meter has no value"), (wild, answer)
            rig.sim.device.exponent = 0
            assert (await rig.do("read"))["wh"] == 1_234_567

    run(work)


SLOW = ("timeout_ms=120", "late_ms=500", "attempts=2")

SILENT_AFTER_RETRIES = [
    ("silence", None, "ModbusTimeout", "timeouts"),
    ("crc", None, "ModbusCrcError", "damaged"),
    ("wrong_unit", 1, "ModbusReplyError", "foreign"),
    ("short", 3, "ModbusTimeout", "timeouts"),
    ("late", 250, "ModbusTimeout", "timeouts"),
]


@both
def test_line_faults_are_told_counted_and_end(which: str) -> None:
    async def work() -> None:
        async with Rig(which, settings=SLOW) as rig:
            good = await rig.do("read")
            for fault, param, error, counter in SILENT_AFTER_RETRIES:
                before = await rig.do("stats")
                rig.sim.set_fault(fault, param)
                answer = await rig.do("read")
                assert (answer["error"], answer["state"]) == (error, "silent"), (fault, answer)
                after = await rig.do("stats")
                assert after[counter] - before[counter] == 2, (fault, after)
                assert after["retries"] - before["retries"] == 1
                rig.sim.clear_fault()
                answer = await rig.do("read")
                assert (answer["state"], answer["wh"]) == ("ok", good["wh"]), (fault, answer)

    run(work)


@both
def test_exceptions_are_told_and_busy_is_tried_again(which: str) -> None:
    async def work() -> None:
        async with Rig(which) as rig:
            rig.sim.set_fault("exception", 2)
            answer = await rig.do("read")
            assert (answer["error"], answer["text"]) == ("ModbusException", "modbus exception 2")
            assert (await rig.do("stats"))["requests"] == 1
            rig.sim.set_fault("exception", 6)
            assert (await rig.do("read"))["text"] == "modbus exception 6"
            assert (await rig.do("stats"))["requests"] == 4

    run(work)


@both
def test_an_echoing_line_is_read_as_any_other(which: str) -> None:
    async def work() -> None:
        async with Rig(which) as rig:
            rig.sim.set_fault("echo")
            assert (await rig.do("read"))["wh"] == 1_234_567
            stats = await rig.do("stats")
            assert (stats["echoes"], stats["retries"]) == (1, 0)

    run(work)


@both
def test_a_late_answer_is_never_taken_for_a_later_one(which: str) -> None:
    """An EM24 needs requests of the same length: voltage's late answer must not become current."""

    async def work() -> None:
        async with Rig(which, model="EM24", settings=SLOW) as rig:
            rig.flow(6900)
            good = await rig.do("read")
            for delay_ms in (130, 200, 300):
                rig.sim.set_fault("late", delay_ms)
                await rig.do("read")
                rig.sim.clear_fault()
                answer = await rig.do("read")
                assert answer["state"] == "ok", answer
                assert [answer[k] for k in ("w", "ma", "mv")] == [
                    good[k] for k in ("w", "ma", "mv")
                ]

    run(work)


@both
def test_lost_and_damaged_frames_cost_no_energy(which: str) -> None:
    async def work() -> None:
        async with Rig(
            which, speed=60, settings=("timeout_ms=40", "late_ms=100", "attempts=5")
        ) as rig:
            first = (await rig.do("read"))["wh"]
            rig.sim.set_fault("drop", 10)
            rig.flow(11000)
            states = set()
            for _ in range(60):
                states.add((await rig.do("read"))["state"])
            assert states <= {"ok", "silent"}
            rig.flow(0)
            rig.sim.clear_fault()
            last = await rig.do("read")
            assert last["state"] == "ok", last
            assert last["wh"] - first == rig.sim.register_wh - first
            stats = await rig.do("stats")
            assert stats["retries"] > 3, stats

    run(work)


@both
def test_a_poll_allocates_nothing(which: str) -> None:
    """On every model, from the request to the reading, as Runner.watch_meter does it."""

    async def work() -> None:
        for model in names():
            async with Rig(which, model=model, start_wh=5_000_000) as rig:
                rig.flow(7360)
                for _ in range(5):
                    before = (await rig.do("stats"))["retries"]
                    answer = await rig.do("many 20")
                    if (await rig.do("stats"))["retries"] == before:
                        break  # an answer that came too late on a busy machine is an error's cost
                else:
                    pytest.fail(f"{model}: the line was never free of retries")
                assert answer["bytes"] == 0, (model, answer)

    run(work)

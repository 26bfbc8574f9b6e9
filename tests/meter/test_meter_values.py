"""Figures that cannot be true: the firmware refuses them, says so, and bills nothing from them."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

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


REFUSED_AT_ONCE = [
    ("nan", None, "the meter has no value"),
    ("rollback", 1, "stepped back"),
    ("rollback", 500, "stepped back"),
    ("jump", 5000, "more than the supply can give"),
    ("jump", 40_000_000, "more than the supply can give"),
    ("power", 60000, "power shown"),
]


@both
def test_impossible_figures_are_refused_and_good_ones_taken_again(which: str) -> None:
    async def work() -> None:
        async with Rig(which) as rig:
            good = await rig.do("read")
            for fault, param, says in REFUSED_AT_ONCE:
                rig.sim.set_fault(fault, param)
                for _ in range(2):
                    answer = await rig.do("read")
                    assert (answer["error"], answer["state"]) == ("MeterError", "implausible")
                    assert says in answer["text"] == answer["problem"], (fault, answer)
                rig.sim.clear_fault()
                answer = await rig.do("read")
                assert (answer["state"], answer["wh"]) == ("ok", good["wh"]), (fault, answer)

    run(work)


@both
def test_another_meter_is_found_at_once_by_its_number(which: str) -> None:
    async def work() -> None:
        async with Rig(which) as rig:
            assert (await rig.do("identify"))["serial"] == "21034567"
            await rig.do("read")
            rig.sim.set_fault("swap", "99000001")
            answer = await rig.do("identify")
            assert (answer["error"], answer["state"]) == ("MeterError", "swapped")
            assert "99000001" in answer["text"] and "21034567" in answer["text"]
            assert (await rig.do("read"))["state"] == "swapped"
            rig.sim.clear_fault()
            assert (await rig.do("read"))["state"] == "ok"

    run(work)


@both
def test_after_a_silence_the_number_is_asked_for_before_figures_are_believed(which: str) -> None:
    async def work() -> None:
        settings = ("timeout_ms=100", "late_ms=120", "attempts=2")
        async with Rig(which, start_wh=1000, settings=settings) as rig:
            await rig.do("identify")
            await rig.do("read")
            rig.sim.set_fault("silence")
            assert (await rig.do("read"))["state"] == "silent"
            rig.sim.clear_fault()
            rig.sim.set_fault("swap", "99000001")
            answer = await rig.do("read")
            assert answer["state"] == "swapped", answer
            assert (await rig.do("read"))["state"] == "swapped"
            await rig.do("forget")
            answer = await rig.do("read")
            assert (answer["state"], answer["wh"]) == ("ok", 5000)

    run(work)


@pytest.mark.parametrize(
    ("fault", "param", "says"),
    [
        ("freeze", None, "the energy register"),
        ("pace", 50, "disagree"),
        ("power", 15000, "disagree"),
    ],
)
def test_a_register_that_does_not_follow_the_power_is_found(
    fault: str, param: int | None, says: str
) -> None:
    async def work() -> None:
        async with Rig("micropython", speed=60) as rig:
            rig.flow(11000)
            await rig.do("read")
            rig.sim.set_fault(fault, param)
            for _ in range(40):
                await asyncio.sleep(0.1)
                answer = await rig.do("read")
                if "error" in answer:
                    break
            assert (answer["state"], answer.get("error")) == ("implausible", "MeterError")
            assert says in answer["problem"]

    run(work)


@both
def test_after_a_power_cut_the_ledgers_register_is_the_floor(which: str) -> None:
    async def work() -> None:
        async with Rig(which, start_wh=1000) as rig:
            await rig.do("expect 21034567 1001")
            assert (await rig.do("read"))["problem"] == "the energy register stepped back"
            await rig.do("expect 21034567 990")
            assert (await rig.do("read"))["wh"] == 1000
            await rig.do("expect 55 990")
            assert (await rig.do("identify"))["state"] == "swapped"

    run(work)


def test_the_register_survives_the_simulator(tmp_path: Path) -> None:
    async def work() -> None:
        state = tmp_path / "meter.json"
        async with Rig("micropython", speed=60, start_wh=7, state_file=state) as rig:
            rig.flow(22000)
            await asyncio.sleep(0.3)
            rig.flow(0)
            last = rig.sim.register_wh
        assert last > 20
        async with Rig("micropython", start_wh=7, state_file=state) as rig:
            assert (await rig.do("read"))["wh"] == rig.sim.register_wh == last

    run(work)


def test_energy_is_counted_while_nobody_asks() -> None:
    async def work() -> None:
        async with Rig("micropython", speed=60) as rig:
            before = rig.sim.register_wh
            times = [rig.clock.now_ms()]
            rig.flow(20000)
            times.append(rig.clock.now_ms())
            await asyncio.sleep(0.5)
            times.append(rig.clock.now_ms())
            rig.flow(0)
            times.append(rig.clock.now_ms())
            least = 20000 * (times[2] - times[1]) // 3_600_000
            most = 20000 * (times[3] - times[0]) // 3_600_000
            assert least - 2 <= rig.sim.register_wh - before <= most + 2
            assert rig.sim.requests == 0

    run(work)

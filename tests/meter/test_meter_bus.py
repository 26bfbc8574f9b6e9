"""Several meters on one line: each gets its turn, none its neighbour's answer."""

import asyncio
import json

import pytest

from hostsim.clock import WorldClock
from hostsim.meter.device import MeterDevice
from hostsim.meter.models import model
from hostsim.meter.sim import MeterSim
from hostsim.setup import LIB, ROOT
from tests import mpy


@pytest.mark.parametrize("which", mpy.INTERPRETERS)
def test_two_meters_share_a_line(which: str) -> None:
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)

    async def work() -> dict[str, object]:
        clock = WorldClock()
        other = MeterDevice(clock, lambda: 0, model("EM340"), "B2", 777_700, 7)
        sim = MeterSim(clock, lambda: 0, start_wh=1000, baud=9600, others=[other])
        await sim.start()
        try:
            process = await asyncio.create_subprocess_exec(
                str(mpy.interpreter(which)),
                "tests/cases/meters/two_meters.py",
                sim.path,
                "9600",
                "6",
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                env={"MICROPYPATH": f"{ROOT}:{LIB}:.frozen"},
            )
            out, _ = await asyncio.wait_for(process.communicate(), 40)
            answer: dict[str, object] = json.loads(out)
            return answer
        finally:
            await sim.stop()

    answer = asyncio.run(work())
    assert answer["first"] == [1000] * 6
    assert answer["second"] == [777_700] * 6
    order = str(answer["order"])
    assert "b" in order[:6] and "a" in order[:6], order
    # the transceiver: on for each request, off in time for the answer, not before all has left
    turns = answer["turns"]
    assert isinstance(turns, list)
    assert turns == [True, False] * (len(turns) // 2)
    assert len(turns) >= 2 * (6 + 6 * 4)
    assert answer["early"] == 0
    assert int(str(answer["retries"])) <= 3, answer

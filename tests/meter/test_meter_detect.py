"""The firmware finds line, unit and model by asking, and guesses nothing where maps overlap."""

import asyncio
import json
from typing import Any

import pytest

from hostsim.clock import WorldClock
from hostsim.meter.sim import MeterSim
from hostsim.setup import LIB, ROOT
from tests import mpy

PATIENCE = 4
"""A machine that is busy keeps a simulator longer than the 150 ms that a search waits."""


async def detected(sim: MeterSim, patience: int, *lines: str) -> dict[str, Any]:
    await sim.start()
    try:
        process = await asyncio.create_subprocess_exec(
            str(mpy.interpreter("micropython")),
            "tests/cases/meters/read_meter.py",
            "detect",
            sim.path,
            str(patience),
            *lines,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            env={"MICROPYPATH": f"{ROOT}:{LIB}:.frozen"},
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        answer: dict[str, Any] = json.loads(out)
        return answer
    finally:
        await sim.stop()


def find(model: str, baud: int = 115200, fault: str = "", *lines: str) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        sim = MeterSim(
            WorldClock(), lambda: 4600, model, start_wh=1_234_567, baud=baud, heed_baud=True
        )
        if fault:
            sim.set_fault(fault)
        patience = 1 if fault == "silence" else PATIENCE  # for nothing it is waited long enough
        return await detected(sim, patience, *(lines or ("115200 8N1",)))

    return asyncio.run(work())


@pytest.mark.parametrize(
    "model", ["SDM630", "SDM72D-M-V2", "SDM72D-M", "B21-B23", "IEM3155", "PAC2200", "WM3M4C"]
)
def test_a_model_of_its_own_kind_is_found(model: str) -> None:
    answer = find(model)
    assert answer["model"] == model, answer
    assert any("1234.56" in line for line in answer["report"])
    # whether all came in time is the machine's matter here, with other tests beside it
    assert "requests answered, 0 damaged" in answer["report"][-2]
    assert f'"model": "{model}"' in answer["report"][-1]


def test_a_single_phase_meter_is_not_taken_for_three_phases() -> None:
    answer = find("SDM120")
    assert answer["model"] in ("SDM120", "SDM230"), answer


def test_maps_that_would_bill_differently_are_left_to_the_technician() -> None:
    answer = find("EM24")
    assert "model" not in answer
    assert "differently" in answer["report"][-1]
    assert any(line.startswith("EM24: 1234.500 kWh") for line in answer["report"])


def test_the_baud_rate_is_found() -> None:
    answer = find("DVH4013", 19200, "", "115200 8N1", "9600 8N1", "19200 8N1")
    assert answer["report"][0] == "A meter answers at 19200 8N1, unit 1."
    assert answer["model"] == "DVH4013"


def test_nothing_there_says_what_to_look_at() -> None:
    answer = find("SDM630", 9600, "silence", "9600 8N1")
    assert answer["report"][0] == "No meter answers on any line setting."
    assert "swap A and B" in answer["report"][1]

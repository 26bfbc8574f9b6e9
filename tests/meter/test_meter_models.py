"""Every model: what the firmware bills is what the meter's own register gained."""

import asyncio
import json
from fractions import Fraction

import pytest

from firmware.meter.profiles import load, names
from hostsim.meter.cli import listing
from hostsim.meter.models import models
from tests import mpy
from tests.cases.meters.rig import Rig


def test_firmware_and_simulator_know_the_same_models() -> None:
    assert names() == list(models())
    assert len(names()) >= 18


async def charge(which: str, name: str, gate: asyncio.Semaphore) -> str:
    """One charge on that model; what went wrong, or nothing."""
    patient = ("timeout_ms=250", "late_ms=400", "patience=8")
    async with gate, Rig(which, model=name, speed=60, start_wh=8_765_432, settings=patient) as rig:
        identity = await rig.do("identify")
        expected = rig.sim.device.serial if rig.sim.device.model.serial else ""
        first = await rig.do("read")
        book = rig.sim.register_wh
        rig.flow(11000)
        for _ in range(4):
            await asyncio.sleep(0.25)
            middle = await rig.do("read")
            if middle["state"] != "ok":
                return f"{name}: {middle}"
        power = middle["w"]
        rig.flow(0)
        last = await rig.do("read")
        gained = rig.sim.register_wh - book
        good = (
            identity.get("serial") == expected
            and first["wh"] == book
            and last["wh"] - first["wh"] == gained
            and gained >= 100
            and 10990 <= power <= 11000
        )
        return "" if good else f"{name}: {identity} {first} {middle} {last} book {book}+{gained}"


@pytest.mark.parametrize("which", mpy.INTERPRETERS)
def test_a_charge_on_every_model_is_billed_to_its_own_register(which: str) -> None:
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)

    async def work() -> list[str]:
        gate = asyncio.Semaphore(5)
        return await asyncio.gather(*(charge(which, name, gate) for name in names()))

    assert [problem for problem in asyncio.run(work()) if problem] == []


def test_profiles_agree_with_the_facts() -> None:
    """Two tables, written separately: the places, types and scales of energy and power are the
    same.
    """
    entries = {entry["model"]: entry for entry in listing()}
    assert list(entries) == names()
    for name in names():
        facts = models()[name]
        profile = load(name)
        entry = entries[name]
        energy = facts.registers["Import"]
        wh = Fraction(energy.scale) * (1000 if energy.unit == "kWh" else 1)
        assert entry["import_register"] == energy.address
        assert entry["import_type"] == energy.type
        assert Fraction(str(entry["import_scale_wh"])) == wh
        assert entry["function_code"] == energy.function_code
        assert energy.word_order == entry["word_order"]
        power = facts.registers.get("Power") or facts.registers["ImportPower"]
        assert entry["power_register"] == power.address
        assert sum(group.count for group in profile.groups) <= 125
        json.dumps(entry)

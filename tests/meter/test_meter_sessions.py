"""Whole sessions of every model and with every fault of a meter: billed is what its own register
gained, and nothing is given away.
"""

import asyncio
import json

import pytest

from firmware.meter.profiles import names
from hostsim.meter.models import model
from tests.worlds import (
    act,
    agree,
    charging,
    energy,
    run,
    screen,
    settled,
    until_record,
    until_state,
)

pytestmark = pytest.mark.timeout(400)
THIRDS = [names()[i::3] for i in range(3)]


async def next_driver(world):
    """The session before is over; what it wrote is forgotten."""
    await act(world, "remove_card")
    await act(world, "stop")
    await until_state(world, "free")
    world.records.clear()


async def fit(world, name):
    """An electrician changes the meter and its settings with the power off."""
    await act(world, "power", on=False)
    kind = model(name)
    await world.change_meter(model=name, serial="4711", start_wh=8_765_400, baud=19200)
    path = world.files / "config.json"
    config = json.loads(path.read_text())
    config["meter"] = {"model": name, "unit": kind.unit, "baud": 19200}
    path.write_text(json.dumps(config))
    await act(world, "power", on=True)
    await world.until_ready(60)


@pytest.mark.parametrize("models", THIRDS, ids=["+".join(third) for third in THIRDS])
def test_a_session_of_each_model_is_billed_to_its_own_register(models):
    async def scenario(world):
        for name in models:
            await fit(world, name)
            world.records.clear()
            before = world.meter.register_wh
            await charging(world)
            await energy(world, 300)
            step = world.meter.device.model.resolution_wh
            if step > 1:
                said = f" kWh ±{'0.1' if step == 100 else '0.01'}"
                await world.until(lambda said=said: said in screen(world), 20, "the step shown")
            await act(world, "unplug")
            last = await settled(world)
            billed = last["priced"]["billed_wh"]
            assert billed == world.meter.register_wh - before >= 300, name
            stated = [line for line in world.receipt if "steps of" in line]
            wanted = [f"{step / 1000:.3f} kWh"] if step > 1 else []
            assert [line.split("of")[1].strip() for line in stated] == wanted, name
            agree(world)
            await next_driver(world)

    run(scenario, wanted_wh=20000, config={"languages": ["en"]})


# fault, parameter, the alarm's code ("": the session goes on), what the operator reads in the log
FAULTS = [
    ("silence", None, "meter_lost", "ModbusTimeout: 0 of"),
    ("crc", None, "meter_lost", "ModbusCrcError: check sum"),
    ("short", 3, "meter_lost", "bytes came in time"),
    ("wrong_unit", 1, "meter_lost", "unit 2 answered instead of 1"),
    ("exception", 4, "meter_lost", "modbus exception 4"),
    ("late", 900, "meter_lost", "ModbusTimeout: 0 of"),
    ("noise", 3, "meter_lost", "meter: Modbus"),
    ("nan", None, "meter_lost", "the meter has no value"),
    ("rollback", 1000, "meter_lost", "stepped back"),
    ("jump", 100_000, "meter_lost", "more than the supply can give"),
    ("freeze", None, "meter_lost", "the energy register"),
    ("pace", 50, "meter_lost", "the energy register and the power shown disagree"),
    ("power", 15_000, "meter_lost", "the energy register and the power shown disagree"),
    ("power", 60_000, "meter_lost", "the power shown is more than the supply can give"),
    ("swap", "99000001", "meter_swapped", "meter 99000001 answers instead of 21034567"),
    ("echo", None, "", "requests answered"),
    ("late", 100, "", ""),
    ("drop", 10, "", "requests answered"),
]
WORDS = "The meter does not answer"
STAYS = ("freeze", "pace")  # until it is paid: what the register says is billed all the same
GROUPS = [FAULTS[i::3] for i in range(3)]


@pytest.mark.parametrize("faults", GROUPS, ids=["+".join(f[0] for f in g) for g in GROUPS])
def test_a_fault_in_a_session_costs_nobody_a_watt_hour(faults):
    async def scenario(world):
        for name, param, alarm, told in faults:
            world.log.clear()
            before = world.meter.register_wh
            await charging(world)
            await energy(world, 50)
            world.meter.set_fault(name, param)
            if alarm:
                await until_record(world, "power_off", "alarm")
                await world.until(lambda: not world.evse.contactor, 60, "the contactor to open")
                await until_record(world, "alarm")
                assert world.records["alarm"]["code"] == alarm, name
                await world.until(lambda: WORDS in screen(world), 20, f"{name}: words")
            else:
                await energy(world, 400)
                assert "alarm" not in world.records, name
            if name not in STAYS:
                world.meter.clear_fault()
            await act(world, "unplug")
            last = await settled(world)
            priced = last["priced"]
            assert priced["billed_wh"] == world.meter.register_wh - before >= 50, name
            world.meter.clear_fault()
            assert priced["reason"] == ("meter_lost" if alarm else "unplug"), name
            assert not told or any(told in line for line in world.log), (name, world.log)
            agree(world)
            await next_driver(world)
            if name in STAYS:
                await asyncio.sleep(5)  # the idle charger takes the register as it is now
            await world.until_ready(60)

    run(scenario, wanted_wh=20000, config={"languages": ["en"]})


def test_a_register_that_stands_still_at_the_end_and_counts_later_is_billed_whole():
    async def scenario(world):
        before = world.meter.register_wh
        await charging(world)
        await energy(world, 100)
        world.meter.set_fault("freeze")
        flowed = world.meter.device.counted_mj
        await world.until(
            lambda: world.meter.device.counted_mj - flowed > 60 * 3_600_000, 60, "60 Wh more"
        )
        await act(world, "unplug")
        await asyncio.sleep(2)
        assert "priced" not in world.records
        world.meter.clear_fault()
        priced = (await settled(world))["priced"]
        assert priced["billed_wh"] == world.meter.register_wh - before >= 160
        agree(world)

    run(scenario, wanted_wh=20000)


def test_a_register_that_jumps_between_sessions_is_not_what_a_session_begins_on():
    async def scenario(world):
        await world.until_ready(60)
        world.meter.set_fault("jump", 100000)
        await world.until(lambda: WORDS in screen(world), 20, "words")
        await asyncio.sleep(4)  # four minutes of the charger's time
        assert WORDS in screen(world)
        world.meter.clear_fault()
        await world.until_ready(60)
        before = world.meter.register_wh
        await charging(world)
        await energy(world, 100)
        await act(world, "unplug")
        priced = (await settled(world))["priced"]
        assert priced["start_wh"] == before
        assert priced["billed_wh"] == world.meter.register_wh - before >= 100
        agree(world)

    run(scenario, config={"languages": ["en"]})


@pytest.mark.parametrize("fault", ["nan", "swap", "silence"])
def test_a_meter_that_never_comes_back_is_billed_up_to_its_last_good_register(fault):
    async def scenario(world):
        before = world.meter.register_wh
        await charging(world)
        await energy(world, 100)
        good = world.meter.register_wh
        world.meter.set_fault(fault)
        await until_record(world, "priced")
        world.meter.clear_fault()
        priced = world.records["priced"]
        assert priced["start_wh"] == before
        assert 100 <= priced["billed_wh"] <= good - before
        codes = [r["code"] for r in world.charger_records() if r["kind"] == "alarm"]
        assert codes[-1] == "billed_without_final_reading"
        await act(world, "unplug")
        await settled(world)
        agree(world)

    run(scenario, wanted_wh=20000, config={"meter_wait_s": 60})


def test_power_past_the_open_contactor_is_an_alarm_and_sold_to_nobody():
    async def scenario(world):
        await until_state(world, "free")
        world.evse.set_fault("contactor_bypassed", True)
        await until_record(world, "alarm")
        assert world.records["alarm"]["code"] == "power_without_contactor"
        assert world.records["alarm"]["detail"] == "2300 W"
        await world.until(lambda: world.view["message"] == "contactor_welded", 20, "the words")
        await act(world, "tap", card="visa")
        await asyncio.sleep(1)
        assert world.terminal.books.records == []
        world.evse.set_fault("contactor_bypassed", False)
        await act(world, "remove_card")
        await until_state(world, "free")
        await settled(world)
        agree(world)

    run(scenario)

"""Whole sessions on all real parts, each ending with the three books. The firmware runs on 32-bit MicroPython."""

import asyncio

import pytest

validate = lambda t, p: None  # noqa
from tests.worlds import agree, charging, money, run, settled, tap, until_state

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("rom", [False, True], ids=["192k-ram", "96k-romfs"])
def test_tap_plug_charge_unplug_bills_what_the_meter_counted(rom):
    async def scenario(world):
        before = world.meter.register_wh
        messages = []
        world.on_mqtt = messages.append
        await charging(world)
        await until_state(world, "paused", timeout_s=60)
        await world.act("unplug")
        last = await settled(world)
        priced = last["priced"]
        assert priced["billed_wh"] == world.meter.register_wh - before >= 1000
        assert priced["reason"] == "vehicle"
        books = agree(world)
        assert money(books) == (6000, priced["total_minor"], 6000 - priced["total_minor"])
        assert world.view["heap"]["total"] <= (96 if rom else 192) * 1024
        assert world.receipt and any("Total" in line for line in world.receipt)
        for message in messages:
            validate(message["topic"], message["payload"])
        assert {m["topic"].rsplit("/", 1)[1] for m in messages} >= {"status", "session", "records", "ack"}

    run(scenario, rom=rom)


def test_plug_first_then_tap():
    async def scenario(world):
        await until_state(world, "free")
        await world.act("plug")
        await until_state(world, "plugged")
        await tap(world, "girocard")
        await until_state(world, "charging")
        await until_state(world, "paused", timeout_s=60)
        await world.act("unplug")
        await settled(world)
        agree(world)

    run(scenario, wanted_wh=300)


@pytest.mark.parametrize(
    ("card", "text"),
    [("declined", "try_another_card"), ("pin", "pin_needed"), ("network", "no_network")],
)
def test_declined_card_costs_nothing_and_says_why(card, text):
    async def scenario(world):
        await until_state(world, "free")
        await tap(world, card)
        await world.until(lambda: world.view.get("message") == text, 30, text)
        await until_state(world, "free")
        last = await settled(world)
        assert last["declined"]["text"] == text
        assert money(agree(world)) == (0, 0, 0)

    run(scenario)


def test_nobody_plugs_in_and_the_whole_hold_goes_back():
    async def scenario(world):
        await until_state(world, "free")
        await tap(world)
        await until_state(world, "wait_plug")
        last = await settled(world)
        assert last["cancelled"]["reason"] == "plug_timeout"
        assert money(agree(world)) == (6000, 0, 6000)

    run(scenario, config={"plug_timeout_s": 30})


@pytest.mark.parametrize("how", ["button", "tap", "unplug", "emergency", "remote"])
def test_every_way_to_stop_settles(how):
    async def scenario(world):
        await charging(world)
        await world.until(lambda: world.meter.register_wh > 1_234_700, 30, "some energy")
        if how == "button":
            await world.act("stop")
        elif how == "tap":
            await asyncio.to_thread(world.terminal.remove_card)
            await tap(world)
        elif how == "unplug":
            await world.act("unplug")
        elif how == "emergency":
            await world.act("emergency", on=True)
        else:
            world.back_office.send_command("FC-0001", "stop")
        await until_state(world, "finished", "settling", "receipt")
        if how != "unplug":
            await world.act("unplug")
        last = await settled(world)
        assert last["power_off"]["reason"] == how
        assert last["priced"]["end_wh"] == world.meter.register_wh
        agree(world)

    run(scenario, wanted_wh=20000)


def test_price_never_passes_the_hold():
    async def scenario(world):
        await charging(world)
        await until_state(world, "finished", "settling", "receipt", timeout_s=90)
        await asyncio.sleep(1)
        await world.act("unplug")
        last = await settled(world)
        assert last["power_off"]["reason"] == "hold_reached"
        assert 200 <= last["priced"]["total_minor"] <= 300
        agree(world)

    run(scenario, hold_minor=300, wanted_wh=20000)


@pytest.mark.parametrize("when", ["wait_plug", "charging", "settling"])
def test_power_cut_is_settled_at_the_next_boot(when):
    async def scenario(world):
        before = world.meter.register_wh
        if when == "wait_plug":
            await until_state(world, "free")
            await tap(world)
            await until_state(world, "wait_plug")
        else:
            await charging(world)
            await world.until(lambda: world.meter.register_wh > before + 150, 30, "some energy")
        if when == "settling":
            await world.act("terminal", on=False)
            await world.act("stop")
            await world.act("unplug")
            await until_state(world, "settling")
        await world.act("power", on=False)
        await asyncio.sleep(0.5)
        await world.act("terminal", on=True)
        await world.act("power", on=True)
        last = await settled(world)
        books = agree(world)
        if when == "wait_plug":
            assert money(books) == (6000, 0, 6000)
        else:
            assert last["priced"]["billed_wh"] == world.meter.register_wh - before
            assert books["terminal"]["captured_minor"] == last["priced"]["total_minor"] > 0

    run(scenario, wanted_wh=20000)


def test_network_away_for_the_whole_session_and_everything_arrives_once():
    async def scenario(world):
        await until_state(world, "free")
        await world.act("network", on=False)
        await charging(world)
        await world.until(lambda: world.meter.register_wh > 1_234_700, 30, "some energy")
        await world.act("stop")
        await world.act("unplug")
        await until_state(world, "receipt")
        assert not world.synced()
        await world.act("network", on=True)
        await settled(world)
        agree(world)

    run(scenario, wanted_wh=20000)


def test_terminal_away_at_the_end_is_captured_when_it_is_back():
    async def scenario(world):
        await charging(world)
        await world.act("terminal", on=False)
        await world.act("stop")
        await world.act("unplug")
        await until_state(world, "settling")
        await asyncio.sleep(2)
        assert world.state == "settling"
        await world.act("terminal", on=True)
        await settled(world)
        agree(world)

    run(scenario, wanted_wh=20000)


def test_lost_meter_stops_the_power_and_the_register_is_billed_when_it_is_back():
    async def scenario(world):
        before = world.meter.register_wh
        await charging(world)
        await world.until(lambda: world.meter.register_wh > before + 150, 30, "some energy")
        await world.act("meter", on=False)
        await until_state(world, "finished")
        assert not world.evse.contactor
        await world.act("meter", on=True)
        await world.act("unplug")
        last = await settled(world)
        assert last["power_off"]["reason"] == "meter_lost"
        assert last["priced"]["billed_wh"] == world.meter.register_wh - before
        agree(world)

    run(scenario, wanted_wh=20000)


@pytest.mark.parametrize("fault", ["contactor_stuck_open", "contactor_welded"])
def test_contactor_faults_bill_nothing_wrong(fault):
    async def scenario(world):
        before = world.meter.register_wh
        await until_state(world, "free")
        world.evse.set_fault(fault, True)
        await tap(world)
        await until_state(world, "wait_plug")
        await world.act("plug")
        if fault == "contactor_welded":
            await until_state(world, "charging")
            await world.until(lambda: world.meter.register_wh > before + 150, 30, "some energy")
            await world.act("stop")
        await until_state(world, "settling", "receipt", "finished")
        await world.act("unplug")
        last = await settled(world)
        agree(world)
        assert last["alarm"]["code"] == ("contactor_not_closing" if fault == "contactor_stuck_open" else "contactor_welded")
        if fault == "contactor_stuck_open":
            assert last["priced"]["total_minor"] == 0
        else:
            await until_state(world, "out_of_service", timeout_s=30)

    run(scenario, wanted_wh=20000)

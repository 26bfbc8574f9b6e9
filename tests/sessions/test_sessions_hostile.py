"""Sessions that a fresh reader once broke: each ends with the three books, nothing given away."""

import asyncio
import json

import pytest

from hostsim.broker_proxy import ANSWERS, PUBLISH, Faults
from hostsim.terminal.books import Kind, Record, State
from hostsim.terminal.cards import CARDS
from hostsim.world import DEFAULT_TARIFF
from tests.worlds import (
    act,
    agree,
    charging,
    energy,
    money,
    results,
    run,
    screen,
    settled,
    tap,
    until_record,
    until_state,
)

pytestmark = pytest.mark.timeout(240)

ENERGY_ONLY = {
    "id": "E",
    "currency": "EUR",
    "elements": [
        {"price_components": [{"type": "ENERGY", "price": 0.59, "vat": 19, "step_size": 1}]}
    ],
}


def test_an_approval_whose_acknowledgement_is_lost_delivers_nothing():
    async def scenario(world):
        before = world.meter.register_wh
        await until_state(world, "free")
        await act(world, "plug")
        await until_state(world, "plugged")
        await act(world, "terminal_fault", name="lose-confirm", on=True)
        await tap(world)
        await world.until(lambda: "authorised" in world.records, 30, "the approval in flash")
        await act(world, "terminal", on=False)
        await asyncio.sleep(3)
        await act(world, "terminal", on=True)
        await world.until(lambda: "cancelled" in world.records, 90, "the hold to be given back")
        await settled(world)
        assert world.meter.register_wh == before and "energising" not in world.records
        assert agree(world)["terminal"]["captured_minor"] == 0

    run(scenario)


def test_a_session_without_a_known_clock_survives_a_power_cut():
    async def scenario(world):
        before = world.meter.register_wh
        await act(world, "network", on=False)
        await act(world, "power", on=False)
        await asyncio.sleep(0.5)
        await act(world, "power", on=True)
        await until_state(world, "free")
        await charging(world)
        await world.until(lambda: "checkpoint" in world.records, 30, "a checkpoint")
        await act(world, "power", on=False)
        await asyncio.sleep(0.5)
        await act(world, "power", on=True)
        await world.until(lambda: "captured" in world.records, 90, "the capture")
        await act(world, "network", on=True)
        last = await settled(world)
        assert last["priced"]["billed_wh"] == world.meter.register_wh - before > 0
        agree(world)

    run(scenario, tariff=json.dumps(ENERGY_ONLY), wanted_wh=20000)


def test_answers_lost_late_cut_or_overtaken_change_nothing_about_a_session():
    async def scenario(world):
        world.net.faults = Faults(
            drop=0.1, double=0.1, swap=0.3, delay=0.2, cut=0.1, half=0.02,
            packets=ANSWERS | PUBLISH, held_s=2, late_s=1,
        )  # fmt: skip

        def harmed():
            return {"publish", "connack"} <= {what.split()[1] for what in world.net.done}

        await charging(world)
        for turn in range(12):
            world.net.cut_all()
            await energy(world, 100)
            if turn > 1 and harmed():
                break  # on a busy machine few answers come in the time of three turns
        await act(world, "unplug")
        await until_record(world, "captured")
        world.net.faults = Faults()
        await world.until(world.synced, 120, "the charger to leave a half-open connection")
        last = await settled(world)
        assert harmed()
        assert last["captured"]["captured_minor"] == last["priced"]["total_minor"] > 0
        agree(world)

    run(scenario, proxied=True, wanted_wh=20000)


def test_tariffs_sent_during_a_session_wait_for_its_end_whatever_the_power_does():
    def dearer(n):
        tariff = json.loads(DEFAULT_TARIFF.read_text())
        tariff["id"] = f"T-{n}"
        for element in tariff["elements"]:
            for component in element["price_components"]:
                component["price"] += n / 10
        return json.dumps(tariff)

    async def scenario(world):
        await charging(world)
        world.back_office.send_tariff("FC-0001", dearer(1))
        await asyncio.sleep(1.5)
        world.back_office.send_tariff("FC-0001", dearer(2))
        await asyncio.sleep(1.5)
        await act(world, "power", on=False)
        await asyncio.sleep(0.5)
        await act(world, "power", on=True)
        await world.until(lambda: "captured" in world.records, 90, "the capture")
        await act(world, "unplug")
        await world.until(lambda: "tariff" in world.records, 90, "the new tariff")
        last = await settled(world)
        price = last["priced"]["lines"][2]
        assert price == 5900, "billed by the tariff the driver accepted"
        assert (last["tariff"]["tariff"], last["tariff"]["result"]) == ("T-2", "accepted")
        agree(world)
        assert money(agree(world))[1] == last["priced"]["total_minor"]

    run(scenario, wanted_wh=20000)


def test_a_hold_of_somebody_else_is_said_and_survives_our_recovery():
    def stranger(world):
        card = CARDS["mastercard"]
        books = world.terminal.books
        books.add(
            Record(
                1, Kind.RESERVATION, State.PENDING, books.next_receipt(), books.next_trace(),
                2500, 978, card.name, card.pan, card.scheme, "", "", "123456",
                world.clock.now_ms(),
            )
        )  # fmt: skip

    async def scenario(world):
        await act(world, "power", on=False)
        stranger(world)
        await act(world, "power", on=True)
        await until_state(world, "free")
        await world.until(lambda: "alarm" in world.records, 30, "the alarm")
        alarm = world.records["alarm"]
        assert (alarm["code"], alarm["detail"]) == ("foreign_hold", "1")
        await tap(world, "slow")
        await world.until(lambda: "hold_asked" in world.records, 30, "the hold to be asked")
        await act(world, "power", on=False)
        await act(world, "power", on=True)
        await world.until(lambda: "cancelled" in world.records, 90, "our session to end")
        last = await settled(world)
        assert last["cancelled"]["reason"] == "power_cut" and "captured" not in last
        assert world.compare_books()["terminal"]["open"] == [1]

    run(scenario)


def test_a_configuration_that_start_up_cannot_use_is_refused_and_one_in_the_file_is_survived():
    async def answer(world, config, seen):
        world.back_office.send_config("FC-0001", json.dumps(config))
        await world.until(lambda: len(results(world)) > seen, 60, "the charger's answer")
        return results(world)[-1]

    async def scenario(world):
        path = world.files / "config.json"
        config = json.loads(path.read_text())
        for seen, (change, field) in enumerate(
            (
                ({"time_zone": "Middle/Earth"}, "time_zone"),
                ({"currency": "XTS"}, "currency"),
                ({"meter": {"model": "ABACUS"}}, "meter.model"),
                ({"terminal": {"profile": "till"}}, "terminal.profile"),
                ({"meter": {"baud": 9601}}, "meter.baud"),
            )
        ):
            said = await answer(world, config | change, seen)
            assert (said["about"], said["ok"], said["field"]) == ("config", False, field), said
            assert json.loads(path.read_text()) == config
        for hold in (5000, 4000):  # the one in force is kept, whatever comes before a restart
            said = await answer(world, config | {"hold_minor": hold}, len(results(world)))
            assert said["ok"], said
        await act(world, "power", on=False)
        path.write_text(json.dumps(config | {"meter": {"model": "ABACUS"}}))
        world.records.pop("alarm", None)
        await act(world, "power", on=True)
        await until_state(world, "free")
        alarm = world.records["alarm"]
        assert alarm["code"] == "config_refused" and "meter.model" in alarm["detail"]
        assert "60" in screen(world)  # the hold of the configuration before
        await settled(world)

    run(scenario)

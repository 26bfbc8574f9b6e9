"""Whole sessions on all real parts, each ending with the three books.

The firmware runs on 32-bit MicroPython with the heap of a charger.
"""

import asyncio
import json
import random

import pytest

from board.host_flash import FileFlash
from firmware.ledger.ledger import Ledger
from hostsim.charger import Machine
from hostsim.world import CHARGER_ID, DEFAULT_TARIFF
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
    started,
    tap,
    until_record,
    until_state,
    waiting_for_plug,
)

pytestmark = pytest.mark.timeout(300)
ORDER = ["hold_asked", "authorised", "energising", "power_off", "priced", "captured"]


@pytest.mark.parametrize("rom", [False, True], ids=["192k-ram", "96k-romfs"])
def test_tap_plug_charge_unplug_bills_what_the_meter_counted(rom):
    async def scenario(world):
        before = world.meter.register_wh
        await charging(world)
        await until_state(world, "paused")
        await act(world, "unplug")
        last = await settled(world)
        priced = last["priced"]
        assert priced["billed_wh"] == world.meter.register_wh - before >= 1000
        assert priced["reason"] == "vehicle"
        books = agree(world)
        assert money(books) == (6000, priced["total_minor"], 6000 - priced["total_minor"])
        assert world.view["heap"]["total"] <= Machine.choose(rom).heap_kb * 1024
        assert world.receipt and any("Total" in line for line in world.receipt)
        seen = {m["topic"].rsplit("/", 1)[1] for m in world.mqtt}
        assert seen >= {"status", "session", "records", "ack"}
        kinds = [r["kind"] for r in world.charger_records() if r["kind"] in ORDER]
        assert kinds == ORDER

    run(scenario, rom=rom)


def test_plug_first_then_tap():
    async def scenario(world):
        await act(world, "plug")
        await until_state(world, "plugged")
        await tap(world, "girocard")
        await until_record(world, "energising")
        await until_state(world, "paused")
        await act(world, "unplug")
        await settled(world)
        agree(world)

    run(scenario, wanted_wh=300)


@pytest.mark.parametrize(
    ("card", "text"),
    [("declined", "try_another_card"), ("pin", "pin_needed"), ("network", "no_network")],
)
def test_declined_card_costs_nothing_and_says_why(card, text):
    async def scenario(world):
        await tap(world, card)
        await world.until(lambda: world.view.get("message") == text, 60, text)
        await until_state(world, "free")
        last = await settled(world)
        assert last["declined"]["text"] == text
        assert money(agree(world)) == (0, 0, 0)

    run(scenario)


def test_unreadable_card_is_said_and_asks_no_hold():
    async def scenario(world):
        await tap(world, "unreadable")
        await world.until(lambda: "not readable" in screen(world), 60, "the words")
        await asyncio.sleep(0.5)
        await until_state(world, "free")
        assert "hold_asked" not in await settled(world)
        assert money(agree(world)) == (0, 0, 0)

    run(scenario)


def test_partial_approval_is_the_hold_there_is():
    async def scenario(world):
        await waiting_for_plug(world, "partial")
        await act(world, "plug")
        await until_record(world, "power_off")
        await act(world, "unplug")
        last = await settled(world)
        assert last["authorised"]["amount_minor"] == 200
        assert last["power_off"]["reason"] == "hold_reached"
        authorised, captured, released = money(agree(world))
        assert authorised == 200 and 100 <= captured <= 200

    run(scenario, hold_minor=400, wanted_wh=20000)


def test_a_bank_that_takes_its_time_is_waited_for():
    async def scenario(world):
        await charging(world, "slow")
        await until_record(world, "checkpoint", "power_off")
        await act(world, "stop")
        await act(world, "unplug")
        await settled(world)
        authorised, captured, _ = money(agree(world))
        assert authorised == 6000 and captured > 0
        assert world.view["terminal_ms"] > 15000

    run(scenario, wanted_wh=20000)


def test_nobody_plugs_in_and_the_whole_hold_goes_back():
    async def scenario(world):
        await waiting_for_plug(world)
        await until_record(world, "cancelled")
        last = await settled(world)
        assert last["cancelled"]["reason"] == "plug_timeout"
        assert money(agree(world)) == (6000, 0, 6000)

    run(scenario, config={"plug_timeout_s": 60})


@pytest.mark.parametrize("how", ["button", "tap", "unplug", "emergency", "remote"])
def test_every_way_to_stop_settles(how):
    async def scenario(world):
        await charging(world)
        await energy(world, 100)
        if how == "button":
            await act(world, "stop")
        elif how == "tap":
            await act(world, "remove_card")
            await tap(world)
        elif how == "unplug":
            await act(world, "unplug")
        elif how == "emergency":
            await act(world, "emergency", on=True)
        else:
            world.back_office.send_command(CHARGER_ID, "stop")
        await until_record(world, "power_off")
        if how != "unplug":
            await act(world, "unplug")
        last = await settled(world)
        assert last["power_off"]["reason"] == how
        assert last["priced"]["end_wh"] == world.meter.register_wh
        agree(world)

    run(scenario, wanted_wh=20000)


def test_price_never_passes_the_hold():
    async def scenario(world):
        await charging(world)
        await until_record(world, "power_off", timeout_s=90)
        await asyncio.sleep(1)
        await act(world, "unplug")
        last = await settled(world)
        assert last["power_off"]["reason"] == "hold_reached"
        assert 200 <= last["priced"]["total_minor"] <= 300
        agree(world)

    run(scenario, hold_minor=300, wanted_wh=20000)


# --- power cuts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["wait_plug", "charging", "settling"])
def test_power_cut_is_settled_at_the_next_boot(when):
    async def scenario(world):
        before = world.meter.register_wh
        if when == "wait_plug":
            await waiting_for_plug(world)
        else:
            await charging(world)
            await energy(world, 100)
        if when == "settling":
            await act(world, "terminal", on=False)
            await act(world, "stop")
            await act(world, "unplug")
            await until_state(world, "settling")
        await act(world, "power", on=False)
        await asyncio.sleep(0.5)
        await act(world, "terminal", on=True)
        await act(world, "power", on=True)
        await until_record(world, "captured", "cancelled")
        last = await settled(world)
        books = agree(world)
        if when == "wait_plug":
            assert money(books) == (6000, 0, 6000)
        else:
            assert last["priced"]["billed_wh"] == world.meter.register_wh - before
            assert books["terminal"]["captured_minor"] == last["priced"]["total_minor"] > 0

    run(scenario, wanted_wh=20000)


def test_power_cut_with_the_captures_answer_lost_captures_once():
    async def scenario(world):
        await charging(world)
        await energy(world, 100)
        await act(world, "terminal_fault", name="lose-completion", on=True)
        await act(world, "stop")
        await act(world, "unplug")
        await world.until(
            lambda: not world.terminal.books.pending(), 60, "the terminal to have the capture"
        )
        assert "captured" not in world.records
        await act(world, "power", on=False)
        await asyncio.sleep(0.3)
        await act(world, "power", on=True)
        await until_record(world, "captured")
        last = await settled(world)
        assert last["captured"]["how"] == "pending_query"
        assert agree(world)["terminal"]["captured_minor"] == last["priced"]["total_minor"] > 0

    run(scenario, wanted_wh=20000)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_five_times_at_random_moments_the_books_agree(seed):
    async def scenario(world):
        chance = random.Random(seed)
        for _ in range(5):
            # either while it recovers, or in the middle of what a driver does
            seconds = chance.uniform(0.1, 1.5) if chance.random() < 0.4 else chance.uniform(6, 10)
            end = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < end:
                await a_driver_goes_on(world, chance)
            await act(world, "power", on=False)
            await act(world, "power", on=True)
        if world.vehicle.plugged:
            await act(world, "unplug")
        await act(world, "remove_card")
        await until_state(world, "free", timeout_s=120)
        await settled(world)
        agree(world)

    run(scenario, wanted_wh=3000, seed=seed)


async def a_driver_goes_on(world, chance):
    """Whatever a person would do next at this charger."""
    if world.state == "free" and not world.vehicle.plugged and not world.hands.card:
        await world.act("tap", card=chance.choice(["visa", "mastercard", "girocard"]))
    elif world.state == "wait_plug" and not world.vehicle.plugged:
        await world.act("plug")
    elif world.state in ("charging", "receipt") and chance.random() < 0.05:
        await world.act("unplug")
    await asyncio.sleep(0.02)


def test_the_world_started_again_goes_on_with_the_same_books(tmp_path):
    async def scenario():
        async with started(str(tmp_path), wanted_wh=20000) as world:
            before = world.meter.register_wh
            await charging(world)
            await energy(world, 100)
            stopped_ms = world.clock.now_ms()
        async with started(str(tmp_path), ready=False, wanted_wh=20000) as world:
            assert world.clock.now_ms() >= stopped_ms
            await until_record(world, "captured")
            last = await settled(world)
            assert last["priced"]["billed_wh"] == world.meter.register_wh - before > 0
            first = money(agree(world))
            await until_state(world, "free")
            await charging(world, "mastercard")
            await act(world, "unplug")
            await settled(world)
            books = agree(world)
            assert books["terminal"]["payments"] == 2
            assert money(books)[0] == first[0] + 6000

    asyncio.run(scenario())


# --- what is pulled and put back -----------------------------------------------------------------


def test_network_away_for_the_whole_session_and_everything_arrives_once():
    async def scenario(world):
        await act(world, "network", on=False)
        await charging(world)
        await energy(world, 100)
        await act(world, "stop")
        await act(world, "unplug")
        await until_record(world, "captured")
        assert not world.synced()
        await act(world, "network", on=True)
        await settled(world)
        agree(world)

    run(scenario, wanted_wh=20000)


def test_terminal_away_at_the_end_is_captured_when_it_is_back():
    async def scenario(world):
        await charging(world)
        await act(world, "terminal", on=False)
        await act(world, "stop")
        await act(world, "unplug")
        await until_state(world, "settling")
        await asyncio.sleep(2)
        assert world.state == "settling"
        await act(world, "terminal", on=True)
        await until_record(world, "captured")
        await settled(world)
        agree(world)

    run(scenario, wanted_wh=20000)


def test_lost_meter_stops_the_power_and_the_register_is_billed_when_it_is_back():
    async def scenario(world):
        before = world.meter.register_wh
        await charging(world)
        await energy(world, 100)
        await act(world, "meter", on=False)
        await until_state(world, "finished")
        assert not world.evse.contactor
        await act(world, "meter", on=True)
        await act(world, "unplug")
        last = await settled(world)
        assert last["power_off"]["reason"] == "meter_lost"
        assert last["priced"]["billed_wh"] == world.meter.register_wh - before
        agree(world)

    run(scenario, wanted_wh=20000)


@pytest.mark.parametrize("fault", ["contactor_stuck_open", "contactor_welded"])
def test_contactor_faults_bill_nothing_wrong(fault):
    welded = fault == "contactor_welded"

    async def scenario(world):
        world.evse.set_fault(fault, True)
        await waiting_for_plug(world)
        await act(world, "plug")
        if welded:
            await until_state(world, "charging")
            await energy(world, 100)
            await act(world, "stop")
        await until_record(world, "alarm")
        await act(world, "unplug")
        await until_record(world, "priced")
        last = await settled(world)
        agree(world)
        assert last["alarm"]["code"] == ("contactor_welded" if welded else "contactor_not_closing")
        if welded:
            await until_state(world, "out_of_service")
        else:
            assert last["priced"]["total_minor"] == 0

    run(scenario, wanted_wh=20000)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "blue"}, "colour"),
        ({"price": -0.5}, "elements[0].price_components[0].price"),
        ({"currency": "CHF"}, "currency"),
    ],
    ids=["unknown field", "negative price", "foreign currency"],
)
def test_a_bad_tariff_is_refused_by_field_and_the_old_one_stays(change, field):
    async def scenario(world):
        tariff = json.loads(DEFAULT_TARIFF.read_text())
        inner = tariff["elements"][0]["price_components"][0]
        (inner if "price" in change else tariff).update(change)
        world.back_office.send_tariff(CHARGER_ID, json.dumps(tariff))
        await world.until(lambda: bool(results(world)), 60, "the charger's answer")
        answer = results(world)[0]
        assert (answer["about"], answer["ok"], answer["field"]) == ("tariff", False, field)
        assert answer["reason"]
        assert (world.files / "tariff.json").read_text() == DEFAULT_TARIFF.read_text()
        assert "0.59" in screen(world)
        assert world.records["tariff"]["result"] == "refused"
        tariff = json.loads(DEFAULT_TARIFF.read_text()) | {"id": "ADHOC-2"}
        tariff["elements"][0]["price_components"][0]["price"] = 0.79
        world.back_office.send_tariff(CHARGER_ID, json.dumps(tariff))
        await world.until(lambda: "0.79" in screen(world), 60, "the new price on the screen")
        assert results(world)[-1]["ok"]
        await settled(world)
        agree(world)

    run(scenario)


def test_a_config_with_a_wrong_type_is_named_on_the_screen_and_nothing_is_sold():
    async def scenario(world):
        await world.until(lambda: "hold_minor" in screen(world), 60, "the field on the screen")
        assert "whole number" in screen(world).replace("\n", "")
        assert world.evse.screen["light"] == "red"
        assert not world.evse.contactor and "hold_minor" in world.refusal
        await tap(world)
        await asyncio.sleep(1)
        assert world.terminal.books.records == []

    run(scenario, ready=False, config={"hold_minor": "sixty"})


def test_a_full_ledger_refuses_in_words_until_the_back_office_has_taken_its_records(tmp_path):
    (tmp_path / "charger").mkdir()
    flash = FileFlash(str(tmp_path / "charger" / "flash.bin"), 64, 4096)
    ledger = Ledger(flash, lambda: 1763800000000)
    ledger.mount()
    while ledger.room_for_session():
        ledger.append("tariff", tariff="", tariff_crc=0, result="refused", detail="x" * 200)
    flash.close()

    async def scenario():
        async with started(str(tmp_path), ready=False) as world:
            await act(world, "network", on=False)
            await world.until(lambda: world.view.get("message") == "ledger_full", 60, "full")
            await world.until(
                lambda: "Too many payments wait to be sent" in screen(world), 60, "the words"
            )
            await tap(world)
            await asyncio.sleep(1)
            assert world.terminal.books.records == []
            await act(world, "remove_card")
            await act(world, "network", on=True)
            await world.until(world.synced, 120, "the back office to have everything")
            await until_state(world, "free")
            await charging(world)
            await act(world, "unplug")
            await until_record(world, "captured")
            await settled(world)
            books = world.compare_books()
            assert books["agree"], books["differences"]

    asyncio.run(scenario())

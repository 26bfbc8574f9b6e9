"""Pay by phone with the real firmware: without a card terminal, through a power cut and a back
office that restarts; and on the smallest heap.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from hostsim.phone import Phone
from hostsim.world import World
from tests.worlds import act, agree, run, settled, until_record, until_state

pytestmark = pytest.mark.timeout(300)


async def scanned(world: World) -> str:
    await world.until(lambda: "/pay/" in world.evse.screen["qr"], 60, "a code on the screen")
    return str(world.evse.screen["qr"])


def test_without_a_terminal_through_a_power_cut_and_a_restart_the_price_is_taken_once() -> None:
    async def scenario(world: World) -> None:
        assert world.back_office and world.site.gateway
        world.terminal.power_off()
        await until_state(world, "out_of_service")  # for cards
        phone = Phone()
        try:
            assert await phone.pay(await scanned(world)) in ("held", "starting", "started")
            await until_state(world, "wait_plug")
            await act(world, "plug")
            await until_record(world, "checkpoint")
            await world.set_power(False)
            await asyncio.sleep(0.3)
            await world.set_power(True)
            await world.back_office.restart()
            await until_record(world, "captured")
            assert await phone.until("captured") == "captured"
            await settled(world)
        finally:
            await phone.close()
        price = world.records["priced"]["total_minor"]
        books = agree(world)
        assert books["gateway"]["captured_minor"] == price > 0
        assert books["gateway"]["payments"] == 1 and books["gateway"]["open"] == []
        assert books["terminal"]["payments"] == 0

    run(scenario, gateway=True, wanted_wh=3000, config={"plug_timeout_s": 600, "checkpoint_s": 30})


def test_somebody_who_taps_first_has_the_charger_and_the_phone_its_money_back() -> None:
    async def scenario(world: World) -> None:
        phone = Phone()
        try:
            code = await scanned(world)
            await phone.open(code)  # looking at the page
            await act(world, "tap", card="visa")
            await until_state(world, "wait_plug")
            assert await phone.pay(code) == "refused" and phone.said == "someone_else"
            await act(world, "plug")
            await until_record(world, "checkpoint")
            await act(world, "unplug")
            await until_record(world, "captured")
            await settled(world)
        finally:
            await phone.close()
        books = agree(world)
        assert books["terminal"]["payments"] == 1 and books["gateway"]["payments"] == 0

    run(scenario, gateway=True, config={"plug_timeout_s": 600, "checkpoint_s": 30})


def test_a_demo_by_phone_fits_the_smallest_heap_and_four_books_agree() -> None:
    command = "-m hostsim demo --rom --method qr --kwh 0.5 --refund 10 --json".split()
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["books_agree"] and found["resets"] == 0
    assert found["heap_bytes"] <= 96 * 1024 * (2 if found["pointer_bits"] == 64 else 1)
    assert found["gateway"]["captured_minor"] == found["priced_minor"] > 0
    assert found["gateway"]["refunded_minor"] == found["refunded_minor"] == 10

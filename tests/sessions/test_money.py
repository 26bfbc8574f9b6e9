"""Money paths of the terminal on all real parts, each ending with the three books: a hold that is
extended, the end of the terminal's day.
"""

import pytest

from hostsim.demo import start_ms
from hostsim.world import CHARGER_ID
from tests.worlds import (
    act,
    agree,
    charging,
    energy,
    money,
    run,
    settled,
    until_record,
    until_state,
)

pytestmark = pytest.mark.timeout(300)
EXTEND = {"extend": {"step_minor": 200, "max_minor": 240}, "min_hold_minor": 1}
DAY = {"end_of_day_hour": 3, "time_zone": "UTC0"}


def kinds(world, *wanted):
    return [r["kind"] for r in world.charger_records() if r["kind"] in wanted]


def days_there(world):
    """Ends of day at the back office."""
    return [r for r in world.back_office.records(CHARGER_ID) if r["type"] == "end_of_day"]


def test_a_hold_is_extended_while_it_charges_and_the_day_is_closed_after_it():
    async def scenario(world):
        await charging(world)
        await until_record(world, "extend_done")
        assert world.state == "charging", "the vehicle waits for nobody"
        await energy(world, 700)  # 41 cents: more than the first hold
        await act(world, "stop")
        await act(world, "unplug")
        await until_record(world, "captured")
        await until_state(world, "free", "receipt")
        await act(world, "speed", n=60)
        await until_record(world, "end_of_day", timeout_s=120)
        last = await settled(world)
        total = last["priced"]["total_minor"]
        assert 40 < total <= 240
        assert last["extend_done"]["how"] == "kept"
        assert money(agree(world)) == (240, total, 240 - total)
        assert kinds(world, "extend_asked", "extended", "extend_done") == [
            "extend_asked", "extended", "extend_done",
        ]  # fmt: skip
        day = last["end_of_day"]
        assert (day["terminal_minor"], day["ledger_minor"], day["result"]) == (
            total, total, "agree",
        )  # fmt: skip
        assert world.terminal.books.batches[0]["total_minor"] == total
        slip = [line for line in world.receipt if "Customer receipt" in line]
        assert slip, "the terminal's slip is under the receipt"

    # The terminal takes its real time: the hold must outlast it, and the last capture of the day
    # come before three.
    run(scenario, hold_minor=40, config=EXTEND | DAY, wanted_wh=30000, speed=20,
        start_epoch_ms=start_ms(1, "02:40"))  # fmt: skip


def test_a_refused_extension_stops_at_the_hold():
    async def scenario(world):
        await charging(world, "extension-refused")
        await until_record(world, "extend_done")
        await act(world, "speed", n=60)
        await until_record(world, "power_off", timeout_s=120)
        await act(world, "unplug")
        last = await settled(world)
        assert last["extend_done"]["how"] == "refused"
        assert last["priced"]["reason"] == "hold_reached"
        assert 0 < last["priced"]["total_minor"] <= 40
        assert kinds(world, "extend_asked", "extended") == ["extend_asked"]
        assert money(agree(world))[0] == 40

    run(scenario, hold_minor=40, config=EXTEND, wanted_wh=30000, speed=20)


@pytest.mark.parametrize("fault", ["drop-040f", "lose-confirm"])
def test_an_extension_whose_answer_is_lost_is_settled_to_the_cent(fault):
    async def scenario(world):
        await charging(world)
        await act(world, "terminal_fault", name=fault, on=True)
        await until_record(world, "extend_asked")
        await energy(world, 200)
        await act(world, "stop")
        await act(world, "unplug")
        await world.until(lambda: "captured" in world.records, 120, "the capture")
        last = await settled(world)
        assert last["captured"]["captured_minor"] == last["priced"]["total_minor"]
        agree(world)

    # half of the hold is far enough from its end for the fault to be set first
    run(scenario, hold_minor=150, config={"extend": {"step_minor": 50, "max_minor": 200}},
        wanted_wh=30000)  # fmt: skip


def test_a_difference_at_the_end_of_day_is_an_alarm_at_the_back_office():
    async def scenario(world):
        await charging(world)
        await energy(world, 100)
        await act(world, "stop")
        await act(world, "unplug")
        await until_record(world, "captured")
        await settled(world)
        await act(world, "speed", n=60)
        record = world.terminal.books.records[-1]
        record.captured_minor += 3  # the terminal's own mistake
        await until_record(world, "end_of_day", timeout_s=120)
        await world.until(lambda: days_there(world), 60, "the back office to have it")
        last = {r["kind"]: r for r in world.charger_records()}
        assert last["end_of_day"]["result"] == "differs"
        assert last["alarm"]["code"] == "end_of_day_differs"
        there = days_there(world)
        assert there[0]["terminal_minor"] == there[0]["ledger_minor"] + 3

    run(scenario, config=DAY, wanted_wh=30000, speed=20, start_epoch_ms=start_ms(1, "02:45"))

"""Refunds on all real parts, from the operator's order to the credit note, each ending with the
three books.
"""

import asyncio

import pytest

from hostsim.world import CHARGER_ID
from tests.worlds import (
    act,
    agree,
    charging,
    energy,
    results,
    run,
    settled,
    until_record,
    until_state,
)

pytestmark = pytest.mark.timeout(300)


async def sold(world, card="visa"):
    """A session from tap to receipt; the bill."""
    await charging(world, card)
    await energy(world, 100)
    await act(world, "stop")
    await act(world, "unplug")
    await until_record(world, "captured")
    last = await settled(world)
    await act(world, "remove_card")
    return last["priced"]


def order(world, bill, amount_minor=0, **more):
    refunds = world.back_office.refunds
    refund = refunds.request(
        CHARGER_ID,
        receipt=bill["receipt_no"],
        amount_minor=amount_minor,
        reason="goodwill",
        operator="anna",
        **more,
    )
    refunds.approve(refund, operator="bert")
    return refund


async def until_refund(world, refund, *states):
    refunds = world.back_office.refunds
    await world.until(
        lambda: refunds.follow(refund)["state"] in states, 60, f"{refund} to be {states}"
    )
    await delivered(world)
    return refunds.follow(refund)


async def delivered(world):
    """All that is in flash is in the back office (the charger's view is a moment old)."""
    office = world.back_office
    await world.until(
        lambda: len(office.records(CHARGER_ID)) == len(world.charger_records()),
        60,
        "the back office to have everything",
    )


@pytest.mark.parametrize("rom", [False, True], ids=["192k-ram", "96k-romfs"])
def test_a_whole_refund_before_end_of_day_is_a_reversal(rom):
    async def scenario(world):
        bill = await sold(world)
        refund = order(world, bill)
        word = await until_refund(world, refund, "done")
        total = bill["total_minor"]
        assert (word["way"], word["amount_minor"], word["credit_no"]) == ("reversal", total, 1)
        books = agree(world)
        for book in ("charger", "terminal", "backoffice"):
            assert books[book]["refunded_minor"] == total > 0
        note = world.back_office.refunds.credit_note(refund)
        assert note["number"] == f"{CHARGER_ID}-C1" and note["original"] == f"{CHARGER_ID}-1"
        assert (note["net_minor"], note["vat_minor"]) == (bill["net_minor"], bill["vat_minor"])
        assert sum(line["gross_minor"] for line in note["vat"]) == total
        kinds = [r["kind"] for r in world.charger_records()]
        at = kinds.index("refund_requested")
        assert kinds[at:] == ["refund_requested", "command", "refund_asked", "refunded"]
        told = [r for r in results(world) if r["about"] == "refund"]
        assert [(r["id"], r["detail"]) for r in told] == [(refund, "done")]

    run(scenario, wanted_wh=20000, rom=rom)


def test_an_order_sent_again_is_answered_with_the_first_result():
    async def scenario(world):
        bill = await sold(world)
        refund = order(world, bill)
        await until_refund(world, refund, "done")
        again = world.back_office.refunds.send(refund)
        await world.until(
            lambda: any(r.get("id") == again for r in results(world)), 60, "the answer"
        )
        answer = next(r for r in results(world) if r.get("id") == again)
        assert answer["ok"] and answer["data"]["state"] == "done"
        assert answer["data"]["credit_no"] == 1
        await delivered(world)
        assert agree(world)["terminal"]["refunded_minor"] == bill["total_minor"]
        kinds = [r["kind"] for r in world.charger_records()]
        assert kinds.count("refunded") == 1 == kinds.count("refund_requested")

    run(scenario, wanted_wh=20000)


# A lost completion is noticed after T4, three real minutes: it is in the power cut's test below.
@pytest.mark.parametrize("fault", ["lose-confirm", "drop-040f", "drop-ack", "duplicate"])
def test_a_lost_answer_is_asked_for_and_the_money_goes_back_once(fault):
    async def scenario(world):
        bill = await sold(world)
        await act(world, "terminal_fault", name=fault, on=True)
        refund = order(world, bill)
        await until_refund(world, refund, "done")
        assert agree(world)["terminal"]["refunded_minor"] == bill["total_minor"]

    run(scenario, wanted_wh=20000)


def test_power_cut_with_the_reversals_answer_lost_reverses_once():
    async def scenario(world):
        bill = await sold(world)
        await act(world, "terminal_fault", name="lose-completion", on=True)
        refund = order(world, bill)
        await world.until(
            lambda: world.terminal.books.records[-1].returned_minor > 0, 60, "the reversal"
        )
        assert "refunded" not in world.records
        await act(world, "power", on=False)
        await asyncio.sleep(0.3)
        await act(world, "power", on=True)
        await until_refund(world, refund, "done")
        assert agree(world)["terminal"]["refunded_minor"] == bill["total_minor"]
        kinds = [r["kind"] for r in world.charger_records()]
        assert kinds.count("refunded") == 1

    run(scenario, wanted_wh=20000)


def test_what_the_charger_does_not_allow_is_refused_by_name():
    async def scenario(world):
        bill = await sold(world)
        first = order(world, bill)
        word = await until_refund(world, first, "refused")
        assert word["text"] == "day_limit"
        await until_state(world, "free", "receipt")
        books = agree(world)
        assert books["charger"]["refunded_minor"] == 0

    run(scenario, wanted_wh=20000, config={"refund": {"day_minor": 1}})

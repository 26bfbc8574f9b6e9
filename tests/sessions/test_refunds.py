"""Refunds on all real parts, from the operator's order to the credit note, each ending with the
three books.
"""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from hostsim.__main__ import app
from hostsim.acquirer import Acquirer, answer
from hostsim.terminal.books import State
from hostsim.world import CHARGER_ID
from tests.worlds import (
    act,
    agree,
    charging,
    energy,
    results,
    run,
    screen,
    settled,
    started,
    tap,
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


def test_a_sale_that_somebody_else_reversed_is_not_booked_as_ours_nor_paid_again():
    async def scenario(world):
        bill = await sold(world)
        sale = world.terminal.books.records[-1]
        sale.state, sale.returned_minor = State.REVERSED, bill["total_minor"]  # by hand, there
        refund = order(world, bill)
        word = await until_refund(world, refund, "failed")
        assert word["text"] == "already_reversed"
        alarm = world.records["alarm"]
        assert (alarm["code"], alarm["detail"]) == ("reversed_before", refund)
        books = world.compare_books()
        assert books["charger"]["refunded_minor"] == books["backoffice"]["refunded_minor"] == 0
        assert books["terminal"]["refunded_minor"] == bill["total_minor"]

    run(scenario, wanted_wh=20000)


def test_what_the_charger_does_not_allow_is_refused_by_name():
    async def scenario(world):
        bill = await sold(world)
        first = order(world, bill)
        word = await until_refund(world, first, "refused")
        assert word["text"] == "day_limit_reached"
        await until_state(world, "free", "receipt")
        books = agree(world)
        assert books["charger"]["refunded_minor"] == 0

    run(scenario, wanted_wh=20000, config={"refund": {"day_minor": 1}})


# --- by the acquirer -----------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
def test_a_part_goes_to_the_acquirer_with_all_references(accepted):
    async def scenario(world):
        bill = await sold(world)
        total = bill["total_minor"]
        refund = order(world, bill, 5)
        word = await until_refund(world, refund, "sent")
        assert word["way"] == "acquirer" and word["credit_no"] == 0
        refunds = world.back_office.refunds
        asked = refunds.acquirer_request(refund)
        sale = world.terminal.books.records[0]
        assert asked["terminal_id"] == "52523535" and asked["trace"] in sale.traces
        assert (asked["auth_code"], asked["amount_minor"]) == (sale.authorisation, 5)
        with pytest.raises(ValueError, match=f"0.{total - 5:02} € can be refunded"):
            order(world, bill, total)  # what is with the acquirer counts as given back
        if accepted:
            assert answer(refunds, Acquirer(world.terminal.books), refund).accepted
            assert answer(refunds, Acquirer(world.terminal.books), refund).accepted  # no twice
        else:
            refunds.confirm(refund, accepted=False, operator="bert", reference="too old")
        word = await until_refund(world, refund, "done" if accepted else "failed")
        books = agree(world)
        assert books["charger"]["refunded_minor"] == (5 if accepted else 0)
        if accepted:
            assert refunds.credit_note(refund)["amount_minor"] == 5
        else:  # all of it is there to be given back again
            again = order(world, bill)
            await until_refund(world, again, "done")
            assert agree(world)["terminal"]["refunded_minor"] == total

    run(scenario, wanted_wh=20000)


async def by_acquirer(world, refund):
    """The charger hands it over, and the acquirer pays."""
    refunds = world.back_office.refunds
    await world.until(
        lambda: refunds.follow(refund)["way"] == "acquirer", 60, "it to be handed over"
    )
    assert answer(refunds, Acquirer(world.terminal.books), refund).accepted
    await until_refund(world, refund, "done")


# --- to the card at the terminal -----------------------------------------------------------------

AT_TERMINAL = {"refund": {"at_terminal": 1}}


def test_a_part_is_paid_to_the_same_card_at_the_terminal():
    async def scenario(world):
        bill = await sold(world)
        refund = order(world, bill, 5, card=True)
        await world.until(lambda: "card you paid with" in screen(world), 60, "the words")
        assert "0.05" in screen(world)
        seen = world.subscribe()
        await tap(world, "mastercard")
        while (await seen.get()).get("data", {}).get("fields", {}).get("what") != "read":
            pass
        await act(world, "remove_card")
        await tap(world, "visa")
        word = await until_refund(world, refund, "done")
        assert (word["way"], word["credit_no"]) == ("card", 1)
        assert agree(world)["terminal"]["refunded_minor"] == 5
        await until_state(world, "free", "receipt")

    run(scenario, wanted_wh=20000, config=AT_TERMINAL)


def test_a_refund_to_a_card_waits_for_a_terminal_that_is_away():
    async def scenario(world):
        bill = await sold(world)
        await act(world, "terminal", on=False)
        await act(world, "power", on=False)
        refund = order(world, bill, 5, card=True)
        await act(world, "power", on=True)
        await until_refund(world, refund, "approved", "failed", "sent")
        await asyncio.sleep(2)
        assert world.back_office.refunds.follow(refund)["state"] == "approved"
        await act(world, "terminal", on=True)
        await world.until(lambda: "card you paid with" in screen(world), 60, "the words")
        await tap(world, "visa")
        assert (await until_refund(world, refund, "done"))["way"] == "card"
        assert agree(world)["terminal"]["refunded_minor"] == 5

    run(scenario, wanted_wh=20000, config=AT_TERMINAL)


def test_without_the_permission_no_card_is_paid():
    async def scenario(world):
        bill = await sold(world)
        refund = order(world, bill, 5, card=True)
        word = await until_refund(world, refund, "refused")
        assert word["text"] == "not_permitted"
        agree(world)

    run(scenario, wanted_wh=20000)


@pytest.mark.parametrize("fault", ["drop-040f", "lose-confirm"])
def test_a_refund_to_a_card_whose_answer_is_lost_is_not_paid_twice(fault):
    async def scenario(world):
        bill = await sold(world)
        refund = order(world, bill, 5, card=True)
        await world.until(lambda: "card you paid with" in screen(world), 60, "the words")
        await act(world, "terminal_fault", name=fault, on=True)
        await tap(world, "visa")
        if fault == "lose-confirm":  # taken back at the terminal; then it is the acquirer's
            await by_acquirer(world, refund)
        else:  # never approved here, so nothing was paid
            assert (await until_refund(world, refund, "failed"))["way"] == "card"
        refunded = agree(world)["terminal"]["refunded_minor"]
        assert refunded == (5 if fault == "lose-confirm" else 0)

    run(scenario, wanted_wh=20000, config=AT_TERMINAL)


def test_power_cut_after_a_refunds_approval_takes_it_back_and_asks_the_acquirer():
    async def scenario(world):
        bill = await sold(world)
        refund = order(world, bill, 5, card=True)
        await world.until(lambda: "card you paid with" in screen(world), 60, "the words")
        await act(world, "terminal_fault", name="lose-completion", on=True)
        await tap(world, "visa")
        await world.until(lambda: world.terminal.books.summary()["refunded_minor"] == 5, 60, "it")
        await act(world, "power", on=False)
        await act(world, "remove_card")
        await asyncio.sleep(0.3)
        await act(world, "power", on=True)
        await by_acquirer(world, refund)
        assert agree(world)["terminal"]["refunded_minor"] == 5

    run(scenario, wanted_wh=20000, config=AT_TERMINAL)


# --- what is given up before anything is taken ---------------------------------------------------

EARLY = {"refund": {"fault_wh": 5000}}


async def meter_lost(world):
    await charging(world)
    await energy(world, 300)
    await act(world, "meter", on=False)
    await until_state(world, "finished")
    await act(world, "meter", on=True)
    await act(world, "unplug")
    return await settled(world)


def test_a_fault_before_the_configured_energy_costs_nothing_and_the_hold_is_cancelled():
    async def scenario(world):
        last = await meter_lost(world)
        priced = last["priced"]
        assert priced["billed_wh"] >= 300 and priced["total_minor"] == 0
        assert [priced["lines"][at] for at in range(0, len(priced["lines"]), 5)][-1] == 11
        assert sum(priced["lines"][4::5]) == 0 == priced["net_minor"] == priced["vat_minor"]
        assert last["cancelled"]["released_minor"] == 6000
        books = agree(world)
        assert books["terminal"]["captured_minor"] == 0
        assert any("Waived after a fault" in line for line in world.receipt), world.receipt

    run(scenario, wanted_wh=20000, config=EARLY)


def test_a_fault_after_it_is_paid_for():
    async def scenario(world):
        last = await meter_lost(world)
        assert last["priced"]["total_minor"] > 0 == last["priced"]["lines"].count(11)
        agree(world)

    run(scenario, wanted_wh=20000, config={"refund": {"fault_wh": 50}})


# --- from the command line -----------------------------------------------------------------------


def test_an_operator_refunds_a_receipt_of_a_running_world_from_the_command_line(tmp_path):
    async def scenario():
        async with started(str(tmp_path), wanted_wh=20000) as world:
            bill = await sold(world)
            words = ["refund", "--receipt", "1", "--operator", "anna", "--reason", "fault"]
            words += ["--dir", str(tmp_path), "--json"]
            answer = await asyncio.to_thread(CliRunner().invoke, app, words)
            assert answer.exit_code == 0, answer.output
            found = json.loads(answer.stdout)
            assert (found["state"], found["way"], found["reason"]) == ("done", "reversal", "fault")
            assert found["amount_minor"] == bill["total_minor"]
            again = await asyncio.to_thread(CliRunner().invoke, app, words)
            assert again.exit_code == 2  # nothing is left of it
            await delivered(world)
            assert agree(world)["terminal"]["refunded_minor"] == bill["total_minor"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("words", "field"),
    [(["--reason", "mood"], "reason"), (["--operator", ""], "operator")],
    ids=["reason", "operator"],
)
def test_a_wrong_option_is_named(tmp_path, words, field):
    from hostsim.backoffice.models import open_database

    open_database(f"sqlite:///{tmp_path}/backoffice.db").dispose()
    options = ["refund", "--receipt", "1", "--operator", "anna", "--dir", str(tmp_path), *words]
    answer = CliRunner().invoke(app, options)
    assert answer.exit_code == 2 and field in answer.output


def above_price(world):
    """Ids and states of the refunds that nobody ordered."""
    listed = world.back_office.refunds.listed(CHARGER_ID)
    return [(r["refund"], r["state"]) for r in listed if r["reason"] == "above_price"]


@pytest.mark.parametrize("cut", [False, True], ids=["straight", "power-cut"])
def test_what_the_terminal_took_above_the_price_goes_back_by_itself_and_once(cut):
    async def scenario(world):
        await sold(world)  # a capture that is told as it is: this terminal tells the sum
        await until_state(world, "free")
        world.records.clear()
        await act(world, "terminal_fault", name="take-all", on=True)
        bill = await sold(world)
        taken = world.terminal.books.records[-1].captured_minor
        over = taken - bill["total_minor"]
        assert over > 0 and world.records["captured"]["captured_minor"] == taken
        if cut:
            await act(world, "power", on=False)
            await asyncio.sleep(0.3)
            await act(world, "power", on=True)
        refunds = world.back_office.refunds
        await world.until(
            lambda: any(one["sent_at"] for one in refunds.listed(CHARGER_ID)), 60, "the refund"
        )
        refund, state = above_price(world)[0]
        assert state == "requested", "so much waits for a person"
        await asyncio.to_thread(refunds.approve, refund, "bert")
        assert above_price(world) == [(refund, "sent")]
        assert answer(world.back_office.refunds, Acquirer(world.terminal.books), refund).accepted
        word = await until_refund(world, refund, "done")
        assert (word["amount_minor"], word["way"], word["operator"]) == (
            over, "acquirer", "charger")  # fmt: skip
        assert (word["net_minor"], word["vat_minor"]) == (over, 0)
        books = agree(world)
        for book in ("charger", "terminal", "backoffice"):
            assert books[book]["refunded_minor"] == over
        kinds = [r["kind"] for r in world.charger_records()]
        assert kinds.count("refund_asked") == kinds.count("refunded") == 1
        alarms = [r["code"] for r in world.charger_records() if r["kind"] == "alarm"]
        assert alarms == ["capture_above_price"]
        said = [p["detail"][:19] for p in world.back_office.problems(CHARGER_ID)]
        assert said == ["capture_above_price"], said  # the alarm itself

    run(scenario, wanted_wh=20000)


def test_a_terminal_that_names_the_hold_in_every_answer_starts_no_refund():
    async def scenario(world):
        await act(world, "terminal_fault", name="tell-hold", on=True)
        for _ in range(2):
            await sold(world)
            await until_state(world, "free")
            assert world.records["alarm"]["code"] == "capture_above_price"
            world.records.clear()
        await delivered(world)
        assert not above_price(world)
        assert agree(world)["charger"]["refunded_minor"] == 0

    run(scenario, wanted_wh=20000)

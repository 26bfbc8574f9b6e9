"""Members at the RFID reader, on all real parts: from the tap to the account. Each ends with the
books.
"""

import asyncio
import json

import pytest

from hostsim.backoffice.invoices import find as invoices
from hostsim.backoffice.invoices.sheet import sheet
from hostsim.backoffice.member_sync import MemberSync
from hostsim.rfid import RFID_CARDS
from hostsim.terminal import money
from hostsim.terminal.books import State
from hostsim.terminal.cards import CARDS
from hostsim.world import CHARGER_ID
from tests.worlds import (
    act,
    agree,
    charging,
    energy,
    run,
    screen,
    settled,
    tap,
    until_record,
    until_state,
)

pytestmark = pytest.mark.timeout(300)
TARIFF_CRC_OF_FLEET = "FLEET-2026"


async def listed(world):
    await world.until(world.members_there, 60, "the members' list")


async def tapped(world, card):
    """The card is read, and taken away again."""
    seen = len(world.cards_read)
    await tap(world, card)
    await world.until(lambda: len(world.cards_read) > seen, 30, "the tap to be seen")
    await act(world, "remove_card")
    return world.cards_read[-1]


async def delivered(world):
    office = world.back_office
    await world.until(
        lambda: len(office.records(CHARGER_ID)) == len(world.charger_records()),
        60,
        "the back office to have everything",
    )


def test_a_member_charges_on_account_and_stops_with_the_same_card():
    async def scenario(world):
        await listed(world)
        assert (await tapped(world, "member-card"))["kind"] == "rfid"
        await until_state(world, "wait_plug")
        assert "Limit" in screen(world) and "200.00" in screen(world)
        await act(world, "plug")
        await until_state(world, "charging")
        await energy(world, 100)
        await asyncio.sleep(0.8)  # the reader has seen the card go away
        await tapped(world, "fleet-card")
        await world.until(lambda: "Another card" in screen(world), 30, "the words")
        assert world.state == "charging"
        await asyncio.sleep(0.8)
        await tapped(world, "member-card")
        await until_state(world, "finished", "settling", "receipt")
        await act(world, "unplug")
        await until_record(world, "captured")
        last = await settled(world)
        total = last["priced"]["total_minor"]
        assert last["priced"]["reason"] == "tap" and total > 0
        assert (last["hold_asked"]["method"], last["hold_asked"]["reference"]) == (
            "rfid", "ACME-7",
        )  # fmt: skip
        assert last["captured"]["how"] == "account" and last["captured"]["receipt"] == 0
        await delivered(world)
        books = agree(world)
        assert books["terminal"]["payments"] == 0
        assert books["charger"]["elsewhere"]["captured_minor"] == total
        kept = world.back_office.sessions(CHARGER_ID)[0]
        cards = [c for m in world.back_office.members.listed() for c in m["cards"]]
        assert kept["uid_hash"] in [c["uid_hash"] for c in cards]
        document = invoices.by_session(world.back_office.engine, kept["id"])[0]
        assert ("Payment", "on account") in sheet(document["document"], "en").payment
        uid = RFID_CARDS["member-card"].uid
        flash = (world.files / "flash.bin").read_bytes()
        texts = [m["payload"] for m in world.mqtt] + list(world.log)
        assert bytes.fromhex(uid) not in flash and uid.encode() not in flash
        assert not any(uid in text.lower() for text in texts), "a UID left the charger"

    run(scenario, wanted_wh=20000, rfid=True)


def test_a_member_with_an_own_tariff_is_shown_it_and_priced_by_it_through_a_power_cut():
    async def scenario(world):
        await listed(world)
        await act(world, "network", on=False)  # valid offline
        await act(world, "terminal", on=False)
        await world.until(lambda: "member cards only" in screen(world), 90, "the words")
        await tapped(world, "fleet-card")
        await until_state(world, "wait_plug")
        await world.until(lambda: "0.39" in screen(world), 30, "the member's price")
        await act(world, "plug")
        await until_state(world, "charging")
        await energy(world, 1000)
        assert "0.39" in screen(world)
        await act(world, "power", on=False)
        await asyncio.sleep(0.3)
        await act(world, "power", on=True)
        await act(world, "network", on=True)
        await until_record(world, "captured")
        last = await settled(world)
        await act(world, "unplug")
        assert last["hold_asked"]["tariff"] == TARIFF_CRC_OF_FLEET
        billed = last["priced"]["billed_wh"]
        assert billed >= 1000
        exact = (2 * billed * 39 + 1000) // 2000  # half up
        assert last["captured"]["captured_minor"] == exact
        assert (last["captured"]["how"], last["hold_asked"]["reference"]) == ("account", "FLEET-1")
        await act(world, "terminal", on=True)
        await delivered(world)
        agree(world)
        # the next driver pays the charger's own price again
        await until_state(world, "free", "plugged")
        await world.until(lambda: "0.59" in screen(world), 60, "the charger's price")

    run(scenario, wanted_wh=20000, rfid=True)


def test_cards_that_may_not_are_told_why_and_nothing_is_recorded():
    async def scenario(world):
        await listed(world)
        for card, words in (
            ("revoked-card", "blocked"),
            ("expired-card", "expired"),
            ("unknown-card", "not known"),
            ("long-card", "not known"),
        ):
            await tapped(world, card)
            await world.until(lambda words=words: words in screen(world), 30, words)
            await asyncio.sleep(0.8)
        assert "hold_asked" not in world.records
        members = world.back_office.members
        members.add_card("ACME-7", RFID_CARDS["unknown-card"].uid, by="anna")
        members.revoke(RFID_CARDS["member-card"].uid, by="anna")
        await listed(world)
        await tapped(world, "member-card")
        await world.until(lambda: "blocked" in screen(world), 30, "the revocation")
        await asyncio.sleep(0.8)
        await tapped(world, "unknown-card")
        await until_state(world, "wait_plug")
        await act(world, "stop")
        await until_record(world, "cancelled")
        last = await settled(world)
        assert last["cancelled"]["released_minor"] == last["authorised"]["amount_minor"] == 20000
        await delivered(world)
        agree(world)

    run(scenario, rfid=True, config={"message_show_s": 300})


def test_no_reader_is_on_while_no_tap_could_do_anything():
    async def scenario(world):
        await listed(world)
        await world.until(
            lambda: world.reader.field and world.terminal.reader.awaiting, 30, "both on"
        )
        await act(world, "emergency", on=True)
        await until_state(world, "out_of_service")
        await world.until(
            lambda: not world.reader.field and not world.terminal.reader.awaiting, 30, "both off"
        )
        await act(world, "emergency", on=False)
        await until_state(world, "free")
        await charging(world)  # with a bank card: only it can stop
        await world.until(
            lambda: not world.reader.field and world.terminal.reader.awaiting, 30,
            "the RFID reader to be off and the terminal's on",
        )  # fmt: skip
        await act(world, "stop")
        await act(world, "unplug")
        await until_record(world, "captured")
        await settled(world)
        await act(world, "remove_card")
        await act(world, "reader", on=False)
        await world.until(
            lambda: world.back_office.chargers()[0]["status"].get("reader") == "off", 90, "it"
        )
        await charging(world, "mastercard")
        await act(world, "stop")
        await act(world, "unplug")
        await settled(world)
        await delivered(world)
        agree(world)

    run(scenario, wanted_wh=20000, rfid=True)


def test_only_the_kinds_of_cards_that_are_configured_may_pay():
    async def scenario(world):
        await tapped(world, "mastercard")
        await world.until(lambda: "kind of card" in screen(world), 30, "the words")
        assert "hold_asked" not in world.records and not world.terminal.books.records
        await tap(world, "visa")
        await until_state(world, "wait_plug")
        await act(world, "stop")
        await until_record(world, "cancelled")
        await settled(world)
        await delivered(world)
        agree(world)

    run(scenario, config={"cards": {"kinds": ["visa", "girocard"]}})


def test_a_card_of_another_kind_than_the_one_that_was_read_is_not_kept(monkeypatch):
    """The driver taps a card that may pay, and holds another one to the terminal for the hold."""

    async def swapped(dialogue):
        dialogue.sim.reader.remove()
        return CARDS["mastercard"]

    async def scenario(world):
        monkeypatch.setattr(money, "_card", swapped)
        await tap(world, "visa")
        await until_record(world, "cancelled", timeout_s=90)
        assert "authorised" not in world.records
        assert world.records["cancelled"]["reason"] == "scheme_not_accepted"
        await world.until(lambda: "kind of card" in screen(world), 10, "the words")
        await settled(world)
        await delivered(world)
        assert not agree(world)["terminal"]["authorised_minor"]
        assert [r.state for r in world.terminal.books.records] == [State.AUTO_REVERSED]

    run(scenario, config={"cards": {"kinds": ["visa"]}, "receipt_show_s": 600})


def test_a_list_that_was_tampered_with_is_refused_and_said():
    async def scenario(world):
        await listed(world)
        office = world.back_office
        stolen = world.pki.charger("FC-0002").command_key
        original = office.command_key
        sync = next(
            chore.__self__
            for chore in office._desk.chores
            if isinstance(getattr(chore, "__self__", None), MemberSync)
        )
        sync._key = lambda charger: bytes.fromhex(stolen)
        office.members.add_card("ACME-7", "0102030405060a", by="anna")
        await world.until(
            lambda: any(p["code"] == "members_refused" for p in office.problems(CHARGER_ID)),
            60,
            "the refusal to be a problem",
        )
        assert not world.members_there()
        sync._key, sync._refused = original, {}
        await listed(world)
        says = [json.loads(m["payload"]) for m in world.mqtt if m["topic"].endswith("/result")]
        refused = [r for r in says if r["about"] == "members" and r.get("code") == "refused"]
        assert [r["field"] for r in refused] == ["mac"]

    run(scenario, rfid=True)

"""Refunds that a dispute overtakes, and those that nobody will answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostsim.backoffice import disputes, refund_stuck, troubles, views
from hostsim.backoffice.models import Charger, writing
from hostsim.backoffice.refund_rules import RefundError
from tests.backoffice.desk import Visitor, text_of
from tests.gateway.pay import TILL, House, Station

DAY_MS = 86_400_000
OVERLAP, HANGS = "refund and dispute", "refund hangs"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, TILL)
    yield found
    found.close()


def shown(house: House) -> list[tuple[str, int]]:
    """Of these two kinds: what and how much."""
    office = house.office
    found = troubles.groups(office.engine, office.operator, house.ms, 5)
    rows = [row for group in found for row in group["rows"]]
    return [(row["code"], row["amount_minor"]) for row in rows if row["code"] in (OVERLAP, HANGS)]


def commands(house: House) -> list[str]:
    found = views.commands(house.office.engine, "CP1")
    return [one["state"] for one in found if one["name"] == "refund"]


def order(house: House, amount: int, name: str) -> str:
    refunds = house.office.refunds
    return refunds.request(
        "CP1", receipt=1, amount_minor=amount, reason="goodwill", operator="ann", refund=name
    )


def dispute(house: House, amount: int) -> None:
    disputes.note(house.office.engine, "fin", 1, amount, "CB1", "", house.ms)


# -- disputes


def test_a_refund_whose_command_expired_in_a_dispute_is_not_sent_again(house: House) -> None:
    house.started(119)
    refunds = house.office.refunds
    order(house, 119, "R1")
    house.station.away()
    refunds.approve("R1", "bert")
    dispute(house, 119)
    assert refunds.follow("R1")["state"] == "approved", "its command may still work"
    assert shown(house) == [(OVERLAP, 119)]
    house.ms += 8 * DAY_MS
    for _ in range(2):
        house.office._desk.reminders()
        refunds.tend()
    assert len(commands(house)) == 1 and refunds.follow("R1")["state"] == "refused"
    house.station.back()
    house.station.obey()
    house.turn(3)
    assert house.phone.gateway.look_up(house.now().reference).refunded_minor == 0
    assert shown(house) == [] and refunds.left(1) == 0
    assert "dispute" in refunds.follow("R1")["text"]


def test_an_order_for_which_the_chargers_flash_is_full_is_sent_again(house: House) -> None:
    house.started(119)
    refunds = house.office.refunds
    order(house, 119, "R1")
    refunds.approve("R1", "bert")
    found = views.commands(house.office.engine, "CP1")
    (sent,) = [one for one in found if one["name"] == "refund"]
    house.station.done.add(sent["id"])
    house.station.say(
        "result", about="command", id=sent["id"], ok=False, code="full",
        reason="command",
    )  # fmt: skip
    refunds.tend()
    assert commands(house) == ["full"], "not at once"
    assert refunds.follow("R1")["state"] == "approved"
    house.ms += 61_000
    refunds.tend()
    refunds.tend()
    assert commands(house) == ["sent", "full"]
    house.station.obey()
    house.turn(3)
    assert house.phone.gateway.look_up(house.now().reference).refunded_minor == 119


def test_a_dispute_stops_the_newest_orders_that_have_not_begun(house: House) -> None:
    house.started(119)
    refunds = house.office.refunds
    send, refunds._send = refunds._send, None  # another process sends
    for name, amount in (("R1", 60), ("R2", 40)):
        order(house, amount, name)
        refunds.approve(name, "bert")
        house.ms += 1
    dispute(house, 50)
    assert [refunds.follow(name)["state"] for name in ("R1", "R2")] == ["approved", "refused"]
    assert shown(house) == []
    refunds._send = send
    refunds.tend()
    assert len(commands(house)) == 1


def test_an_overlap_is_closed_with_a_note_and_shown_first(house: House) -> None:
    house.started(119)
    order(house, 100, "R1")
    house.office.refunds.approve("R1", "bert")
    house.station.obey()
    dispute(house, 69)
    engine, operator = house.office.engine, house.office.operator
    first = troubles.groups(engine, operator, house.ms, 5)[0]
    assert first["title"] == "given back twice" and shown(house) == [(OVERLAP, 50)]
    row = first["rows"][0]
    troubles.close(engine, "fin", "overlaps", row["ref"], row["mark"], "settled", house.ms)
    assert shown(house) == []


# -- a flash that was replaced


def replaced(house: House) -> None:
    new = Station(house.office, epoch=99)
    new.begin("card", "", 6000)
    new.charge(119)
    with writing(house.office.engine) as db:
        assert db.get_one(Charger, "CP1").epoch == 99


def accepted(house: House, recorded: bool) -> None:
    """The charger says ok; of its records comes the first or none; then its flash is replaced."""
    station = house.station
    station.begin("card", "", 6000)
    station.charge(119)
    order(house, 50, "R1")
    house.office.refunds.approve("R1", "bert")
    if recorded:
        station.put("refund_requested", refund="R1", receipt_no=1, amount_minor=50,
                    reason="goodwill", operator="ann", command="c", card=0)  # fmt: skip
        station.hand_over()
    else:
        station.given = 10**6  # no record of it comes
        station.obey()
        assert commands(house) == ["ok"]
    replaced(house)
    house.ms += 9 * DAY_MS
    house.office.refunds.tend()
    assert shown(house) == [], "records may still come"
    house.ms += 2 * DAY_MS
    house.office.refunds.tend()


@pytest.mark.parametrize("recorded", [False, True])
def test_a_refund_that_hangs_is_refused_by_finance(house: House, recorded: bool) -> None:
    accepted(house, recorded)
    assert shown(house) == [(HANGS, 50)]
    finance = Visitor(house.office).log_in("finance", "carl")
    assert 'href="/refunds/R1"' in finance.get("/payments").text
    assert "Not done" in finance.submit("/refunds/R1", "/refunds/R1/nothing", note="")
    said = finance.submit("/refunds/R1", "/refunds/R1/nothing", note="the card has nothing")
    assert "the card has nothing" in text_of(said) and "It hangs" not in text_of(said)
    assert house.office.refunds.follow("R1")["state"] == "refused"
    assert house.office.refunds.left(1) == 119 and shown(house) == []
    finance.submit("/refunds/R1", "/refunds/R1/nothing", note="again")
    with pytest.raises(RefundError, match="may still be answered, or was"):
        refund_stuck.end(
            house.office.engine, "R1", again=True, by="carl", note="x", now_ms=house.ms
        )


@pytest.mark.parametrize("recorded", [False, True])
def test_a_refund_that_hangs_is_given_back_otherwise(house: House, recorded: bool) -> None:
    accepted(house, recorded)
    finance = Visitor(house.office).log_in("finance", "carl")
    finance.submit("/refunds/R1", "/refunds/R1/again", note="the old flash burnt")
    found = house.office.refunds.follow("R1")
    assert (found["state"], found["way"], found["amount_minor"]) == ("sent", "acquirer", 50)
    house.office.refunds.confirm("R1", accepted=True, operator="bert", reference="ARN 1")
    assert house.office.refunds.follow("R1")["state"] == "done"
    assert house.office.refunds.credit_note("R1")["amount_minor"] == 50
    assert house.office.refunds.left(1) == 69 and shown(house) == []


def test_what_may_still_be_answered_is_not_ended(house: House) -> None:
    house.station.begin("card", "", 6000)
    house.station.charge(119)
    order(house, 50, "R1")
    house.office.refunds.approve("R1", "bert")
    house.ms += 40 * DAY_MS
    finance = Visitor(house.office).log_in("finance", "carl")
    said = finance.submit("/refunds/R1", "/refunds/R1/nothing", note="x")
    assert "may still be answered" in said and "It hangs" not in said
    assert house.office.refunds.follow("R1")["state"] == "approved"

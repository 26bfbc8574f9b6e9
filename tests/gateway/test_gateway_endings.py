"""Payments by phone that would never end by themselves, or end wrongly unseen: no broker, no
records, a Stop nobody hears, a hold that is gone, a repetition that is refused, another
gateway. In memory.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Order, Payment, Refused, Unanswered
from hostsim.backoffice.phone import pays
from tests.backoffice import desk
from tests.gateway.fourth import till
from tests.gateway.pay import TILL, House, event_of


def without_broker(house: House, seconds: int, step: int = 60) -> None:
    """Time passes; the charger is said to be online, and nothing goes to or comes from it."""
    for _ in range(seconds // step):
        house.ms += step * 1000
        house.turn(2)


def stops(house: House) -> list[str]:
    return [c["state"] for c in house.office.commands() if c["name"] == "stop"]


# --- the start nobody answers --------------------------------------------------------------------


def test_a_start_that_nobody_closes_for_there_is_no_broker_gives_the_hold_back(
    house: House,
) -> None:
    house.pay()
    without_broker(house, 1500)
    assert (house.now().state, house.now().why) == ("cancelled", "charger_offline")
    assert house.now().released_minor == 6000


def test_a_hold_that_ends_while_its_start_is_waited_for_is_an_alarm(tmp_path: Path) -> None:
    house = House(tmp_path, TILL, hold_days=1, pay_patience_s=100_000)
    try:
        house.pay()
        house.turn()
        without_broker(house, 3600, 600)
        assert house.now().state == "starting" and "gateway_started" in house.problems()
    finally:
        house.close()


# --- the session without an end ------------------------------------------------------------------


@pytest.mark.parametrize("what", ["free", "another flash"])
def test_a_charger_that_cannot_be_in_the_session_is_an_alarm(house: House, what: str) -> None:
    house.started()
    if what == "free":
        house.station.state = "free"
        house.station.status()
    else:
        house.station.state = "charging"
        house.station.status(epoch=99)
    house.turn()
    assert "gateway_started" not in house.problems()  # its records may be on their way
    house.pass_s(400, 50)
    details = [p["detail"] for p in house.office.problems() if p["code"] == "gateway_started"]
    assert len(details) == 1 and what in details[0]


def test_a_session_that_runs_is_no_alarm(house: House) -> None:
    house.started()
    house.station.state = "charging"
    house.station.status(epoch=71)
    house.pass_s(1500, 100)
    assert house.problems() == set()


@pytest.mark.parametrize(("amount", "state"), [("0", "cancelled"), ("2.50", "captured")])
def test_finance_ends_a_payment_whose_records_do_not_come(
    house: House, amount: str, state: str
) -> None:
    pay = house.started()
    house.station.state = "free"  # its flash was lost
    finance = desk.Visitor(house.office).log_in("finance")
    assert pay.reference in finance.get("/payments/phone").text
    path = f"/payments/phone/{pay.id}/end"
    for wrong in ({"amount": "70", "note": "x"}, {"amount": "", "note": "x"}, {"amount": "1"}):
        assert "Not ended" in finance.submit("/payments/phone", path, **wrong)
    finance.submit("/payments/phone", path, amount=amount, note="flash lost")
    house.turn()
    found = house.now()
    taken = 250 if state == "captured" else 0
    assert (found.state, found.captured_minor) == (state, taken)
    assert found.released_minor == 6000 - taken
    told = desk.Visitor(house.office).log_in("admin", "boss").get("/audit").text
    assert "payment ended by hand" in told and "flash lost" in told
    assert "The operator has ended" in house.shown() or state == "captured"
    assert "Not ended" in finance.submit("/payments/phone", path, amount="0", note="again")


def test_only_finance_ends_payments(house: House) -> None:
    pay = house.started()
    support = desk.Visitor(house.office).log_in("support")
    assert support.get("/payments/phone").status_code == 403
    support.submit("/", f"/payments/phone/{pay.id}/end", amount="0", note="x")
    assert support.status == 403 and house.now().state == "started"


def test_records_that_come_after_finance_took_another_amount_are_an_alarm(house: House) -> None:
    pay = house.started()
    house.station.away()
    pays.end_by_hand(house.office.engine, pay.id, 250, "anna", "flash lost", house.ms)
    house.turn()
    assert house.now().captured_minor == 250
    house.station.charge(300)
    house.station.back()
    house.turn()
    details = [p["detail"] for p in house.office.problems() if p["code"] == "gateway_uncovered"]
    assert any("says 300 are owed, 250 were taken" in one for one in details)
    assert house.now().capture_minor == 250


def test_a_bill_that_comes_while_another_amount_is_captured_by_hand_is_an_alarm(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay, real = house.started(), till(house).capture

    def capture(*args: Any) -> Payment:
        found = real(*args)
        house.station.charge(119)
        return found

    monkeypatch.setattr(till(house), "capture", capture)
    pays.end_by_hand(house.office.engine, pay.id, 500, "anna", "flash lost", house.ms)
    house.turn()
    assert (house.now().state, house.now().captured_minor) == ("captured", 500)
    details = [p["detail"] for p in house.office.problems() if p["code"] == "gateway_uncovered"]
    assert any("says 119 are owed, 500 were taken" in one for one in details)
    assert any("119 in the session, 500 in its payment" in one for one in house.differences())


# --- Stop ----------------------------------------------------------------------------------------


def test_a_stop_is_repeated_until_the_charger_that_was_away_has_stopped(house: House) -> None:
    house.started()
    house.station.state = "charging"
    house.station.energising(1, 1000)
    house.station.status()
    house.station.away()
    house.browser.post(f"{house.page}/stop")
    assert "Stopping" in house.shown()
    house.pass_s(900, 60)  # three times as long as a `stop` is valid
    assert stops(house) == ["unanswered"] and "Stopping" in house.shown()
    house.station.back()
    house.turn()
    house.station.obey()
    house.turn()
    assert house.station.state == "free" and house.now().state == "captured"
    house.turn()
    assert len(stops(house)) == 2


# --- the hold that is gone -----------------------------------------------------------------------


def gone(house: House) -> None:
    reference = house.now().reference
    till(house)._payments[reference] = dataclasses.replace(
        till(house)._payments[reference], state=base.CANCELLED
    )


@pytest.mark.parametrize("heard", [True, False])
def test_a_hold_that_is_cancelled_during_a_session_stops_it(house: House, heard: bool) -> None:
    house.started()
    house.station.state = "charging"
    house.station.energising(1, 1000)
    house.station.status()
    house.turn()
    gone(house)
    if heard:
        event_of(house)
        house.turn()
    else:
        house.pass_s(300, 60)
    assert "gateway_uncovered" in house.problems()
    house.station.obey()
    assert house.station.state == "free"
    house.turn()
    assert house.now().state == "lost"
    page = house.shown()
    assert "ask for help" in page and "Invoice" not in page


def test_a_gateway_that_does_not_answer_the_look_stops_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.started()

    def down(reference: str) -> Payment:
        raise Unanswered("no answer")

    monkeypatch.setattr(till(house), "look_up", down)
    house.station.state = "charging"
    house.station.status()
    house.pass_s(900, 60)
    assert stops(house) == [] and house.now().state == "started" and house.problems() == set()


# --- the hold that is asked for again ------------------------------------------------------------


def test_a_repetition_that_is_refused_is_looked_for_and_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = till(house).hold, []

    def lost(order: Order, key: str) -> Payment:
        tries.append(order)
        if len(tries) > 1:
            raise Refused("this key was used for another request", "idempotency")
        real(order, key)
        raise Unanswered("no answer")

    monkeypatch.setattr(till(house), "hold", lost)
    house.pay()
    house.pass_s(200, 10)
    assert house.now().state == "cancelled" and len(tries) == 2
    assert [p.state for p in till(house).listed(0)] == ["cancelled"]


def test_a_repetition_asks_for_the_same_whatever_the_settings_are_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def never(order: Order, key: str) -> Payment:
        asked.append(order.more)
        raise Unanswered("no answer")

    house.office.operator = dataclasses.replace(
        house.office.operator, pay_extend_minor=500, pay_most_minor=9000
    )
    house.restart()
    monkeypatch.setattr(till(house), "hold", never)
    house.pay()
    house.office.operator = dataclasses.replace(house.office.operator, pay_extend_minor=0)
    house.restart()
    monkeypatch.setattr(till(house), "hold", never)
    house.pass_s(20)
    assert len(asked) > 1 and set(asked) == {True}

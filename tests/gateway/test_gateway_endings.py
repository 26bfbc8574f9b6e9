"""Payments by phone that would never end by themselves, or end wrongly unseen: no broker, no
records, a Stop nobody hears, a hold that is gone, a repetition that is refused, another
gateway. In memory.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice import operator
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Order, Payment, Refused, SettingsError, Unanswered
from hostsim.backoffice.phone import pays
from hostsim.backoffice.phone.desk import check_open
from tests.backoffice import billing, desk
from tests.gateway.house_gateway import Till
from tests.gateway.pay import TILL, House

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, TILL)
    yield found
    found.close()


def till(house: House) -> Till:
    found = house.phone.gateway
    assert isinstance(found, Till)
    return found


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


def event(house: House) -> Any:
    said = json.dumps({"id": "e1", "kind": "gone", "payment": house.now().reference}).encode()
    key = hmac.new(b"k" * 16, said, hashlib.sha256).hexdigest()
    return house.browser.post("/gateway/events", content=said, headers={"x-till": key})


@pytest.mark.parametrize("heard", [True, False])
def test_a_hold_that_is_cancelled_during_a_session_stops_it(house: House, heard: bool) -> None:
    house.started()
    house.station.state = "charging"
    house.station.energising(1, 1000)
    house.station.status()
    house.turn()
    gone(house)
    if heard:
        event(house)
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


# --- settings, codes, webhooks -------------------------------------------------------------------


def test_another_gateway_is_refused_while_payments_of_the_old_one_are_open(house: House) -> None:
    house.started()
    with pytest.raises(SettingsError, match="1 payments at till are open"):
        check_open(house.office.engine, "stripe")
    house.station.charge(300)
    house.turn()
    check_open(house.office.engine, "stripe")


def test_none_is_said_as_it_is_documented() -> None:
    found = operator.of({"pay_extend_minor": 0, "pay_most_minor": 0, "proxies": 0})
    assert found.pay_extend_minor == 0
    with pytest.raises(operator.OperatorError, match="pay_hold_minor"):
        operator.of({"pay_hold_minor": 0})


def test_a_used_code_says_so_before_the_form(house: House) -> None:
    address = house.address()
    house.pay(address)
    answer = house.browser.get(address)
    assert answer.status_code == 409 and 'data-key="code_used"' in answer.text
    assert "<form" not in answer.text


def test_genuine_events_are_heard_beside_any_number_of_forged_ones(house: House) -> None:
    house.pay()
    seen = {house.browser.post("/gateway/events", content=b"x").status_code for _ in range(80)}
    assert seen == {400, 429}
    assert event(house).status_code == 200


def test_a_driver_reads_his_own_language_everywhere(house: House) -> None:
    german = {"accept-language": "de"}
    page = house.browser.get(house.address(), headers=german).text
    assert "Zum Inhalt" in page and "To the content" not in page
    lost = house.browser.get("/pay/p/" + "x" * 43, headers=german)
    assert lost.status_code == 404 and 'lang="de"' in lost.text
    assert "Diese Zahlung gibt es nicht" in lost.text and "To the" not in lost.text
    english = house.browser.get("/pay/p/" + "x" * 43, headers={"accept-language": "en"})
    assert lost.text != english.text


def test_a_restart_makes_no_second_bill_of_a_month(tmp_path: Path) -> None:
    with billing.house(tmp_path) as house:
        billing.session(house, 300)
        may = house.ms
        billing.next_month(house)
        assert len(house.office.bills.listed(billing.ACCOUNT)) == 1
        june, house.ms = house.ms, may
        billing.session(house, 400)  # its records come after its month was billed
        house.ms = june
        house.restart()
        house.office.bills.work()
        assert len(house.office.bills.listed(billing.ACCOUNT)) == 1
        billing.next_month(house)
        billing.next_month(house)
        bills = house.office.bills.listed(billing.ACCOUNT)
        assert [bill["total_minor"] for bill in bills] == [400, 300]


# --- another gateway's page ----------------------------------------------------------------------


def test_a_refusal_at_a_page_of_the_gateways_is_final_and_another_card_is_offered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = till(house).hold

    def hold(order: Order, key: str) -> Payment:
        found = dataclasses.replace(
            real(dataclasses.replace(order, method="coin"), key), state=base.ACTION,
            confirm_url="https://pay.example/1",
        )  # fmt: skip
        till(house)._payments[found.reference] = found
        return found

    monkeypatch.setattr(till(house), "hold", hold)
    monkeypatch.setattr(till(house), "form", "page")
    monkeypatch.setattr(till(house), "test_methods", ())
    house.pay(method="none")
    assert house.now().state == "action" and "https://pay.example/1" in house.shown()
    reference = house.now().reference
    failed = dataclasses.replace(till(house)._payments[reference], state=base.FAILED)
    till(house)._payments[reference] = failed
    house.pass_s(10)
    assert house.now().state == "declined" and "Try another card" in house.shown()


def test_a_form_of_another_gateway_brings_its_script_and_its_hosts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold(order: Order, key: str) -> Payment:
        found = Payment("t-1", order.order, base.ACTION, order.currency, 0, secret="s3")
        till(house)._payments[found.reference] = found
        return found

    for name, value in {
        "hold": hold, "form": "element", "test_methods": (), "public_key": "p1",
        "script": "https://js.till.example/v1/", "form_script": "window.till();",
        "hosts": {"script-src": ("https://js.till.example",),
                  "frame-src": ("https://form.till.example",)},
    }.items():  # fmt: skip
        monkeypatch.setattr(till(house), name, value)
    house.pay(method="none")
    answer = house.browser.get(house.page)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self' https://js.till.example;" in policy
    assert "frame-src https://form.till.example" in policy and "stripe" not in policy
    assert 'src="https://js.till.example/v1/"' in answer.text and 'data-secret="s3"' in answer.text
    own = house.browser.get("/pay/form.js")
    assert own.text == "window.till();" and own.headers["content-type"].startswith("text/java")


def test_a_page_without_a_script_renews_itself_seldom(house: House) -> None:
    house.started()
    page = house.shown()
    assert '<noscript><meta http-equiv="refresh" content="20"></noscript>' in page
    assert 'data-renew="3"' in page and ">Refresh</a>" in page and "follow.js" in page
    script = house.browser.get("/static/follow.js")
    assert script.status_code == 200 and "innerHTML" in script.text

"""What must not slip through around a payment by phone: another price than the one that was shown,
Stop at an awkward moment, a fault of the program itself. With a gateway in memory; each ends with
the money.
"""

from __future__ import annotations

import dataclasses
import json
import re
import zlib
from typing import Any

import pytest

from hostsim.backoffice.gateways.base import (
    Declined,
    Payment,
    Unanswered,
)
from hostsim.world import DEFAULT_TARIFF
from tests.backoffice import desk
from tests.gateway.house_gateway import Till
from tests.gateway.pay import CHARGER, CRC, House

pytestmark = pytest.mark.timeout(120)
COIN = {"method": "coin"}


def dearer() -> str:
    """The tariff with a higher price and the same id."""
    tariff = json.loads(DEFAULT_TARIFF.read_text())
    for element in tariff["elements"]:
        for component in element["price_components"]:
            if component["type"] == "ENERGY":
                component["price"] = 0.99
    return json.dumps(tariff)


# --- the price that is shown is the price that is charged ----------------------------------------


def test_a_tariff_that_changed_since_the_page_was_opened_is_shown_before_anything_is_held(
    house: House,
) -> None:
    address = house.address()
    form = house.browser.get(address).text
    token = re.search(r'name="token" value="([^"]+)"', form)
    assert token and f'name="tariff" value="{CRC}"' in form and "0.99" not in form
    house.office.send_tariff(CHARGER, dearer())
    fields = {"token": token[1], "tariff": str(CRC), **COIN}
    answer = house.browser.post(address, data=fields)
    assert answer.status_code == 409 and house.kept() == []
    assert "The price has just changed" in answer.text and "No money was taken" in answer.text
    assert "0.99" in answer.text  # the new one, on the same form
    again = re.search(r'name="tariff" value="(\d+)"', answer.text)
    assert again and int(again[1]) == zlib.crc32(dearer().encode())
    assert house.browser.post(address, data=fields | {"tariff": ""}).status_code == 409
    house.browser.post(address, data=fields | {"tariff": again[1]})
    assert len(house.kept()) == 1
    house.station.crc = int(again[1])
    house.turn()
    house.station.obey()
    house.turn()
    assert house.now().state == "started" and house.station.starts[0]["tariff_crc"] == int(
        again[1]
    )


def test_a_charger_that_sells_by_another_tariff_starts_nothing_and_the_hold_goes_back(
    house: House,
) -> None:
    house.pay()
    house.station.crc = 7  # its tariff changed between the payment and the start
    house.turn()
    house.pass_s(5)
    pay = house.now()
    assert (pay.state, pay.why) == ("cancelled", "price_moved") and house.kept() == []
    text = house.shown()
    assert "The price changed before the charger started" in text and "No money was taken" in text
    assert house.station.records == [] and house.differences() == []
    assert "price of this charger is not known" in house.browser.get(house.address()).text
    house.ms += 301_000
    assert 'name="token"' in house.browser.get(house.address()).text


def test_another_card_is_not_tried_at_another_price(house: House) -> None:
    house.pay(method="button")
    house.office.send_tariff(CHARGER, dearer())
    again = house.browser.post(house.page + "/again", data=COIN)
    assert "The price changed" in again.text and house.kept() == []


def test_a_session_sold_by_another_tariff_than_was_shown_is_an_alarm(house: House) -> None:
    house.pay()
    house.turn()
    house.station.crc = 7
    args = {"session": house.now().id, "method": "gateway", "reference": house.now().reference}
    house.station._do_start(args | {"amount_minor": 6000})  # a firmware that does not compare
    house.station.hand_over()
    assert "gateway_price" in house.problems()


# --- stop ----------------------------------------------------------------------------------------


def test_stop_while_the_hold_is_being_asked_for_leaves_nothing_held(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, real = house.phone.gateway, house.phone.gateway.hold

    def slowly(*args: Any) -> Payment:
        assert house.now().state == "holding"
        house.phone.stop(house.now())  # the driver presses Cancel before the gateway has answered
        return real(*args)

    monkeypatch.setattr(gateway, "hold", slowly)
    house.pay()
    assert house.now().state == "cancelling" and house.now().reference
    house.turn()
    assert house.now().state == "cancelled" and house.kept() == []
    assert house.station.starts == [] and "It was cancelled" in house.shown()


def test_a_second_card_that_is_held_after_the_driver_gave_up_is_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first card's payment is at the gateway, and must not be taken for the second one's."""
    gateway, real = house.phone.gateway, house.phone.gateway.hold
    house.pay(method="button")
    assert house.now().state == "declined"
    first = Payment("till-0", house.now().id, "failed", "EUR", 0)
    assert isinstance(gateway, Till)
    gateway._payments["till-0"] = first
    cancel = gateway.cancel

    def cancelled(reference: str, key: str) -> Payment:
        """As at Stripe, where a payment of a declined card may be cancelled, too."""
        if reference == "till-0":
            return dataclasses.replace(first, reference=reference, state="cancelled")
        return cancel(reference, key)

    monkeypatch.setattr(gateway, "cancel", cancelled)

    def slowly(*args: Any) -> Payment:
        house.phone.stop(house.now())
        house.turn()  # the cashier looks for it while the bank still thinks
        assert house.now().state == "cancelling"
        house.ms += 121_000
        house.turn()  # and gives up: nothing is there but the first card's
        return real(*args)

    monkeypatch.setattr(gateway, "hold", slowly)
    house.browser.post(house.page + "/again", data=COIN)
    house.turn()
    assert house.now().state == "cancelled" and house.kept() == []
    assert house.station.starts == [] and house.differences() == []


def test_stop_is_on_the_page_while_the_bank_is_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*args: Any) -> Payment:
        raise Unanswered("no answer")

    monkeypatch.setattr(house.phone.gateway, "hold", nobody)
    text = house.pay().text
    assert 'data-state="holding"' in text and "/stop" in text
    house.browser.post(house.page + "/stop")
    house.pass_s(130, 10)
    assert (house.now().state, house.now().why) == ("cancelled", "given_up")


def test_stop_before_the_chargers_answer_ends_the_session_after_it(house: House) -> None:
    house.pay()
    house.turn()
    assert house.now().state == "starting"
    assert "Stopping" in house.browser.post(house.page + "/stop").text
    house.turn()
    assert [c["name"] for c in house.office.commands()] == ["start"]  # no stop overtakes it
    house.station.obey()
    house.turn()
    house.station.obey()
    house.turn()
    assert house.station.state == "free" and house.now().state == "cancelled"
    assert house.kept() == [] and house.differences() == []


def test_stop_before_an_answer_that_is_lost_ends_the_session_when_its_records_come(
    house: House,
) -> None:
    house.pay()
    house.turn()
    house.browser.post(house.page + "/stop")
    house.station.obey(answer=False)
    house.station.hand_over()
    house.turn()
    house.station.obey()
    house.turn()
    assert house.station.state == "free" and house.now().state == "cancelled"
    assert house.kept() == [] and house.differences() == []


def test_stop_that_meets_the_start_at_the_same_moment_is_not_lost(house: House) -> None:
    house.pay()
    seen = house.now()
    house.turn(1)  # held -> starting, while the page still has the payment as it was
    assert (seen.state, house.now().state) == ("held", "starting")
    house.phone.stop(seen)
    house.station.obey()
    house.turn()
    house.station.obey()
    house.turn()
    assert house.now().state == "cancelled" and house.kept() == []


# --- keys, lists, and the program's own faults ---------------------------------------------------


@pytest.mark.parametrize("step", ["capture", "cancel"])
def test_a_bank_that_says_no_is_asked_again_with_another_key(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    gateway, real = house.phone.gateway, getattr(house.phone.gateway, step)
    keys: list[str] = []

    def asked(*args: Any) -> Payment:
        keys.append(args[2 if step == "capture" else 1])
        if keys[0] == keys[-1]:  # 402, kept for the key like any answer
            raise Declined("card_declined")
        found = real(*args)
        assert isinstance(found, Payment)
        return found

    monkeypatch.setattr(gateway, step, asked)
    house.started()
    if step == "capture":
        house.station.charge(321)
    else:
        house.station.give_up()
    house.turn()
    house.pass_s(30)
    assert house.now().state == ("captured" if step == "capture" else "cancelled")
    assert len(keys) == len(set(keys)) == 2 and house.differences() == []


def test_a_fault_of_the_program_is_logged_counted_shown_and_stops_no_other_payment(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad = house.started()
    house.station.charge(300)
    second = house.address(valid_s=901)
    gateway, real = house.phone.gateway, house.phone.gateway.capture

    def broken(reference: str, *rest: Any) -> Payment:
        if reference == bad.reference:
            raise ZeroDivisionError("nobody thought of this")
        return real(reference, *rest)

    monkeypatch.setattr(gateway, "capture", broken)
    assert house.browser.get("/health").json()["payments"] == "not started"
    house.phone.cashier.begin()
    try:
        house.until(lambda: house.phone.cashier.keeper.falls > 0)
        house.ms += 1000
        house.pay(second)
        house.until(lambda: bool(house.now().command))
        house.station.obey()
        house.until(lambda: house.now().state == "started")
        house.station.charge(200)
        house.until(lambda: house.now().state == "captured")
        assert house.now().captured_minor == 200
        found = house.browser.get("/health")
        assert found.json()["payments"] == "" and found.json()["payments_falls"] > 0
    finally:
        house.phone.cashier.end()
    assert "ZeroDivisionError" in caplog.text and "gateway_cashier" in house.problems()
    page = desk.Visitor(house.office).log_in("viewer").get("/").text
    assert "gateway cashier" in page and "payments by phone, fell" in page
    monkeypatch.setattr(gateway, "capture", real)
    house.pass_s(60)
    taken = [p.captured_minor for p in gateway.listed(0)]
    assert sorted(taken) == [200, 300] and house.differences() == []

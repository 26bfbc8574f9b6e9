"""Refunds that wait for something: card refunds whose payment the gateway has to find first, and
those of payments that are not taken yet. Paid once, by the gateway or by hand, never by both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice.gateways.base import (
    CardSale,
    Failed,
    Order,
    Payment,
    Refunded,
    Refused,
    Unanswered,
)
from hostsim.backoffice.refunds import RefundError
from tests.backoffice import desk
from tests.gateway.pay import TILL, House, finish
from tests.gateway.pay import refund_of as state

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, TILL, gateway_acquires="52500041")
    yield found
    found.close()


def sold_by_card(house: House) -> str:
    """A card payment at the terminal, and what the gateway has of it."""
    house.station.begin("card", "S1", 6000)
    house.station.charge(300)
    gateway = house.phone.gateway
    paid = gateway.hold(Order("card", 300, "EUR", "coin"), "k1")
    gateway.capture(paid.reference, 300, "k2", "EUR")
    return paid.reference


def knows(house: House, monkeypatch: pytest.MonkeyPatch, *references: str) -> list[CardSale]:
    """The gateway finds these; what it was asked for."""
    asked: list[CardSale] = []

    def find(sale: CardSale) -> list[Payment]:
        asked.append(sale)
        return [house.phone.gateway.look_up(one) for one in references]

    monkeypatch.setattr(house.phone.gateway, "find_card_payments", find)
    return asked


def test_a_card_refund_the_gateway_pays_cannot_be_filed_by_hand_as_well(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = sold_by_card(house)
    knows(house, monkeypatch, reference)
    real = house.phone.gateway.refund

    def down(*args: Any) -> Refunded:
        raise Unanswered("no answer", "connection")

    monkeypatch.setattr(house.phone.gateway, "refund", down)
    refund = house.ask_refund(100)
    visitor = desk.Visitor(house.office).log_in("finance")
    for _ in range(2):  # before the cashier has taken it in, and after
        page = visitor.get(f"/refunds/{refund}").text
        assert "It was paid back" not in page and "The payment gateway pays it back" in page
        with pytest.raises(RefundError, match="paid back by the payment gateway"):
            house.office.refunds.confirm(refund, accepted=True, operator="bert", reference="hand")
        house.turn()
    assert house.payback(refund).state == "asked"
    monkeypatch.setattr(house.phone.gateway, "refund", real)
    house.pass_s(60)
    finish(house)
    assert state(house, refund) == "done"
    assert house.office.refunds.follow(refund)["confirmed_by"] == "gateway"
    assert house.phone.gateway.look_up(reference).refunded_minor == 100


def test_a_refund_that_was_answered_by_hand_is_not_paid_at_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, TILL)
    try:
        reference = sold_by_card(house)
        refund = house.ask_refund(100)
        assert house.office.refunds.acquirer_request(refund)["trace"] == 1
        house.office.refunds.confirm(refund, accepted=True, operator="bert", reference="hand")
        house.office.operator = dataclasses.replace(
            house.office.operator, gateway_acquires="52500041"
        )
        house.restart()
        knows(house, monkeypatch, reference)
        finish(house)
        assert state(house, refund) == "done"
        with house.office.engine.connect() as db:
            assert db.exec_driver_sql("SELECT count(*) FROM pay_refunds").scalar() == 0
    finally:
        house.close()


def test_a_card_payment_the_gateway_does_not_know_is_looked_for_with_pauses_then_left_to_hand(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold_by_card(house)
    asked = knows(house, monkeypatch)
    refund = house.ask_refund(100)
    house.turn(30)
    assert len(asked) == 1
    house.pass_s(100, 1)
    assert len(asked) == 6 and "gateway_refund" in house.problems()
    with pytest.raises(RefundError):
        house.office.refunds.confirm(refund, accepted=True, operator="bert", reference="hand")
    house.pass_s(2000, 20)
    assert len(asked) == 10 and house.payback(refund).state == "hand"
    assert state(house, refund) == "sent"
    details = [p["detail"] for p in house.office.problems()]
    assert any("to be filed by hand" in detail for detail in details)
    page = desk.Visitor(house.office).log_in("finance").get(f"/refunds/{refund}").text
    assert "It was paid back" in page
    house.office.refunds.confirm(refund, accepted=True, operator="bert", reference="hand")
    finish(house)
    assert state(house, refund) == "done" and len(asked) == 10


def test_a_gateway_that_is_down_while_a_card_payment_is_looked_for_is_asked_until_it_answers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = sold_by_card(house)

    def down(sale: CardSale) -> list[Payment]:
        raise Failed("500", "http_500")

    monkeypatch.setattr(house.phone.gateway, "find_card_payments", down)
    refund = house.ask_refund(100)
    house.pass_s(5000, 50)
    assert house.payback(refund).state == "asked" and "gateway_refund" in house.problems()
    knows(house, monkeypatch, reference)
    house.pass_s(700, 50)
    finish(house)
    assert state(house, refund) == "done"
    assert house.phone.gateway.look_up(reference).refunded_minor == 100


def test_two_payments_that_fit_are_an_alarm_and_neither_is_refunded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sold_by_card(house)
    gateway = house.phone.gateway
    second = gateway.hold(Order("card2", 300, "EUR", "coin"), "k3").reference
    gateway.capture(second, 300, "k4", "EUR")
    asked = knows(house, monkeypatch, first, second)
    refund = house.ask_refund(100)
    finish(house)
    assert house.payback(refund).state == "hand" and "gateway_refund" in house.problems()
    assert [gateway.look_up(one).refunded_minor for one in (first, second)] == [0, 0]
    sale = asked[0]
    assert (sale.terminal_id, sale.trace, sale.captured_minor) == ("52500041", 1, 300)
    at = house.office.refunds.acquirer_request(refund)["authorised_at"] // 1000
    assert sale.currency == "EUR" and sale.until - at == at - sale.since == 3 * 86_400


def test_a_refund_of_a_payment_that_is_not_taken_yet_waits_for_the_capture(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = house.phone.gateway
    capture, refund_it = gateway.capture, gateway.refund

    def down(*args: Any) -> Payment:
        raise Failed("500", "http_500")

    def refund_when_taken(reference: str, *rest: Any) -> Refunded:
        if gateway.look_up(reference).state != "captured":
            raise Refused("not captured", "payment_intent_unexpected_state")
        return refund_it(reference, *rest)

    monkeypatch.setattr(gateway, "capture", down)
    monkeypatch.setattr(gateway, "refund", refund_when_taken)
    house.started(300)
    refund = house.ask_refund(300)
    house.pass_s(60)
    assert (house.now().state, house.payback(refund).state) == ("capturing", "asked")
    monkeypatch.setattr(gateway, "capture", capture)
    house.pass_s(120)
    finish(house)
    assert house.now().captured_minor == 300 and state(house, refund) == "done"
    assert gateway.look_up(house.now().reference).refunded_minor == 300


def test_a_refund_of_a_payment_that_is_lost_fails(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = house.phone.gateway

    def gone(reference: str, *rest: Any) -> Payment:
        found = gateway.look_up(reference)
        return dataclasses.replace(found, state="cancelled")

    monkeypatch.setattr(gateway, "capture", gone)
    house.started(300)
    assert house.now().state == "lost"
    refund = house.ask_refund(300)
    finish(house)
    assert state(house, refund) == "failed"


def test_a_pending_refund_that_is_not_in_the_list_is_asked_for_with_growing_pauses(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    refund = pending_refund(house, monkeypatch)
    asked: list[int] = []

    def nothing(reference: str) -> list[Refunded]:
        asked.append(house.ms)
        return []

    monkeypatch.setattr(house.phone.gateway, "refunds", nothing)
    house.pass_s(60, 2)
    house.pass_s(840, 10)
    assert house.payback(refund).state == "pending" and "gateway_refund" in house.problems()
    pauses = [later - before for before, later in zip(asked, asked[1:], strict=False)]
    assert pauses == sorted(pauses) and pauses[0] >= 2000 and len(asked) < 12


def test_a_list_that_is_refused_says_nothing_about_a_refund(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    refund = pending_refund(house, monkeypatch)
    real = house.phone.gateway.refunds

    def refused(reference: str) -> list[Refunded]:
        raise Refused("no such list")

    monkeypatch.setattr(house.phone.gateway, "refunds", refused)
    house.pass_s(600, 20)
    assert house.payback(refund).state == "pending" and "gateway_refund" in house.problems()
    monkeypatch.setattr(house.phone.gateway, "refunds", real)
    monkeypatch.setattr(house.phone.gateway, "_refunds", [
        Refunded("re-1", refund, house.now().reference, "done", 100)
    ])  # fmt: skip
    house.pass_s(1200, 100)
    assert house.payback(refund).state == "done"


def pending_refund(house: House, monkeypatch: pytest.MonkeyPatch) -> str:
    """A refund that the gateway has taken and not finished."""

    def slow(reference: str, amount: int, refund: str, key: str, currency: str) -> Refunded:
        return Refunded("re-1", refund, reference, "pending", amount)

    house.started(500)
    monkeypatch.setattr(house.phone.gateway, "refund", slow)
    refund = house.ask_refund(100)
    house.turn(2)
    assert house.payback(refund).state == "pending"
    return refund


def test_a_charger_that_lost_power_before_it_wrote_the_refund_is_told_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.started(500)
    monkeypatch.setattr(house.station, "_do_refund_done", lambda args: "")  # answered, not written
    refund = house.ask_refund(100)
    house.turn(2)
    house.station.obey()
    told = [c for c in house.office.commands() if c["name"] == "refund_done"]
    assert [c["state"] for c in told] == ["ok"]
    house.office.refunds.tend()
    assert len([c for c in house.office.commands() if c["name"] == "refund_done"]) == 1
    monkeypatch.undo()
    house.ms += 1_801_000
    house.office.refunds.tend()
    house.station.obey()
    assert house.office.refunds.follow(refund)["state"] == "done" and house.differences() == []
    assert len([r for r in house.station.records if r["type"] == "refunded"]) == 1

"""Payments by phone and the time that passes while nobody looks: what becomes held, declined or
closed long after the driver left. With a gateway in memory; each ends with the money.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Failed, Order, Payment
from tests.gateway.fourth import till
from tests.gateway.pay import TILL, House

pytestmark = pytest.mark.timeout(120)
TEN_HOURS_MS = 36_000_000


def somebody_else_comes(house: House) -> None:
    house.ms += TEN_HOURS_MS
    house.station.state = "plugged"
    house.station.status()
    house.turn()
    house.station.obey()
    house.turn()


def test_a_process_that_died_before_the_hold_was_asked_starts_nothing_hours_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.phone.cashier, "step", lambda identity: None)
    house.pay()
    monkeypatch.undo()
    assert (house.now().state, house.now().tries) == ("holding", 0)
    somebody_else_comes(house)
    assert house.now().state == "cancelled" and house.station.starts == []
    assert house.kept() == [] and house.differences() == []


def asks_the_bank(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paid with a card whose bank wants a confirmation."""
    real = till(house).hold

    def hold(order: Order, key: str) -> Payment:
        found = dataclasses.replace(real(order, key), state=base.ACTION)
        till(house)._payments[found.reference] = found
        return found

    monkeypatch.setattr(till(house), "hold", hold)
    house.pay()
    assert house.now().state == "action"


def confirm(house: House) -> None:
    reference = house.now().reference
    found = till(house)._payments[reference]
    till(house)._payments[reference] = dataclasses.replace(found, state=base.HELD)


def test_a_confirmation_that_is_seen_hours_later_is_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_the_bank(house, monkeypatch)
    confirm(house)  # while the back office is down
    somebody_else_comes(house)
    assert (house.now().state, house.now().why) == ("cancelled", "given_up")
    assert house.station.starts == [] and house.kept() == []
    assert house.now().released_minor == house.now().amount_minor


def test_a_confirmation_in_time_starts_the_charger(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_the_bank(house, monkeypatch)
    house.pass_s(800, 100)
    confirm(house)
    house.pass_s(10)
    assert house.now().state == "started" and len(house.station.starts) == 1


def test_a_hold_whose_answer_takes_too_long_is_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = till(house).hold

    def slowly(*args: Any) -> Payment:
        house.ms += 901_000
        return real(*args)

    monkeypatch.setattr(till(house), "hold", slowly)
    house.pay()
    house.turn()
    assert house.now().state == "cancelled" and house.kept() == []
    assert house.station.starts == []


@pytest.mark.parametrize("server", ["", "127.0.0.1:9"])
def test_a_declined_driver_is_forgotten_when_no_other_card_comes(
    tmp_path: Path, server: str
) -> None:
    house = House(tmp_path, TILL, mail_server="127.0.0.1:9", mail_from="a@b.example")
    try:
        house.pay(method="button", email="driver@mail.example")
        house.pass_s(800, 100)
        assert (house.now().state, house.now().email) == ("declined", "driver@mail.example")
        changed = dataclasses.replace(house.office.operator, mail_server=server)
        house.office.operator = changed
        house.restart()
        house.pass_s(200, 50)
        assert (house.now().state, house.now().email) == ("cancelled", "")
        assert "The bank said no" in house.shown() or "not paid" in house.shown().lower()
    finally:
        house.close()


def test_an_alarm_that_was_closed_comes_again_while_it_is_still_true(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: Any) -> Payment:
        raise Failed("500", "http_500")

    monkeypatch.setattr(till(house), "capture", down)
    house.started(300)
    house.pass_s(120)
    assert [p["code"] for p in house.office.problems()] == ["gateway_capturing"]
    for problem in house.office.problems():
        house.office.close_problem(problem["id"], "anna")
    assert house.office.problems() == []
    house.pass_s(1800, 300)
    assert [p["code"] for p in house.office.problems()] == ["gateway_capturing"]

"""A gateway that hangs at one thing delays no other: with a gateway in memory, and the cashier's
own threads.
"""

from __future__ import annotations

import dataclasses
import threading

import pytest

from hostsim.backoffice.gateways.base import Order, Payment, Unanswered
from hostsim.backoffice.phone import pays
from tests.gateway.pay import House

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("what", ["capture", "refunds_made"])
def test_a_driver_is_served_while_the_gateway_hangs_at_others(
    house: House, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    for _ in range(3):
        house.started()
        house.station.charge(300)
    gateway, go_on, hanging = house.phone.gateway, threading.Event(), threading.Event()

    def hang(*args: object) -> Payment:
        hanging.set()
        go_on.wait(30)
        raise Unanswered("no answer")

    monkeypatch.setattr(gateway, what, hang)
    if what == "refunds_made":
        house.phone.cashier.chores[:] = [lambda: gateway.refunds_made(0)]
    house.phone.cashier.begin()
    try:
        assert hanging.wait(10)
        house.ms += 1000
        house.pay()
        house.until(lambda: bool(house.now().command))
        house.station.obey()
        house.until(lambda: house.now().state == "started")
        assert not go_on.is_set()
    finally:
        go_on.set()
        house.phone.cashier.end()


def test_what_became_due_during_a_slow_step_does_not_wait_for_all_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        house.started()
        house.station.charge(300)
    asked: list[str] = []

    def slow(reference: str, *rest: object) -> Payment:
        asked.append(reference)
        raise Unanswered("no answer")

    monkeypatch.setattr(house.phone.gateway, "capture", slow)
    monkeypatch.setattr("hostsim.backoffice.phone.lanes._TURN_S", -1.0)
    house.phone.cashier.turn()
    assert len(asked) == 1  # one step, then what is due is read again


def test_a_payment_the_database_refuses_waits_and_is_shown_and_others_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, gateway = house.office.engine, house.phone.gateway
    if engine.dialect.name == "sqlite":  # which takes texts of any length; PostgreSQL does not
        with engine.begin() as db:
            db.exec_driver_sql(
                "CREATE TRIGGER short BEFORE UPDATE ON pays WHEN length(NEW.reference) > 64 "
                "BEGIN SELECT RAISE(ABORT, 'value too long'); END"
            )
    real, asked = gateway.hold, list[str]()

    def hold(order: Order, key: str) -> Payment:
        asked.append(order.order)
        if len(asked) == 2:  # the second payment, by its page: left to the cashier
            raise Unanswered("no answer")
        found = real(order, key)
        long = found.reference + "x" * 64
        return dataclasses.replace(found, reference=long) if order.order == asked[0] else found

    monkeypatch.setattr(gateway, "hold", hold)
    assert house.pay(email="driver@example.org").status_code == 503  # the page tries at once
    house.ms += 1000
    house.pay()
    assert house.now().state == "holding"
    house.ms += 5000
    house.phone.cashier.begin()
    try:
        house.until(lambda: house.now().state in ("held", "starting"), 30)
    finally:
        house.phone.cashier.end()
    stuck = pays.get(engine, asked[0])
    assert stuck is not None and (stuck.state, stuck.tries) == ("holding", 1)
    assert stuck.next_at > house.ms
    shown = [p for p in house.office.problems() if p["code"] == "gateway_cashier"]
    assert len(shown) == 1 and asked[0] in shown[0]["detail"]
    assert "driver@example.org" not in str(shown)

"""A gateway that hangs at one thing delays no other: with a gateway in memory, and the cashier's
own threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostsim.backoffice.gateways.base import Payment, Unanswered
from tests.gateway.pay import TILL, House

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, TILL)
    yield found
    found.close()


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

"""Payments of every kind the gateway settles, and ways to make its list differ from our books."""

from __future__ import annotations

import dataclasses
from typing import Any

from hostsim.backoffice.fourth.found import (
    Comparison,
    Difference,
)
from hostsim.backoffice.gateways.base import Order
from hostsim.backoffice.pay_tables import Pay
from tests.backoffice.billing import next_month, paid, refund, session
from tests.gateway.house_gateway import Till
from tests.gateway.pay import House, finish, refund_of

DAY_MS = 86_400_000
TERMINAL = "52500041"


def till(house: House) -> Till:
    assert isinstance(house.phone.gateway, Till)
    return house.phone.gateway


def compared(house: House) -> Comparison:
    return house.phone.fourth.work(0)


def only(found: Comparison) -> Difference:
    assert len(found.differences) == 1, list(found.lines())
    return found.differences[0]


def by_phone(house: House, total: int = 119) -> Pay:
    pay = house.started(total)
    assert pay.state == "captured"
    return pay


def by_card(house: House, total: int = 300) -> str:
    """A card payment at the terminal and what the acquirer has of it."""
    house.station.begin("card", "S1", 6000)
    house.station.charge(total)
    made = till(house).hold(Order("card", total, "EUR", "coin"), f"k{house.station.sess}")
    till(house).capture(made.reference, total, f"k{house.station.sess}c", "EUR")
    change(
        house, made.reference, order="", terminal_id=TERMINAL, trace=house.station.sess,
        created=house.ms // 1000,
    )  # fmt: skip
    return made.reference


def change(house: House, reference: str, **fields: Any) -> None:
    kept = till(house)._payments
    kept[reference] = dataclasses.replace(kept[reference], **fields)


def row(house: House, sql: str) -> None:
    with house.office.engine.begin() as db:
        db.exec_driver_sql(sql)


def everything(house: House) -> None:
    """A session by phone with a refund, a card with one, a paid bill and a credit of it."""
    by_phone(house, 200)
    assert refund_of(house, paid_back(house, 50)) == "done"
    session(house, 500)
    next_month(house)
    paid(house)
    refund(house, 120, receipt=2)
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    house.turn()
    house.office.bills.work()
    reference = by_card(house)
    till(house).find_card_payments = lambda sale: [  # type: ignore[method-assign]
        till(house).look_up(reference)
    ]
    assert refund_of(house, paid_back(house, 30, 3)) == "done"


def paid_back(house: House, amount: int, receipt: int = 1) -> str:
    identity = house.ask_refund(amount, receipt)
    finish(house)
    return identity


# -- each kind of difference, of each kind of money


def lose(house: House, reference: str) -> None:
    del till(house)._payments[reference]

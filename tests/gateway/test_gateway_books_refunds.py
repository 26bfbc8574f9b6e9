"""The fourth book's refunds: each that differs between the gateway's list and ours is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostsim.backoffice.fourth.found import (
    DIFFERS,
    MISSING_HERE,
    MISSING_THERE,
    TWICE,
)
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Refunded
from tests.backoffice import billing
from tests.gateway.fourth import (
    TERMINAL,
    by_card,
    by_phone,
    compared,
    everything,
    only,
    paid_back,
    row,
    till,
)
from tests.gateway.pay import House

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with billing.house(tmp_path, gateway_acquires=TERMINAL) as found:
        yield found


# -- refunds


def a_refund(house: House) -> tuple[str, Refunded]:
    by_phone(house, 200)
    identity = paid_back(house, 50)
    return identity, till(house)._refunds[0]


Break = Callable[[House, Refunded], object]


def gone(house: House, made: Refunded) -> None:
    till(house)._refunds.clear()


def other_amount(house: House, made: Refunded) -> None:
    till(house)._refunds[0] = dataclasses.replace(made, amount_minor=51)


def again(house: House, made: Refunded) -> None:
    till(house)._refunds.append(dataclasses.replace(made, reference="re-2"))


def sent_back(house: House, made: Refunded) -> None:
    till(house)._refunds[0] = dataclasses.replace(made, state=base.FAILED)


def forgotten(house: House, made: Refunded) -> None:
    row(house, "DELETE FROM pay_refunds")
    row(house, "UPDATE refunds SET way = 'account'")  # not to be named as the session's as well


@pytest.mark.parametrize(
    ("broken", "what", "says"),
    [
        (gone, MISSING_THERE, "50 done here, not there"),
        (sent_back, MISSING_THERE, "50 done here, failed there"),
        (other_amount, DIFFERS, "50 here, 51 there"),
        (again, TWICE, "re-2"),
        (forgotten, MISSING_HERE, "0.50 € given back there"),
    ],
    ids=["not there", "failed there", "another amount", "twice", "not here"],
)
def test_a_refund_that_differs_is_named(
    house: House, broken: Break, what: str, says: str
) -> None:
    identity, made = a_refund(house)
    assert compared(house).agree
    broken(house, made)
    one = only(compared(house))
    assert (one.what, one.kind, one.ours) == (what, "refund", identity)
    assert one.reference == made.reference and says in one.detail


def test_a_refund_that_was_made_at_the_gateway_itself_is_missing_here(house: House) -> None:
    pay = by_phone(house, 200)
    till(house).refund(pay.reference, 70, "", "by-hand", "EUR")
    one = only(compared(house))
    assert (one.what, one.reference) == (MISSING_HERE, "re-by-hand")
    assert one.detail == f"0.70 € of {pay.reference}: made at the gateway itself"


def test_what_a_gateway_lists_as_released_by_a_capture_is_no_refund(house: House) -> None:
    pay = by_phone(house, 200)
    till(house)._refunds.append(
        Refunded("re-rest", "", pay.reference, base.DONE, 5800, currency="EUR")
    )
    assert compared(house).agree


def test_a_card_refund_filed_at_the_gateways_own_pages_is_known_by_its_reference(
    house: House,
) -> None:
    reference = by_card(house)
    identity = house.ask_refund(30, 1)
    row(house, "DELETE FROM pay_refunds")
    made = till(house).refund(reference, 30, "", "portal", "EUR")
    row(
        house,
        "UPDATE refund_orders SET acquirer = 'accepted',"
        f" acquirer_reference = '{made.reference}' WHERE refund = '{identity}'",
    )
    assert compared(house).agree
    row(house, f"UPDATE refunds SET amount_minor = 29 WHERE refund = '{identity}'")
    one = only(compared(house))
    assert one.what == DIFFERS and one.detail.endswith("29 noted by hand here")


def test_a_monthly_credit_that_is_not_paid_out_there_is_named(house: House) -> None:
    everything(house)
    part = next(r for r in till(house)._refunds if r.refund.startswith("A-"))
    till(house)._refunds.remove(part)
    one = only(compared(house))
    assert (one.what, one.kind, one.ours) == (MISSING_THERE, "credit", "A-000002-1")


def test_a_refund_the_charger_has_and_no_gateway_paid_is_named(house: House) -> None:
    a_refund(house)
    row(house, "DELETE FROM pay_refunds")
    till(house)._refunds.clear()
    one = only(compared(house))
    assert (one.what, one.kind, one.ours) == (MISSING_THERE, "refund", "CP1-1")

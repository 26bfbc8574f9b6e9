"""What is given back on account: less on the next bill, or paid out where the bill was paid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice.bills import make
from hostsim.backoffice.gateways.base import Refunded, Refused
from tests.backoffice import billing
from tests.backoffice.billing import ACCOUNT, DAY_MS, account, next_month, paid, refund, session
from tests.gateway.pay import CHARGER, House

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with billing.house(tmp_path) as found:
        yield found


def test_a_refund_is_a_line_below_zero_and_what_is_not_above_zero_waits(house: House) -> None:
    session(house, 500)
    next_month(house)
    house.station.refunds.clear()
    identity = house.office.refunds.request(
        CHARGER, receipt=1, amount_minor=200, reason="goodwill", operator="anna"
    )
    house.office.refunds.approve(identity, "bert")
    house.station.obey()
    house.office.refunds.tend()  # nobody pays: less is billed
    house.station.obey()
    assert house.office.refunds.follow(identity)["state"] == "done"
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    assert [b["total_minor"] for b in house.office.bills.listed()] == [500]  # -200 waits
    session(house, 300)
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    assert [b["total_minor"] for b in house.office.bills.listed()] == [100, 500]
    assert make.verify(house.office.engine) == []


def test_what_is_given_back_of_a_paid_bill_is_paid_out_at_the_gateway(house: House) -> None:
    session(house, 500)
    next_month(house)
    assert paid(house)["state"] == "paid"
    refund(house, 200)
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    credit = house.office.bills.listed(ACCOUNT)[0]
    assert (credit["total_minor"], credit["state"]) == (-200, "credit")
    page = house.browser.get(f"/bill/{credit['number']}/{credit['check']}", params={"lang": "en"})
    assert "Monthly credit note" in page.text and "being paid out" in page.text
    assert 'name="token"' not in page.text  # nothing to pay
    house.turn()
    house.office.bills.work()
    assert house.office.bills.listed(ACCOUNT)[0]["state"] == "paid"
    assert [p.refunded_minor for p in house.phone.gateway.listed(0)] == [200]
    assert make.verify(house.office.engine) == [] and account(house)["owed_minor"] == 0


def test_a_credit_is_not_paid_out_twice_nor_beyond_what_was_paid(house: House) -> None:
    session(house, 500)
    session(house, 100)
    next_month(house)
    paid(house)
    refund(house, 500)
    house.ms += 31 * DAY_MS
    for _ in range(3):
        house.office.bills.work()
        house.turn()
    refund(house, 100, receipt=2)
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    house.turn()
    assert [b["total_minor"] for b in house.office.bills.listed()] == [-100, -500, 600]
    assert [p.refunded_minor for p in house.phone.gateway.listed(0)] == [600]


def test_a_credit_of_an_account_with_an_open_bill_is_on_the_next_one(house: House) -> None:
    session(house, 500)
    next_month(house)
    paid(house)
    session(house, 300)
    house.ms += 31 * DAY_MS
    house.office.bills.work()  # open
    refund(house, 200)
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    house.turn()
    assert [b["total_minor"] for b in house.office.bills.listed()] == [300, 500]
    assert [p.refunded_minor for p in house.phone.gateway.listed(0)] == [0]


def test_a_credit_that_the_gateway_refuses_is_an_alarm(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(house, 500)
    next_month(house)
    paid(house)
    refund(house, 200)

    def refused(*args: Any) -> Refunded:
        raise Refused("closed account")

    monkeypatch.setattr(house.phone.gateway, "refund", refused)
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    house.turn()
    assert "gateway_refund" in house.problems()
    assert house.office.bills.listed(ACCOUNT)[0]["state"] == "credit"

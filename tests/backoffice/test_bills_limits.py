"""What an account may owe: above it, or overdue, its cards are stopped until it has paid."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from hostsim.backoffice.bills.desk import BillError
from hostsim.backoffice.members import Members
from tests.backoffice import billing, desk
from tests.backoffice.billing import ACCOUNT, DAY_MS, account, next_month, session
from tests.gateway.pay import CHARGER, TILL, House

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with billing.house(tmp_path) as found:
        yield found


def test_above_its_limit_an_account_is_stopped_until_it_has_paid(house: House) -> None:
    house.office.bills.set_terms(ACCOUNT, 700, 14, "anna")
    house.office.bills.work()
    session(house, 500)
    house.office.bills.work()
    assert account(house)["active"] and account(house)["owed_minor"] == 500
    version = Members(house.office.engine, lambda: 0).version
    session(house, 300)
    house.office.bills.work()
    assert not account(house)["active"] and account(house)["blocked"] == "limit"
    assert Members(house.office.engine, lambda: 0).version == version + 1  # chargers are told
    next_month(house)
    bill = house.office.bills.listed()[0]
    house.browser.post(
        f"/bill/{bill['number']}/{bill['check']}", data={"token": "E" * 43, "method": "coin"}
    )
    house.turn()
    house.office.bills.work()
    house.office.bills.work()
    assert account(house)["active"] and account(house)["blocked"] == ""
    assert account(house, "OTHER-1")["active"]


def test_an_overdue_bill_stops_an_account_and_what_an_operator_stopped_stays_stopped(
    house: House,
) -> None:
    session(house, 500)
    session(house, 400, "OTHER-1")
    next_month(house)
    Members(house.office.engine, lambda: 0).change("OTHER-1", by="anna", active=False)
    house.ms += 15 * DAY_MS
    house.office.bills.work()
    assert account(house)["blocked"] == "overdue" and not account(house)["active"]
    for bill in house.office.bills.listed():
        token = ("F" if bill["account"] == ACCOUNT else "G") * 43
        house.browser.post(
            f"/bill/{bill['number']}/{bill['check']}", data={"token": token, "method": "coin"}
        )
    house.turn()
    house.office.bills.work()
    house.office.bills.work()
    assert account(house)["active"]
    assert not account(house, "OTHER-1")["active"]


def test_what_an_operator_stops_after_billing_did_is_not_undone_by_a_payment(
    house: House,
) -> None:
    session(house, 500)
    next_month(house)
    house.ms += 15 * DAY_MS
    house.office.bills.work()
    assert account(house)["blocked"] == "overdue"
    Members(house.office.engine, lambda: 0).change(ACCOUNT, by="anna", active=False)
    bill = house.office.bills.listed()[0]
    house.browser.post(
        f"/bill/{bill['number']}/{bill['check']}", data={"token": "H" * 43, "method": "coin"}
    )
    house.turn()
    house.office.bills.work()
    house.office.bills.work()
    assert house.office.bills.listed()[0]["state"] == "paid"
    assert not account(house)["active"]


def test_what_was_given_back_counts_against_the_limit_before_it_is_on_a_bill(
    house: House,
) -> None:
    house.office.bills.set_terms(ACCOUNT, 700, 14, "anna")
    session(house, 800)
    house.office.bills.work()
    assert account(house)["blocked"] == "limit"
    identity = house.office.refunds.request(
        CHARGER, receipt=1, amount_minor=300, reason="goodwill", operator="anna"
    )
    house.office.refunds.approve(identity, "bert")
    house.station.obey()
    house.office.refunds.tend()
    house.station.obey()
    house.office.bills.work()
    assert account(house)["owed_minor"] == 500
    assert account(house)["blocked"] == "" and account(house)["active"]


def test_no_account_is_stopped_for_a_bill_that_nobody_can_pay(tmp_path: Path) -> None:
    house = House(tmp_path / "none", TILL, gateway="")
    try:
        members = Members(house.office.engine, lambda: house.ms)
        members.add(ACCOUNT, by="anna")
        session(house, 500)  # in January, by its records
        house.ms = int(datetime.datetime(2026, 5, 20, tzinfo=datetime.UTC).timestamp() * 1000)
        house.office.bills.work()
        house.ms += 15 * DAY_MS
        house.office.bills.work()
        assert [b["state"] for b in house.office.bills.listed()] == ["open"]
        assert account(house)["active"] and account(house)["blocked"] == ""
        with house.office.engine.begin() as db:  # an earlier version stopped it
            db.exec_driver_sql("UPDATE account_terms SET blocked = 'overdue'")
        members.change(ACCOUNT, by="billing", active=False)
        house.office.bills.work()
        assert account(house)["active"] and account(house)["blocked"] == ""
    finally:
        house.close()


def test_terms_are_for_finance_to_change(house: House) -> None:
    with pytest.raises(BillError, match="no NOBODY"):
        house.office.bills.set_terms("NOBODY", 1, 14, "anna")
    visitor = desk.Visitor(house.office).log_in("finance")
    visitor.submit("/bills", "/bills/terms", account=ACCOUNT, limit="9,00", pay_days="30")
    assert (account(house)["limit_minor"], account(house)["pay_days"]) == (900, 30)
    page = visitor.get("/bills").text
    assert 'value="9.00 €"' in page and "minor units" not in page
    visitor.submit("/bills", "/bills/terms", account=ACCOUNT, limit="much", pay_days="30")
    assert account(house)["limit_minor"] == 900
    outsider = desk.Visitor(house.office).log_in("viewer")
    assert outsider.get("/bills").status_code == 403


def test_a_crash_while_an_account_is_stopped_leaves_it_to_be_stopped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.office.bills.set_terms(ACCOUNT, 400, 14, "anna")
    session(house, 500)
    real = Members.change_in

    def crash(*args: Any, **named: Any) -> None:
        raise OperationalError("power", None, Exception())

    monkeypatch.setattr(Members, "change_in", crash)
    with pytest.raises(OperationalError):
        house.office.bills.work()
    assert account(house)["blocked"] == "" and account(house)["active"]
    monkeypatch.setattr(Members, "change_in", real)
    house.office.bills.work()
    assert account(house)["blocked"] == "limit" and not account(house)["active"]

"""Accounts that pay once a month: one invoice of everything, nothing twice and nothing left out;
paid at the gateway; limits and blocking.
"""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from hostsim.backoffice.bills import make
from hostsim.backoffice.bills.desk import BillError
from hostsim.backoffice.gateways.base import Settings
from hostsim.backoffice.members import Members
from tests import desk
from tests.pay import CHARGER, House

pytestmark = pytest.mark.timeout(120)
ACCOUNT = "ACME-7"
TILL = Settings("tests.house_gateway", environ={"FORECOURT_TILL_KEY": "k" * 16})
DAY_MS = 86_400_000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, TILL)
    members = Members(found.office.engine, lambda: found.ms)
    members.add(ACCOUNT, name="Acme fleet", address="Hafen 1", vat_id="DE1", by="anna")
    members.add("OTHER-1", by="anna")
    found.ms = int(datetime.datetime(2026, 5, 20, tzinfo=datetime.UTC).timestamp() * 1000)
    yield found
    found.close()


def session(house: House, total: int, account: str = ACCOUNT) -> None:
    """A session of a member's card; records are dated by the house's clock."""
    station = house.station
    before = len(station.records)
    station.begin("rfid", account, 6000)
    station.charge(total)
    assert len(station.records) > before


@pytest.fixture(autouse=True)
def dated(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put = house.station.put

    def at_now(kind: str, **fields: Any) -> int:
        return put(kind, **{"at": house.ms, **fields})

    monkeypatch.setattr(house.station, "put", at_now)


def next_month(house: House) -> None:
    house.ms += 20 * DAY_MS
    house.office.bills.work()


def account(house: House, name: str = ACCOUNT) -> dict[str, Any]:
    return next(a for a in house.office.bills.accounts() if a["account"] == name)


def test_a_months_sessions_are_one_invoice_with_one_total(house: House) -> None:
    for total in (500, 250, 119):
        session(house, total)
    session(house, 400, "OTHER-1")
    house.office.bills.work()
    assert house.office.bills.listed() == []  # the month is not over
    next_month(house)
    bills = house.office.bills.listed(ACCOUNT)
    assert [(b["number"], b["total_minor"], b["month"]) for b in bills] == [
        ("A-000001", 869, 202605)
    ]
    assert [b["total_minor"] for b in house.office.bills.listed("OTHER-1")] == [400]
    found = house.office.bills.find("A-000001")
    assert found is not None
    document = found["document"]
    assert document["net_minor"] + document["vat_minor"] == document["total_minor"] == 869
    assert sum(row[3] for row in document["vat"]) == 869
    assert make.verify(house.office.engine) == []


def test_nothing_is_billed_twice_whatever_is_repeated_and_late_records_come_next_month(
    house: House,
) -> None:
    session(house, 500)
    house.station.online = False
    session(house, 250)  # this charger says so much later
    house.station.online = True
    next_month(house)
    for _ in range(3):
        house.office.bills.make(202605, "anna")
        house.office.bills.make(202606, "anna")
    house.restart()
    house.office.bills.work()
    assert [b["total_minor"] for b in house.office.bills.listed()] == [500]
    house.station.hand_over()
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    assert sorted(b["total_minor"] for b in house.office.bills.listed()) == [250, 500]
    assert make.verify(house.office.engine) == []


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


def test_a_changed_or_missing_bill_is_found(house: House) -> None:
    for month in range(3):
        session(house, 100 + month)
        house.ms += 31 * DAY_MS
        house.office.bills.work()
    assert len(house.office.bills.listed()) == 3 and make.verify(house.office.engine) == []
    with house.office.engine.begin() as db:
        db.exec_driver_sql("UPDATE bills SET document = replace(document, '101', '99')")
    assert any("A-000002" in fault for fault in make.verify(house.office.engine))
    with house.office.engine.begin() as db:
        db.exec_driver_sql("DELETE FROM bills WHERE number = 'A-000002'")
    assert any("is missing" in fault for fault in make.verify(house.office.engine))


def test_a_member_reads_and_pays_the_bill_without_a_log_in(house: House) -> None:
    session(house, 500)
    session(house, 369)
    next_month(house)
    bill = house.office.bills.listed(ACCOUNT)[0]
    address = f"/bill/{bill['number']}/{bill['check']}"
    page = house.browser.get(address, params={"lang": "en"})
    assert "8.69 €" in page.text and "Acme fleet" in page.text and "CP1-I000002" in page.text
    pdf = house.browser.get(f"{address}/{bill['number']}.pdf").content
    text = PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
    assert "A-000001" in text and "8.69" in text and "Hafen 1" in text
    assert house.browser.get(address[:-1] + "x").status_code == 404
    token = re.search(r'name="token" value="([^"]+)"', page.text)
    assert token
    for _ in range(2):  # pressed twice
        answer = house.browser.post(address, data={"token": token[1], "method": "coin"})
        assert answer.status_code == 200
    house.turn()
    house.office.bills.work()
    assert house.office.bills.listed(ACCOUNT)[0]["state"] == "paid"
    taken = [p.captured_minor for p in house.phone.gateway.listed(0)]
    assert taken == [869] and house.now().state == "captured"
    again = house.browser.post(address, data={"token": "B" * 43, "method": "coin"})
    assert again.status_code == 409  # it is paid


def test_a_declined_payment_leaves_the_bill_open_for_another(house: House) -> None:
    session(house, 500)
    next_month(house)
    bill = house.office.bills.listed()[0]
    address = f"/bill/{bill['number']}/{bill['check']}"
    house.browser.post(address, data={"token": "C" * 43, "method": "button"})
    assert house.now().state == "declined"
    house.browser.post(address, data={"token": "D" * 43, "method": "coin"})  # another day
    house.turn()
    house.office.bills.work()
    assert house.office.bills.listed()[0]["state"] == "paid"
    assert sum(p.captured_minor for p in house.phone.gateway.listed(0)) == 500


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


def test_terms_are_for_finance_to_change(house: House) -> None:
    with pytest.raises(BillError, match="no NOBODY"):
        house.office.bills.set_terms("NOBODY", 1, 14, "anna")
    visitor = desk.Visitor(house.office).log_in("finance")
    visitor.submit("/bills", "/bills/terms", account=ACCOUNT, limit_minor="900", pay_days="30")
    assert (account(house)["limit_minor"], account(house)["pay_days"]) == (900, 30)
    outsider = desk.Visitor(house.office).log_in("viewer")
    assert outsider.get("/bills").status_code == 403


def test_a_members_session_document_says_that_the_monthly_invoice_follows(house: House) -> None:
    session(house, 500)
    text = house.browser.get(f"/r/{CHARGER}/1/500", params={"lang": "en"}).text
    assert "Session statement (monthly invoice follows)" in text and "on account" in text
    assert "Paid by card" not in text


def test_months_begin_and_end_where_the_operator_is() -> None:
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    end = make.end_of(202603, berlin)
    assert make.month_of(end - 1, berlin) == 202603 and make.month_of(end, berlin) == 202604
    assert end == int(datetime.datetime(2026, 3, 31, 22, tzinfo=datetime.UTC).timestamp()) * 1000
    assert make.before(202601) == 202512

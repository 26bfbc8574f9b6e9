"""Accounts that pay once a month: one invoice of everything, nothing twice and nothing left out;
read and paid by its member, or noted as paid by finance.
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

from hostsim.backoffice import audit
from hostsim.backoffice.bills import make
from hostsim.backoffice.bills.desk import BillError
from hostsim.backoffice.invoices import find, verify
from hostsim.backoffice.reports import roll
from tests.backoffice import billing, desk
from tests.backoffice.billing import ACCOUNT, DAY_MS, account, next_month, refund, session, vat
from tests.gateway.pay import CHARGER, House

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with billing.house(tmp_path) as found:
        yield found


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


def test_bills_cut_off_at_the_end_are_noticed_and_their_numbers_not_given_again(
    house: House, tmp_path: Path
) -> None:
    for month in range(3):
        session(house, 100 + month)
        house.ms += 31 * DAY_MS
        house.office.bills.work()
    saved = make.end(house.office.engine)
    assert saved[0] == 3
    assert make.verify(house.office.engine, saved) == []
    with house.office.engine.begin() as db:
        db.exec_driver_sql("DELETE FROM bill_items WHERE bill = 'A-000003'")
        db.exec_driver_sql("DELETE FROM bills WHERE number = 'A-000003'")
    assert any("their chain at A-000003" in x for x in make.verify(house.office.engine))
    house.office.bills.make(202607, "anna")
    assert [b["number"] for b in house.office.bills.listed()][0] == "A-000004"
    with house.office.engine.begin() as db:  # whoever takes the chain's end back, too
        db.exec_driver_sql("DELETE FROM bill_items WHERE bill = 'A-000004'")
        db.exec_driver_sql("DELETE FROM bills WHERE number = 'A-000004'")
        db.exec_driver_sql(
            "UPDATE bill_chain SET position = 2,"
            " head = (SELECT hash FROM bills WHERE number = 'A-000002')"
        )
    assert make.verify(house.office.engine) == []
    assert make.verify(house.office.engine, saved) == ["monthly invoices up to A-000003 are gone"]


def test_a_member_reads_and_pays_the_bill_without_a_log_in(house: House) -> None:
    session(house, 500)
    session(house, 369)
    next_month(house)
    bill = house.office.bills.listed(ACCOUNT)[0]
    address = f"/bill/{bill['number']}/{bill['check']}"
    page = house.browser.get(address, params={"lang": "en"})
    assert "8.69 €" in page.text and "Acme fleet" in page.text and "CP1-S000002" in page.text
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


def test_a_bill_that_was_paid_by_bank_transfer_is_noted_by_finance_and_audited(
    house: House,
) -> None:
    session(house, 500)
    next_month(house)
    house.ms += 15 * DAY_MS
    house.office.bills.work()
    assert account(house)["blocked"] == "overdue"
    day = datetime.datetime.fromtimestamp(house.ms // 1000 - 86_400, datetime.UTC).date()
    fields = {"number": "A-000001", "reference": "transfer 4711", "date": str(day)}
    visitor = desk.Visitor(house.office).log_in("finance")
    visitor.submit("/bills", "/bills/paid", **(fields | {"date": "2099-01-01"}))
    visitor.submit("/bills", "/bills/paid", **(fields | {"reference": ""}))
    assert house.office.bills.listed()[0]["state"] == "open"
    visitor.submit("/bills", "/bills/paid", **fields)
    house.office.bills.work()
    bill = house.office.bills.listed()[0]
    assert bill["state"] == "paid" and bill["paid_at"] < house.ms
    assert account(house)["active"] and account(house)["owed_minor"] == 0
    entry = audit.entries(house.office.engine, subject="A-000001")[0]
    assert (entry["person"], entry["action"]) == ("finance", "bill paid otherwise")
    assert entry["detail"] == f"on {day}: transfer 4711"
    form = {"token": "T" * 43, "method": "coin"}
    answer = house.browser.post(f"/bill/{bill['number']}/{bill['check']}", data=form)
    assert answer.status_code == 409  # nobody pays it a second time
    assert make.verify(house.office.engine) == []


def test_a_bill_whose_payment_is_under_way_is_not_noted_as_paid_otherwise(house: House) -> None:
    session(house, 500)
    next_month(house)
    bill = house.office.bills.listed()[0]
    form = {"token": "U" * 43, "method": "coin"}
    house.browser.post(f"/bill/{bill['number']}/{bill['check']}", data=form)
    with pytest.raises(BillError, match="under way"):
        house.office.bills.paid_otherwise("A-000001", house.ms, "transfer", "anna")
    house.turn()
    house.office.bills.work()
    with pytest.raises(BillError, match="is paid"):
        house.office.bills.paid_otherwise("A-000001", house.ms, "transfer", "anna")


def test_a_payment_that_begins_while_its_bill_is_noted_as_paid_is_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(house, 500)
    next_month(house)
    bill = house.office.bills.listed()[0]
    real = house.phone.begin_bill

    def just_before(*args: Any) -> str:
        house.office.bills.paid_otherwise("A-000001", house.ms, "transfer", "anna")
        return real(*args)

    monkeypatch.setattr(house.phone, "begin_bill", just_before)
    form = {"token": "V" * 43, "method": "coin"}
    house.browser.post(f"/bill/{bill['number']}/{bill['check']}", data=form)
    house.turn()
    assert house.now().state == "cancelled" and house.now().captured_minor == 0
    assert [p.state for p in house.phone.gateway.listed(0)] == ["cancelled"]


def test_what_is_too_little_for_the_gateway_is_on_the_next_bill(house: House) -> None:
    session(house, 30)
    next_month(house)
    assert house.office.bills.listed() == [] and account(house)["owed_minor"] == 30
    session(house, 20)
    house.ms += 31 * DAY_MS
    house.office.bills.work()
    assert [b["total_minor"] for b in house.office.bills.listed()] == [50]


def test_only_the_monthly_invoice_shows_the_vat_of_a_session_on_account(house: House) -> None:
    session(house, 500)
    refund(house, 200)
    house.station.begin("card", "S1", 6000)
    house.station.charge(119)
    engine = house.office.engine
    numbers = {d["number"].removeprefix(f"{CHARGER}-") for d in find.newest(engine, 9)}
    assert numbers == {"I000001", "S000001", "A000001"}  # no gap in any series
    text = house.browser.get(f"/r/{CHARGER}/1/500", params={"lang": "en"}).text
    assert "Session statement (monthly invoice follows)" in text and "on account" in text
    assert "Paid by card" not in text and "VAT number" not in text and "19 %" not in text
    pdf = house.browser.get(f"/r/{CHARGER}/1/500/{CHARGER}-S000001.pdf").content
    paper = PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
    assert "5.00" in paper and "VAT number" not in paper and "Net" not in paper
    assert "19 %" in house.browser.get(f"/r/{CHARGER}/2/119", params={"lang": "en"}).text
    next_month(house)
    assert [b["total_minor"] for b in house.office.bills.listed(ACCOUNT)] == [300]
    assert verify.verify(engine).good
    for _ in range(2):  # as it was added, and made again from the books
        rows = vat(house)
        assert [(r["kind"], r["documents"], r["gross_minor"]) for r in rows] == [
            ("invoice", 2, 419)  # one of the card, and the monthly one
        ]
        roll.rebuild(engine, house.office.operator.zone)
    with engine.begin() as db:
        db.exec_driver_sql("DELETE FROM invoices WHERE kind = 'statement'")
    assert any("has no invoice" in fault for fault in verify.verify(engine).faults)


def test_months_begin_and_end_where_the_operator_is() -> None:
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    end = make.end_of(202603, berlin)
    assert make.month_of(end - 1, berlin) == 202603 and make.month_of(end, berlin) == 202604
    assert end == int(datetime.datetime(2026, 3, 31, 22, tzinfo=datetime.UTC).timestamp()) * 1000
    assert make.before(202601) == 202512

"""A receipt is found by those whose it is, and by nobody else."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest

from hostsim.backoffice.invoices import find
from hostsim.backoffice.service import BackOffice
from tests.backoffice.desk import Visitor, fill, text_of
from tests.backoffice.records import Ledger
from tests.backoffice.refunding import sale


def at_hour(hour: int) -> int:
    return int(datetime.datetime(2026, 1, 1, hour, tzinfo=datetime.UTC).timestamp() * 1000)


def twins(office: BackOffice) -> None:
    """Two sessions with one receipt's number and total, of two drivers."""
    for flash, hour, pan in ((71, 10, "####1111"), (72, 15, "####2222")):
        ledger = sale(Ledger(flash), 1, 900, [0, 1, 1, 190_000, 900], 756)
        by_type = {record["type"]: record for record in ledger.records}
        by_type["authorised"]["pan"] = pan
        by_type["priced"] |= {"start_at": at_hour(hour), "end_at": at_hour(hour + 1)}
        fill(office, ledger)


def test_of_two_with_one_number_and_total_nobody_sees_the_others(make: Any) -> None:
    office = make()
    twins(office)
    driver = Visitor(office)
    for path in ("/r/CP1/1/900?lang=en", "/r/CP1/1/900?lang=en&day=2026-01-01&time=13:00"):
        page = driver.get(path).text
        assert "When did you charge?" in page and "####" not in page
    assert "None of them was then" in page
    for time, pan in (("11:30", "####1111"), ("16:00", "####2222")):  # Berlin
        page = driver.get(f"/r/CP1/1/900?lang=en&day=2026-01-01&time={time}").text
        assert re.findall("####[0-9]+", text_of(page)) == [pan]
        pdf = re.search(r'href="([^"]+[.]pdf[^"]+)"', page)
        assert pdf and driver.get(pdf[1].replace("&amp;", "&")).status_code == 200
    found = driver.post("/find", data={"number": "cp1-1", "amount": "9,00", "lang": "en"})
    assert "When did you charge?" in found.text
    staff = Visitor(office).log_in("viewer")
    assert "####1111" in staff.get("/invoices/CP1-I000001").text
    family = find.by_session(office.engine, 1)
    assert find.link(family) == "r/CP1/1/900?flash=71"
    page = driver.get("/" + find.link(family)).text
    assert "####1111" in page and "flash=71" in page
    assert driver.get("/r/CP1/1/900?flash=73").status_code == 404
    assert driver.get("/r/CP1/1/900/CP1-I000001.pdf").status_code == 404


@pytest.mark.parametrize("number", ["CP1-1", "cp1-1", " Cp1-001 ", "cp1-i000001"])
def test_a_receipt_is_found_however_its_number_is_written(make: Any, number: str) -> None:
    office = make()
    fill(office, Ledger().session(1))
    found = Visitor(office).post("/find", data={"number": number, "amount": "1,19 €"})
    assert found.status_code == 200 and "CP1-I000001" in found.text


def test_an_amount_is_looked_for_in_the_chargers_currency(make: Any) -> None:
    office = make()
    fill(office, sale(Ledger(), 1, 1500, [0, 1, 1, 100_000, 1500], 1364, "JPY"))
    driver = Visitor(office)
    assert driver.post("/find", data={"number": "CP1-1", "amount": "1.500"}).status_code == 200
    assert driver.post("/find", data={"number": "CP1-1", "amount": "15.00"}).status_code == 404
    assert driver.post("/find", data={"number": "CP1-1", "amount": "x"}).status_code == 422

"""Invoices and credit notes: issued by themselves, exact, gapless, never changed, found by a
driver who has nothing but the receipt."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader
from sqlalchemy import text

from hostsim.backoffice.invoices import document, find, verify
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk
from tests.backoffice.desk import Visitor, fill, text_of
from tests.backoffice.records import Ledger
from tests.backoffice.test_backoffice_web import with_periods
from tests.command import here

OPERATOR = Operator(
    name="Stadtwerke Musterstadt", address="Am Markt 1 / 12345 Musterstadt", vat_id="DE123456789",
    helpline="0800 123", time_zone="Europe/Berlin",
)  # fmt: skip


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path, OPERATOR)
    yield found
    found.close()


@pytest.fixture
def driver(office: BackOffice) -> Visitor:
    return Visitor(office)


def sessions(count: int) -> Ledger:
    ledger = Ledger()
    for sess in range(1, count + 1):
        ledger.session(sess)
    return ledger


def pdf_text(data: bytes) -> str:
    pages = PdfReader(io.BytesIO(data)).pages
    return " ".join(" ".join(page.extract_text().split()) for page in pages)


def test_a_settled_session_has_its_invoice_and_a_refund_its_credit_note(
    office: BackOffice,
) -> None:
    fill(office, with_periods())
    invoice, note = find.by_session(office.engine, 1)
    assert (invoice["number"], note["number"]) == ("CP1-I000001", "CP1-C000001")
    assert (invoice["total_minor"], invoice["net_minor"], invoice["vat_minor"]) == (119, 100, 19)
    assert invoice["document"]["vat"] == [[190000, 100, 19, 119]]
    assert (note["total_minor"], note["net_minor"], note["vat_minor"]) == (-19, -16, -3)
    assert note["document"]["original"] == invoice["number"]
    assert note["document"]["previous"] == invoice["hash"]
    assert verify.verify(office.engine).good


def test_no_session_is_billed_twice_and_a_free_one_not_at_all(office: BackOffice) -> None:
    ledger = sessions(2)
    ledger.hold(3)
    ledger.authorised(3)
    ledger.put("cancelled", sess=3, released_minor=6000, receipt=3, reason="no_vehicle")
    fill(office, ledger, ledger)
    numbers = [one["number"] for one in find.newest(office.engine, 9)]
    assert numbers == ["CP1-I000002", "CP1-I000001"]


def test_numbers_are_gapless_per_charger_over_a_new_flash(office: BackOffice) -> None:
    fill(office, sessions(2))
    fill(office, sessions(1), charger="CP2")
    again = Ledger(epoch=99)
    again.session(1)
    fill(office, again)
    numbers = sorted(one["number"] for one in find.newest(office.engine, 9))
    assert numbers == ["CP1-I000001", "CP1-I000002", "CP1-I000003", "CP2-I000001"]
    assert verify.verify(office.engine).heads.keys() == {"CP1", "CP2"}


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE invoices SET document = replace(document, '119', '118') WHERE position = 2",
         "its text was changed"),
        ("UPDATE invoices SET total_minor = 1 WHERE position = 2", "the table says something"),
        ("DELETE FROM invoices WHERE position = 2", "2 is missing"),
        ("DELETE FROM invoices WHERE position = 3", "ends elsewhere"),
        ("DELETE FROM invoices WHERE position = 3", "receipt 3 has no invoice"),
        ("UPDATE sessions SET total_minor = 118 WHERE sess = 2", "the books say 118"),
        ("UPDATE invoice_chains SET head = 'x'", "ends elsewhere"),
    ],
)  # fmt: skip
def test_whatever_is_changed_afterwards_is_found(
    office: BackOffice, damage: str, fault: str
) -> None:
    fill(office, sessions(3))
    assert verify.verify(office.engine).good
    with office.engine.begin() as connection:
        connection.execute(text(damage))
    faults = verify.verify(office.engine).faults
    assert any(fault in one for one in faults), faults


def test_documents_cut_off_with_the_chains_end_are_found_by_saved_heads(
    office: BackOffice,
) -> None:
    fill(office, sessions(3))
    saved = verify.verify(office.engine).heads
    second = find.newest(office.engine, 9)[1]
    with office.engine.begin() as connection:
        connection.execute(text("DELETE FROM invoices WHERE position = 3"))
        connection.execute(text("UPDATE sessions SET receipt_no = 0 WHERE sess = 3"))
        connection.execute(
            text("UPDATE invoice_chains SET position = 2, invoices = 2, head = :head"),
            {"head": second["hash"]},
        )
    assert verify.verify(office.engine).good
    assert "up to 3 are gone" in verify.verify(office.engine, saved).faults[0]


def test_the_verify_command_says_what_is_wrong(tmp_path: Path, office: BackOffice) -> None:
    fill(office, sessions(2))
    heads = tmp_path / "heads.json"
    run = functools.partial(here, "invoices", "verify", "--database", tmp_path / "o.db")
    good = run("--save", heads)
    assert good.returncode == 0 and "2 documents of 1 chargers, 0 faults" in good.stdout
    assert json.loads(heads.read_text())["CP1"][0] == 2
    assert json.loads(heads.read_text())["*"] == [0, ""]
    kept = json.loads(heads.read_text())
    heads.write_text(json.dumps(kept | {"*": [1, "ab" * 32]}))
    cut = run("--against", heads)
    assert cut.returncode == 1 and "monthly invoices up to A-000001 are gone" in cut.stderr
    heads.write_text(json.dumps(kept))
    with office.engine.begin() as connection:
        connection.execute(text("UPDATE invoices SET net_minor = 1 WHERE position = 1"))
    bad = run("--against", heads)
    assert bad.returncode == 1 and "CP1-I000001: the table says something else" in bad.stderr


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Invoice", "Register at start", "0.49 €/kWh", "1.19 €", "Authorisation code")),
        ("de", ("Rechnung", "Zählerstand Beginn", "0,49 €/kWh", "1,19 €", "Genehmigungsnummer")),
        ("fr", ("Facture", "Index de début", "0,49 €/kWh", "1,19 €", "Code d'autorisation")),
    ],
)
def test_page_and_pdf_say_everything_in_the_drivers_language(
    office: BackOffice, driver: Visitor, language: str, words: tuple[str, ...]
) -> None:
    fill(office, with_periods())
    address = f"/r/CP1/1/119?lang={language}"
    page = driver.get(address)
    answer = driver.get(address.replace("?", "/CP1-I000001.pdf?"))
    assert page.status_code == 200 and answer.headers["content-type"] == "application/pdf"
    point = "." if language == "en" else ","
    both = (
        "Stadtwerke Musterstadt", "Am Markt 1", "DE123456789", "0800 123", "CP1-I000001", "CP1-1",
        f"1{point}000 kWh", f"2{point}000 kWh", "M1", "19 %", f"1{point}00 €", f"0{point}19 €",
        "####1234", "A1", "Visa", "0:29:59", *words,
    )  # fmt: skip
    for where, said in (("page", text_of(page.text)), ("PDF", pdf_text(answer.content))):
        for wanted in both:
            assert wanted in said.replace("\u00a0", " "), f"{wanted} is not in the {where}: {said}"
    assert f'lang="{language}"' in page.text and "<svg" in page.text
    assert "r/CP1/1/119" in pdf_text(answer.content)


def test_the_same_document_is_the_same_pdf(office: BackOffice, driver: Visitor) -> None:
    fill(office, with_periods())
    twice = [driver.get("/r/CP1/1/119/CP1-C000001.pdf?lang=de").content for _ in range(2)]
    assert twice[0] == twice[1]
    said = pdf_text(twice[0])
    for wanted in ("Gutschrift", "CP1-C000001", "Zu Rechnung CP1-I000001", "-0,19 €", "19 %"):
        assert wanted in said, said


def test_the_language_is_the_browsers_when_the_link_names_none(
    office: BackOffice, driver: Visitor
) -> None:
    fill(office, with_periods())
    answer = driver.get("/r/CP1/1/119", headers={"Accept-Language": "nl, fr-CH;q=0.9, en;q=0.8"})
    assert "Facture" in answer.text


@pytest.mark.parametrize(
    ("number", "amount"),
    [("CP1-1", "1.19"), (" CP1-1 ", "1,19 €"), ("CP1-I000001", "EUR 1,19"), ("CP1-001", "1.19 ")],
)
def test_number_and_amount_find_the_invoice(
    office: BackOffice, driver: Visitor, number: str, amount: str
) -> None:
    fill(office, with_periods())
    answer = driver.post("/find", data={"number": number, "amount": amount, "lang": "en"})
    assert answer.status_code == 200 and "CP1-I000001" in answer.text


@pytest.mark.parametrize(
    ("number", "amount", "status", "says"),
    [
        ("CP1-1", "1.18", 404, "No receipt has this number and amount"),
        ("CP1-2", "1.19", 404, "No receipt has this number and amount"),
        ("12", "1.19", 422, "must look like"),
        ("CP1-1", "x", 422, "must be a number"),
        ("CP1-1", "", 422, "must be a number"),
        ("CP1-1'--", "1.19", 422, "must look like"),
    ],
)
def test_anything_else_finds_nothing_and_says_which_field(
    office: BackOffice, driver: Visitor, number: str, amount: str, status: int, says: str
) -> None:
    fill(office, with_periods())
    answer = driver.post("/find", data={"number": number, "amount": amount, "lang": "en"})
    assert answer.status_code == status and says in answer.text
    assert "aria-invalid" in answer.text and "CP1-I000001" not in answer.text


def test_nobody_finds_receipts_by_counting(office: BackOffice, driver: Visitor) -> None:
    fill(office, with_periods())
    codes = [driver.get(f"/r/CP1/1/{total}").status_code for total in range(50, 90)]
    assert codes[:30] == [404] * 30 and set(codes[30:]) == {429}
    assert driver.get("/r/CP1/1/119").status_code == 429, "not even the right one, for a minute"


@pytest.mark.parametrize(
    ("groups", "amount", "wanted"),
    [
        ([[190000, 100, 19, 119]], 119, [[190000, -100, -19, -119]]),
        ([[70000, 100, 7, 107], [190000, 100, 19, 119]], 226,
         [[70000, -100, -7, -107], [190000, -100, -19, -119]]),
        ([[70000, 100, 7, 107], [190000, 100, 19, 119]], 1, [[190000, -1, 0, -1]]),
        ([[-1, 5, 0, 5]], 3, [[-1, -3, 0, -3]]),
        ([], 3, [[-1, -3, 0, -3]]),
    ],
)  # fmt: skip
def test_a_refund_is_split_over_the_rates_to_the_cent(
    groups: list[list[int]], amount: int, wanted: list[list[int]]
) -> None:
    assert document.split(groups, amount) == wanted


def test_the_desk_shows_and_checks_documents(office: BackOffice) -> None:
    fill(office, with_periods())
    staff = Visitor(office).log_in("finance")
    listed = text_of(staff.get("/invoices").text)
    assert "CP1-I000001" in listed and "CP1-C000001" in listed and "-0.19 €" in listed
    assert "CP1-C000001" not in staff.get("/invoices?number=CP1-I").text
    assert "Rechnung" in staff.get("/invoices/CP1-I000001?lang=de").text
    assert pdf_text(staff.get("/invoices/CP1-I000001.pdf").content).startswith("Invoice")
    assert "every number is there" in staff.get("/invoices/check").text
    assert staff.get("/invoices/CP9-I000001").status_code == 404
    with office.engine.begin() as connection:
        connection.execute(text("UPDATE invoices SET hash = 'x' WHERE position = 1"))
    assert "its text was changed" in staff.get("/invoices/check").text

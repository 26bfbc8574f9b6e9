"""Reports: every total equals the books, to the cent; CSV, PDF, charts and OCPI say the same."""

from __future__ import annotations

import base64
import csv
import datetime
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader
from sqlalchemy import func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import views
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.reports import charts, drawing, period, query, roll
from hostsim.backoffice.reports.svg import svg
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.tables import StatDay, Todo
from hostsim.fleet.records import VirtualLedger
from tests.backoffice import desk
from tests.backoffice.desk import Visitor
from tests.backoffice.records import Ledger

BERLIN = ZoneInfo("Europe/Berlin")
MAY_1 = 1_777_586_400_000  # 2026-05-01, midnight in Berlin
HOUR = 3_600_000
LATER = MAY_1 + 400 * 24 * HOUR
MAY = period.Days(datetime.date(2026, 5, 1), datetime.date(2026, 5, 31))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path, Operator(time_zone="Europe/Berlin"), now_ms=LATER)
    yield found
    found.close()


def send(office: BackOffice, charger: str, records: list[dict[str, Any]]) -> None:
    office.ingest.take([(charger, json.dumps(record).encode()) for record in records])


def month(office: BackOffice, chargers: int = 3, sessions: int = 25) -> None:
    """Chargers of the fleet through May, an end of day each night."""
    for number in range(chargers):
        ledger = VirtualLedger(f"FL-{number:03}", seed=7)
        for n in range(sessions):
            at = MAY_1 + (n * 29 + number * 5) * HOUR
            send(office, ledger.name, ledger.session(at))
        send(office, ledger.name, [ledger.end_of_day(MAY_1 + 30 * 24 * HOUR)])
    assert office.problems() == []


def test_the_totals_are_those_of_the_books_to_the_cent(office: BackOffice) -> None:
    month(office)
    roll.catch_up(office.engine, BERLIN)
    report = query.read(office.engine, BERLIN, MAY, LATER)
    rows = [row for row in views.sessions(office.engine) if row["state"] == "captured"]
    total = report.total
    for name, column in (
        ("gross_minor", "total_minor"), ("net_minor", "net_minor"), ("vat_minor", "vat_minor"),
        ("energy_wh", "billed_wh"), ("occupied_ms", "elapsed_ms"),
    ):  # fmt: skip
        assert total[name] == sum(row[column] for row in rows) > 0, name
    assert total["sessions"] == len(rows)
    for part in (report.by_day, report.by_charger, report.by_tariff):
        for name in query.SUMS:
            assert sum(row[name] for row in part) == total[name], name
    assert sum(map(sum, report.occupied)) == total["occupied_ms"]
    assert sum(row["gross_minor"] for row in report.vat) == total["gross_minor"]
    assert sum(row["count"] for row in report.declined) == total["declined"] > 0
    assert [row["agree"] for row in report.terminals] == [True] * 3
    assert sum(row["books_minor"] for row in report.terminals) == total["gross_minor"]


def test_a_charger_alone_has_the_same_hours_as_in_the_whole(office: BackOffice) -> None:
    month(office)
    roll.catch_up(office.engine, BERLIN)
    whole = query.read(office.engine, BERLIN, MAY, LATER)
    parts = [query.read(office.engine, BERLIN, MAY, LATER, charger=f"FL-00{n}") for n in range(3)]
    for day in range(7):
        for hour in range(24):
            together = sum(part.occupied[day][hour] for part in parts)
            assert together == whole.occupied[day][hour]
    assert sum(part.total["gross_minor"] for part in parts) == whole.total["gross_minor"]


def test_nothing_is_counted_twice_and_a_rebuild_counts_the_same(office: BackOffice) -> None:
    month(office, 2, 10)

    def sums() -> list[Any]:
        with Db(office.engine) as db:
            return sorted(
                (row.day, row.charger, row.tariff, *(getattr(row, n) for n in query.SUMS))
                for row in db.scalars(select(StatDay))
            )

    assert roll.catch_up(office.engine, BERLIN) > 0
    once = sums()
    assert roll.catch_up(office.engine, BERLIN) == 0
    month(office, 2, 10)  # everything again: only repetitions
    roll.catch_up(office.engine, BERLIN)
    assert sums() == once
    roll.rebuild(office.engine, BERLIN)
    assert sums() == once
    with Db(office.engine) as db:
        assert db.scalar(select(func.count()).select_from(Todo)) == 0


def test_days_are_local_days(office: BackOffice) -> None:
    ledger = VirtualLedger("FL-1", seed=1)
    records = ledger.session(MAY_1 - 10 * 60_000 - 40_000)
    while records[-1]["type"] != "captured":
        records += ledger.session(MAY_1 - 10 * 60_000 - 40_000)
    send(office, "FL-1", records)
    end_at = next(r["end_at"] for r in records if r["type"] == "priced")
    roll.catch_up(office.engine, BERLIN)
    day = datetime.datetime.fromtimestamp(end_at / 1000, BERLIN).date()
    report = query.read(office.engine, BERLIN, period.Days(day, day), LATER)
    assert report.total["sessions"] == 1 and day.month == 5


def test_hours_over_a_change_of_the_clock_are_whole(office: BackOffice) -> None:
    before = int(datetime.datetime(2026, 3, 29, 0, 30, tzinfo=BERLIN).timestamp()) * 1000
    parts = list(roll.hours(before, 3 * HOUR, BERLIN))
    assert sum(share for _, _, share in parts) == 3 * HOUR
    assert {hour for _, hour, _ in parts} == {0, 1, 3, 4}, "there is no two o'clock that night"


def test_refunds_count_on_their_day_with_their_reason(office: BackOffice) -> None:
    ledger = Ledger()
    ledger.session(1)
    ledger.refund_asked("R1", 1, 50)
    ledger.refunded("R1", 1, 50)
    desk.fill(office, ledger)
    roll.catch_up(office.engine, BERLIN)
    day = datetime.date(2026, 1, 1)
    report = query.read(office.engine, BERLIN, period.Days(day, day), LATER)
    assert (report.total["refunds"], report.total["refunded_minor"]) == (1, 50)
    assert report.refunded == [{"reason": "x", "count": 1, "amount_minor": 50}]
    kinds = {row["kind"]: row["gross_minor"] for row in report.vat}
    assert kinds == {"invoice": 119, "credit_note": -50}


def test_page_csv_and_pdf_say_the_same(office: BackOffice) -> None:
    month(office)
    visitor = Visitor(office).log_in("viewer")
    address = "first=2026-05-01&last=2026-05-31"
    page = visitor.get(f"/reports?{address}")
    report = query.read(office.engine, BERLIN, MAY, LATER)
    wanted = charts.tiles(report)[0][0]
    assert page.status_code == 200 and wanted in page.text
    assert page.text.count('<svg class="chart"') == 11 and "<script" not in page.text
    days = visitor.get(f"/reports/days.csv?{address}")
    rows = list(csv.reader(io.StringIO(days.content.decode("utf-8-sig"))))
    assert rows[0][0] == "day" and len(rows) == 32
    column = {name: at for at, name in enumerate(rows[0])}
    gross = sum(Decimal(row[column["gross"]]) for row in rows[1:])
    assert gross * 100 == report.total["gross_minor"]
    energy = sum(Decimal(row[column["energy_kwh"]]) for row in rows[1:])
    assert energy * 1000 == report.total["energy_wh"]
    assert {row[column["currency"]] for row in rows[1:]} == {"EUR"}
    pdf = visitor.get(f"/reports/report.pdf?{address}")
    said = " ".join(
        " ".join(p.extract_text().split()) for p in PdfReader(io.BytesIO(pdf.content)).pages
    )
    for text in (wanted, "Revenue by charger", "Occupied by weekday", "FL-002", "VAT by month",
                 "Terminal reconciliation", "2026-05-31"):  # fmt: skip
        assert text in said, text


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("first=nonsense", "must be a day such as"),
        ("first=2026-05-02&last=2026-05-01", "must not be before"),
        ("first=1990-01-01&last=2026-05-01", "at most 3660 days"),
        ("first=9999-12-31", "must be in a year from 1970 to 2199"),
        ("first=0001-01-01&last=0001-01-02", "must be in a year from 1970 to 2199"),
    ],
)
def test_a_bad_period_is_named(office: BackOffice, address: str, says: str) -> None:
    visitor = Visitor(office).log_in("viewer")
    answer = visitor.get(f"/reports?{address}")
    assert answer.status_code == 422 and says in answer.text and "aria-invalid" in answer.text
    assert visitor.get(f"/reports/days.csv?{address}").status_code == 422


@pytest.mark.parametrize("preset", [*period.PRESETS, "nonsense"])
def test_every_preset_and_an_empty_period_has_a_page(office: BackOffice, preset: str) -> None:
    visitor = Visitor(office).log_in("viewer")
    assert visitor.get(f"/reports?preset={preset}").status_code == 200


def test_months_and_days_make_up_the_period(office: BackOffice) -> None:
    month(office)
    roll.catch_up(office.engine, BERLIN)
    spans = [
        ("2026-05-01", "2026-05-31"), ("2026-05-03", "2026-06-30"), ("2026-04-10", "2026-05-20"),
        ("2026-01-01", "2026-12-31"), ("2026-05-07", "2026-05-07"),
    ]  # fmt: skip
    for first, last in spans:
        days = period.chosen(first, last, "", datetime.date(2026, 1, 1))
        report = query.read(office.engine, BERLIN, days, LATER)
        for name in query.SUMS:
            assert sum(row[name] for row in report.by_charger) == report.total[name], (first, name)


def test_presets_are_whole_days() -> None:
    day = datetime.date(2026, 3, 1)
    assert str(period.preset("last_month", day)) == "2026-02-01 to 2026-02-28"
    assert str(period.preset("month", day)) == "2026-03-01 to 2026-03-31"
    assert period.preset("week", day).count == 7 and period.preset("year", day).count == 365


def test_a_csv_is_for_programs_and_a_formula_in_it_is_text() -> None:
    from hostsim.backoffice.reports.paper import csv_of

    cells: list[tuple[charts.Cell, ...]] = [
        ("=1+1", Decimal("-0.19"), 1_234_567), ("@x", Decimal("1234567.50"), -3), ("-x", 0, 0),
    ]  # fmt: skip
    table = charts.Table("x", "x", ("A", "B", "C"), [], ("a", "b", "c"), cells)
    assert csv_of(table).splitlines() == [
        "a,b,c", "'=1+1,-0.19,1234567", "'@x,1234567.50,-3", "'-x,0,0",
    ]  # fmt: skip


def test_charts_escape_what_they_show_and_scale_to_nice_numbers() -> None:
    chart = svg(drawing.bars("<T>", ["<b>"], [3], ["3 €"]))
    assert "<b>" not in chart and "&lt;b&gt;" in chart and "<title>" in chart
    assert [drawing.nice(value) for value in (0, 3, 17, 230, 1000)] == [0, 5, 20, 250, 1000]


# -- OCPI


def token(office: BackOffice) -> str:
    shown = Visitor(office).log_in("admin").submit("/people", "/people/tokens", name="roamer")
    found = re.search(r"shown only now: (\S+?)<", shown)
    assert found
    return found[1]


def test_ocpi_gives_all_cdrs_in_pages_to_who_has_a_token(office: BackOffice) -> None:
    month(office)
    key = token(office)
    visitor = Visitor(office)
    headers = {"Authorization": "Token " + base64.b64encode(key.encode()).decode()}
    wanted = [row for row in views.sessions(office.engine) if row["state"] == "captured"]
    address = "/ocpi/2.2.1/cdrs?limit=20"
    found: list[dict[str, Any]] = []
    pages = 0
    while address:
        answer = visitor.get(address, headers=headers)
        assert answer.status_code == 200 and answer.json()["status_code"] == 1000
        assert answer.headers["X-Total-Count"] == str(len(wanted))
        assert answer.headers["X-Limit"] == "250"
        found += answer.json()["data"]
        following = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("Link", "<>"))
        address = following[1] if following else ""
        pages += 1
    assert pages == -(-len(wanted) // 20)
    assert len({one["id"] for one in found}) == len(found) == len(wanted)
    total = sum(Decimal(str(one["total_cost"]["incl_vat"])) for one in found)
    assert total * 100 == sum(row["total_minor"] for row in wanted)
    times = [one["last_updated"] for one in found]
    assert times == sorted(times)


def test_credit_cdrs_bring_the_totals_of_a_time_to_those_of_its_report(
    office: BackOffice,
) -> None:
    ledger = Ledger()
    for sess in (1, 2, 3):
        ledger.session(sess)
    parts = [("whole", 2, 119, 19), ("part", 1, 20, 3), ("more", 1, 30, 5), ("rest", 1, 69, 11)]
    for count, (name, sess, amount, tax) in enumerate(parts, 1):
        ledger.refund_asked(name, sess, amount)
        ledger.refunded(name, sess, amount)
        ledger.records[-1] |= {
            "at": ledger.records[-1]["at"] + count * 24 * HOUR, "credit_no": count,
            "net_minor": amount - tax, "vat_minor": tax, "version": 2,
            "lines": [190_000, amount - tax, tax, amount],
        }  # fmt: skip
    send(office, "CP1", ledger.records)
    assert office.problems() == []
    roll.catch_up(office.engine, BERLIN)
    visitor, headers = Visitor(office), {"Authorization": f"Token {token(office)}"}
    viewer = Visitor(office).log_in("viewer")
    counts = []
    for first, last in ((1, 31), (1, 2), (3, 4), (4, 5), (6, 31)):
        days = period.Days(datetime.date(2026, 1, first), datetime.date(2026, 1, last))
        start, end = (datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).isoformat()
                      for ms in days.bounds_ms(BERLIN))  # fmt: skip
        wish = {"date_from": start, "date_to": end, "limit": "2"}
        found: list[dict[str, Any]] = []
        while True:
            answer = visitor.get(
                "/ocpi/2.2.1/cdrs", params=wish | {"offset": str(len(found))}, headers=headers
            )
            found += answer.json()["data"]
            if "Link" not in answer.headers:
                break
        assert answer.headers["X-Total-Count"] == str(len(found))
        export = viewer.get(f"/reports/cdrs.json?first=2026-01-{first:02}&last=2026-01-{last:02}")
        assert export.json() == found
        report = query.read(office.engine, BERLIN, days, LATER)
        total = sum(Decimal(str(one["total_cost"]["incl_vat"])) for one in found)
        assert total * 100 == report.total["gross_minor"] - report.total["refunded_minor"]
        if (first, last) == (1, 31):
            net = sum(Decimal(str(one["total_cost"]["excl_vat"])) for one in found)
            assert net * 100 == sum(row["net_minor"] for row in report.vat)
            ids = {one["id"] for one in found}
            assert len(ids) == len(found)
            assert all(one["credit_reference_id"] in ids for one in found if "credit" in one)
        counts.append((len(found), sum("credit" in one for one in found)))
    assert counts == [(9, 4), (4, 1), (4, 2), (3, 2), (0, 0)]


@pytest.mark.parametrize(
    ("method", "how", "auth", "kind"),
    [
        ("bank", "", "COMMAND", "AD_HOC_USER"),
        ("gateway", "gateway", "COMMAND", "AD_HOC_USER"),
        ("app", "app", "COMMAND", "APP_USER"),
        ("account", "account", "COMMAND", "OTHER"),
        ("rfid", "account", "WHITELIST", "RFID"),
    ],
)
def test_every_method_is_in_books_reports_invoice_and_cdr(
    office: BackOffice, method: str, how: str, auth: str, kind: str
) -> None:
    ledger = Ledger()
    ledger.session(1)
    by_type = {record["type"]: record for record in ledger.records}
    by_type["hold_asked"] |= {"method": method, "reference": "ACME-7"}
    if method == "rfid":
        by_type["hold_asked"]["uid_hash"] = "ab" * 32
    by_type["captured"]["how"] = how
    if how:
        by_type["authorised"] |= dict.fromkeys(
            ("terminal_id", "vu", "auth_code", "pan", "card"), ""
        ) | {"receipt": 0, "trace": 0}
    ledger.put("end_of_day", count=0 if how else 1, terminal_minor=0 if how else 119,
               ledger_minor=0 if how else 119, result="agree")  # fmt: skip
    send(office, "CP1", ledger.records)
    visitor = Visitor(office).log_in("viewer")
    cdr = visitor.get("/sessions/1/cdr.json").json()
    assert (cdr["auth_method"], cdr["cdr_token"]["type"]) == (auth, kind)
    assert cdr["cdr_token"]["contract_id"] == "ACME-7"
    assert cdr["cdr_token"]["uid"] == (("ab" * 32)[:36] if method == "rfid" else "ACME-7")
    roll.catch_up(office.engine, BERLIN)
    january = period.Days(datetime.date(2026, 1, 1), datetime.date(2026, 1, 31))
    report = query.read(office.engine, BERLIN, january, LATER)
    if how == "account":  # the monthly invoice is the tax document
        assert report.vat == []
        office.bills.make(202601, "anna")
        roll.catch_up(office.engine, BERLIN)
        report = query.read(office.engine, BERLIN, january, LATER)
    assert report.total["gross_minor"] == sum(r["gross_minor"] for r in report.vat) == 119
    assert [row["agree"] for row in report.terminals] == [True]
    number = "CP1-S000001" if how == "account" else "CP1-I000001"
    document = re.sub(r"<[^>]+>", " ", visitor.get(f"/invoices/{number}?lang=en").text)
    pdf = PdfReader(io.BytesIO(visitor.get(f"/invoices/{number}.pdf?lang=en").content))
    words = {"": "Visa", "gateway": "online", "app": "app", "account": "on account"}[how]
    assert words in document and words in pdf.pages[0].extract_text()
    page = visitor.get("/sessions/1").text
    assert ("Paid by" in page) == bool(how)


def test_ocpi_keeps_to_its_dates(office: BackOffice) -> None:
    month(office)
    visitor, headers = Visitor(office), {"Authorization": f"Token {token(office)}"}
    part = visitor.get(
        "/ocpi/2.2.1/cdrs?date_from=2026-05-10T00:00:00Z&date_to=2026-05-20T00:00:00Z",
        headers=headers,
    ).json()["data"]
    assert part and all("2026-05-10" <= one["last_updated"] < "2026-05-20" for one in part)
    for bad in (
        "date_from=x",
        "offset=-1",
        "limit=x",
        "limit=1234567890123",
        "date_to=" + "1" * 41,
    ):
        answer = visitor.get(f"/ocpi/2.2.1/cdrs?{bad}", headers=headers)
        assert answer.status_code == 400 and answer.json()["status_code"] == 2001, bad
        assert bad.partition("=")[0] in answer.json()["status_message"]


def test_ocpi_without_a_valid_token_gives_nothing(office: BackOffice) -> None:
    month(office, 1, 3)
    key = token(office)
    visitor = Visitor(office)
    for headers in ({}, {"Authorization": "Token x"}, {"Authorization": f"Bearer {key}"}):
        answer = visitor.get("/ocpi/2.2.1/cdrs", headers=headers)
        assert answer.status_code == 401 and "FL-" not in answer.text
        assert answer.json()["status_code"] == 2000 and answer.headers["WWW-Authenticate"]
    admin = Visitor(office).log_in("admin")
    admin.submit("/people", "/people/tokens/1/end")
    headers = {"Authorization": f"Token {key}"}
    assert visitor.get("/ocpi/2.2.1/cdrs", headers=headers).status_code == 401
    for _ in range(30):
        visitor.get("/ocpi/2.2.1/cdrs", headers={"Authorization": "Token x"})
    assert visitor.get("/ocpi/2.2.1/cdrs").status_code == 429


def test_the_export_has_every_cdr_of_the_period(office: BackOffice) -> None:
    month(office, 2, 10)
    visitor = Visitor(office).log_in("viewer")
    answer = visitor.get("/reports/cdrs.json?first=2026-05-01&last=2026-05-31")
    rows = [row for row in views.sessions(office.engine) if row["state"] == "captured"]
    assert len(json.loads(answer.text)) == len(rows) > 0
    assert json.loads(visitor.get("/reports/cdrs.json?first=2020-01-01").text) == []

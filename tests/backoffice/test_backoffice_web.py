"""The pages, the CDR, and the back office alone on the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hostsim.backoffice import figures, views
from hostsim.backoffice.accounts import people
from hostsim.backoffice.ingest import Ingest
from hostsim.backoffice.models import open_database
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.web import create_app
from hostsim.broker import Broker, free_ports
from hostsim.pki import Pki
from tests.backoffice import desk
from tests.backoffice.desk import Visitor, fill
from tests.backoffice.records import EPOCH, Ledger
from tests.sync.test_broker import client

PERIODS = (
    (0, 600_001, 345_678, 600_001, 0, 6000, 16000, 1400, 11000),
    (600_001, 3_600_000, 654_322, 1_200_000, 1_799_999, -1, -1, -1, -1),
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path, Operator(name="Stadtwerke Musterstadt", time_zone="UTC"))
    yield found
    found.close()


@pytest.fixture
def page(office: BackOffice) -> Visitor:
    return Visitor(office).log_in()


def with_periods() -> Ledger:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)
    ledger.energising(1)
    names = ("start_ms end_ms energy_mwh charging_ms parking_ms min_ma max_ma min_w max_w").split()
    for period in PERIODS:
        ledger.put("period", sess=1, **dict(zip(names, period, strict=True)))
    lines = [0, 1_000_000, 4900, 190_000, 49, 2, 1_799_999, 14000, 190_000, 70]
    ledger.priced(1, lines=lines)
    ledger.captured(1)
    ledger.refund_asked("R1", 1, 19)
    ledger.refunded("R1", 1, 19)
    return ledger


def test_the_overview_lists_chargers_problems_and_sessions(
    office: BackOffice, page: Visitor
) -> None:
    empty = page.get("/")
    assert empty.status_code == 200 and "No session yet" in empty.text
    ledger = Ledger()
    ledger.session(1)
    ledger.session(2)
    ledger.put("alarm", code="contactor_welded", sess=0, detail="<b>now</b>")
    fill(office, ledger)
    text = page.get("/").text
    assert "CP1" in text and "1.19 €" in text and "1.000 kWh" in text and "No. 2" in text
    assert "contactor_welded: &lt;b&gt;now&lt;/b&gt;" in text, "what comes from outside is escaped"
    assert "http" not in text, "nothing from elsewhere"
    assert page.get("/sessions?charger=CP2").text.count("sessions/") == 0


def test_a_receipt_has_what_a_driver_needs(office: BackOffice, page: Visitor) -> None:
    fill(office, with_periods())
    text = re.sub(r"\s+", " ", page.get("/sessions/1").text)
    for wanted in (
        "Receipt CP1-1", "Stadtwerke Musterstadt", "1.000 kWh", "2.000 kWh", "0.49 €/kWh",
        "0.49 €", "Occupancy", "0:29:59", "0.70 €", "1.19 €", "VAT 19 %", "net 1.00 €",
        "0.19 €", "####1234",
        "Visa", "A1", "60.00 €", "58.81 €", "Refund R1", "credit note 1", "2026-01-01",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_pages_work_without_script_on_a_phone_and_by_keyboard(
    office: BackOffice, page: Visitor
) -> None:
    fill(office, with_periods())
    for path in ("/", "/sessions/1"):
        answer = page.get(path)
        assert "<script" not in answer.text and 'name="viewport"' in answer.text
        assert 'lang="en"' in answer.text and 'href="#main"' in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_links_go_where_it_is_mounted(office: BackOffice) -> None:
    fill(office, with_periods())
    outside = FastAPI()
    outside.mount("/here", create_app(office))
    visitor = TestClient(outside, base_url="http://localhost")
    people.put(office.engine, "admin", "admin", desk.PASSWORD, 1)
    answer = visitor.post("/here/login", data={"name": "admin", "password": desk.PASSWORD})
    assert str(answer.url) == "http://localhost/here/"
    for path in ("/here/", "/here/sessions/1"):
        links = re.findall(r'(?:href|action)="([^"]+)"', visitor.get(path).text)
        assert len(links) > 8
        for link in links:
            assert link.startswith("/here/") or link[0] in "#?", link


def test_what_is_not_there_is_404_and_other_hosts_are_refused(
    office: BackOffice, page: Visitor
) -> None:
    assert page.get("/sessions/9").status_code == 404
    assert page.get("/sessions/x").status_code == 422
    assert page.get("/sessions?before=-1").status_code == 422
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_a_browser_that_leaves_while_it_sends_a_form_is_no_error(office: BackOffice) -> None:
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/login", "raw_path": b"/login", "root_path": "",
        "query_string": b"", "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        "headers": [
            (b"host", b"localhost"), (b"content-length", b"9"),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ],
    }  # fmt: skip
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    asyncio.run(create_app(office)(scope, receive, send))
    assert told[0]["status"] == 400


def test_many_sessions_come_in_pages(office: BackOffice, page: Visitor) -> None:
    ledger = Ledger()
    for sess in range(1, 61):
        ledger.session(sess)
    fill(office, ledger)
    first = page.get("/sessions").text
    assert first.count('href="/sessions/') == 50
    older = re.search(r'href="/sessions(\?before=\d+)"', first)
    assert older and page.get(f"/sessions{older[1]}").text.count('href="/sessions/') == 10


def test_the_cdr_is_exact(office: BackOffice, page: Visitor) -> None:
    fill(office, with_periods())
    text = page.get("/sessions/1/cdr.json").text
    cdr: dict[str, Any] = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    assert cdr["id"] == f"CP1-{EPOCH}-1"
    assert cdr["start_date_time"] == "2026-01-01T00:00:00.000Z"
    assert cdr["total_energy"] == 1 and cdr["total_time"] == 1
    assert cdr["total_cost"] == {"excl_vat": Decimal(1), "incl_vat": Decimal("1.19")}
    assert cdr["total_energy_cost"] == {
        "excl_vat": Decimal("0.4118"), "incl_vat": Decimal("0.49")
    }  # fmt: skip
    assert cdr["total_parking_cost"]["incl_vat"] == Decimal("0.7")
    periods = cdr["charging_periods"]
    assert [p["start_date_time"][11:] for p in periods] == ["00:00:00.000Z", "00:10:00.001Z"]
    first = {d["type"]: d["volume"] for d in periods[0]["dimensions"]}
    assert first.pop("TIME") * 3_600_000 == pytest.approx(600_001, abs=Decimal("0.01"))
    assert first == {
        "ENERGY": Decimal("0.345678"), "MIN_CURRENT": 6, "MAX_CURRENT": 16,
        "MIN_POWER": Decimal("1.4"), "MAX_POWER": 11,
    }  # fmt: skip
    second = {d["type"]: d["volume"] for d in periods[1]["dimensions"]}
    assert set(second) == {"ENERGY", "TIME", "PARKING_TIME"}
    assert round(second["PARKING_TIME"] * 3_600_000) == 1_799_999
    assert "E" not in re.sub(r'"[^"]*"', "", text), "no number with an exponent"


def test_an_unfinished_session_has_a_page_and_no_cdr(office: BackOffice, page: Visitor) -> None:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)
    ledger.energising(1)
    fill(office, ledger)
    assert "charging" in page.get("/sessions/1").text
    assert page.get("/sessions/1/cdr.json").status_code == 409


def test_amounts_in_currencies_without_and_with_three_decimals() -> None:
    assert figures.money(1234567, "EUR") == "12,345.67 €"
    assert figures.money(1500, "JPY") == "1,500 JPY"
    assert figures.money(1500, "KWD") == "1.500 KWD"
    assert (
        figures.plain(Decimal("1E+3")) == "1000" and figures.plain(Decimal("0.2500"), 3) == "0.250"
    )


def test_vat_is_split_by_rate() -> None:
    session = {
        "currency": "EUR",
        "net_minor": 205,
        "lines": [0, 1, 1, 190000, 119, 3, 1, 1, 70000, 107, 8, 0, 0, -1, 5],
    }
    rows = figures.vat_table(session)
    assert [(r["rate"], r["net_minor"], r["tax_minor"]) for r in rows] == [
        ("7 %", 100, 7), ("19 %", 100, 19),
    ]  # fmt: skip


async def publish_beside_a_thief(broker: Broker, pki: Pki, count: int) -> None:
    """A charger's messages, while another charger's certificate wants its share of them."""
    own, thief = client(broker, pki, pki.charger("CP1")), client(broker, pki, pki.charger("CP2"))
    async with own, thief:
        await thief.subscribe("$share/backoffice/forecourt/v1/+/records", qos=1)
        for number in range(count):
            await own.publish("forecourt/v1/CP1/records", b'{"n":%d}' % number, qos=1)


def malformed(url: str) -> int:
    """How many messages it could make nothing of."""
    engine = open_database(url)
    try:
        return sum(row["count"] for row in views.problems(engine, "CP1"))
    finally:
        engine.dispose()


def test_alone_on_the_command_line_it_takes_every_record_and_shows_them(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    broker = Broker(tmp_path / "broker", pki)
    broker.start()
    [port] = free_ports(1)
    added = subprocess.run(
        [sys.executable, "-m", "hostsim", "people", "add", "ann", "--role", "admin",
         "--database", str(tmp_path / "o.db")],
        input=desk.PASSWORD + "\n", text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert added.returncode == 0 and desk.PASSWORD not in added.stdout + added.stderr, added
    command = [
        sys.executable, "-m", "hostsim", "backoffice", "--db", str(tmp_path / "o.db"),
        "--broker", f"127.0.0.1:{broker.office_port}", "--pki", str(tmp_path / "pki"),
        "--port", str(port), "--workers", "2",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}/" in process.stdout.readline()
        end = time.monotonic() + 60
        text = ""
        while "connected to the broker" not in text or "not connected" in text:
            assert time.monotonic() < end, text[:500]
            time.sleep(0.1)
            with contextlib.suppress(httpx.TransportError):
                text = logged_in(f"http://127.0.0.1:{port}")
        asyncio.run(publish_beside_a_thief(broker, pki, 40))
        end = time.monotonic() + 20
        url = f"sqlite:///{tmp_path / 'o.db'}"
        while malformed(url) < 40:
            assert time.monotonic() < end, f"{malformed(url)} of 40 arrived"
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(10)
        broker.stop()


def logged_in(address: str) -> str:
    """The first page, for somebody who logs in."""
    fields = {"name": "ann", "password": desk.PASSWORD}
    with httpx.Client(base_url=address, follow_redirects=True, timeout=30) as browser:
        return browser.post("/login", data=fields).text


@pytest.mark.parametrize("broker", ["nowhere", "host:", ":1883", "host:99999", "host:x"])
def test_a_wrong_broker_address_says_so(tmp_path: Path, broker: str) -> None:
    command = [
        sys.executable, "-m", "hostsim", "backoffice", "--db", str(tmp_path / "o.db"),
        "--broker", broker, "--pki", str(tmp_path / "pki"),
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2 and "HOST:PORT" in answer.stderr


def test_reading_does_not_wait_for_a_writer(tmp_path: Path, office: BackOffice) -> None:
    from hostsim.backoffice.models import writing

    ledger = Ledger()
    ledger.session(1)
    fill(office, ledger)
    with writing(office.engine):
        began = time.monotonic()
        assert len(views.sessions(office.engine)) == 1
        assert time.monotonic() - began < 5  # a writer is waited for 10 s
    assert isinstance(office.ingest, Ingest)

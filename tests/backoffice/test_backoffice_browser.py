"""The desk in a real browser: invoice, refund with second approval, report, tariff roll-out; by
keyboard, on a phone, without script or anything from elsewhere.

Needs a Chromium: `apt install chromium`, or its path in the variable CHROMIUM; skips, saying so,
without one. FORECOURT_SCREENSHOTS=docs/screenshots renews the pictures kept there.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice.operator import Operator
from hostsim.backoffice.reports import roll
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.web import create_app
from hostsim.fleet.records import VirtualLedger
from hostsim.front.server import serve
from hostsim.world import DEFAULT_TARIFF
from tests.backoffice import desk
from tests.backoffice.desk import PASSWORD, command_of, needs_micropython, say
from tests.front.test_front_browser import ARGS, browser_path

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: make setup")
expect = sync_api.expect

pytestmark = pytest.mark.timeout(240)
HOUR = 3_600_000
CHARGERS = 6
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class Desk:
    """A desk with a small network's month, served in a thread."""

    def __init__(self, directory: Path) -> None:
        operator = Operator(name="Stadtwerke Musterstadt", approve_above_minor=1000)
        self.office: BackOffice = desk.office(directory, operator)
        self.office._now_ms = self.now_ms
        self._fill()
        self.office.members.add("ACME-7", by="root", name="Acme fleet")
        self.office.members.add_card("ACME-7", "04a1b2c3d4e5f6", by="root", label="van 3")
        for name, role in (("ann", "finance"), ("bert", "finance"), ("root", "admin")):
            desk.somebody(self.office, name, role)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    def now_ms(self) -> int:
        return int(datetime.datetime(2026, 5, 28, 15, tzinfo=datetime.UTC).timestamp() * 1000)

    def _fill(self) -> None:
        first = self.now_ms() - 27 * 24 * HOUR
        for number in range(CHARGERS):
            ledger = VirtualLedger(f"MU-{number + 1:02}", seed=3)
            batch: list[dict[str, Any]] = []
            at = first + number * HOUR
            while at < self.now_ms() - 5 * HOUR:
                hour = at // HOUR % 24
                if 5 <= hour <= 21:
                    batch += ledger.session(at)
                at += ledger.dice.randrange(4, 14) * HOUR
                if hour < 4:
                    batch.append(ledger.end_of_day(at - HOUR))
            self.office.ingest.take([(ledger.name, json.dumps(r).encode()) for r in batch])
            online = number != 4
            running = number in (0, 2, 3)
            say(self.office, "status", charger=ledger.name, online=True, version="1.4.0",
                state="charging" if running else "free", tariff=ledger.tariff.name)  # fmt: skip
            if not online:
                say(self.office, "status", charger=ledger.name, online=False, reason="lost")
            if running:
                say(self.office, "session", charger=ledger.name, session=99, state="charging",
                    power_w=11_000 - number * 1800, energy_wh=7345, price_minor=433,
                    currency="EUR")  # fmt: skip
        self.office.ingest.take([("MU-05", json.dumps(ledger_alarm(self.office)).encode())])
        roll.catch_up(self.office.engine, self.office.operator.zone)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.create_task(
            serve(create_app(self.office), port=0, on_ready=self._up)
        )
        await asyncio.wait([self._serving])

    def _up(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._ready.set()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join(10)
        self.office.close()


def ledger_alarm(office: BackOffice) -> dict[str, Any]:
    newest = office.records("MU-05")[-1]
    return {
        "epoch": newest["epoch"], "seq": newest["seq"] + 1, "type": "alarm", "version": 1,
        "at": newest["at"] + HOUR, "code": "meter_silent", "sess": 0,
        "detail": "no answer for 10 s",
    }  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    browser_path()
    found = Desk(tmp_path_factory.mktemp("desk"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = browser_path()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        browser.close()


def opened(browser: Any, served: Desk, name: str = "", size: dict[str, int] = DESK) -> Any:
    """A page of its own; whatever the browser complains about fails the test."""
    context = browser.new_context(viewport=size, locale="en-GB")
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith((served.address, "data:")) else
        page.complaints.append(r.url),
    )  # fmt: skip
    if name:
        page.goto(served.address)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    return page


def picture(page: Any, name: str, height: int = 0) -> None:
    """Kept for the documentation when it is asked for; `height` 0: all of the page."""
    folder = os.environ.get("FORECOURT_SCREENSHOTS")
    if folder:
        if height:
            page.set_viewport_size({"width": DESK["width"], "height": height})
        page.screenshot(path=Path(folder) / name, full_page=not height)
        if height:
            page.set_viewport_size(DESK)


def is_wide_enough(page: Any) -> None:
    """Nothing sticks out to the right."""
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(over) <= 0, page.url


def test_a_driver_finds_the_invoice_on_a_phone(browser: Any, served: Desk) -> None:
    invoice = next(s for s in served.office.sessions("MU-01") if s["state"] == "captured")
    page = opened(browser, served, size=PHONE)
    page.goto(f"{served.address}/find")
    page.get_by_label("Receipt number").fill(f"MU-01-{invoice['receipt_no']}")
    page.get_by_label("Amount paid").fill("0.01")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No receipt has this number and amount.")).to_be_visible()
    expect(page.get_by_label("Receipt number")).to_have_attribute("aria-invalid", "true")
    assert page.complaints.pop().startswith("Failed to load resource"), "the answer is a 404"
    page.get_by_label("Amount paid").fill(f"{invoice['total_minor'] / 100:.2f}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Invoice", exact=True)).to_be_visible()
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Rechnung", exact=True)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    is_wide_enough(page)
    picture(page, "invoice-phone.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Als PDF").evaluate("link => link.download = ''")
        page.get_by_role("link", name="Als PDF").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
    assert page.complaints == []


def test_a_refund_takes_two_people(browser: Any, served: Desk) -> None:
    paid = next(s for s in served.office.sessions("MU-02") if s["captured_minor"] > 1000)
    ann = opened(browser, served, "ann")
    ann.get_by_role("link", name="Refunds").click()
    ann.get_by_label("Receipt (CP1-12)").fill(f"MU-02-{paid['receipt_no']}")
    ann.get_by_role("button", name="Search").click()
    ann.get_by_role("link", name="Refund MU-02").click()
    ann.get_by_label("Everything that is left").check()
    ann.get_by_label("Reason").select_option("not_delivered")
    ann.get_by_role("button", name="Ask for the refund").click()
    expect(ann.get_by_role("status")).to_contain_text("somebody else's approval")
    expect(ann.get_by_text("You asked for it")).to_be_visible()
    bert = opened(browser, served, "bert")
    bert.get_by_role("link", name="Refunds").click()
    bert.get_by_role("link", name=f"MU-02-{paid['receipt_no']}").first.click()
    bert.get_by_role("button", name="Approve and send").click()
    expect(bert.get_by_text("refund approved")).to_be_visible()
    picture(bert, "refund.png")
    assert command_of(served.office, "refund")["receipt"] == paid["receipt_no"]
    assert ann.complaints == bert.complaints == []


def test_a_report_is_read_and_taken_along(browser: Any, served: Desk) -> None:
    page = opened(browser, served, "ann")
    page.get_by_role("link", name="Reports").click()
    total = sum(
        s["total_minor"] for s in served.office.sessions() if s["state"] == "captured"
    )  # all of May, as the preset says
    expect(page.get_by_text("revenue, VAT included").locator("..")).to_contain_text(
        f"{total / 100:,.2f} €"
    )
    assert page.get_by_role("img").count() == 11
    is_wide_enough(page)
    picture(page, "reports.png", 1400)
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF").click()
    assert download.value.suggested_filename.endswith(".pdf")
    page.get_by_label("Charger", exact=True).select_option("MU-03")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2026-05")
    assert page.complaints == []


@needs_micropython
def test_a_tariff_is_written_tried_and_rolled_out(browser: Any, served: Desk) -> None:
    page = opened(browser, served, "root")
    page.get_by_role("link", name="Tariffs").click()
    page.get_by_role("link", name="Write one").click()
    page.get_by_label("OCPI tariff").fill(DEFAULT_TARIFF.read_text())
    page.get_by_role("button", name="What if").click()
    expect(page.get_by_role("heading", name="What the screen says")).to_be_visible()
    expect(page.get_by_text("it would have been")).to_be_visible()
    picture(page, "tariff.png")
    page.get_by_label("Note").fill("spring")
    page.get_by_role("button", name="Keep this version").click()
    page.get_by_label("MU-01").check()
    page.get_by_label("MU-02").check()
    page.get_by_role("button", name="Roll out").click()
    expect(page.get_by_role("status")).to_have_text("Sent to 2 chargers.")
    assert page.complaints == []


def test_every_page_fits_a_phone_and_the_keyboard_reaches_all(browser: Any, served: Desk) -> None:
    page = opened(browser, served, "root", PHONE)
    paths = ("", "fleet", "fleet/MU-01", "payments", "sessions", "sessions/1", "invoices",
             "invoices/MU-01-I000001", "refunds", "sessions/1/refund", "reports", "tariffs",
             "tariffs/new", "members", "people", "audit", "invoices/check")  # fmt: skip
    for path in paths:
        page.goto(f"{served.address}/{path}")
        is_wide_enough(page)
        assert page.get_by_role("heading", level=1).count() == 1, path
        unnamed = page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]"
            ".filter(e => !e.labels.length).length"
        )
        assert unnamed == 0, path
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "To the content", path
        if path == "fleet":
            picture(page, "fleet-phone.png")
    assert page.complaints == []


def test_pictures_of_the_desk(browser: Any, served: Desk) -> None:
    page = opened(browser, served, "root")
    picture(page, "desk-overview.png")
    for path, name in (
        ("fleet", "fleet.png"), ("payments", "payments.png"), ("sessions/20", "session.png"),
        ("fleet/MU-05", "charger.png"),
    ):  # fmt: skip
        page.goto(f"{served.address}/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        picture(page, name, 1100)
    assert page.complaints == []

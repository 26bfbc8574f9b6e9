"""Pay by phone in a real browser of a phone's size, with the real firmware, broker, back office
and localstripe: from the code on the charger's front page to receipt and invoice.

Needs a Chromium (tests/front/test_front_browser.py). FORECOURT_SCREENSHOTS=docs/screenshots renews
the pictures kept there.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim import live
from hostsim.front.server import serve
from hostsim.world import Options, World
from tests.backoffice.test_backoffice_browser import is_wide_enough
from tests.front.test_front_browser import ARGS, browser_path

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: make setup")
expect = sync_api.expect

pytestmark = pytest.mark.timeout(300)
PHONE = {"width": 390, "height": 844}
SLOW_MS = 60_000


class Street:
    """A charger with its front page and back office, in a thread; Playwright blocks this one."""

    def __init__(self, directory: Path) -> None:
        self.port = live._free_port(0)
        self.failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(directory)))
        self._thread.start()
        assert self._ready.wait(120), "the world did not start"
        if self.failure:
            raise self.failure

    async def _run(self, directory: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self.world = world = World(
            Options(
                directory, speed=10, wanted_wh=4000, gateway=True,
                receipt_url=live.receipt_url(self.port), pages_url=live.pages_url(self.port),
            )
        )  # fmt: skip
        try:
            await world.start()
            await world.until_ready()
            serving = asyncio.create_task(serve(live.page_of(world), port=self.port))
            self._ready.set()
            await self._end.wait()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        except Exception as error:  # noqa: BLE001 - raised again in the test's thread
            self.failure = error
        finally:
            await world.stop()
            self._ready.set()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(90)

    def until(self, what: Callable[[], bool], why: str) -> None:
        self.do(self.world.until(what, 60, why))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    browser_path()
    with tempfile.TemporaryDirectory(prefix="forecourt-street-") as directory:
        found = Street(Path(directory))
        yield found
        found.stop()


@pytest.fixture
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=browser_path(), args=ARGS)
        yield found
        found.close()


def a_phone(browser: Any, street: Street, locale: str = "en-GB") -> Any:
    """A page that notes what a browser complains about, and what it would load from elsewhere."""
    page = browser.new_context(viewport=PHONE, locale=locale).new_page()
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    own = (f"http://127.0.0.1:{street.port}/", "data:")
    page.on("request", lambda r: None if r.url.startswith(own) else page.complaints.append(r.url))
    return page


def picture(page: Any, name: str) -> None:
    folder = os.environ.get("FORECOURT_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / name, full_page=True)


def scanned(street: Street) -> str:
    """What the charger's screen shows now."""
    street.until(lambda: bool(street.world.evse.screen["qr"]), "a code on the screen")
    return str(street.world.evse.screen["qr"])


def stays_with_the_keyboard(phone: Any, button: Any, energy: Any) -> None:
    """Its figures are renewed twice, and neither the page nor the focus goes."""
    phone.evaluate("window.kept = true")
    button.focus()
    for _ in range(2):
        expect(energy).not_to_have_text(energy.inner_text(), timeout=SLOW_MS)
        expect(button).to_be_focused()
    assert phone.evaluate("window.kept"), "the page was loaded anew"


def test_a_driver_pays_by_phone_watches_stops_and_has_receipt_and_invoice(
    street: Street, browser: Any
) -> None:
    world = street.world
    phone = a_phone(browser, street)
    address = scanned(street)
    phone.goto(address)
    expect(phone.get_by_role("heading", level=1)).to_have_text("Pay and charge")
    lines = phone.locator(".prices li").all_inner_texts()
    assert "kWh" in lines[0] and "min" in lines[1], "the legal order: energy, then time"
    expect(phone.get_by_text("60.00 €")).to_be_visible()
    is_wide_enough(phone)
    picture(phone, "pay-phone.png")
    phone.get_by_role("link", name="Deutsch").click()
    expect(phone.get_by_role("button", name="Reservieren und starten")).to_be_visible()
    phone.get_by_role("link", name="English").click()
    phone.get_by_label("Test card that pays").check()
    phone.get_by_role("button", name="Reserve and start").click()

    street.until(lambda: world.state == "wait_plug", "the start")
    expect(phone.get_by_role("heading", level=1)).to_have_text(
        "Now plug in the cable", timeout=SLOW_MS
    )
    street.do(world.act("plug"))
    expect(phone.get_by_role("heading", level=1)).to_have_text("Charging", timeout=SLOW_MS)
    energy = phone.locator(".live .tile b").first
    expect(energy).not_to_have_text("0.000 kWh", timeout=SLOW_MS)
    assert "€" in phone.locator(".live .tile b").last.inner_text()
    is_wide_enough(phone)
    picture(phone, "pay-phone-charging.png")

    other = a_phone(browser, street)  # the same code once more, from another phone
    other.goto(address)
    expect(other.get_by_role("alert")).to_contain_text("Somebody else has started")
    expect(other.get_by_text("No money was taken.")).to_be_visible()

    stays_with_the_keyboard(phone, phone.get_by_role("button", name="Stop charging"), energy)
    phone.keyboard.press("Enter")
    street.until(lambda: "power_off" in world.records, "the contactor to open")
    expect(phone.get_by_role("heading", level=1)).to_have_text(
        "Charging ended: please unplug", timeout=SLOW_MS
    )
    expect(phone.get_by_role("button")).to_have_count(0)  # nothing is left to stop
    street.do(world.act("unplug"))
    expect(phone.get_by_role("heading", name="Paid. Thank you!")).to_be_visible(timeout=SLOW_MS)
    expect(phone.get_by_role("heading", name="Invoice", exact=True)).to_be_visible(timeout=SLOW_MS)
    price = world.records["priced"]["total_minor"]
    assert world.records["captured"]["captured_minor"] == price > 0
    expect(phone.get_by_text(f"{price / 100:.2f} €").first).to_be_visible()
    is_wide_enough(phone)
    picture(phone, "pay-phone-receipt.png")
    with phone.expect_download() as download:
        phone.get_by_role("link", name="As PDF").evaluate("link => link.download = ''")
        phone.get_by_role("link", name="As PDF").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
    assert phone.complaints == []

    street.until(world.synced, "the back office to have everything")
    books = world.compare_books()
    assert books["agree"], books["differences"]
    assert books["gateway"]["captured_minor"] == price and books["gateway"]["open"] == []


def test_a_bank_that_asks_is_asked_in_the_browser_and_a_code_works_once(
    street: Street, browser: Any
) -> None:
    world = street.world
    street.until(lambda: world.state in ("receipt", "free"), "the next driver's turn")
    address = scanned(street) if world.state == "free" else ""
    if not address:
        street.until(lambda: world.state == "free", "the receipt to go")
        address = scanned(street)
    phone = a_phone(browser, street, "de-DE")
    phone.goto(address)
    phone.get_by_label("Testkarte, deren Bank nachfragt").check()
    phone.get_by_role("button", name="Reservieren und starten").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Bitte die Zahlung bestätigen")
    other = a_phone(browser, street)  # scanned the same code while the first one is at the bank
    other.goto(address)
    expect(other.get_by_role("alert")).to_contain_text("This code was used already")
    assert world.state == "free", "nothing starts before the bank's yes"
    phone.get_by_role("link", name="Zu Ihrer Bank").click()
    phone.get_by_role("button", name="Confirm").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text(
        "Jetzt bitte das Kabel einstecken", timeout=SLOW_MS
    )
    phone.get_by_role("button", name="Abbrechen").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Nichts berechnet", timeout=SLOW_MS)
    expect(phone.get_by_text("Es wurde kein Geld genommen.")).to_be_visible(timeout=SLOW_MS)
    street.until(world.synced, "the back office to have everything")
    books = world.compare_books()
    assert books["agree"], books["differences"]
    assert books["gateway"]["open"] == []

"""The page in a real browser, in front of a fake world.

Needs a Chromium: `apt install chromium`, or its path in the variable CHROMIUM. Skips, saying so,
without one.
"""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hostsim.front.app import create_app, serve
from tests.front.test_front_world import FakeWorld

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: make setup")
expect = sync_api.expect
WAIT_MS = 45_000
expect.set_options(timeout=WAIT_MS)  # of all browser tests: a machine may be busy

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def browser_path() -> str:
    """The browser, or a loud skip that names the package."""
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        if name and (path := shutil.which(name)):
            return path
    pytest.skip(
        "NO BROWSER: the page was not tested. Install the package chromium: apt install chromium"
    )


class Served:
    """A fake world and its page in a thread of their own; Playwright's calls block this one."""

    def __init__(self) -> None:
        self.world = FakeWorld()
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.create_task(self._serve())
        ticking = asyncio.create_task(self.world.run())
        await asyncio.wait([self._serving])
        ticking.cancel()

    async def _serve(self) -> None:
        await serve(create_app(self.world), port=self.port, on_ready=self._up)

    def _up(self, port: int) -> None:
        self.port = port
        self._ready.set()

    def call(self, function: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        self.call(self._serving.cancel)
        self._thread.join(10)

    def restart(self) -> None:
        self._ready.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = browser_path()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.stop()


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://127.0.0.1:{served.port}/")
    expect(page.get_by_test_id("screen")).to_contain_text("Ready")
    yield page
    page.close()
    assert errors == []


def test_a_whole_session_is_seen(page: Any) -> None:
    at = page.get_by_test_id
    expect(at("screen")).to_contain_text("0.49 EUR/kWh")
    expect(at("light")).to_have_attribute("data-light", "green")
    expect(at("cable")).to_have_attribute("data-at", "holster")
    at("plug").click()
    expect(at("cable")).to_have_attribute("data-at", "vehicle")
    at("card-visa").click()
    expect(at("card-slot")).to_have_attribute("data-card", "visa")
    expect(at("session-state")).to_have_text("charging")
    at("speed").fill("60")
    expect(at("speed-value")).to_have_text("×60")
    expect(at("figure-power")).to_have_text("11.0")
    expect(at("cable")).to_have_attribute("data-flowing", "true")
    expect(at("figure-price")).not_to_have_text("0.00")
    expect(at("figure-hold")).to_contain_text("of 50.00 EUR")
    at("stop").click()
    expect(at("screen")).to_contain_text("Please unplug")
    at("unplug").click()
    expect(at("screen")).to_contain_text("Released")
    expect(at("qr")).to_be_visible()
    assert at("qr").evaluate("image => image.decode().then(() => image.naturalWidth)") > 20
    expect(at("books-verdict")).to_have_attribute("data-agree", "true")
    expect(at("cable")).to_have_attribute("data-at", "holster")


def test_the_screen_is_all_readable_in_its_frame(page: Any) -> None:
    inside = (
        "e => e.getBoundingClientRect().width <= e.parentElement.getBoundingClientRect().width"
    )
    assert page.get_by_test_id("screen").evaluate(inside)
    assert len(page.get_by_test_id("screen").inner_text().split("\n")) == 8


def test_a_refusal_becomes_a_toast(page: Any, served: Served) -> None:
    page.get_by_test_id("switch-terminal").click()
    expect(page.get_by_test_id("switch-terminal")).to_have_attribute("aria-checked", "false")
    page.get_by_test_id("card-visa").click()
    expect(page.get_by_test_id("toast")).to_have_text("The terminal has no power.")


def test_other_cards_lie_in_a_menu(page: Any) -> None:
    expect(page.get_by_test_id("card-declined")).not_to_be_visible()
    page.get_by_test_id("more-cards").locator("summary").click()
    page.get_by_test_id("card-declined").click()
    expect(page.get_by_test_id("screen")).to_contain_text("No money was taken")


def test_all_plugs_can_be_pulled_and_put_back(page: Any, served: Served) -> None:
    for name in ("network", "meter", "terminal", "reader", "power"):
        switch = page.get_by_test_id(f"switch-{name}")
        for on in ("false", "true"):
            switch.click()
            expect(switch).to_have_attribute("aria-checked", on)
        assert served.world.acts[-2:] == [(name, {"on": False}), (name, {"on": True})]


def test_without_power_the_front_is_dark(page: Any) -> None:
    page.get_by_test_id("switch-power").click()
    expect(page.get_by_test_id("light")).to_have_attribute("data-light", "off")
    expect(page.get_by_test_id("screen")).to_have_text("")
    expect(page.get_by_test_id("status-firmware")).to_have_attribute("data-on", "false")


def test_stop_emergency_pause_full_and_language_act(page: Any, served: Served) -> None:
    page.get_by_test_id("emergency").click()
    expect(page.get_by_test_id("emergency")).to_have_attribute("aria-pressed", "true")
    page.get_by_test_id("emergency").click()
    expect(page.get_by_test_id("emergency")).to_have_attribute("aria-pressed", "false")
    page.get_by_test_id("vehicle-pause").click()
    expect(page.get_by_test_id("vehicle-pause")).to_have_attribute("aria-pressed", "true")
    page.get_by_test_id("vehicle-full").click()
    expect(page.get_by_test_id("battery-pct")).to_have_text("100 %")
    page.get_by_role("button", name="German").click()
    page.get_by_test_id("stop").click()
    expect(page.get_by_test_id("toast")).to_have_count(0)
    names = [name for name, _ in served.world.acts]
    assert names == ["emergency", "emergency", "vehicle_pause", "vehicle_full", "language", "stop"]


def test_the_conversation_is_decoded_filtered_and_paused(page: Any, served: Served) -> None:
    at = page.get_by_test_id
    at("card-visa").click()
    expect(at("rows-zvt")).to_contain_text("06 22 Reservation")
    expect(at("rows-zvt").locator(".way").first).to_have_attribute("title", "from the charger")
    expect(at("rows-zvt")).to_contain_text("receipt=231")
    at("filter").fill("status")
    expect(at("rows-zvt").locator("li")).to_have_count(1)
    at("filter").fill("")
    at("pause").click()
    served.call(lambda: served.world.event("zvt", direction="in", name="late", hex="", fields={}))
    expect(at("tab-zvt")).to_contain_text("3")
    expect(at("rows-zvt")).not_to_contain_text("late")
    at("pause").click()
    expect(at("rows-zvt")).to_contain_text("late")
    at("tab-ledger").click()
    expect(at("rows-ledger")).to_contain_text("authorised")
    at("tab-modbus").click()
    expect(at("register-Frequency")).to_have_text("50.01 Hz")
    page.get_by_label("step back").check()
    expect(page.get_by_label("step back")).to_be_checked()


def test_rows_are_bounded_and_are_text_not_markup(page: Any, served: Served) -> None:
    def flood() -> None:
        for number in range(2000):
            served.world.event("log", level="info", text=f"<b>line {number}</b>")

    served.call(flood)
    page.get_by_test_id("tab-log").click()
    rows = page.get_by_test_id("rows-log").locator("li")
    expect(rows).to_have_count(500)
    expect(rows.last).to_contain_text("<b>line 1999</b>")


def test_books_that_differ_are_shown_red_with_the_difference(page: Any, served: Served) -> None:
    served.call(lambda: setattr(served.world, "agree", False))
    expect(page.get_by_test_id("books-verdict")).to_have_attribute("data-agree", "false")
    expect(page.get_by_test_id("books-differences")).to_contain_text("receipt 231")
    expect(page.locator("tr.differs")).to_contain_text("0.01 EUR")


def test_what_was_paid_by_phone_stands_in_a_fourth_book(page: Any, served: Served) -> None:
    head, rows = page.locator(".books thead th:visible"), page.locator("#books-body tr")
    expect(rows).to_have_count(2)
    expect(head).to_have_count(4)
    paid = {"captured_minor": 1234, "payments": 1, "open": []}
    served.call(lambda: setattr(served.world, "by_phone", paid))
    expect(page.locator("#books-title")).to_have_text("The four books")
    expect(head).to_have_count(5)
    expect(rows.filter(has_text="elsewhere: captured")).to_contain_text("12.34 EUR")
    cells = rows.filter(has_text="elsewhere: payments").locator("td")
    expect(cells).to_have_text(["1", "–", "1", "1"])
    expect(page.locator("tr.differs")).to_have_count(0)


def test_a_simulator_that_goes_is_said_and_one_that_comes_back_is_found(
    page: Any, served: Served
) -> None:
    expect(page.get_by_test_id("banner")).not_to_be_visible()
    served.stop()
    expect(page.get_by_test_id("banner")).to_be_visible()
    page.get_by_test_id("stop").click()
    expect(page.get_by_test_id("toast")).to_contain_text("gone")
    served.restart()
    expect(page.get_by_test_id("banner")).not_to_be_visible()
    page.get_by_test_id("plug").click()
    expect(page.get_by_test_id("unplug")).to_be_visible()


def test_everything_to_press_has_a_role_and_a_name(page: Any) -> None:
    for role, name in (
        ("button", "Plug in"),
        ("button", "STOP"),
        ("button", "Emergency stop"),
        ("button", "Tap Visa"),
        ("switch", "Network"),
        ("switch", "Power"),
        ("slider", "Time"),
        ("searchbox", "Filter the rows"),
        ("tab", "Terminal"),
        ("tabpanel", "Terminal"),
        ("img", "Power over the last minutes"),
        ("heading", "Forecourt"),
    ):
        expect(page.get_by_role(role, name=name).first).to_be_visible()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, a, [role=img], summary")]
            .filter((e) => e.getClientRects().length)
            .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length))
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_the_keyboard_alone_is_enough(page: Any) -> None:
    page.get_by_test_id("plug").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("unplug")).to_be_focused()
    page.get_by_test_id("card-visa").focus()
    page.keyboard.press("Space")
    expect(page.get_by_test_id("session-state")).to_have_text("charging")
    page.get_by_test_id("tab-zvt").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("panel-modbus")).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_test_id("tab-device")).to_be_focused()
    page.get_by_test_id("speed").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("speed-value")).to_have_text("×2")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(
    browser: Any, served: Served, width: int, scheme: Any
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(f"http://127.0.0.1:{served.port}/")
    expect(page.get_by_test_id("screen")).to_contain_text("Ready")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.parametrize("width", [390, 1000, 1280])
def test_the_charger_stays_in_sight_and_covers_nothing(
    browser: Any, served: Served, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(f"http://127.0.0.1:{served.port}/")
    page.get_by_test_id("more-cards").locator("summary").click()
    for down in range(0, 2400, 200):
        covered = page.evaluate(
            """down => {
                scrollTo({ top: down, behavior: "instant" });
                const stage = document.getElementById("stage").getBoundingClientRect();
                return [...document.querySelectorAll(".wallet, .plugs, .books, .engineers")]
                    .filter((e) => {
                        const r = e.getBoundingClientRect();
                        return r.left < stage.right && stage.left < r.right
                            && r.top < stage.bottom && stage.top < r.bottom;
                    })
                    .map((e) => e.className);
            }""",
            down,
        )
        assert covered == [], f"after {down} px"
    page.close()


def test_nothing_comes_from_anywhere_else(browser: Any, served: Served) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://127.0.0.1:{served.port}/")
    expect(page.get_by_test_id("screen")).to_contain_text("Ready")
    page.close()
    assert asked and all(url.startswith(f"http://127.0.0.1:{served.port}/") for url in asked)

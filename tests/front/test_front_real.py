"""The page in a real browser, on the real world: firmware, terminal, meter, broker, back office.

Needs a Chromium: `apt install chromium`, or its path in the variable CHROMIUM; skips, saying so,
without one. FORECOURT_SCREENSHOTS=docs/screenshots renews the pictures kept there.
"""

import asyncio
import os
import re
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim import live
from hostsim.front.app import serve
from hostsim.world import Options, World
from tests.front.test_front_browser import ARGS, WAIT_MS, browser_path
from tests.worlds import agree, settled

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: make setup")
expect = sync_api.expect

pytestmark = pytest.mark.timeout(300)
# Charger time, up to 60 times as fast: a slow browser must see what passes by itself.
LONG = {"receipt_show_s": 3600, "message_show_s": 600, "plug_timeout_s": 3600}


class Live:
    """A world with its page, in a thread of its own; Playwright's calls block this one."""

    def __init__(self, directory: Path) -> None:
        self.port = live._free_port(0)
        self.world: World | None = None
        self.failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, args=(directory,), daemon=True)
        self._thread.start()
        assert self._ready.wait(90), "the world did not start"
        if self.failure:
            raise self.failure

    def _main(self, directory: Path) -> None:
        asyncio.run(self._run(directory))

    async def _run(self, directory: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        options = Options(
            directory,
            speed=10,
            wanted_wh=4000,
            receipt_url=live.receipt_url(self.port),
            config=LONG,
        )
        self.world = world = World(options)
        try:
            await world.start()
            await world.until_ready()
            async with live.books_kept(world):
                page = asyncio.create_task(serve(live.page_of(world), port=self.port))
                self._ready.set()
                await self._end.wait()
                page.cancel()
                await asyncio.gather(page, return_exceptions=True)
        except Exception as error:  # noqa: BLE001 - raised again in the test's thread
            self.failure = error
        finally:
            await world.stop()
            self._ready.set()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(90)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)


@pytest.fixture
def real() -> Iterator[Live]:
    browser_path()
    with tempfile.TemporaryDirectory(prefix="forecourt-page-") as directory:
        real = Live(Path(directory))
        yield real
        real.stop()


@pytest.fixture
def page(real: Live) -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{real.port}/")
        yield page
        browser.close()
        assert errors == []


def picture(page: Any, name: str) -> None:
    folder = os.environ.get("FORECOURT_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / name))


def figure(page: Any, name: str) -> float:
    return float(page.get_by_test_id(f"figure-{name}").inner_text())


def grown(page: Any, name: str, above: float) -> float:
    page.wait_for_function(
        "([name, above]) => parseFloat(document.querySelector("
        "`[data-testid=figure-${name}]`).innerText) > above",
        arg=[name, above],
    )
    return figure(page, name)


def test_a_driver_pays_at_the_page(page: Any, real: Live) -> None:
    at = page.get_by_test_id
    expect(at("screen")).to_contain_text("Energy: 0.59 €/kWh")
    expect(at("light")).to_have_attribute("data-light", "green")
    at("card-visa").click()
    expect(at("screen")).to_contain_text("Now plug in")
    expect(at("rows-zvt")).to_contain_text("reservation")
    at("plug").click()
    expect(at("cable")).to_have_attribute("data-flowing", "true")
    assert grown(page, "power", 5) < 12
    expect(at("figure-hold")).to_contain_text("of 60.00 EUR reserved")
    at("speed").fill("60")
    energy, price = grown(page, "energy", 0.3), grown(page, "price", 0.1)
    assert grown(page, "energy", energy) < 5
    assert grown(page, "price", max(price, 1.2)) < 5
    at("speed").fill("10")
    picture(page, "front.png")
    at("tab-mqtt").click()
    expect(at("rows-mqtt")).to_contain_text("forecourt/v1/FC-0001/session")
    at("tab-modbus").click()
    expect(at("rows-modbus").locator("li").first).to_be_visible()
    at("tab-ledger").click()
    expect(at("rows-ledger")).to_contain_text("authorised")
    at("tab-zvt").click()
    at("speed").fill("60")
    at("vehicle-full").click()
    expect(at("cable")).to_have_attribute("data-flowing", "false")
    at("unplug").click()
    expect(at("screen")).to_contain_text("Released")
    expect(at("figure-hold")).to_contain_text(re.compile(r"paid [1-4]\.\d\d, released 5\d"))
    expect(at("qr")).to_be_visible()
    at("speed").fill("1")
    assert at("qr").evaluate("image => image.decode().then(() => image.naturalWidth)") > 20
    picture(page, "receipt.png")
    expect(at("books-verdict")).to_have_attribute("data-agree", "true")
    _the_code_leads_to_the_receipt(page, real)


def _the_code_leads_to_the_receipt(page: Any, real: Live) -> None:
    assert real.world
    world = real.world
    link = world.evse.screen["qr"]
    real.do(settled(world))
    priced = world.records["priced"]
    assert priced["billed_wh"] == world.meter.register_wh - 1_234_560
    page.goto(link)
    expect(page.locator("body")).to_contain_text(f"{priced['total_minor'] / 100:.2f}")
    expect(page.locator("body")).to_contain_text("FC-0001")
    picture(page, "backoffice-receipt.png")
    page.goto(f"http://127.0.0.1:{real.port}/backoffice/")
    page.get_by_label("Name").fill(live.DEMO_PERSON)
    page.get_by_label("Password").fill(live.demo_login(world))
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("body")).to_contain_text("paid")
    picture(page, "backoffice.png")
    books = agree(world)
    assert books["terminal"]["captured_minor"] == priced["total_minor"]
    answer = page.goto(link.rsplit("/", 1)[0] + "/999999")
    assert answer.status == 404


def test_pulling_the_plugs_is_seen_and_mended(page: Any, real: Live) -> None:
    at = page.get_by_test_id
    expect(at("status-firmware")).to_have_attribute("data-on", "true")
    expect(at("switch-reader")).to_be_hidden()  # there is none
    at("switch-terminal").click()
    expect(at("light")).to_have_attribute("data-light", "red")
    at("switch-terminal").click()
    expect(at("light")).to_have_attribute("data-light", "green")
    at("switch-power").click()
    expect(at("status-firmware")).to_have_attribute("data-on", "false")
    expect(at("light")).to_have_attribute("data-light", "off")
    at("switch-power").click()
    expect(at("light")).to_have_attribute("data-light", "green")
    at("more-cards").locator("summary").click()
    at("card-declined").click()
    expect(at("screen")).to_contain_text("another card")
    assert real.world
    real.do(settled(real.world))  # the books are compared when all has arrived
    agree(real.world)

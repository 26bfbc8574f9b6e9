"""One session, headless: tap, plug, charge, unplug, receipt, three books: `hostsim demo`."""

from __future__ import annotations

import asyncio
import datetime
import random
import re
import tempfile
from collections.abc import Callable
from typing import Any

from hostsim import acquirer
from hostsim.backoffice.refunds import RefundError
from hostsim.books import FIGURES
from hostsim.phone import Phone
from hostsim.terminal.cards import CARDS
from hostsim.world import CHARGER_ID, Options, World, WorldError

_READY_S = 90
_ANSWER_S = 60
_MONEY_S = 60
METHODS = ("card", "qr")


async def play(
    options: Options, card: str, progress: Callable[[str], None], refund: int = -1
) -> tuple[dict[str, Any], list[str]]:
    """Plays the session; the object `demo --json` prints, and the lines of the receipt. `refund`:
    minor units an operator gives back afterwards (0: all, -1: no refund). With a payment gateway
    (options.gateway) the driver pays by phone.

    Raises WorldError, BrokerError or ChargerError when it does not come to its end.
    """
    world = World(options, progress)
    try:
        await world.start()
        await world.until_ready(_READY_S)
        if options.rfid:
            progress("the charger gets the members' list")
            await world.until(world.members_there, _ANSWER_S, "the members' list")
        before_wh = world.meter.register_wh
        play = _by_phone(world, progress) if options.gateway else _session(world, card, progress)
        stop = await play
        progress("the back office takes the records")
        await world.until(world.synced, _MONEY_S, "the back office to acknowledge everything")
        await world.until(lambda: _delivered(world), _MONEY_S, "the back office to have it all")
        if refund >= 0 and "captured" in world.records:
            progress("an operator refunds")
            await _refund(world, refund)
        return result(world, before_wh, stop), world.receipt
    finally:
        await world.stop()


async def _session(world: World, card: str, progress: Callable[[str], None]) -> str:
    """From the tap to the end; why it ended."""
    progress(f"tapping {card}")
    answer = await world.act("tap", card=card)
    if not answer["ok"]:
        raise WorldError(answer["error"])
    await world.until(lambda: bool(world.cards_read), _ANSWER_S, "the tap to be seen")
    read = world.cards_read[-1]
    if read["text"] or read["kind"] != "bank" and card in CARDS:
        return read["text"] or "card_not_accepted"
    slow_s = 30 if card in CARDS and CARDS[card].slow else 0
    await world.until(
        lambda: world.state == "wait_plug" or _has(world, "declined", "cancelled", "captured"),
        _ANSWER_S + slow_s,
        "the terminal's answer",
    )
    if world.state == "wait_plug":
        await _charge(world, progress)
    if "declined" in world.records:
        return str(world.records["declined"]["text"])
    progress("settling")
    await world.until(
        lambda: _has(world, "cancelled", "captured") and world.state != "settling",
        _MONEY_S,
        "settlement",
    )
    priced = world.records.get("priced") or world.records["cancelled"]
    return str(priced["reason"])


async def _by_phone(world: World, progress: Callable[[str], None]) -> str:
    """From the code on the screen to the receipt on the phone; why it ended."""
    progress("scanning the code and paying by phone")
    phone = Phone()
    try:
        await world.until(lambda: bool(world.evse.screen["qr"]), _ANSWER_S, "the code")
        state = await phone.pay(world.evse.screen["qr"])
        if state in ("refused", "declined"):
            raise WorldError(f"paying by phone: {phone.said or state}")
        await world.until(
            lambda: world.state == "wait_plug" or _has(world, "cancelled"), _ANSWER_S, "the start"
        )
        if world.state == "wait_plug":
            await _charge(world, progress)
        progress("the gateway takes the price")
        await phone.until("captured", "cancelled", "lost", timeout_s=_MONEY_S)
        await world.until(lambda: world.state != "settling", _MONEY_S, "settlement")
        priced = world.records.get("priced") or world.records["cancelled"]
        return str(priced["reason"])
    finally:
        await phone.close()


async def _refund(world: World, amount_minor: int) -> None:
    """Ordered and approved at the back office, paid by the terminal or the acquirer."""
    assert world.back_office
    refunds = world.back_office.refunds
    paying = asyncio.create_task(acquirer.serve(refunds, world.terminal.books))
    try:
        number = refunds.request(
            CHARGER_ID,
            receipt=world.records["priced"]["receipt_no"],
            amount_minor=amount_minor,
            reason="goodwill",
            operator="demo",
        )
        refunds.approve(number, "demo")
        await world.until(
            lambda: refunds.follow(number)["state"] in ("done", "refused", "failed"),
            _MONEY_S,
            "the refund",
        )
        await world.until(world.synced, _MONEY_S, "the back office to acknowledge everything")
    except RefundError as e:
        raise WorldError(f"refund: {e}") from e
    finally:
        paying.cancel()


def _delivered(world: World) -> bool:
    """All that is in flash is in the back office (the charger's own view is a moment old)."""
    assert world.back_office
    return len(world.back_office.records(CHARGER_ID)) == len(world.charger_records())


def _has(world: World, *kinds: str) -> bool:
    return any(kind in world.records for kind in kinds)


async def _charge(world: World, progress: Callable[[str], None]) -> None:
    progress("plugging in")
    await world.act("plug")
    await world.until(
        lambda: _has(world, "energising", "cancelled"), _MONEY_S, "the contactor to be closed"
    )
    progress("charging")
    wanted_wh = world.options.wanted_wh or 0
    hours = wanted_wh / min(world.options.max_power_w, 11_000)
    await world.until(
        lambda: _has(world, "power_off", "cancelled") or _full(world),
        hours * 3600 / world.options.speed * 4 + 120,
        "the car to be full or the hold to be used up",
    )
    progress("unplugging")
    await world.act("unplug")


def _full(world: World) -> bool:
    return world.state == "paused" and not world.vehicle.wants_energy


def result(world: World, before_wh: int, stop_reason: str) -> dict[str, Any]:
    """The object `demo --json` prints."""
    last = {r["kind"]: r for r in world.charger_records()}
    books = world.compare_books()
    priced = last.get("priced", {})
    view = world.view
    sums = books["charger"]
    assert world.charger
    return {
        **{name: sums[name] + sums["elsewhere"][name] for name in FIGURES},
        "priced_minor": priced.get("total_minor", 0),
        "currency": last.get("hold_asked", {}).get("currency", ""),
        "billed_wh": priced.get("billed_wh", 0),
        "meter_wh": world.meter.register_wh - before_wh,
        "books_agree": books["agree"],
        "records_sent": view["sync"]["sent"],
        "records_acked": view["sync"]["acked"],
        "heap_bytes": view["heap"]["total"],
        "peak_heap_bytes": view["heap"]["peak"],
        "pointer_bits": world.hello["bits"],
        "micropython": world.hello["micropython"],
        "tap_to_power_ms": view["tap_to_power_ms"],
        "max_loop_stall_ms": view["stall_ms"],
        "stop_reason": stop_reason,
        "terminal_ms": view["terminal_ms"],
        "resets": world.charger.resets,
        "charger": CHARGER_ID,
        "books": books,
        "gateway": books.get("gateway", {}),
    }


def start_ms(seed: int, at: str = "") -> int:
    """Epoch ms at which a demo begins: today (certificates hold) at `at`, HH:MM in UTC, else at a
    time of day that the seed gives, so that one seed is one price. Raises ValueError.
    """
    now = datetime.datetime.now(datetime.UTC)
    if at:
        if not re.fullmatch("[0-2][0-9]:[0-5][0-9]", at):
            raise ValueError("must be HH:MM")
        minutes = int(at[:2]) * 60 + int(at[3:])
    else:
        minutes = random.Random(seed).randrange(24 * 60)
    if minutes >= 24 * 60:
        raise ValueError("must be HH:MM")
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return int(midnight.timestamp()) * 1000 + minutes * 60_000


def temporary() -> tempfile.TemporaryDirectory[str]:
    """A directory for a world that is thrown away."""
    return tempfile.TemporaryDirectory(prefix="forecourt-", ignore_cleanup_errors=True)


def show(found: dict[str, Any], receipt: list[str]) -> None:
    """The driver's receipt and the three books, for a person."""
    from rich.console import Console

    from hostsim import books

    console = Console()
    if receipt:
        width = max(len(line) for line in receipt)
        text = "\n".join(f"  │ {line.ljust(width)} │" for line in receipt)
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    else:
        console.print(f"  No receipt: {found['stop_reason']}", highlight=False)
    console.print()
    books.show(found["books"])

"""One session, headless: tap, plug, charge, unplug, receipt, three books. What `python -m hostsim demo` runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hostsim.world import CHARGER_ID, Options, World

_READY_S = 15
_MONEY_S = 20


async def play(options: Options, card: str, progress: Any) -> tuple[dict[str, Any], list[str]]:
    """Plays the session and gives the result object of `demo --json` and the lines of the receipt."""
    world = World(options, progress)
    try:
        await world.start()
        await world.until(lambda: world.state == "free", _READY_S, "the charger to be ready for a driver")
        before_wh = world.meter.register_wh
        progress(f"tapping {card}")
        await world.act("tap", card=card)
        await world.until(lambda: world.state not in ("free",), _MONEY_S, "the tap to be seen")
        await world.until(lambda: world.state in ("wait_plug", "free", "declined", "plugged", "receipt"), _MONEY_S,
                          "the terminal's answer")  # fmt: skip
        if world.state == "wait_plug":
            await _charge(world, progress)
        await world.until(lambda: world.state in ("receipt", "free", "declined", "plugged"), _MONEY_S, "settlement")
        await world.until(world.synced, _MONEY_S, "the back office to acknowledge everything")
        return result(world, before_wh), world.receipt
    finally:
        await world.stop()


async def _charge(world: World, progress: Any) -> None:
    progress("plugging in")
    await world.act("plug")
    await world.until(lambda: world.state in ("charging", "paused"), _MONEY_S, "power")
    progress("charging")
    await world.until(lambda: world.state in ("paused", "finished", "settling", "receipt"), 3600, "the car to be full")
    progress("unplugging")
    await world.act("unplug")


def result(world: World, before_wh: int) -> dict[str, Any]:
    """The object `demo --json` prints."""
    records = world.charger_records()
    last = {r["kind"]: r for r in records}
    books = world.compare_books()
    priced = last.get("priced", {})
    view = world.view
    return {
        "authorised_minor": books["charger"]["authorised_minor"],
        "captured_minor": books["charger"]["captured_minor"],
        "released_minor": books["charger"]["released_minor"],
        "priced_minor": priced.get("total_minor", 0),
        "currency": last.get("hold_asked", {}).get("currency", ""),
        "billed_wh": priced.get("billed_wh", 0),
        "meter_wh": world.meter.register_wh - before_wh,
        "books_agree": books["agree"],
        "books": books,
        "records_sent": view["sync"]["sent"],
        "records_acked": view["sync"]["acked"],
        "heap_bytes": view["heap"]["total"],
        "peak_heap_bytes": view["heap"]["peak"],
        "pointer_bits": world.hello["bits"],
        "micropython": world.hello["micropython"],
        "tap_to_power_ms": view["tap_to_power_ms"],
        "terminal_ms": view["terminal_ms"],
        "max_loop_stall_ms": view["stall_ms"],
        "stop_reason": priced.get("reason") or last.get("declined", {}).get("text", ""),
        "charger": CHARGER_ID,
    }


def temporary() -> tempfile.TemporaryDirectory[str]:
    """A directory for a world that is thrown away."""
    return tempfile.TemporaryDirectory(prefix="forecourt-")


def directory_of(temp: tempfile.TemporaryDirectory[str]) -> Path:
    return Path(temp.name)


def show(result: dict[str, Any], receipt: list[str]) -> None:
    """The driver's receipt and the three books, for a person."""
    from rich.console import Console

    from hostsim import books

    console = Console()
    if receipt:
        width = max(len(line) for line in receipt)
        console.print("\n".join("  │ " + line.ljust(width) + " │" for line in receipt), highlight=False, markup=False)
    else:
        console.print(f"  No receipt: {result['stop_reason']}", highlight=False)
    console.print()
    books.show(result["books"])

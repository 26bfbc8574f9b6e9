"""A whole world for a test: real firmware, broker, meter, terminal, back office; ended and reconciled whatever happens."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from hostsim.world import CHARGER_ID, Options, World

READY_S = 30
STEP_S = 30


@contextlib.asynccontextmanager
async def started(**options) -> AsyncIterator[World]:
    """A world whose charger is ready for a driver. Options as hostsim.world.Options."""
    with tempfile.TemporaryDirectory(prefix="forecourt-test-") as directory:
        world = World(
            Options(Path(directory), **{"speed": 60, "wanted_wh": 1000, "bank_s": 0.2, **options})
        )
        try:
            await world.start()
            await world.until(lambda: world.state != "", READY_S, "the charger to start")
            yield world
        finally:
            await world.stop()


async def until_state(world: World, *states: str, timeout_s: float = STEP_S) -> None:
    await world.until(lambda: world.state in states, timeout_s, " or ".join(states))


async def tap(world: World, card: str = "visa") -> None:
    answer = await world.act("tap", card=card)
    assert answer["ok"], answer


async def charging(world: World, card: str = "visa") -> None:
    """Tap, hold, plug, and power is on."""
    await until_state(world, "free", timeout_s=READY_S)
    await tap(world, card)
    await until_state(world, "wait_plug")
    await world.act("plug")
    await until_state(world, "charging")


async def settled(world: World) -> dict[str, dict]:
    """Waits until the session has ended and everything is acknowledged; the newest record of each kind."""
    await until_state(world, "receipt", "free", "plugged", "out_of_service", timeout_s=60)
    await world.until(world.synced, 60, "the back office to have everything")
    return {record["kind"]: record for record in world.charger_records()}


def agree(world: World) -> dict:
    """The three books, which must agree, with no hold open."""
    books = world.compare_books()
    assert books["agree"], books["differences"]
    assert not books["terminal"]["open"], "a hold is open at the terminal"
    return books


def money(books: dict) -> tuple[int, int, int]:
    """(authorised, captured, released) of the terminal's book."""
    t = books["terminal"]
    return t["authorised_minor"], t["captured_minor"], t["released_minor"]


def run(scenario: Callable[[World], Awaitable[None]], **options) -> None:
    """Runs a scenario in a fresh world."""

    async def whole() -> None:
        async with started(**options) as world:
            await scenario(world)

    asyncio.run(whole())


__all__ = [
    "CHARGER_ID",
    "agree",
    "charging",
    "money",
    "run",
    "settled",
    "started",
    "tap",
    "until_state",
]

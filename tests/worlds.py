"""A whole world for a test: real firmware, broker, meter, terminal, back office.

Ended whatever happens; every MQTT message of every test is held against its schema.
"""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from hostsim.world import CHARGER_ID, Options, World
from tests.mqtt_schemas import validate

READY_S = 60
STEP_S = 60
# Charger time, 60 times as fast here: what passes by itself stays for seconds of real time.
CONFIG = {"message_show_s": 300, "plug_timeout_s": 1200}


@contextlib.asynccontextmanager
async def started(
    directory: str = "", ready: bool = True, config: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[World]:
    """A world whose charger is ready for a driver. Options as hostsim.world.Options."""
    with contextlib.ExitStack() as undo:
        if not directory:
            temporary = tempfile.TemporaryDirectory(
                prefix="forecourt-test-", ignore_cleanup_errors=True
            )
            directory = undo.enter_context(temporary)
        chosen: dict[str, Any] = {"speed": 60, "wanted_wh": 1000, "bank_s": 0.2, **options}
        world = World(Options(Path(directory), config=CONFIG | (config or {}), **chosen))
        try:
            await world.start()
            if ready:
                await world.until_ready(READY_S)
            yield world
            for message in world.mqtt:
                validate(message["topic"], message["payload"])
        finally:
            await world.stop()


def run(scenario: Callable[[World], Awaitable[None]], **options: Any) -> None:
    """Runs a scenario in a fresh world."""

    async def whole() -> None:
        async with started(**options) as world:
            await scenario(world)

    asyncio.run(whole())


# --- steps ---------------------------------------------------------------------------------------


async def until_state(world: World, *states: str, timeout_s: float = STEP_S) -> None:
    await world.until(lambda: world.state in states, timeout_s, " or ".join(states))


async def until_record(world: World, *kinds: str, timeout_s: float = STEP_S) -> None:
    """One of these kinds of record has been written since the world was started."""
    await world.until(
        lambda: any(kind in world.records for kind in kinds), timeout_s, " or ".join(kinds)
    )


async def act(world: World, what: str, /, **args: Any) -> None:
    answer = await world.act(what, **args)
    assert answer["ok"], answer


async def tap(world: World, card: str = "visa") -> None:
    await act(world, "tap", card=card)


async def waiting_for_plug(world: World, card: str = "visa") -> None:
    """Tap, and the hold is placed."""
    await tap(world, card)
    await until_state(world, "wait_plug")


async def charging(world: World, card: str = "visa") -> None:
    """Tap, hold, plug, and power is on."""
    await waiting_for_plug(world, card)
    await act(world, "plug")
    await until_state(world, "charging")


async def energy(world: World, more_wh: int) -> None:
    """That much has gone through the meter from now on, and the charger has read it: on a busy
    machine its next poll may be long after the meter's count.
    """
    until_wh = world.meter.register_wh + more_wh
    await world.until(lambda: _read_wh(world) >= until_wh, STEP_S, f"{more_wh} Wh")


def _read_wh(world: World) -> int:
    """The meter's register as the charger's session last showed it."""
    begun: int = world.records["energising"]["register_wh"]
    shown: int = (world.view.get("session") or {}).get("energy_wh", 0)
    return begun + shown


async def settled(world: World) -> dict[str, dict[str, Any]]:
    """The session has ended and everything is acknowledged; the newest record of each kind."""
    await until_state(world, "receipt", "free", "declined", "plugged", "out_of_service")
    await world.until(world.synced, STEP_S, "the back office to have everything")
    return {record["kind"]: record for record in world.charger_records()}


# --- judgement -----------------------------------------------------------------------------------


def agree(world: World) -> dict[str, Any]:
    """The three books, which must agree, with no hold open and no record missing or twice."""
    books = world.compare_books()
    assert books["agree"], books["differences"]
    assert not books["terminal"]["open"], "a hold is open at the terminal"
    assert world.back_office
    here = [(r["seq"], r["kind"]) for r in world.charger_records()]
    there = [(r["seq"], r["type"]) for r in world.back_office.records(CHARGER_ID)]
    assert [seq for seq, _ in here] == list(range(1, len(here) + 1))
    assert there == here
    return books


def money(books: dict[str, Any]) -> tuple[int, int, int]:
    """(authorised, captured, released) of the terminal's book."""
    t = books["terminal"]
    return t["authorised_minor"], t["captured_minor"], t["released_minor"]


def results(world: World) -> list[dict[str, Any]]:
    """What the charger answered to tariffs, configs and commands."""
    return [json.loads(m["payload"]) for m in world.mqtt if m["topic"].endswith("/result")]


def screen(world: World) -> str:
    return "\n".join(world.evse.screen["lines"])

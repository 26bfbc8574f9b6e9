"""The three books beside the front page."""

import asyncio
from types import SimpleNamespace

import pytest

from hostsim import live


def test_books_that_differ_are_compared_again_though_nothing_seems_to_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database counts a record before it commits it."""
    monkeypatch.setattr(live, "_BOOKS_EVERY_S", 0.01)
    monkeypatch.setattr(live, "_stamp", lambda world: (1,))
    monkeypatch.setattr(live, "_being_paid", lambda world: False)
    verdicts = [True, False, False]
    compared = asyncio.Event()

    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        def compare() -> dict[str, bool]:
            found = {"agree": verdicts.pop()}
            if not verdicts:
                loop.call_soon_threadsafe(compared.set)
            return found

        world = SimpleNamespace(synced=lambda: True, compare_books=compare)
        async with live.books_kept(world):  # type: ignore[arg-type]
            await asyncio.wait_for(compared.wait(), 60)
            await asyncio.sleep(0.05)  # and once they agree, not again: `verdicts` has no more

    asyncio.run(scenario())

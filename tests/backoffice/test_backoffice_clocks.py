"""A charger whose clock is wrong: the operator hears of it, and no document is dated by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.clocks import AHEAD_MS, BEHIND_MS, CODE
from hostsim.backoffice.models import open_database
from hostsim.backoffice.tables import Invoice
from hostsim.world import CHARGER_ID
from tests.backoffice.records import Ledger
from tests.backoffice.test_backoffice_attacks import Reception
from tests.worlds import act, run

NOW = 1767300000000
YEAR_MS = 365 * 24 * 3_600_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Reception]:
    engine = open_database(f"sqlite:///{tmp_path / 'office.db'}")
    yield Reception(engine)
    engine.dispose()


def status(at: int, **changes: Any) -> dict[str, Any]:
    return {"online": True, "at": at, "state": "free", "epoch": 71, "acked_seq": 0} | changes


@pytest.mark.parametrize("off", [0, -1, AHEAD_MS, -BEHIND_MS, -NOW])
def test_a_clock_that_can_be_right_or_knows_no_time_is_no_problem(
    desk: Reception, off: int
) -> None:
    desk.hear("status", status(NOW + off))
    assert desk.problems() == []


@pytest.mark.parametrize(
    ("off", "said"),
    [
        (20 * YEAR_MS, "7300 days ahead"),
        (AHEAD_MS + 1, "minutes ahead"),
        (3 * 3_600_000, "3 h ahead"),
        (-BEHIND_MS - 1, "24 h behind"),
        (-YEAR_MS, "365 days behind"),
    ],
)
def test_a_clock_that_cannot_be_right_is_a_problem_until_it_is(
    desk: Reception, off: int, said: str
) -> None:
    desk.hear("status", status(NOW + off), retained=True)
    assert desk.problems() == [], "a retained word is an old one"
    for _ in range(3):
        desk.hear("status", status(NOW + off))
    assert desk.problems() == [CODE] and said in desk.detail()
    desk.hear("status", status(0))
    assert desk.problems() == [CODE], "that it knows no time does not make it right"
    desk.hear("status", status(NOW))
    assert desk.problems() == []


def test_no_invoice_is_dated_in_a_year_that_has_not_come(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'office.db'}")
    desk = Reception(engine)
    ledger = Ledger()
    ledger.session(1).session(2)
    for record in ledger.records[6:]:
        record["at"] += 20 * YEAR_MS
    desk.take(*ledger.records)
    with Db(engine) as db:
        dates = [json.loads(row.document)["issued_at"] for row in db.query(Invoice)]
    assert dates == [ledger.records[5]["at"], NOW]
    engine.dispose()


def test_a_time_server_that_lies_is_shown_at_the_desk() -> None:
    async def scenario(world: Any) -> None:
        honest = world.time_server.clock
        world.time_server.clock = type(
            "Liar", (), {"now_ms": lambda _: honest.now_ms() + 20 * YEAR_MS}
        )()
        await act(world, "power", on=False)
        await act(world, "power", on=True)

        def shown() -> list[str]:
            return [p["code"] for p in world.back_office.problems(CHARGER_ID)]

        await world.until(lambda: CODE in shown(), 60, "the desk to see it")
        world.time_server.clock = honest
        await act(world, "power", on=False)
        await act(world, "power", on=True)
        await world.until(lambda: CODE not in shown(), 60, "the desk to see the end of it")

    run(scenario)



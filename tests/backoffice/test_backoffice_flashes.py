"""A charger with any number of flashes: one open problem, no batch slower, none lost."""

from __future__ import annotations

import json

from sqlalchemy import Engine, event, select

from hostsim.backoffice import views
from hostsim.backoffice.models import Base, Problem, open_database, writing
from tests.backoffice.records import EPOCH, Inbox, Ledger


def flashes(count: int, first: int = 1000) -> list[tuple[str, bytes]]:
    """A record of each of so many flashes, all of one charger."""
    record = Ledger().hold(1).records[0]
    return [
        ("CP2", json.dumps(record | {"epoch": first + number}).encode()) for number in range(count)
    ]


def effort(engine: Engine, inbox: Inbox, batch: list[tuple[str, bytes]]) -> int:
    """Steps of SQLite's machine, in hundreds, and rows read into memory."""
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    def loaded(_target: object, _context: object) -> None:
        steps[0] += 1

    with engine.connect() as held:
        held.connection.dbapi_connection.set_progress_handler(step, 100)  # type: ignore[union-attr]
    event.listen(Base, "load", loaded, propagate=True)
    try:
        inbox.ingest.take(batch)
    finally:
        event.remove(Base, "load", loaded)
    return steps[0]


def test_a_charger_with_a_thousand_flashes_makes_no_batch_slower() -> None:
    engine = open_database("sqlite://")
    inbox = Inbox(engine)
    inbox.ingest.take(flashes(2))
    own = [("CP1", json.dumps(record).encode()) for record in Ledger().session(1).records]
    before = effort(engine, inbox, [*own, *flashes(2, 2000)])
    for first in range(3000, 4000, 250):
        inbox.ingest.take(flashes(250, first))
    again = [("CP3", json.dumps(one).encode()) for one in Ledger(72).session(1).records]
    assert effort(engine, inbox, [*again, *flashes(2, 5000)]) < 1.5 * before
    engine.dispose()


def test_a_chargers_flashes_are_one_open_problem_that_names_the_newest(inbox: Inbox) -> None:
    inbox.ingest.take(flashes(3))
    inbox.ingest.take(flashes(40, 2000))
    inbox.ingest.take(flashes(3, 1000))
    shown = {row["code"]: row for row in views.problems(inbox.engine, "CP2")}
    assert shown["new_epoch"]["count"] == 42 and shown["new_epoch"]["epoch"] == 2039
    assert shown["new_epoch"]["detail"].startswith(
        "42 times, those with open sessions before the others, the newest first: the flash was "
        "replaced (it was 2038); sessions left open in the old one: 1; also: the flash was "
        "replaced (it was 2037)"
    )
    assert shown["old_epoch"]["count"] == 3 and len(shown) == 2
    assert inbox.ingest.stored == 43 and inbox.ingest.refused == 0, "none of them is lost"


def test_sessions_left_open_are_said_however_many_flashes_come_after(inbox: Inbox) -> None:
    """The real flash had one; those after it, many in one batch and in many, have none."""
    inbox.take(*Ledger().session(1).hold(2).authorised(2).records)
    empty = Ledger().session(1).records

    def come(first: int, count: int) -> None:
        inbox.take(*[
            record | {"epoch": first + n} for n in range(count) for record in empty
        ])  # fmt: skip

    for first in (2000, 3000, 4000):
        come(first, 12)
    for first in range(5000, 5020):
        come(first, 1)
    (shown,) = views.problems(inbox.engine, "CP1")
    assert (shown["count"], shown["epoch"]) == (56, 5019)
    said = shown["detail"]
    assert f"(it was {EPOCH}); sessions left open in the old one: 2; also: " in said[:200], said
    assert "also: the flash was replaced (it was 5018); also: " in said


def test_a_flash_after_the_problem_was_closed_is_a_new_one(inbox: Inbox) -> None:
    inbox.ingest.take(flashes(3))
    with writing(inbox.engine) as db:
        for problem in db.scalars(select(Problem)):
            problem.open = False
    inbox.ingest.take(flashes(1, 2000))
    (shown,) = views.problems(inbox.engine, "CP2")
    assert (shown["count"], shown["epoch"]) == (1, 2000)
    assert shown["detail"].startswith("the flash was replaced (it was 1002)")
    inbox.ingest.take(flashes(1, 1000))
    assert inbox.problems()[0] == "old_epoch"

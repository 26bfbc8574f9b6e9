"""A sample of the campaign in which memory runs out; each line that runs is `make starve`."""

import json
from typing import Any

import pytest

from tests.command import here

pytestmark = pytest.mark.timeout(400)


def starve(*options: str, code: int = 0) -> dict[str, Any]:
    done = here("starve", *options, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return result


def test_a_charger_without_memory_at_any_statement_comes_back_with_its_books_in_order() -> None:
    done = starve("--sample", "16", "--seed", "11")
    assert done["branches"] == 16 and done["statements"] > 10_000
    assert done["failures"] == 0 and not done["failed"]
    names = ("holds_left_open", "unpaid_wh", "lost_records", "duplicate_effects")
    assert [done[name] for name in names] == [0, 0, 0, 0]


@pytest.mark.long
def test_each_line_that_a_session_runs() -> None:
    done = starve()
    assert done["lines"] == done["branches"] > 1_500 and done["failures"] == 0


def test_a_statement_that_does_not_exist_and_wrong_names_are_refused() -> None:
    starve("--replay", "999999999.1", code=2)
    starve("--replay", "7", code=2)
    starve("--sample", "3", "--every", code=2)

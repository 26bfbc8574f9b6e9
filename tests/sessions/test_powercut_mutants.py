"""The judge of the power-cut campaign can fail: it sees every one of some deliberate mistakes, and
nothing at the same moments of the firmware as it is.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.sessions import mutants
from tests.sessions.mutants import MUTANTS, Mutant

pytestmark = pytest.mark.timeout(300)
_IN_THE_SUITE = (
    "energising after switching",
    "everything given away in recovery",
    "capture repeated blindly",
)


@pytest.mark.parametrize("name", _IN_THE_SUITE)
def test_a_mistake_in_the_firmware_is_seen(name: str, tmp_path: Path) -> None:
    _is_seen(next(m for m in MUTANTS if m.name == name), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    "mutant", [m for m in MUTANTS if m.name not in _IN_THE_SUITE], ids=lambda m: m.name
)
def test_every_other_mistake_is_seen_too(mutant: Mutant, tmp_path: Path) -> None:
    _is_seen(mutant, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.after], ids=lambda m: m.name)
def test_nothing_is_seen_there_without_the_mistake(mutant: Mutant, tmp_path: Path) -> None:
    report = mutants.played(tmp_path, replace(mutant, edits=()), mutant.count)
    assert report.cuts and not report.failed


def test_a_hold_that_a_terminal_keeps_unacknowledged_is_given_back(tmp_path: Path) -> None:
    """A sample of `powercut --keeps`, in the hold's dialogue."""
    window = next(m for m in MUTANTS if m.keeps)
    report = mutants.played(tmp_path, replace(window, edits=()), 6)
    assert report.cuts == 6 and not report.failed
    books = report.books["terminal"]
    assert 0 < books["released_minor"] == books["authorised_minor"] - books["captured_minor"]


def _is_seen(mutant: Mutant, directory: Path) -> None:
    report = mutants.played(directory, mutant, mutant.count)
    assert report.failed and (report.cuts > 0) is bool(mutant.after)

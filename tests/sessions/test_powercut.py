"""A sample of the power-cut campaign; all of it is `make powercut`."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hostsim.powercut.campaign import Campaign, replay
from hostsim.powercut.cuts import parse
from hostsim.powercut.ground import Ground, Wanted
from tests.command import here

pytestmark = pytest.mark.timeout(300)


def powercut(*options: str, code: int = 0) -> dict[str, Any]:
    done = here("powercut", *options, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return result


def test_a_sample_of_all_moments_holds_the_five_invariants() -> None:
    done = powercut("--sample", "24", "--seed", "3")
    assert done["cuts"] == 24
    assert done["failures"] == 0 and not done["failed"]
    assert done["places"]["erase"] == 2 and len(done["places"]) == 9  # of every kind of moment
    names = ("holds_left_open", "unpaid_wh", "lost_records", "duplicate_effects")
    assert [done[name] for name in names] == [0, 0, 0, 0]


def test_between_any_two_actions() -> None:
    done = powercut("--sample", "8", "--actions")
    assert done["cuts"] == 8 and not {"program", "erase"} & set(done["places"])


def test_with_a_hold_that_is_extended_and_the_end_of_the_terminals_day() -> None:
    done = powercut("--sample", "8", "--seed", "5", "--actions", "--extend", "--day")
    assert done["cuts"] == 8 and not done["failed"]


def test_a_moment_that_does_not_exist_and_wrong_names_are_refused() -> None:
    powercut("--replay", "c99999.0", code=2)
    for name in ("x1", "c1", "c1.", "c\u00b2.1", "c1.\u0662", "ctb1.0", "c1.-1", "c1.99999999999"):
        powercut("--replay", name, code=2)
    powercut("--sample", "3", "--every-byte", code=2)
    powercut("--sample", "3", "--replay", "t180.1", code=2)


def test_a_replay_tells_the_books_too() -> None:
    done = powercut("--replay", "t180.1", "--seed", "3")
    assert (
        done["books"]["terminal"]["captured_minor"]
        == 42
        == done["books"]["charger"]["captured_minor"]
    )


def test_a_branch_that_falls_or_dies_is_that_cuts_failure(tmp_path: Path) -> None:
    wanted = Wanted(sample=3, flash=False, jobs=1)
    ground = Ground(tmp_path, wanted)
    ends = iter((_raise, _die, _go_on))

    class Falling(Campaign):
        def _fork(self, *given: Any) -> bool:
            end = next(ends)
            branch = super()._fork(*given)
            if branch:
                end()
            return branch

    try:
        report = Falling(ground, wanted).run(lambda done, of, line: None)
        assert report.cuts == 3 and len(report.failed) == 2
        fallen, died = (" ".join(one["failures"]) for one in report.failed)
        assert "the simulator fell: ZeroDivisionError" in fallen and "test_powercut.py" in fallen
        assert died == "the branch died with status 9"
        for one in report.failed:  # each can be replayed, on the same ground
            assert replay(ground, Wanted(replay=parse(one["cut"])))[1].failures == []
    finally:
        ground.foundry.close()


def _raise() -> None:
    raise ZeroDivisionError


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _go_on() -> None:
    pass


def test_cuts_of_one_erase_that_count_as_the_same_are_the_same_to_the_bit(tmp_path: Path) -> None:
    ground = Ground(tmp_path, Wanted())
    try:
        everything = Campaign(ground, Wanted()).everything()
        place = next(cut.place for cut in everything if cut.what == "erase")
        seen = []
        for done in (128, 2128):
            run, verdict = replay(ground, Wanted(replay=parse(f"c{place}.{done}")))
            world = run.world
            assert (verdict.failures, world.looked) == ([], 64)  # a sector's header and no more
            seen.append((world.flash.image(), world.log, world.written, run.loop.now_ms))
        assert seen[0] == seen[1]
    finally:
        ground.foundry.close()

"""A sample of the power-cut campaign; all of it is `make powercut`."""

import json
import subprocess
import sys
from typing import Any

import pytest

from hostsim.setup import ROOT

pytestmark = pytest.mark.timeout(300)


def powercut(*options: str, code: int = 0) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "hostsim", "powercut", *options, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return result


def test_a_sample_of_all_moments_holds_the_five_invariants() -> None:
    done = powercut("--sample", "24", "--seed", "3")
    assert done["cuts"] == 24
    assert done["failures"] == 0 and not done["failed"]
    names = ("holds_left_open", "unpaid_wh", "lost_records", "duplicate_effects")
    assert [done[name] for name in names] == [0, 0, 0, 0]


def test_between_any_two_actions() -> None:
    done = powercut("--sample", "8", "--actions")
    assert done["cuts"] == 8 and not {"program", "erase"} & set(done["places"])


def test_a_moment_that_does_not_exist_and_wrong_names_are_refused() -> None:
    powercut("--replay", "c99999.0", code=2)
    powercut("--replay", "x1", code=2)
    powercut("--sample", "3", "--every-byte", code=2)

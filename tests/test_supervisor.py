"""A task that hangs in an await is noticed, named, and dealt with: on both MicroPython builds."""

import json

import pytest

from tests import mpy


@pytest.mark.parametrize("which", mpy.INTERPRETERS)
@pytest.mark.parametrize("kind", ["critical", "ordinary"])
def test_a_task_that_never_comes_back_is_named(which: str, kind: str) -> None:
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    done = mpy.run_mpy(which, "tests/cases/supervisor/hang.py", kind, timeout=40, check=True)
    found = json.loads(done.stdout)
    assert found["said"][0] == "task money: no sign of life for 0 s; restarting"
    assert found["restarts"] == 1 and found["fed"] >= 1
    if kind == "critical":
        assert found["said"][1:] == ["task_hung|money: no sign of life for 0 s", "reset"]
        assert found["starts"] == 1
    else:
        assert found["said"][1:] == [] and found["starts"] == 2


@pytest.mark.parametrize("which", mpy.INTERPRETERS)
@pytest.mark.parametrize("kind", ["critical", "ordinary"])
def test_the_watchdog_is_fed_while_a_task_nobody_charges_by_keeps_dying(
    which: str, kind: str
) -> None:
    """Its pauses grow beyond any board's watchdog; a session goes on meanwhile."""
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    done = mpy.run_mpy(
        which, "tests/cases/supervisor/dies.py", kind, "4", timeout=40, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])  # behind the tracebacks
    assert found["starts"] == 3
    if kind == "critical":
        assert found["longest_ms"] > 1900, "whoever acts on money must live"
    else:
        assert found["longest_ms"] < 1000

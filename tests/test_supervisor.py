"""A task that hangs in an await is noticed, named, and dealt with: on both MicroPython builds.
What a version on trial does whose tasks keep dying: in a time of its own.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Coroutine, Generator
from typing import Any

import pytest

from firmware import supervisor
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
    done = mpy.run_mpy(which, "tests/cases/supervisor/dies.py", kind, "4", timeout=40, check=True)
    found = json.loads(done.stdout.splitlines()[-1])  # behind the tracebacks
    assert found["starts"] == 3
    if kind == "critical":
        assert found["longest_ms"] > 1900, "whoever acts on money must live"
    else:
        assert found["longest_turns"] * 50 < 1000


class Pause:
    def __init__(self, ms: float) -> None:
        self._ms = ms

    def __await__(self) -> Generator[float, None, None]:
        yield self._ms


class World:
    """The supervisor's `time`, `asyncio` and `gc`: time passes only where everybody waits."""

    CancelledError = asyncio.CancelledError
    collect = staticmethod(gc.collect)
    sleep_ms = Pause

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, Coroutine[Any, Any, None]]] = []
        self._turn = 0

    def ticks_ms(self) -> float:
        return self.now

    def ticks_diff(self, a: float, b: float) -> float:
        return a - b

    def mem_alloc(self) -> int:
        return 0

    def create_task(self, task: Coroutine[Any, Any, None], ms: float = 0) -> None:
        self._turn += 1
        self._waiting.append((self.now + ms, self._turn, task))

    def run(self, until_ms: float) -> None:
        while self.now < until_ms:
            first = min(self._waiting)
            self._waiting.remove(first)
            self.now = first[0]
            self.create_task(first[2], first[2].send(None))

    def close(self) -> None:
        for _, _, task in self._waiting:
            task.close()


class Trial:
    """Watchdog of a board that tries a version, and its machine."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.up: list[float] = []
        self.stuck_at: list[float] = []
        self.last = self.longest = 0.0
        self.busy = False
        self.broken = ""

    def feed(self) -> None:
        self.longest = max(self.longest, self._world.now - self.last)
        self.last = self._world.now

    def came_up(self) -> None:
        self.up.append(self._world.now)

    def stuck(self) -> None:
        self.stuck_at.append(self._world.now)


def tried(monkeypatch: pytest.MonkeyPatch, lives_s: float) -> tuple[World, Trial]:
    """A version whose link dies after so many seconds, every time."""
    world = World()
    for name in ("asyncio", "time", "gc"):
        monkeypatch.setattr(supervisor, name, world)
    monkeypatch.setattr(sys, "print_exception", lambda _: None, raising=False)
    trial = Trial(world)

    async def link() -> None:
        await Pause(lives_s * 1000)
        raise TypeError("unsupported type")

    async def lives() -> None:
        await Pause(1e9)

    made = supervisor.Supervisor(trial, lambda *_: None, lambda *_: None, {}, trial)
    made.add("ticks", lives, 0, True)
    made.add("sync", link)
    world.create_task(made.run())
    return world, trial


@pytest.mark.parametrize("lives_s", [0.05, 10, 50])
def test_a_version_on_trial_gives_way_when_a_task_keeps_dying(
    monkeypatch: pytest.MonkeyPatch, lives_s: float
) -> None:
    """After five minutes, and then every minute (a version that is not on trial goes on)."""
    world, trial = tried(monkeypatch, lives_s)
    world.run(299_000)
    assert trial.stuck_at == []
    world.run(440_000)
    world.close()
    assert [at // 10_000 for at in trial.stuck_at] == [30, 36, 42]
    assert trial.up == [] and trial.longest <= 400


def test_a_version_does_not_give_way_while_a_session_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, trial = tried(monkeypatch, 10)
    trial.busy = True
    world.run(1_000_000)
    assert trial.stuck_at == []
    trial.busy = False
    world.run(1_001_000)
    assert len(trial.stuck_at) == 1
    trial.busy, trial.broken = True, "recovery_failed"  # it cannot go on here
    world.run(1_062_000)
    world.close()
    assert len(trial.stuck_at) == 2


def test_a_version_whose_tasks_live_has_come_up_and_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, trial = tried(monkeypatch, 1e6)
    world.run(3_000_000)
    world.close()
    assert len(trial.up) == 1 and 59_000 < trial.up[0] < 61_000
    assert trial.stuck_at == []

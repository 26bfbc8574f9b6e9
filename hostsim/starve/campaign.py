"""The campaign: one session, and from every statement of it a branch where memory ran out there.

The world, the virtual time, the forks and the judge are the power-cut campaign's; the firmware is
the marked one (instrument.py). A hunger is written STATEMENT . LENGTH, as `1234.8`: from the
1234th statement after power-on on no allocation succeeds, for 8 statements or until the task gives
the loop back. What the firmware does not end by itself a watchdog does, as on a board.
"""

from __future__ import annotations

import asyncio
import gc
import struct
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from hostsim.powercut.campaign import Campaign, Progress, Run
from hostsim.powercut.cuts import Cut
from hostsim.powercut.ground import Ground, Report, Wanted
from hostsim.powercut.judge import Verdict
from hostsim.powercut.worker import DATA, HUNGER, Foundry, FoundryError
from hostsim.starve.instrument import TREE, marked

LENGTHS = (1, 8, 60)  # statements without memory
WATCHDOG_S = 8.0  # firmware/ports.py Watchdog: 8 s at most on the boards there are
_LOOK_S = 0.5


@dataclass(frozen=True)
class Hunger(Cut):
    """`place`: the statement; `done`: for how many; `what`: where it is."""

    def __str__(self) -> str:
        return f"{self.place}.{self.done}"


def parse(text: str) -> Hunger:
    """`1234.8`; raises ValueError."""
    place, dot, length = text.partition(".")
    if not dot or not place.isdigit() or not length.isdigit() or not int(place) * int(length):
        raise ValueError(f"{text!r} is no hunger; 1234.8 is one")
    return Hunger("m", int(place), int(length))


@dataclass
class Choice:
    """Which: `sample` statements of all (0: each one), drawn by `seed`; `lines`: each line of the
    firmware that runs, once; `jobs` at a time.
    """

    sample: int = 0
    seed: int = 1
    lines: bool = False
    jobs: int = 2
    replay: list[Hunger] = field(default_factory=list)


class MarkedGround(Ground):
    """With the marked firmware. Raises FoundryError, SetupError."""

    def __init__(self, directory: Path) -> None:
        self.places = marked()
        super().__init__(directory, Wanted())

    def _load(self, directory: Path) -> Foundry:
        return Foundry(directory, TREE / "mpy")


class HungryRun(Run):
    """One playing of the session, with a watchdog. `passed`: numbers of the marks of the first
    power-on so far.
    """

    def __init__(self, ground: MarkedGround, seed: int) -> None:
        super().__init__(ground, Wanted(seed=seed, flash=False, actions=False), lambda cuts: False)
        self.passed = array("H")
        self.dead_at = -1.0
        self.fed_at = 0.0
        self.bites = 0
        self._watched = self.world.watch
        self.world.watch = self._item
        worker = self.world.worker
        worker.ran = self._ran
        worker.died = self._died
        self.guard = self.loop.create_task(self._guard())

    def _item(self, kind: int, channel: int, data: bytes) -> tuple[str, int] | None:
        if kind == DATA and data == b"alive\n":
            self.fed_at = self.loop.time()
        return self._watched(kind, channel, data)

    def _ran(self, data: bytes) -> None:
        if self.world.worker.starts == 1:
            self.passed.frombytes(data)

    def _died(self) -> None:
        """The program ended: pins stay as they are until the watchdog bites."""
        self.dead_at = self.loop.time()

    async def _guard(self) -> None:
        world = self.world
        starts = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            now = self.loop.time()
            if world.worker.starts != starts:  # a start feeds it, too
                starts = world.worker.starts
                self.fed_at = now
            fed = self.dead_at if self.dead_at >= 0 else self.fed_at
            if (world.worker.running or self.dead_at >= 0) and now - fed > WATCHDOG_S:
                self.dead_at = -1.0
                self.bites += 1
                world.power_off()
                world.power_on()

    def hungry(self, hunger: Hunger) -> None:
        """Before a turn: it comes in this one."""
        self.cuts.append(hunger)
        data = struct.pack("<II", hunger.place - len(self.passed), hunger.done)
        self.world.worker.give(HUNGER, 0, data)

    def play(self) -> Verdict:
        verdict = super().play()
        if self.world.evse.contactor:
            verdict.failures.append("the contactor is closed at the end")
        return verdict


class HungerCampaign(Campaign):
    """`run(progress)` as of a power-cut campaign."""

    def __init__(self, ground: MarkedGround, choice: Choice) -> None:
        super().__init__(ground, Wanted(seed=choice.seed, jobs=choice.jobs))
        self._marked = ground
        self._choice = choice
        self._turns: list[int] = []  # marks passed at the end of each turn
        self._next: list[Hunger] = []
        self.statements = 0

    def moments(self) -> list[Hunger]:
        """Every statement of the session; raises FoundryError when it fails as it is."""
        run = HungryRun(self._marked, self._choice.seed)
        run.world.worker.before_turn = lambda: self._turns.append(len(run.passed))
        verdict = run.play()
        run.close()
        if verdict.failures:
            raise FoundryError(f"the session fails with all its memory: {verdict.failures}")
        self._turns.append(len(run.passed))
        self.statements = len(run.passed)
        return [
            Hunger("m", n, LENGTHS[n % len(LENGTHS)], self._marked.places[mark])
            for n, mark in enumerate(run.passed, 1)
        ]

    def run(self, progress: Progress) -> Report:
        began = time.monotonic()
        found = self.moments()
        choice = self._choice
        if choice.lines:
            self._random.shuffle(found)
            found = list({hunger.what: hunger for hunger in found}.values())
        if choice.sample and choice.sample < len(found):
            found = self._random.sample(found, choice.sample)
        self._next = sorted(found, key=lambda hunger: -hunger.place)
        self._all = len(found)
        self._progress = progress
        gc.collect()
        gc.freeze()
        run = HungryRun(self._marked, choice.seed)
        self._run = run
        turns = iter(self._turns[1:])
        run.world.worker.before_turn = lambda: self._before(run, next(turns, 0))
        self._play(run)
        run.close()
        while self._children:
            self._reap()
        self.report.took_s = time.monotonic() - began
        return self.report

    def _before(self, run: HungryRun, until: int) -> None:
        """One branch for every chosen statement of this turn."""
        while not self._depth and self._next and self._next[-1].place <= until:
            hunger = self._next.pop()
            if self._fork("t", str(hunger)):
                run.hungry(hunger)


def replay(ground: MarkedGround, hunger: Hunger, seed: int) -> tuple[HungryRun, Verdict]:
    """One branch, in this process. Without `run.cuts` there is no such statement."""
    turns: list[int] = []
    first = HungryRun(ground, seed)
    first.world.worker.before_turn = lambda: turns.append(len(first.passed))
    first.play()
    first.close()
    turns.append(len(first.passed))
    run = HungryRun(ground, seed)
    ends = iter(turns[1:])

    def before() -> None:
        if not run.cuts and len(run.passed) < hunger.place <= next(ends, 0):
            where = ground.places[first.passed[hunger.place - 1]]
            run.hungry(Hunger("m", hunger.place, hunger.done, where))

    run.world.worker.before_turn = before
    verdict = run.play()
    run.close()
    return run, verdict

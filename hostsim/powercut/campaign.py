"""The campaign: one session, and from every moment of it a branch in which the power failed there.

How it is made fast: the world is one process in virtual time (loop.py), so a moment is copied by
fork, with everything in it: terminal in the middle of a dialogue, database, meter. The branch
gets a fresh firmware (worker.py), recovers, is judged (judge.py), and ends. The session itself is
played once to count its moments and once more to branch at those that were chosen.

Two cuts of one erase leave flashes that differ only behind the byte of the earlier one, and the
world is the same to the bit. Where a branch was seen to look (read or program) no further into
that sector before it was erased anew, the later cut with the same length of darkness is the same
branch: it is counted as cut and as `same`, and not played. The branch that stands for others sells
a second session and is, with --double, cut again at every moment of its recovery.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from hostsim.powercut.cuts import DARKNESSES, SELL, Cut, Watch, darkness_s
from hostsim.powercut.ground import Ground, Report, Wanted
from hostsim.powercut.human import Driver, Operator, at_rest, day_closed
from hostsim.powercut.judge import Verdict, judge
from hostsim.powercut.loop import Stuck, VirtualLoop
from hostsim.powercut.sample import Moment, draw
from hostsim.powercut.worker import FoundryError

Progress = Callable[[int, int, dict[str, Any]], None]
_SELL_EVERY = 41  # of so many branches one goes on to sell a second session
_LIMIT_S = 240  # of processor time, a branch
_LINE = 4000  # bytes that a pipe takes in one piece
_ERASE_STEP = 64  # bytes between second cuts within an erase
_ALONE = 128  # cuts within so many first bytes of an erase are all played


class Run:
    """One playing of the session. `branch(cut)` says whether this process goes into a branch
    there.
    """

    def __init__(
        self, ground: Ground, wanted: Wanted, branch: Callable[[list[Cut]], bool]
    ) -> None:
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self._ground = ground
        self._branch = branch
        self.trouble: list[str] = []
        self.loop.set_exception_handler(self._fell)
        self.world = ground.world(self.loop)
        self.watch = Watch(self.world, self._decide, wanted.flash, wanted.actions)
        self.world.cut = self._cut
        self.driver = Driver(self.world)
        self.operator = Operator(self.world)
        self.cuts: list[Cut] = []
        self.seed = wanted.seed
        self.sell_again = self.selling = False
        self.resold = 0

    def _fell(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A mistake of the simulator's own, in one of its callbacks."""
        self.trouble.append(f"the simulator: {context['message']}: {context.get('exception')!r}")

    def _decide(self, cut: Cut) -> bool:
        if not self._branch([*self.cuts, cut]):
            return False
        self.cuts.append(cut)
        return True

    def _cut(self, who: str) -> None:
        """Power fails here, and comes back."""
        cut = self.cuts[-1]
        world = self.world
        off_s = darkness_s(cut, self.seed, world.plan.keeps)
        self.driver.begins = False
        if who in "cb":
            world.power_off()
            self.loop.call_later(off_s, world.power_on)
        if who in "tb":
            world.terminal.power_off()
            self.loop.call_later(off_s + 0.2, world.terminal.power_on)
        self.watch.again()

    def play(self) -> Verdict:
        """The whole session, and what is judged at its end."""
        start_wh = self.world.meter.register_wh
        try:
            self.loop.run_until_complete(self._play())
        except Stuck as e:
            verdict = Verdict()
            verdict.failures.append(f"stuck: {e}")
            return verdict
        except FoundryError as e:
            verdict = Verdict()
            verdict.failures.append(f"{e}: {self._ground.foundry.said()[-600:]}")
            return verdict
        verdict = judge(self.world, start_wh)
        verdict.failures += self.trouble
        return verdict

    def close(self) -> None:
        """Ends what still runs."""
        self.world.worker.power_off()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.world.engine.dispose()
        self.loop.close()

    async def _play(self) -> None:
        self.world.power_on()
        await self._visit()
        state = await self.operator.refund()
        if state not in ("", "done"):
            self.trouble.append(f"the refund is {state}")
        await self._rest()
        if self.world.plan.day and not await day_closed(self.world):
            self.trouble.append(f"the day is not closed: {self.world.log[-4:]}")
        if self.sell_again and not self.trouble:
            await self._sale()

    async def _sale(self) -> None:
        """A second session; a power cut may end that one, but not the one after it."""
        self.selling = True
        while True:
            sold, cuts = self._captured(), len(self.cuts)
            self.driver.new_visit()
            await self._visit()
            if len(self.cuts) == cuts:
                break
        self.resold = 1
        if self._captured() == sold:
            self.trouble.append("the charger did not sell any more")

    def _captured(self) -> int:
        return sum(kind == "captured" for _, kind, _ in self.world.written)

    async def _visit(self) -> None:
        try:
            async with asyncio.timeout(600):
                await self.driver.visit()
        except TimeoutError:
            self.trouble.append(f"the driver waits for ever: {self.world.state}")
        await self._rest()

    async def _rest(self) -> None:
        if not await at_rest(self.world):
            w = self.world
            self.trouble.append(f"never at rest: {w.state} {w.view.get('sync')} {w.log[-4:]}")


class Campaign:
    """`run(progress)`: progress(done, all, line) hears of every branch that ended."""

    def __init__(self, ground: Ground, wanted: Wanted) -> None:
        self._ground = ground
        self._wanted = wanted
        self.report = Report()
        self.uncut: list[tuple[int, str, dict[str, Any]]] = []  # records of the whole session
        self._children: dict[int, str] = {}  # and the cuts they stand for
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[0], False)
        self._chosen: set[str] = set()
        self._heard = b""
        self._name = ""  # the cuts this process stands for
        self._depth = 0  # branches this process is in
        self._moments = 0  # of this branch, at which a second cut could be
        self._second = 0  # which of them it is at
        self._width = 300  # how many moments a branch had lately
        self._index = 0
        self._stands: dict[tuple[int, int], Cut] = {}  # who stands for others
        self._looked: dict[str, int] = {}
        self._died: list[str] = []
        self._every = False  # this branch is cut again at every moment
        self._run: Run | None = None
        self._random = random.Random(wanted.seed)

    def everything(self) -> list[Cut]:
        """Every moment of the session; raises FoundryError when it fails without any cut."""
        found, failures = self._count()
        if failures:
            raise FoundryError(f"the session fails without a cut: {failures}")
        return [cut for cut, _ in found]

    def _count(self) -> tuple[list[Moment], list[str]]:
        """Every moment of the session, with the number of records written before it; what fails
        without any cut.
        """
        found: list[Moment] = []

        def count(cuts: list[Cut]) -> bool:
            found.append((cuts[-1], len(run.world.written)))
            return False

        run = self._new_run(count)
        verdict = run.play()
        run.close()
        self.uncut = run.world.written
        return found, verdict.failures

    def _new_run(self, branch: Callable[[list[Cut]], bool]) -> Run:
        return Run(self._ground, self._wanted, branch)

    def run(self, progress: Progress) -> Report:
        """All of it."""
        began = time.monotonic()
        found, failures = self._count()
        if failures:
            self.report.add_uncut(failures)
            return self.report
        if self._wanted.sample and self._wanted.sample < len(found):
            found = draw(found, self._wanted.sample, self._random)
        self._chosen = {str(cut) for cut, _ in found}
        self._all = len(found) * (2 if self._wanted.double else 1)
        self._progress = progress
        gc.collect()
        gc.freeze()
        run = self._run = self._new_run(self._decide)
        self._play(run)
        run.close()
        while self._children:
            self._reap()
        self.report.took_s = time.monotonic() - began
        return self.report

    def _play(self, run: Run) -> None:
        """Plays it. A branch ends here whatever happens in it: what is around it, the firmware's
        process and the files, is everybody's.
        """
        verdict = None
        try:
            verdict = run.play()
        finally:
            if self._depth:
                self._tell(run, verdict or _fallen())

    # --- branching -------------------------------------------------------------------------------

    def _decide(self, cuts: list[Cut]) -> bool:
        if not self._depth:
            cut = cuts[-1]
            if str(cut) not in self._chosen or self._is_same(cut):
                return False
            return self._fork(cut.who, str(cut), cut in self._stands.values())
        if self._depth > 1 or not self._wanted.double:
            return False
        if cuts[-1].what == "erase" and cuts[-1].done % _ERASE_STEP:
            return False
        self._moments += 1
        name = "/".join(map(str, cuts))
        return (self._every or self._moments == self._second) and self._fork(cuts[-1].who, name)

    def _is_same(self, cut: Cut) -> bool:
        """The cut need not be played: see above."""
        if cut.what != "erase" or cut.done < _ALONE or self._wanted.sample:
            return False
        played = self._stands.setdefault((cut.place, cut.done % DARKNESSES), cut)
        if played is cut:
            return False
        while str(played) not in self._looked and self._children:
            self._reap()
        if not 0 < self._looked.get(str(played), -1) <= played.done:
            return False
        self.report.add_same(cut)
        return True

    def _fork(self, who: str, name: str, stands: bool = False) -> bool:
        """True in the branch. Where only the terminal loses power the firmware is copied, too."""
        assert self._run is not None
        self._index += 1
        while len(self._children) >= self._wanted.jobs:
            self._reap()
        worker = self._run.world.worker
        copy = None
        if who == "t" and worker.running:
            copy = worker.copy(self._ground.plan.directory / f"copy{os.getpid()}")
        child = os.fork()
        if child:
            if copy is not None:
                copy.close()
            self._children[child] = name
            if self._every:
                self._await(child)
            return False
        asyncio._set_running_loop(self._run.loop)
        self._depth += 1
        self._children = {}
        self._name = name
        self._every = stands and self._wanted.double
        gc.disable()
        signal.setitimer(signal.ITIMER_PROF, _LIMIT_S * (20 if self._every else 1))
        # the second cuts go through all moments of the recoveries, by the golden section
        self._second = 1 + int(self._index * 0.6180339887 % 1 * self._width)
        sells = stands or self._index % _SELL_EVERY == 0
        self._run.sell_again = self._run.selling or (self._depth == 1 and sells)
        worker.become(copy)
        return True

    def _tell(self, run: Run, verdict: Verdict) -> None:
        """The branch's end; its own branch ends before."""
        try:
            self._told(run, verdict)
        finally:
            os._exit(1)

    def _told(self, run: Run, verdict: Verdict) -> None:
        line: dict[str, Any] = {
            "cut": ("/".join(map(str, run.cuts)) or self._name) + SELL * run.sell_again,
            "what": run.cuts[0].what if run.cuts else "?",
            "failures": [text[:300] for text in verdict.failures[:6]],
            "figures": verdict.figures(),
            "books": verdict.books,
            "resold": run.resold,
            "moments": self._moments,
            "looked": -1 if self._depth > 1 else run.world.looked,
        }
        for child in list(self._children):
            self._await(child)
        line["failures"] += self._died
        room = 300
        while len(data := json.dumps(line).encode()) >= _LINE and room:
            room //= 2
            line["failures"] = [text[:room] for text in line["failures"][:6]]
        os.write(self._pipe[1], data + b"\n")
        os._exit(0)

    def _await(self, child: int) -> None:
        """The end of this branch's own branch."""
        _, status = os.waitpid(child, 0)
        name = self._children.pop(child)
        if status:
            self._died.append(f"its second cut {name} died with status {status}")

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._pipe[0], 1 << 16):
                self._heard += data
        *lines, self._heard = self._heard.split(b"\n")
        for text in lines:
            line = json.loads(text)
            self._width = line["moments"] or self._width
            if "/" not in line["cut"]:
                self._looked[line["cut"].removesuffix(SELL)] = line["looked"]
            self._take(line)

    def _reap(self) -> None:
        """One branch that ended; its line, and its own branches', are in the pipe."""
        pid = status = 0
        while not pid:
            self._hear()
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                select.select([self._pipe[0]], [], [], 0.01)
        name = self._children.pop(pid, "?")
        self._hear()
        if status:
            died = [f"the branch died with status {status}"]
            nothing: dict[str, Any] = {"what": "?", "figures": {}, "books": {}, "resold": 0}
            self._take({"cut": name, "failures": died, **nothing})

    def _take(self, line: dict[str, Any]) -> None:
        self.report.add(line)
        self._progress(self.report.cuts, self._all, line)


def _fallen() -> Verdict:
    """Of a branch that ended by an exception, the one that is on its way."""
    verdict = Verdict()
    error = sys.exception()
    where = traceback.format_tb(error.__traceback__)[-1:] if error else []
    verdict.failures.append(f"the simulator fell: {error!r}{''.join(where)}")
    return verdict


def replay(ground: Ground, wanted: Wanted) -> tuple[Run, Verdict]:
    """One branch, in this process."""
    texts = [str(cut) for cut in wanted.replay]

    def decide(cuts: list[Cut]) -> bool:
        return texts[: len(cuts)] == [str(cut) for cut in cuts]

    run = Run(ground, wanted, decide)
    run.sell_again = wanted.sell_again
    verdict = run.play()
    run.close()
    return run, verdict

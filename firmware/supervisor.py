"""Named tasks, restarted with the reason; the watchdog is fed only while every one of them lives.

A task that ends or raises is started again after a pause that doubles (1 s to 60 s, real time).
A task that hangs in an await is known by its heart: it writes the time beside its name in `beats`
at every turn (no allocation); when that is older than the task's limit it is ended, with its name
in the log. A task that acts on money or power, dead or hung, opens the contactor and restarts the
charger into recovery. The watchdog is fed while the loop turns, every task that acts on money or
power lives and every heart beats; a loop that hangs lets the board reset. Any other task may die
as often as it will: nobody's session ends for it, but a version has come up only when all have
lived for a minute; one on trial where they do not gives way between sessions.
Losses of time are measured here too: the longest stall of the loop.
"""

import asyncio
import gc
import time

from micropython import const

_FEED_MS = 200
_PAUSE_MAX_MS = 60000
_GC_EVERY = 25  # feeds between two collections that measure the heap
_UP = const(300)  # feeds, a minute: this version has come up
_TRIED = const(1500)  # five minutes: it should have
_STALL_MS = const(1000)  # the whole loop stood still: no task's fault
# of a task's entry
_NAME = const(0)
_MAKE = const(1)
_CRITICAL = const(2)
_LIVES = const(3)
_LIMIT_MS = const(4)
_TASK = const(5)


class Supervisor:
    """`watchdog`: ports.Watchdog; `report(level, text)`: one line for the log; `fatal(code,
    detail)`: contactor open, restart; `beats`: name -> time.ticks_ms() of its last sign of life,
    None while it has nothing to do. `machine`: its `busy` says that a session is open.
    """

    def __init__(self, watchdog, report, fatal, beats, machine):
        self._watchdog = watchdog
        self._fatal = fatal
        self._report = report
        self._beats = beats
        self._machine = machine
        self._tasks = []
        self.restarts = 0
        self.max_stall_ms = 0
        self.peak_heap = 0

    def add(self, name: str, make, limit_ms: int = 0, critical: bool = False) -> None:
        """`make()` gives the task's coroutine; it is expected to run for ever and to beat at least
        every `limit_ms` (0: it has no heart). `critical`: it acts on money or power, and when it
        dies or hangs there is no telling how far it came: `fatal()` opens the contactor and
        restarts into recovery.
        """
        self._tasks.append([name, make, critical, True, limit_ms, None])

    async def _keep(self, entry) -> None:
        name = entry[_NAME]
        pause_ms = 1000
        while True:
            began = time.ticks_ms()
            if entry[_LIMIT_MS]:
                self._beats[name] = began
            try:
                await entry[_MAKE]()
                reason = None
            except asyncio.CancelledError:
                raise
            except Exception as e:  # noqa: BLE001 - the one place where a task's death is handled
                reason = e
            self._beats[name] = None
            self.restarts += 1
            told = self._tell(name, reason)
            if entry[_CRITICAL]:
                self._fatal("task_died", told)
            if time.ticks_diff(time.ticks_ms(), began) > _PAUSE_MAX_MS:
                pause_ms = 1000
            entry[_LIVES] = False  # of a critical one the watchdog hungers
            await asyncio.sleep_ms(pause_ms)
            entry[_LIVES] = True
            pause_ms = min(pause_ms * 2, _PAUSE_MAX_MS)

    def _tell(self, name: str, e) -> str:
        """Why a task ended. Where it died for lack of memory there may be none for words: what
        has to be done is done without them.
        """
        try:
            if e is not None:
                import sys

                sys.print_exception(e)
            reason = "%s: %s" % (type(e).__name__, e) if e is not None else "ended"
            self._report("error", "task %s %s; restarting" % (name, reason))
            return "%s: %s" % (name, reason)
        except MemoryError:
            gc.collect()
            return name

    def _start(self, entry) -> None:
        entry[_TASK] = asyncio.create_task(self._keep(entry))

    async def run(self) -> None:
        """Starts all tasks and watches them; returns never."""
        for entry in self._tasks:
            self._start(entry)
        gc.collect()
        since_gc = fed = turns = 0
        m = self._machine
        while True:
            before = time.ticks_ms()
            await asyncio.sleep_ms(_FEED_MS)
            stall = time.ticks_diff(time.ticks_ms(), before) - _FEED_MS
            if stall > self.max_stall_ms:
                self.max_stall_ms = stall
            try:
                well = self._all_well(stall > _STALL_MS)
            except MemoryError:  # starting a task anew; it is tried again
                well = 0
            if well:
                self._watchdog.feed()
            fed = fed + 1 if well > 1 else 0
            turns += 1
            if fed == _UP:
                self._watchdog.came_up()
            elif fed < _UP and turns >= _TRIED and (not m.busy or m.broken):
                turns = _TRIED - _UP  # asked again in a minute
                self._watchdog.stuck()
            since_gc += 1
            if since_gc >= _GC_EVERY:
                since_gc = 0
                self.measure_heap()

    def _all_well(self, stalled: bool) -> int:
        """2: every task lives and beats; 1: one that is not critical pauses before it starts
        again; 0: neither. One that hangs is dealt with."""
        well = 2
        now = time.ticks_ms()
        for entry in self._tasks:
            name = entry[_NAME]
            beat = self._beats.get(name)
            if not entry[_LIVES]:
                well = 0 if entry[_CRITICAL] else min(well, 1)
            elif beat is not None and stalled:
                self._beats[name] = now
            elif beat is not None and time.ticks_diff(now, beat) > entry[_LIMIT_MS]:
                well = 0
                self._hangs(entry)
        return well

    def _hangs(self, entry) -> None:
        self.restarts += 1
        text = "%s: no sign of life for %d s" % (entry[_NAME], entry[_LIMIT_MS] // 1000)
        self._report("error", "task %s; restarting" % text)
        if entry[_CRITICAL]:
            self._fatal("task_hung", text)
        self._beats[entry[_NAME]] = None
        entry[_TASK].cancel()
        self._start(entry)

    def measure_heap(self) -> None:
        """Live bytes after a collection; the highest seen is kept."""
        gc.collect()
        used = gc.mem_alloc()
        if used > self.peak_heap:
            self.peak_heap = used

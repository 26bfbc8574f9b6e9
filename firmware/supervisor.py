"""Named tasks, restarted with the reason; the watchdog is fed only while every one of them lives.

A task that ends or raises is started again after a pause that doubles (1 s to 60 s, real time).
The watchdog is fed while the loop turns and no task has been down for longer than its pause; a
loop that hangs, or a task that cannot be started any more, lets the board reset. Losses of time
are measured here too: the longest stall of the loop.
"""

import asyncio
import gc
import time

_FEED_MS = 200
_PAUSE_MAX_MS = 60000
_GC_EVERY = 25  # feeds between two collections that measure the heap


class Supervisor:
    """`watchdog`: ports.Watchdog; `report(level, text)`: one line for the log."""

    def __init__(self, watchdog, report, fatal):
        self._watchdog = watchdog
        self._fatal = fatal
        self._report = report
        self._tasks = []
        self.restarts = 0
        self.max_stall_ms = 0
        self.peak_heap = 0

    def add(self, name: str, make, critical: bool = False) -> None:
        """`make()` gives the task's coroutine; it is expected to run for ever. `critical`: it acts
        on money or power, and when it dies there is no telling how far it came: `fatal()` opens
        the contactor and restarts into recovery.
        """
        self._tasks.append([name, make, critical, True])

    async def _keep(self, entry) -> None:
        name, make, critical, _ = entry
        pause_ms = 1000
        while True:
            began = time.ticks_ms()
            try:
                await make()
                reason = "ended"
            except asyncio.CancelledError:
                raise
            except Exception as e:  # noqa: BLE001 - the one place where a task's death is handled
                reason = "%s: %s" % (type(e).__name__, e)
                self._trace(e)
            self.restarts += 1
            self._report("error", "task %s %s; restarting" % (name, reason))
            if critical:
                self._fatal()
            if time.ticks_diff(time.ticks_ms(), began) > _PAUSE_MAX_MS:
                pause_ms = 1000
            entry[3] = False  # the watchdog hungers: a task that will not live resets the board
            await asyncio.sleep_ms(pause_ms)
            entry[3] = True
            pause_ms = min(pause_ms * 2, _PAUSE_MAX_MS)

    def _trace(self, e) -> None:
        import sys

        sys.print_exception(e)

    async def run(self) -> None:
        """Starts all tasks and watches them; returns never."""
        for entry in self._tasks:
            asyncio.create_task(self._keep(entry))
        gc.collect()
        since_gc = 0
        while True:
            before = time.ticks_ms()
            await asyncio.sleep_ms(_FEED_MS)
            stall = time.ticks_diff(time.ticks_ms(), before) - _FEED_MS
            if stall > self.max_stall_ms:
                self.max_stall_ms = stall
            if all([e[3] for e in self._tasks]):
                self._watchdog.feed()
            since_gc += 1
            if since_gc >= _GC_EVERY:
                since_gc = 0
                self.measure_heap()

    def measure_heap(self) -> None:
        """Live bytes after a collection; the highest seen is kept."""
        gc.collect()
        used = gc.mem_alloc()
        if used > self.peak_heap:
            self.peak_heap = used

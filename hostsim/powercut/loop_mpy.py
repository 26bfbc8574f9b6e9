"""MicroPython's asyncio in virtual time: what replaces `time`, `select` and `_asyncio`, before
asyncio is imported.

asyncio itself (core, events, locks, streams) is the interpreter's own. Time moves only in `wait`,
which asyncio reaches when no task can run: to the next timer, or to where the simulator says that
something comes in. So a run takes as long as its work, and is the same every time.
"""

import select as _select
import sys
import time as _time

FOREVER = 0x1FFFFFFF  # ms


class Module:
    """Stands in sys.modules for a built-in: that one's names, some of them replaced."""

    def __init__(self, real, **own):
        for name in dir(real):
            if not name.startswith("__"):
                setattr(self, name, getattr(real, name))
        for name, value in own.items():
            setattr(self, name, value)


class Time:
    """`now_ms`: virtual time; `horizon_ms`: until then nothing can come in. `exchange(wake_ms)`
    asks the simulator, sets both."""

    def __init__(self):
        self.now_ms = 0
        self.horizon_ms = 0
        self.exchange = None
        self.unsent = None  # what the simulator has not been told yet

    def ticks_ms(self) -> int:
        return self.now_ms

    def ticks_us(self) -> int:
        return self.now_ms * 1000 & 0x3FFFFFFF

    def wait(self, dt: int) -> None:
        wake = FOREVER if dt < 0 else self.now_ms + dt
        if self.unsent or wake > self.horizon_ms:
            self.exchange(wake)
        else:
            self.now_ms = wake


class Poll:
    """select.poll() over objects that say themselves whether they are `readable`."""

    def __init__(self, time):
        self._time = time
        # in order of their channels: by address the order changes from run to run
        self._watched = []

    def register(self, stream, flags) -> None:
        self.unregister(stream)
        self._watched.append((stream, flags))
        self._watched.sort(key=lambda entry: entry[0].channel)

    modify = register

    def unregister(self, stream) -> None:
        self._watched = [entry for entry in self._watched if entry[0] is not stream]

    def ipoll(self, dt: int):
        ready = self._ready()
        if not ready and dt:
            self._time.wait(dt)
            ready = self._ready()
        return ready

    def _ready(self):
        ready = []
        for stream, flags in self._watched:
            hit = flags & _select.POLLOUT
            if flags & _select.POLLIN and stream.readable:
                hit |= _select.POLLIN
            if hit:
                ready.append((stream, hit))
        return ready


class TaskQueue:
    """Tasks by the time they are due, first come first served."""

    def __init__(self):
        self._tasks = []

    def peek(self):
        return self._tasks[0] if self._tasks else None

    def push(self, task, key=None) -> None:
        now = _core().ticks()
        task.ph_key = now if key is None else key
        task.data = None
        at = len(self._tasks)
        while at and self._tasks[at - 1].ph_key > task.ph_key:
            at -= 1
        self._tasks.insert(at, task)

    def pop(self):
        return self._tasks.pop(0)

    def remove(self, task) -> None:
        self._tasks.remove(task)


class Task:
    """A coroutine that runs. `state`: True running, a TaskQueue while others wait for its end,
    None ended unseen, False ended and seen. `data`: what it waits on, then its result."""

    def __init__(self, coro, _globals=None):
        self.coro = coro
        self.data = None
        self.state = True
        self.ph_key = 0

    def __iter__(self):
        if not self.state:
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        elif not isinstance(self.state, TaskQueue):
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        if not self.state:
            raise self.data
        core = _core()
        self.state.push(core.cur_task)
        core.cur_task.data = self

    def done(self) -> bool:
        return not self.state

    def cancel(self) -> bool:
        core = _core()
        if not self.state:
            return False
        if self is core.cur_task:
            raise RuntimeError("can't cancel self")
        task = self
        while isinstance(task.data, Task):
            task = task.data
        queue = task.data
        if hasattr(queue, "remove"):
            queue.remove(task)
            core._task_queue.push(task)
        elif task.ph_key > core.ticks():
            core._task_queue.remove(task)
            core._task_queue.push(task)
        task.data = core.CancelledError()
        return True


def _core():
    return sys.modules["asyncio.core"]


def install() -> Time:
    """Puts the replacements in place."""
    time = Time()
    sys.modules["time"] = Module(_time, ticks_ms=time.ticks_ms, ticks_us=time.ticks_us)  # type: ignore[assignment]
    sys.modules["select"] = Module(_select, poll=lambda: Poll(time))  # type: ignore[assignment]

    class Tasks:
        pass

    Tasks.Task = Task  # type: ignore[attr-defined]
    Tasks.TaskQueue = TaskQueue  # type: ignore[attr-defined]
    sys.modules["_asyncio"] = Tasks  # type: ignore[assignment]
    return time

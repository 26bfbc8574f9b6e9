"""Takes the heap away at one statement of the firmware, for hostsim/powercut/worker_mpy.py.

instrument.py put `_mark(number)` before every statement. At the n-th the heap is locked: from
there on every allocation is a MemoryError of the interpreter's own, until so many statements
later, or until the task gives the loop back. What stands for hardware (lines, flash, UART, socket,
the simulator's socket) keeps its memory: on a board it needs none.
"""

import builtins
import struct
from array import array

import micropython

RAN, HUNGER = 10, 11
_MOST = 65000  # statements of one sitting that are told


class Hunger:
    """The state of it: how many statements ran, and when the heap is taken."""

    def __init__(self, tell):
        self._tell = tell
        self._places = array("H", bytes(2 * _MOST))
        self._n = 0
        self._count = 0
        self._at = -1
        self._for = self._left = 0
        self.locked = self.spared = False

    def begin(self) -> None:
        """Power-on: what was loaded does not count."""
        self._n = self._count = 0

    def mark(self, place) -> None:
        n = self._n
        if n < _MOST:
            self._places[n] = place
            self._n = n + 1
        self._count += 1
        if self.locked:
            self._left -= 1
            if self._left <= 0:
                self.release()
        elif self._count == self._at:
            self._left = self._for
            self.locked = True
            micropython.heap_lock()

    def release(self) -> None:
        if self.locked:
            self.locked = False
            if not self.spared:
                micropython.heap_unlock()

    def sitting(self) -> None:
        """The simulator's turn: it hears what ran."""
        self.release()
        if self._n:
            self._tell(RAN, 0, bytes(memoryview(self._places)[: self._n]))
            self._n = 0

    def told(self, data) -> None:
        """The n-th statement from now on, for so many."""
        n, self._for = struct.unpack("<II", data)
        self._at = self._count + n


hunger = None


def install(tell):
    """Before the firmware is loaded."""
    global hunger
    hunger = Hunger(tell)
    builtins._mark = hunger.mark
    return hunger


def spare(kind, *names) -> None:
    """Methods of a class that find memory whatever happens: they are hardware, or the test's."""
    for name in names:
        setattr(kind, name, _spared(getattr(kind, name)))


def ends(kind, *names) -> None:
    """Methods that end the famine: the loop goes on to another task."""
    for name in names:
        setattr(kind, name, _ending(getattr(kind, name)))


_NONE = object()


def _spared(method):
    # no *args: they would be allocated
    def call(self, a=_NONE, b=_NONE, c=_NONE):
        starved = hunger.locked and not hunger.spared  # one may call another
        if starved:
            hunger.spared = True
            micropython.heap_unlock()
        try:
            if a is _NONE:
                return method(self)
            if b is _NONE:
                return method(self, a)
            if c is _NONE:
                return method(self, a, b)
            return method(self, a, b, c)
        finally:
            if starved:
                hunger.spared = False
                if hunger.locked:
                    micropython.heap_lock()

    return call


def _ending(method):
    def call(self):
        hunger.release()
        return method(self)

    return call

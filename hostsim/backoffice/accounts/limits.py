"""How often somebody may try something that could be guessed: log-ins, receipts, tokens."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

_MOST_KEYS = 10_000


class Limiter:
    """At most `most` failures in `within_s` per key; keys are addresses or names. In memory: what
    is counted is lost with the process, which costs whoever tries nothing and gains little."""

    def __init__(
        self, most: int, within_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds."""
        self._most = most
        self._within_s = within_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def allowed(self, *keys: str) -> bool:
        """Whether another try may be made."""
        with self._lock:
            return all(len(self._recent(key)) < self._most for key in keys)

    def take(self, *keys: str) -> bool:
        """Counts a try before it is made, so that many at once are not more than one after the
        other; whether it may be made. A right one is forgiven."""
        with self._lock:
            if not all(len(self._recent(key)) < self._most for key in keys):
                return False
            self._count(keys)
            return True

    def failed(self, *keys: str) -> None:
        """A try came to nothing."""
        with self._lock:
            self._count(keys)

    def forgive(self, *keys: str) -> None:
        """A try was right."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _count(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            self._failures[key] = [*self._recent(key), self._clock()]
            self._failures.move_to_end(key)
        while len(self._failures) > _MOST_KEYS:
            self._failures.popitem(last=False)

    def _recent(self, key: str) -> list[float]:
        since = self._clock() - self._within_s
        return [at for at in self._failures.get(key, ()) if at > since]


class Room:
    """How many may be in or before a costly piece of work; the others are sent away."""

    def __init__(self, most: int) -> None:
        """Empty."""
        self._places = threading.BoundedSemaphore(most)

    @contextlib.contextmanager
    def entered(self) -> Iterator[bool]:
        """Whether there was a place."""
        found = self._places.acquire(blocking=False)
        try:
            yield found
        finally:
            if found:
                self._places.release()

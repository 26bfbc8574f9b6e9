"""An asyncio loop in virtual time, in lockstep with one firmware process.

Nothing here waits: when no callback is ready the clock jumps to what comes next, a timer here or
the firmware's turn. The same inputs give the same run, and a fork of this process goes on alone.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Mapping
from typing import Any, Protocol

from hostsim.clock import WorldClock

FOREVER_MS = 0x1FFFFFFF


class Partner(Protocol):
    """The firmware, as the loop sees it."""

    def due_ms(self) -> int | None:
        """When it wants to go on; None: it does not run."""
        ...

    def turn(self, now_ms: int, horizon_ms: int) -> int:
        """Let it run; gives the time at which it stopped. Nothing else happens before
        `horizon_ms`.
        """
        ...


class Stuck(RuntimeError):  # noqa: N818 - it is the end of a run, not a mistake of the caller
    """Nothing will ever happen any more."""


class _Turns(selectors.BaseSelector):
    """Where asyncio would wait for the machine."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.partner: Partner | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout <= 0:
            return []
        timer = None if timeout is None else self.now_ms + math.ceil(timeout * 1000 - 1e-6)
        due = self.partner.due_ms() if self.partner else None
        if self.partner is not None and due is not None and (timer is None or due <= timer):
            self.now_ms = max(self.now_ms, due)
            horizon = FOREVER_MS if timer is None else timer
            self.now_ms = max(self.now_ms, self.partner.turn(self.now_ms, horizon))
        elif timer is None:
            raise Stuck("nothing will happen any more")
        else:
            self.now_ms = timer
        return []

    # what asyncio wants of a selector, for descriptors that nobody waits for

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; `now_ms` is its time."""

    def __init__(self) -> None:
        self._turns = _Turns()
        super().__init__(self._turns)

    @property
    def now_ms(self) -> int:
        return self._turns.now_ms

    def arrived(self, now_ms: int) -> None:
        """The partner is that far: what it says now happens now."""
        self._turns.now_ms = max(self._turns.now_ms, now_ms)

    def set_partner(self, partner: Partner) -> None:
        self._turns.partner = partner

    def time(self) -> float:
        return self._turns.now_ms / 1000


class VirtualClock(WorldClock):
    """The world's time of day, `speed` times the loop's."""

    def __init__(self, loop: VirtualLoop, start_epoch_ms: int, speed: int) -> None:
        super().__init__(start_epoch_ms, speed)
        self._loop = loop

    def _now(self) -> float:
        return self._base_ms + self._loop.now_ms * self._speed

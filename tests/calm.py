"""An event loop for peers that all live in it: its timers cannot run out because the machine was
busy with something else.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    """Counts what it slept to the end of a time-out. What came meanwhile had been sent before by
    this very process, so however long that took says only how busy the machine was.
    """

    slept_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(timeout)
        if not found and timeout is not None and timeout > 0:
            self.slept_s += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    """Time is what was slept on purpose and what its thread's processor worked."""

    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.slept_s + time.thread_time()


def calmly(scene: Coroutine[Any, Any, None]) -> None:
    """asyncio.run on such a loop."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(scene)

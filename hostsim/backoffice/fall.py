"""A fault of this program, where it must not end what others need.

What can go wrong outside has its own exceptions and its own answers. What a message brings about
beyond these is BROKEN: that message is left out and shown. Everything else is caught by a Fall, by
whoever keeps work going: it is logged and counted.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from pathlib import Path
from types import TracebackType

from sqlalchemy.exc import DataError, IntegrityError

BROKEN = (
    DataError, IntegrityError, ArithmeticError, AttributeError, LookupError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip
"""What a message can raise that nobody foresaw; a database that is away is none of these."""


SHOWN_S = 120.0
"""So long a fault is shown: what falls again and again is seen at any look."""


class Falls:
    """Who fell, and over what: until it worked again, or has not fallen for SHOWN_S. In words that
    anybody may read: kind and place of the fault, not what it was about. For any thread."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._fell: dict[str, tuple[int, str, float]] = {}

    def note(self, who: str, error: Exception) -> None:
        """It fell."""
        times, _, at = self._fell.get(who, (0, "", 0.0))
        now = time.monotonic()
        self._fell[who] = (times + 1 if now - at < SHOWN_S else 1, _kind(error), now)

    def over(self, who: str) -> None:
        """It works."""
        self._fell.pop(who, None)

    def said(self) -> dict[str, str]:
        """Who -> over what, and how often in a row."""
        now = time.monotonic()
        return {
            who: f"{what}; {times} in a row"
            for who, (times, what, at) in self._fell.copy().items()
            if now - at < SHOWN_S
        }


def _kind(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "hostsim" in Path(frame.filename).parts] or frames
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{place}"


class Fall(contextlib.AbstractContextManager["Fall"]):
    """`error` is what ended the block, None when it ended by itself; `known` go through."""

    def __init__(self, *known: type[Exception]) -> None:
        """Nothing fell yet."""
        self.error: Exception | None = None
        self._known = known

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception) and not isinstance(error, self._known):
            self.error = error
        return self.error is not None

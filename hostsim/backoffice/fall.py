"""A fault of this program, where it must not end what others need.

What can go wrong outside has its own exceptions and its own answers. What a message brings about
beyond these is BROKEN: that message is left out and shown. Everything else is caught by a Fall, by
whoever keeps work going: it is logged and counted.
"""

from __future__ import annotations

import contextlib
from types import TracebackType

from sqlalchemy.exc import DataError, IntegrityError

BROKEN = (
    DataError, IntegrityError, ArithmeticError, AttributeError, LookupError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip
"""What a message can raise that nobody foresaw; a database that is away is none of these."""


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

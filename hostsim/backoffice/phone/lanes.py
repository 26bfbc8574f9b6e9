"""The cashier's threads, one for payments of certain states, so that none waits for another's slow
step at the gateway.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from hostsim.backoffice.phone.keeper import Keeper

_log = logging.getLogger(__name__)

EVERY_S = 0.3
_TURN_S = 2.0  # after a slow step it is looked anew what is due


class Lane:
    """`due` answers ids of payments, the longest waiting first; `step` works on one, and what it
    falls over is `fell`'s. `at`: the payment that is worked on; `chores`: after them."""

    def __init__(
        self,
        states: tuple[str, ...],
        due: Callable[[Lane], list[str]],
        step: Callable[[str], None],
        fell: Callable[[Lane, Exception], None],
    ) -> None:
        """Nothing runs yet."""
        self.states = states
        self.chores: list[Callable[[], object]] = []
        name = "cashier, " + ", ".join(states)
        self.keeper = Keeper(self._run, functools.partial(fell, self), name)
        self.wake = threading.Event()
        self.at = ""
        self._due = due
        self._step = step

    def turn(self) -> None:
        """All that is due now, but no more after some seconds."""
        end = time.monotonic() + _TURN_S
        self.at = ""
        for identity in self._due(self):
            if self.keeper.stopping.is_set():
                return
            self.keeper.beat()
            self.at = identity
            self._step(identity)
            if time.monotonic() > end:
                break
        self.at = ""
        for chore in self.chores:
            self.keeper.beat()
            chore()

    def _run(self) -> None:
        while not self.keeper.stopping.is_set():
            self.wake.wait(EVERY_S)
            self.wake.clear()
            self.keeper.beat()
            try:
                self.turn()
            except (DBAPIError, NoConnection) as exc:
                if not _away(exc):
                    raise  # of this payment: the keeper lets it wait, so that others go on
                _log.warning("cashier: database: %s", exc)


def _away(error: DBAPIError | NoConnection) -> bool:
    """Whether it is the database that is away or busy: nothing was lost, go on later. What it
    refuses (a value too long, say) would be refused again."""
    if isinstance(error, NoConnection | OperationalError | InterfaceError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated

"""Keeps the cashier's threads working, and says how it is.

A fault of this program is logged, counted and shown to operators; the payment it happened at
waits, and the work begins again after a pause.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from hostsim.backoffice.fall import Fall, Falls

_log = logging.getLogger(__name__)

_FIRST_S = 1.0
_LONGEST_S = 60.0
_HANGS_S = 300.0
"""A request at the gateway takes half a minute at most, with all the SDK's tries."""


class Keeper:
    """`work` runs until `stopping` is set; `fell(error)` is called when it ended otherwise."""

    def __init__(
        self, work: Callable[[], None], fell: Callable[[Exception], None], name: str = "cashier"
    ) -> None:
        """Nothing runs yet."""
        self.name = name
        self.lately = Falls()
        self.stopping = threading.Event()
        self.falls = 0
        self._work = work
        self._fell = fell
        self._thread: threading.Thread | None = None
        self._beat = 0.0

    def begin(self) -> None:
        """In a thread of its own."""
        if self._thread is None:
            self.stopping.clear()
            self.beat()
            self._thread = threading.Thread(target=self._run, name="cashier", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Waits for what is under way."""
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(30)
            if not self._thread.is_alive():
                self.stopping.clear()
            self._thread = None

    def beat(self) -> None:
        """The work goes on."""
        self._beat = time.monotonic()

    def why_not(self) -> str:
        """Why payments are not worked on just now; "" when they are."""
        if self._thread is None:
            return "not started"
        if not self._thread.is_alive():
            return "stopped"
        silent = time.monotonic() - self._beat
        return f"silent for {silent:.0f} s" if silent > _HANGS_S else ""

    def _run(self) -> None:
        pause = _FIRST_S
        while not self.stopping.is_set():
            begun = time.monotonic()
            fall = Fall()
            with fall:
                self._work()
            if fall.error is None:
                return
            self.falls += 1
            self.lately.note(self.name, fall.error)
            _log.error("cashier: fell, begins again", exc_info=fall.error)
            self._fell(fall.error)
            if time.monotonic() - begun > _LONGEST_S:
                pause = _FIRST_S
            self.beat()
            self.stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_S)


class Keepers:
    """Several of them as one."""

    def __init__(self, keepers: list[Keeper]) -> None:
        """Nothing runs yet."""
        self._keepers = keepers

    @property
    def falls(self) -> int:
        """Of all."""
        return sum(one.falls for one in self._keepers)

    def begin(self) -> None:
        """All."""
        for one in self._keepers:
            one.begin()

    def stop(self) -> None:
        """Tells all; `end` waits for them."""
        for one in self._keepers:
            one.stopping.set()

    def end(self) -> None:
        """Waits for what is under way."""
        self.stop()
        for one in self._keepers:
            one.end()

    def troubles(self) -> dict[str, str]:
        """Which fell lately -> over what."""
        return {who: why for one in self._keepers for who, why in one.lately.said().items()}

    def why_not(self) -> str:
        """Why something is not worked on just now; "" when all is."""
        return next(filter(None, (one.why_not() for one in self._keepers)), "")

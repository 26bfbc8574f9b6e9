"""What can go wrong between the back office and its gateway, switched on by name."""

from __future__ import annotations

import threading
from dataclasses import dataclass

SLOW = "slow"  # answers after `seconds`
ERROR = "error"  # answers `status` and does nothing
DOWN = "down"  # closes the connection and does nothing
LOST = "lost"  # does it, and closes the connection
STUCK = "stuck"  # answers 500 (or 402), does nothing, and answers this key so for ever
FAULTS = (SLOW, ERROR, DOWN, LOST, STUCK)

HOLD, EXTEND, CAPTURE, CANCEL, REFUND, READ = (
    "hold", "extend", "capture", "cancel", "refund", "read",
)  # fmt: skip
OPERATIONS = (HOLD, EXTEND, CAPTURE, CANCEL, REFUND, READ)


@dataclass
class Fault:
    """`operation`: "" for all. `times`: how often it still comes, -1 for as long as it is on."""

    kind: str
    operation: str = ""
    times: int = -1
    status: int = 500
    seconds: float = 0.0


class Faults:
    """May be used from any thread. `seen` counts what came, by operation."""

    def __init__(self) -> None:
        """Nothing is wrong."""
        self._lock = threading.Lock()
        self._on: list[Fault] = []
        self.seen: dict[str, int] = {}

    @property
    def asked_for_money(self) -> int:
        """How many requests came that may have moved some."""
        return sum(count for name, count in self.seen.items() if name != READ)

    def add(self, fault: Fault) -> None:
        """From now on."""
        with self._lock:
            self._on.append(fault)

    def clear(self) -> None:
        """All is well again."""
        with self._lock:
            self._on.clear()

    def next(self, operation: str) -> Fault | None:
        """What befalls this request."""
        with self._lock:
            self.seen[operation] = self.seen.get(operation, 0) + 1
            for fault in self._on:
                if fault.operation in ("", operation) and fault.times:
                    fault.times -= fault.times > 0
                    return fault
        return None


@dataclass
class HookFaults:
    """How webhooks travel: `late_s` after the event, `copies` of each, the newest first when
    `backwards` (held until `release`), not at all when `never`."""

    late_s: float = 0.0
    copies: int = 1
    backwards: bool = False
    never: bool = False

"""What really happened to the power: kept by the simulated lines and the meter's own counter,
whatever the firmware says. The judge of bills measures them against it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Supply:
    """The contactor was closed from `on_ms` to `off_ms` (epoch ms of the world; -1: it still is),
    the meter's register went from `on_wh` to `off_wh`. `last_ms`: the firmware's last word before
    it opened. `asked_ms`: how long the vehicle asked for power meanwhile. `gone_ms`: when it was
    unplugged, -1: never.
    """

    on_ms: int
    on_wh: int
    off_ms: int = -1
    off_wh: int = -1
    last_ms: int = -1
    asked_ms: int = 0
    gone_ms: int = -1

    @property
    def powered_ms(self) -> int:
        """How long it was closed."""
        return self.off_ms - self.on_ms

    @property
    def seen_ms(self) -> int:
        """How long of it the firmware lived."""
        return min(self.off_ms, self.last_ms) - self.on_ms


class Timeline:
    """Every closing of the contactor, in order."""

    def __init__(self) -> None:
        self.supplies: list[Supply] = []
        self.said_ms = 0  # when the firmware last did anything
        self._asks_since = -1

    def pilot(self, letter: str, now_ms: int) -> None:
        """The pilot changed."""
        self._asked(now_ms)
        self._asks_since = now_ms if letter == "C" else -1
        if letter == "A":
            for supply in self.supplies:
                if supply.gone_ms < 0:
                    supply.gone_ms = now_ms

    def contactor(self, closed: bool, now_ms: int, register_wh: int) -> None:
        """The contacts moved."""
        self._asked(now_ms)
        if closed:
            self.supplies.append(Supply(now_ms, register_wh))
            return
        supply = self.supplies[-1]
        supply.off_ms, supply.off_wh, supply.last_ms = now_ms, register_wh, self.said_ms

    def _asked(self, now_ms: int) -> None:
        """Adds the time since the last change."""
        if self._asks_since >= 0 and self.supplies and self.supplies[-1].off_ms < 0:
            self.supplies[-1].asked_ms += now_ms - max(self._asks_since, self.supplies[-1].on_ms)
            self._asks_since = now_ms

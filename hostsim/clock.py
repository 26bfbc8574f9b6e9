"""Simulated wall time that can run faster than real time.

Vehicles, tariffs and receipt dates live in this time. Protocol timers (T1, ACK, Modbus
turnaround) never do: they measure a wire, and the wire does not run faster when the demo does.
"""

from __future__ import annotations

import asyncio
import time

MIN_SPEED = 1.0
MAX_SPEED = 60.0


class WorldClock:
    """Epoch milliseconds = base + real monotonic time * speed, without a jump when the speed
    changes.
    """

    def __init__(self, start_epoch_ms: int | None = None, speed: float = 1.0) -> None:
        """Start at `start_epoch_ms` (default: the host's own time), running `speed` times real
        time.
        """
        self._base_ms = time.time() * 1000.0 if start_epoch_ms is None else float(start_epoch_ms)
        self._anchor_s = time.monotonic()
        self._speed = _checked(speed)
        self._sleepers: set[asyncio.Event] = set()

    def now_ms(self) -> int:
        """Simulated milliseconds since 1970-01-01 UTC."""
        return int(self._now())

    def _now(self) -> float:
        return self._base_ms + (time.monotonic() - self._anchor_s) * 1000.0 * self._speed

    @property
    def speed(self) -> float:
        """Simulated seconds per real second, 1 to 60."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        value = _checked(value)
        self._base_ms = self._now()
        self._anchor_s = time.monotonic()
        self._speed = value
        for sleeper in self._sleepers:
            sleeper.set()

    async def sleep(self, sim_seconds: float) -> None:
        """Sleep that many simulated seconds; a change of speed meanwhile moves the end."""
        end_ms = self._now() + sim_seconds * 1000.0
        changed = asyncio.Event()
        self._sleepers.add(changed)
        try:
            while (left_ms := end_ms - self._now()) > 0:
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), left_ms / 1000.0 / self._speed)
                except TimeoutError:
                    continue
            await asyncio.sleep(0)
        finally:
            self._sleepers.discard(changed)


def _checked(speed: float) -> float:
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise ValueError(f"speed {speed} is not within {MIN_SPEED:g} to {MAX_SPEED:g}")
    return float(speed)

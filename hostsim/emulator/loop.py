"""An asyncio loop whose time is the emulated board's: peers wait as long as the board lives, not
as long as the emulation takes.

Whenever the loop would sleep, the board runs; it stops as soon as it has sent something or its
time has come. While a peer is at work in the machine's time (`hold`) the board's stands still: how
busy the machine is makes no difference to the board. While the board has no power, time passes at
once. With `wall` the board's time does not run ahead of the wall's, for somebody outside with
time-outs of his own; where it falls behind because the board is busy, that is not caught up with.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any

from hostsim.emulator.pico import Pico

_IDLE_S = 0.05
_STEP_S = 0.002
_BEHIND_S = 0.05
_PAUSE_S = 0.01
_HELD_S = 2.0


class _Running(selectors.DefaultSelector):
    loop: BoardLoop

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self.loop.held:
            events = super().select(_HELD_S)
            self.loop.held = bool(events)  # without any: it does not come
            return events
        end = self.loop.time() + (_IDLE_S if timeout is None else timeout)
        while True:
            self.loop.live(end)
            events = super().select(self.loop.ahead_s() if self.loop.wall else 0)
            if events or self.loop.woken or self.loop.time() >= end:
                self.loop.woken = False
                return events


class BoardLoop(asyncio.SelectorEventLoop):
    """`board`: the powered Pico, None while the power is off."""

    def __init__(self, wall: bool = False) -> None:
        selector = _Running()
        selector.loop = self
        self._before_s = 0.0  # lived by boards before this one, and in the dark
        self.board: Pico | None = None
        self.woken = False
        self.held = False
        self.wall = wall
        self._began_s = time.monotonic()
        super().__init__(selector)

    def time(self) -> float:
        lived = self.board.nanos / 1e9 if self.board is not None else 0.0
        return self._before_s + lived

    def power_on(self, board: Pico) -> None:
        self.power_off()
        self.board = board
        self._before_s -= board.nanos / 1e9

    def power_off(self) -> None:
        """Time goes on from here without the board."""
        self._before_s = self.time()
        self.board = None

    def hold(self, still: bool) -> None:
        """Time stands still, or goes on."""
        self.held = still

    def wake(self) -> None:
        """Somebody has been given something to do; the board's batch ends."""
        self.woken = True
        if self.board is not None:
            self.board.stop_batch()

    def live(self, end_s: float) -> None:
        """The board runs a batch, or the dark passes."""
        if self.board is None or self.board.dead:
            self._before_s += max(0.0, end_s - self.time())
            return
        if self.wall:
            end_s = min(end_s, self.time() + _STEP_S)
        self.board.go_on()
        self.board.step((end_s - self._before_s) * 1e9)

    def ahead_s(self) -> float:
        """How long to wait for the wall's time, a hundredth of a second at most."""
        ahead = self.time() - (time.monotonic() - self._began_s)
        if ahead < -_BEHIND_S:
            self._began_s = time.monotonic() - self.time()
        return min(max(0.0, ahead - _STEP_S), _PAUSE_S)

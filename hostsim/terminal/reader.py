"""The card reader: who holds what to it, and when.

A card stays at the reader until the person takes it away, the payment is over, or ten seconds
have passed. Reading it with 0x06C0 reports it once per presentation, so that one tap is one tap;
a payment may still use the card while it is held.
"""

from __future__ import annotations

import asyncio

from hostsim.terminal.cards import Card

HOLD_S = 10.0
AUTO_TAP_S = 0.05


class CardTimeoutError(Exception):
    """Nobody presented a card in time."""


class CardAbortedError(Exception):
    """The ECR gave up waiting (06B0)."""


class Reader:
    """One reader; waits for one card at a time."""

    def __init__(self, auto_tap: Card | None = None) -> None:
        """With `auto_tap` that card is presented whenever one is awaited."""
        self.auto_tap = auto_tap
        self.awaiting = False
        self.blind = False
        self._held: Card | None = None
        self._reported = False
        self._until = 0.0
        self._change = asyncio.Event()
        self._abort = False

    @property
    def held(self) -> Card | None:
        """The card at the reader now."""
        if self._held is not None and asyncio.get_running_loop().time() > self._until:
            self._held = None
        return self._held

    def present(self, card: Card) -> None:
        """Somebody holds a card to the reader."""
        self._held = card
        self._reported = False
        self._until = asyncio.get_running_loop().time() + HOLD_S
        self._change.set()

    def remove(self) -> None:
        """The card is taken away."""
        self._held = None

    def arm(self) -> None:
        """A wait is about to begin: an abort from now on ends it."""
        self._abort = False

    def abort(self) -> None:
        """End a wait, one that is about to begin included; it raises CardAbortedError."""
        self._abort = True
        self._change.set()

    async def wait(self, timeout_s: float, *, once: bool = False) -> Card:
        """The next card; raises CardTimeoutError or CardAbortedError. `once`: not one that was
        reported already.
        """
        self.awaiting = True
        tap = asyncio.create_task(self._tap()) if self.auto_tap is not None else None
        try:
            async with asyncio.timeout(timeout_s):
                return await self._next(once)
        except TimeoutError:
            raise CardTimeoutError from None
        finally:
            self.awaiting = False
            if tap is not None:
                tap.cancel()

    async def _next(self, once: bool) -> Card:
        while True:
            if self._abort:
                raise CardAbortedError
            card = self.held
            if card is not None and not self.blind and not (once and self._reported):
                self._reported = True
                return card
            self._change.clear()
            await self._change.wait()

    async def _tap(self) -> None:
        await asyncio.sleep(AUTO_TAP_S)
        if self.auto_tap is not None:
            self.present(self.auto_tap)

"""The driver of a soak who pays by phone: scans, pays, tries again, stops on the page."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import httpx

from hostsim.phone import CONFIRM, DECLINED, ENDED, GOOD, Phone
from hostsim.world import World

_PATIENCE_S = 6.0  # without a code on the screen, then a card is taken
_OVER_S = 150.0
_LOOK_S = 0.25
_WAITING = ("holding", "action", "held", "starting")
_SETTLING = (*ENDED, "capturing", "cancelling")


class Phoning:
    """One visit's phone. `answer` goes to a bank that asks."""

    def __init__(self, world: World, dice: random.Random) -> None:
        """Nothing is scanned yet."""
        self._world = world
        self._dice = dice
        where = [dice.randrange(1, 255) for _ in range(3)]  # as each driver has another
        self._phone = Phone("127.{}.{}.{}".format(*where))
        self._task: asyncio.Task[None] | None = None
        self._since = time.monotonic()

    @property
    def busy(self) -> bool:
        """A payment is on its way."""
        return self._task is not None and not self._task.done()

    @property
    def in_vain(self) -> bool:
        """There was no code to scan for too long."""
        return time.monotonic() - self._since > _PATIENCE_S

    def scan(self) -> bool:
        """Begins to pay by what the screen shows; whether there was a code."""
        code = self._world.evse.screen["qr"]
        if self._world.state not in ("free", "plugged") or "/pay/" not in code:
            return False
        self._since = time.monotonic()
        method = self._dice.choice((GOOD, GOOD, GOOD, GOOD, DECLINED, CONFIRM))
        self._task = asyncio.create_task(self._pay(code, method, self._dice.random() < 0.8))
        return True

    async def _pay(self, code: str, method: str, confirms: bool) -> None:
        """Until the charger has started, or has not."""
        self._phone.page = ""
        with contextlib.suppress(httpx.HTTPError):
            state = await self._phone.pay(code, method)
            if state == "declined":
                state = await self._phone.again(GOOD)
            while state in _WAITING:
                if state == "action":
                    await self._bank(confirms)
                await asyncio.sleep(_LOOK_S)
                state = await self._phone.look()

    async def _bank(self, confirms: bool) -> None:
        gateway, office = self._world.site.gateway, self._world.back_office
        assert gateway is not None and office is not None and office.phone is not None
        found = await asyncio.to_thread(office.phone.follow, self._phone.page.split("/")[-1])
        if found is not None and found["pay"].state == "action":
            reference = found["pay"].reference
            await asyncio.to_thread(gateway.like.authenticate, reference, confirms)

    async def stop(self) -> None:
        """The button on the page."""
        with contextlib.suppress(httpx.HTTPError):
            await self._phone.stop()

    async def put_away(self) -> str:
        """Nothing that was begun stays open; "" or what it says when it does."""
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
            return await self._given_up() if self._phone.page else ""
        finally:
            await self._phone.close()

    async def _given_up(self) -> str:
        end = time.monotonic() + _OVER_S
        state = ""
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                state = await self._phone.look()
                if state in _SETTLING and self._world.state in ("free", "receipt", ""):
                    return ""
                if state not in _SETTLING:
                    await self._phone.stop()
            await asyncio.sleep(1)
        return f"the phone still shows {state!r}"

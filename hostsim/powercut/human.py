"""The people of the campaign's session: a driver who does what the screen invites to, and an
operator.

They keep their own counsel over a cut: a driver whose charger went dark and does not go on unplugs
and leaves. Looks at the charger 10 times a second.
"""

from __future__ import annotations

import asyncio

from hostsim.backoffice.refunds import RefundError
from hostsim.powercut.plan import CHARGER
from hostsim.powercut.world import VirtualWorld
from hostsim.terminal.books import State

REFUND = "R-1"

_LOOK_S = 0.1
_TAP_AGAIN_S = 4.0
_DARK_S = 1.0
_SETTLED_S = 0.3
_AT_REST = ("free", "receipt", "declined")
_SOLD = (State.CAPTURED, State.REVERSED)
_END_S = 240.0


class Driver:
    """One visit. `new_visit` False: a driver who has not begun does not begin either."""

    def __init__(self, world: VirtualWorld) -> None:
        self._w = world
        self.begins = True
        self.gone = False
        self._tapped_at = -_TAP_AGAIN_S
        self._dark_at = 0.0
        self._was_charging = False
        self._sessions = 0

    def new_visit(self) -> None:
        self.begins = True
        self.gone = False
        self._was_charging = False
        self._sessions = self._asked()

    def _asked(self) -> int:
        return sum(kind == "hold_asked" for _, kind, _ in self._w.written)

    @property
    def _had_begun(self) -> bool:
        return self._asked() > self._sessions

    async def visit(self) -> None:
        """Until the driver has left."""
        while not self.gone:
            await asyncio.sleep(_LOOK_S)
            self._look()

    def _look(self) -> None:
        w = self._w
        now = w.loop.time()
        if w.state:
            self._dark_at = now
        if w.vehicle.plugged:
            self._beside_the_car(now)
        elif w.state == "wait_plug":
            w.vehicle.plug()
            w.evse.refresh_pilot()
        elif self._had_begun or not self.begins:
            self.gone = w.state in _AT_REST and not w.session_open()
        elif w.state == "free" and now - self._tapped_at >= _TAP_AGAIN_S and w.terminal.powered:
            self._tapped_at = now
            w.terminal.present_card("visa")

    def _beside_the_car(self, now: float) -> None:
        """Unplugs when the battery has what it should, or when nothing happens any more."""
        w = self._w
        self._was_charging = self._was_charging or w.state == "charging"
        served = self._was_charging and w.state not in ("", "charging", "starting")
        if served or now - self._dark_at > _DARK_S or w.state in ("free", "finished", "receipt"):
            w.meter.step()
            w.vehicle.unplug()
            w.evse.refresh_pilot()


class Operator:
    """Gives back, whole, what the first session paid; asks the acquirer when the charger hands it
    over, and is its voice: it knows what the terminal has reversed already.
    """

    def __init__(self, world: VirtualWorld) -> None:
        self._w = world
        self.asked = False

    async def refund(self) -> str:
        """The state it came to at last; "" when nothing was paid."""
        refunds = self._w.refunds
        if not self.asked:
            paid = [f["receipt_no"] for _, kind, f in self._w.written if kind == "priced"]
            try:
                refunds.request(
                    CHARGER,
                    receipt=paid[0] if paid else 0,
                    amount_minor=0,
                    reason="goodwill",
                    operator="anna",
                    refund=REFUND,
                )
            except RefundError:
                return ""  # given back already, or nothing was taken
            self.asked = True
            refunds.approve(REFUND, "bert")
        end = _end(self._w)
        while self._w.loop.time() < end:
            state: str = refunds.follow(REFUND)["state"]
            if state in ("done", "failed", "refused"):
                return state
            if state == "sent":
                refunds.confirm(REFUND, accepted=not self._reversed(), operator="anna")
            await asyncio.sleep(2 * _LOOK_S)
        return "never done"

    def _reversed(self) -> bool:
        return any(r.state is State.REVERSED for r in self._w.terminal.books.records)


def _end(world: VirtualWorld) -> float:
    """When nobody waits any longer; with `keeps` the darknesses are long."""
    return world.loop.time() + (3 if world.plan.keeps else 1) * _END_S


async def at_rest(world: VirtualWorld) -> bool:
    """Waits until nothing is open any more and the back office has everything; False: it never
    came to that.
    """
    end = _end(world)
    while world.loop.time() < end:
        if world.worker.running and world.state in _AT_REST and world.synced:
            await asyncio.sleep(_SETTLED_S)
            if world.state in _AT_REST and world.synced and not world.session_open():
                return True
        await asyncio.sleep(_LOOK_S)
    return False


async def day_closed(world: VirtualWorld) -> bool:
    """Waits until the terminal's day is closed and the back office has heard of it. What was
    captured after the hour waits for the next day.
    """
    end = _end(world)
    if any(r["kind"] == "captured" and r["at"] >= world.plan.day_ms for r in world.records()):
        return True
    while world.loop.time() < end:
        sold = [r for r in world.terminal.books.records if r.state in _SOLD and r.captured_minor]
        left = [r for r in sold if not r.batch]
        if not left and world.state in _AT_REST and world.synced:
            await asyncio.sleep(_SETTLED_S)
            if world.synced and world.state in _AT_REST:
                return True
        await asyncio.sleep(_LOOK_S)
    return False

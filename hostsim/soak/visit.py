"""One driver's visit to a charger: a plan drawn from the seed, and a person who acts on what the
charger shows, whatever the faults make of it.

The plan is the same for the same seed, charger and number. When its faults strike to the
millisecond is the machine's: a replay has the same people and faults, not the same instant.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field

from hostsim.soak.faults import Fault
from hostsim.soak.phoning import Phoning
from hostsim.terminal.cards import CARDS
from hostsim.world import DEFAULT_TARIFF, World

_GOOD = ("visa", "mastercard", "girocard", "amex", "maestro", "extension-refused")
_ODD = (
    "partial", "declined", "insufficient", "pin", "unreadable", "network", "member", "slow",
)  # fmt: skip
_STOPS = ("unplug", "unplug", "full", "button", "tap", "remote", "emergency")
_FAULTY = 0.6  # share of the visits in which something goes wrong
_PHASES = ("free", "authorising", "wait_plug", "starting", "charging", "charging", "finished",
           "settling", "receipt")  # fmt: skip

LOOK_S = 0.03
_PATIENCE_S = 45.0  # then the driver pulls the cable and goes
_LIMIT_S = 240.0  # real time in which a visit must be over, faults and recovery included
_RETAP_S = 4.0
_TAPS = 4
_COMMAND_S = 36_000


class VisitError(RuntimeError):
    """A visit did not come to its end; str() says where it stood."""


@dataclass(frozen=True)
class Blow:
    """A fault that strikes `after_s` when the charger is in `phase` for the first time."""

    fault: Fault
    phase: str
    after_s: float


@dataclass(frozen=True)
class Plan:
    """What the driver means to do, and what will go wrong."""

    number: int
    card: str
    plug_first: bool
    plugs: bool  # or walks away after the hold
    wanted_wh: int
    stop: str
    price_change: bool
    blows: tuple[Blow, ...] = field(default=())
    method: str = "card"

    @classmethod
    def draw(
        cls,
        number: int,
        dice: random.Random,
        faults: tuple[Fault, ...],
        methods: tuple[str, ...] = ("card",),
    ) -> Plan:
        """A plan; at most two faults, of different kinds."""
        blows: list[Blow] = []
        if faults and dice.random() < _FAULTY:
            for _ in range(dice.choice((1, 1, 2))):
                kinds = sorted({f.kind for f in faults} - {b.fault.kind for b in blows})
                if kinds:
                    kind = dice.choice(kinds)
                    fault = dice.choice([f for f in faults if f.kind == kind])
                    blows.append(Blow(fault, dice.choice(_PHASES), dice.uniform(0, 1.5)))
        return cls(
            number=number,
            card=dice.choice(_GOOD if dice.random() < 0.85 else _ODD),
            plug_first=dice.random() < 0.4,
            plugs=dice.random() < 0.96,
            wanted_wh=dice.randint(20, 900),
            stop=dice.choice(_STOPS),
            price_change=dice.random() < 0.05,
            blows=tuple(blows),
            method=methods[0] if len(methods) == 1 else dice.choice(methods),
        )

    def __str__(self) -> str:
        """One line for whoever looks for the reason."""
        blows = ", ".join(f"{b.fault.name} in {b.phase}+{b.after_s:.2f}" for b in self.blows)
        first = "plug, tap" if self.plug_first else "tap, plug"
        with_what = self.card if self.method == "card" else "phone"
        return (
            f"visit {self.number}: {first}, {with_what}, {self.wanted_wh} Wh,"
            f" ends by {self.stop}; faults: {blows or 'none'}"
        )


class Visit:
    """Plays a plan. `struck` counts the faults that came to strike."""

    def __init__(self, world: World, plan: Plan, dice: random.Random) -> None:
        self.world = world
        self.plan = plan
        self.struck: list[str] = []
        self.tariff = json.loads(DEFAULT_TARIFF.read_text())  # the newest that was sent
        self._dice = dice
        self._taps = 0
        self._tapped_at = -_RETAP_S
        self._charged = False
        self._leaving = False
        self._stopped = False
        self._until_wh = 0
        self._began = 0.0
        self._phone = Phoning(world, dice) if plan.method == "qr" else None

    async def play(self) -> None:
        """Until the charger is free for the next driver. Raises VisitError."""
        self._began = time.monotonic()
        world = self.world
        world.vehicle.wanted_wh = world.options.wanted_wh = (
            self.plan.wanted_wh if self.plan.stop == "full" else None
        )
        if self.plan.price_change:
            self._change_price()
        blows = [asyncio.create_task(self._strike(blow)) for blow in self.plan.blows]
        try:
            while not (self._over() and self._quiet(blows)):
                if time.monotonic() - self._began > _LIMIT_S:
                    raise VisitError(self._where())
                if time.monotonic() - self._began > _PATIENCE_S:
                    self._leaving = True
                await self._look()
                await asyncio.sleep(LOOK_S)
            for blow in blows:
                blow.cancel()  # its phase never came
            await asyncio.gather(*blows, return_exceptions=True)
        finally:
            for blow in blows:
                blow.cancel()
            world.hands.remove_card()
            still = await self._phone.put_away() if self._phone else ""
        if still:
            raise VisitError(f"{self._where()}; {still}")

    def _over(self) -> bool:
        return self._leaving and self.world.state == "free" and not self.world.vehicle.plugged

    def _quiet(self, blows: list[asyncio.Task[None]]) -> bool:
        """No fault is at work; what failed in striking is raised here."""
        for blow in blows:
            if blow.done() and not blow.cancelled():
                blow.result()
        return len(self.struck) == sum(blow.done() for blow in blows)

    def _where(self) -> str:
        world = self.world
        lines = "\n    ".join(list(world.log)[-12:])
        return (
            f"{world.charger_id}, {self.plan}: not over after {_LIMIT_S:.0f} s; the charger is"
            f" {world.state!r}, says {world.evse.screen['lines']}, terminal"
            f" {world.view.get('terminal')}, meter {world.view.get('meter')}\n    {lines}"
        )

    # --- faults ----------------------------------------------------------------------------------

    async def _strike(self, blow: Blow) -> None:
        while self.world.state != blow.phase:  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(LOOK_S)
        self.struck.append(blow.fault.name)
        await asyncio.sleep(blow.after_s)
        await blow.fault.strike(self.world, self._dice)

    # --- the person ------------------------------------------------------------------------------

    async def _look(self) -> None:
        """One look at the charger, and what a person does then."""
        state = self.world.state
        if self._leaving:
            await self._leave(state)
        elif state in ("free", "plugged"):
            self._at_idle(state)
        elif state == "wait_plug":
            self._plug_in()
        elif state == "charging":
            await self._while_charging()
        elif state in ("paused", "finished", "receipt"):
            self._leaving = self._charged or state != "paused"

    async def _leave(self, state: str) -> None:
        world = self.world
        if world.vehicle.plugged:
            await asyncio.sleep(self._dice.uniform(0, 0.6))
            await world.act("unplug")
        if world.hands.card:
            world.hands.remove_card()
        if state == "wait_plug" or state == "receipt":
            world.evse.press_stop()
            await asyncio.sleep(0.3)

    def _at_idle(self, state: str) -> None:
        if self._charged or self._taps >= _TAPS:
            self._leaving = True
        elif self.plan.plug_first and state == "free":
            self._plug_in()
        elif self._phone and self._phone.busy:
            return
        elif time.monotonic() - self._tapped_at > _RETAP_S:
            self._tap()

    def _plug_in(self) -> None:
        if not self.plan.plugs:
            self._leaving = not self.plan.plug_first and self._dice.random() < 0.5
        elif not self.world.vehicle.plugged:
            self.world.hands.plug()

    def _tap(self) -> None:
        if self._phone and not self._phone.in_vain:
            if self._phone.scan():
                self._taps += 1
                self._tapped_at = time.monotonic()
            return
        self._taps += 1
        self._tapped_at = time.monotonic()
        self.world.hands.remove_card()
        # whoever is refused takes another card
        card = self.plan.card if self._taps <= 2 else self._dice.choice(_GOOD)
        assert card in CARDS
        self.world.hands.tap(card)

    async def _while_charging(self) -> None:
        world = self.world
        register_wh = world.meter.device.counted_mj // 3_600_000
        if not self._charged:
            self._charged = True
            self._until_wh = register_wh + self.plan.wanted_wh
        elif register_wh >= self._until_wh and not self._stopped:
            self._stopped = True
            await self._stop()

    async def _stop(self) -> None:
        world = self.world
        how = self.plan.stop
        if how == "button":
            world.evse.press_stop()
        elif how == "tap" and self._phone:
            await self._phone.stop()
        elif how == "tap":
            card = world.hands.card or self.plan.card
            world.hands.remove_card()
            world.hands.tap(card)
        elif how == "remote":
            assert world.back_office
            await asyncio.to_thread(
                world.back_office.send_command,
                world.charger_id,
                "stop",
                expires_in_s=_COMMAND_S,
            )
        elif how == "emergency":
            world.evse.set_emergency(True)
            await asyncio.sleep(0.5)
            world.evse.set_emergency(False)
        else:
            self._leaving = True
        if how != "unplug":
            self._began = max(self._began, time.monotonic() - _PATIENCE_S + 8)  # gone soon

    def _change_price(self) -> None:
        assert self.world.back_office
        tariff = json.loads(DEFAULT_TARIFF.read_text())
        tariff["id"] = f"SOAK-{self.plan.number}"
        for element in tariff["elements"]:
            for component in element["price_components"]:
                component["price"] = round(component["price"] + self._dice.randint(0, 30) / 100, 2)
        self.tariff = tariff
        self.world.back_office.send_tariff(self.world.charger_id, json.dumps(tariff))

"""What hands, fate and engineers do to a world: every act of the front page, by its name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hostsim.errors import WorldError
from hostsim.rfid import RFID_CARDS

if TYPE_CHECKING:
    from hostsim.world import World

_CARD_HELD_S = 6.0
_DRIVES_ABOVE = 90  # percent: a battery as full as that was emptied on the road meanwhile


class Hands:
    """Acts on one world. Each act raises WorldError, ValueError or KeyError when it cannot be."""

    def __init__(self, world: World) -> None:
        self._w = world
        self._holding: asyncio.Task[None] | None = None
        self.card = ""
        self._acts: dict[str, Callable[..., Awaitable[None] | None]] = {
            "tap": self.tap,
            "remove_card": self.remove_card,
            "plug": self.plug,
            "unplug": self.unplug,
            "stop": world.evse.press_stop,
            "emergency": world.evse.set_emergency,
            "vehicle_full": self.vehicle_full,
            "vehicle_pause": self.vehicle_pause,
            "speed": self.set_speed,
            "network": self.set_network,
            "meter": self.set_meter,
            "terminal": self.set_terminal,
            "power": world.set_power,
            "meter_fault": self.meter_fault,
            "terminal_fault": world.terminal.set_fault,
            "reader": self.set_reader,
            "language": world.evse.press_language,
        }

    async def do(self, name: str, args: dict[str, Any]) -> None:
        """Does the act; `args` by the names that hostsim.front.acts gives them."""
        if name not in self._acts:
            raise WorldError(f"nobody can {name} here; there are {', '.join(self._acts)}")
        done = self._acts[name](*args.values())
        if done is not None:
            await done

    def let_go(self) -> None:
        """The person is gone: no card is held any more."""
        if self._holding is not None:
            self._holding.cancel()

    def tap(self, card: str) -> None:
        """Holds a card to the reader as long as a person does: at most some seconds."""
        self.let_go()
        self._w.terminal.remove_card()
        if self._w.reader is not None and card in RFID_CARDS:
            self._w.reader.present(RFID_CARDS[card])
        else:
            self._w.terminal.present_card(card)
        self.card = card
        self._holding = asyncio.create_task(self._take_away())

    async def _take_away(self) -> None:
        await asyncio.sleep(_CARD_HELD_S)
        self._take()

    def remove_card(self) -> None:
        self.let_go()
        self._take()

    def _take(self) -> None:
        self.card = ""
        self._w.terminal.remove_card()
        if self._w.reader is not None:
            self._w.reader.remove()

    def plug(self) -> None:
        """A vehicle is plugged in that can charge, whatever the last one was told."""
        w = self._w
        if w.vehicle.plugged:
            raise WorldError("the vehicle is plugged in already")
        if w.vehicle.stored_percent >= _DRIVES_ABOVE:
            w.vehicle.drive(w.vehicle.battery_wh // 5)
        w.vehicle.wanted_wh = w.options.wanted_wh
        w.vehicle.pause(False)
        w.vehicle.plug()
        w.evse.refresh_pilot()

    def unplug(self) -> None:
        w = self._w
        if not w.vehicle.plugged:
            raise WorldError("no vehicle is plugged in")
        w.meter.step()
        w.vehicle.unplug()
        w.evse.refresh_pilot()

    def vehicle_full(self) -> None:
        """The vehicle has enough: what it got is what it wanted."""
        w = self._w
        w.meter.step()
        w.vehicle.wanted_wh = w.vehicle.delivered_wh
        w.evse.refresh_pilot()

    def vehicle_pause(self, on: bool) -> None:
        w = self._w
        w.meter.step()
        w.vehicle.pause(on)
        w.evse.refresh_pilot()

    def set_speed(self, n: int) -> None:
        self._w.clock.speed = n
        self._w.evse.set_speed(n)

    def set_network(self, on: bool) -> None:
        """Pulling the cable: the broker falls silent, the charger's link goes down."""
        w = self._w
        if w.evse.network == on:
            return
        if w.net is not None:
            w.net.faults.silent = not on
        else:
            (w.broker.resume if on else w.broker.pause)()
        w.evse.set_network(on)

    def set_meter(self, on: bool) -> None:
        if self._w.meter.line is not None:
            self._w.meter.line.connected = on

    def set_terminal(self, on: bool) -> None:
        self._w.terminal_line.connected = on

    def set_reader(self, on: bool) -> None:
        """The RFID reader's plug: pulled it has no power either."""
        reader = self._w.reader
        if reader is None:
            raise WorldError("there is no RFID reader here")
        reader.line.connected = on
        reader.set_power(on)

    def meter_fault(self, name: str, on: bool) -> None:
        if on:
            self._w.meter.set_fault(name)
        else:
            self._w.meter.clear_fault(name)

"""What a page may see of a world: what hostsim.front.world describes, in the parts' own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hostsim.meter.faults import FAULTS as METER_FAULTS
from hostsim.rfid import RFID_CARDS
from hostsim.terminal.cards import CARDS
from hostsim.terminal.faults import FAULTS as TERMINAL_FAULTS

if TYPE_CHECKING:
    from hostsim.world import World

_CARDS = [{"name": card.name, "help": card.about} for card in CARDS.values()]
_RFID = [{"name": card.name, "help": f"RFID: {card.about}"} for card in RFID_CARDS.values()]


def snapshot(world: World) -> dict[str, Any]:
    """The whole state, JSON-able."""
    evse = world.evse
    view = world.view if world.running else {}
    return {
        "charger": world.charger_id,
        "speed": evse.speed,
        "sim_time_ms": world.age_ms,
        "up": world.running,
        "power": bool(world.charger and world.charger.powered),
        "screen": evse.screen,
        "lines": {
            "pilot": world.vehicle.pilot(evse.offered_ma),
            "contactor": evse.contactor,
            "feedback": evse.contactor,
            "emergency": evse.emergency,
            "offered_ma": evse.offered_ma,
        },
        "vehicle": _vehicle(world),
        "meter": _meter(world),
        "terminal": _terminal(world),
        "network": {"connected": evse.network, "broker_up": world.broker.running},
        "session": view.get("session"),
        "sync": view.get("sync", {}),
        "heap": view.get("heap", {}),
        "firmware": {
            "version": world.hello.get("version", ""),
            "pointer_bits": world.hello.get("bits", 0),
            "micropython": world.hello.get("micropython", ""),
        },
        "cards": (_RFID if world.reader is not None else []) + _CARDS,  # what is special first
        "reader": {
            "fitted": world.reader is not None,
            "connected": world.reader is not None and world.reader.line.connected,
            "field": world.reader is not None and world.reader.field,
        },
        "languages": ["en", "de", "fr"],
        "books": world.books_seen,
    }


def _vehicle(world: World) -> dict[str, Any]:
    vehicle = world.vehicle
    return {
        "plugged": vehicle.plugged,
        "power_w": world.meter.power_w,
        "energy_wh": vehicle.delivered_wh,
        "wanted_wh": vehicle.wanted_wh,
        "soc_pct": vehicle.stored_percent,
        "paused": vehicle.paused,
        "full": vehicle.full,
    }


def _meter(world: World) -> dict[str, Any]:
    meter = world.meter
    return {
        "connected": meter.line is not None and meter.line.connected,
        "register_wh": meter.register_wh,
        "registers": {name: str(value) for name, value in meter.registers().items()},
        "faults": {name: name in meter.faults for name in METER_FAULTS},
    }


def _terminal(world: World) -> dict[str, Any]:
    terminal = world.terminal
    return {
        "connected": world.terminal_line.connected,
        "powered": terminal.powered,
        "display": terminal.display,
        "card": world.hands.card,
        "books": world.terminal_totals(),
        "faults": {name: terminal.faults.active(name) for name in TERMINAL_FAULTS},
    }

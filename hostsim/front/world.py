"""What the page needs of the simulated world. The page never changes anything but through
`act`.
"""

import asyncio
from typing import Any, Protocol


class World(Protocol):
    """A running simulation, whose state can be looked at, followed and acted on."""

    def snapshot(self) -> dict[str, Any]:
        """The whole state, JSON-able. Keys the page knows (each may be missing):

        charger, speed, sim_time_ms, up (the firmware runs), power (its supply is on; missing: as
        `up`), screen {lines, qr, light}, lines {pilot, contactor, feedback, emergency,
        offered_ma}, vehicle {plugged, power_w, energy_wh, wanted_wh, soc_pct, paused, full}, meter
        {connected, registers {name: text}, register_wh, faults {name: on}}, terminal {connected,
        powered, display, card, books, faults {name: on}}, network {connected, broker_up}, session
        {state, energy_wh, power_w, price_minor, currency, hold_minor, elapsed_ms, ...} or None,
        sync {sent, acked, online}, heap {total, used, peak}, firmware {version, pointer_bits,
        micropython}, cards [{name, help}], languages [code], books {charger, terminal, backoffice,
        agree, differences}.
        """
        ...

    def subscribe(self) -> asyncio.Queue[dict[str, Any]]:
        """A queue of what happens from now on.

        {"t": "event", "kind", "data", "at_ms"} with kind zvt, modbus, mqtt, lines, ledger, log or
        fault; and {"t": "state", ...} with the changed keys of the snapshot. A dict is merged into
        the one of that key, so that {"t": "state", "vehicle": {"power_w": 0}} changes one
        figure; an empty dict empties it.

        Data by kind: zvt {direction as the terminal sees it ("in" is from the charger), name, hex,
        fields}, modbus {kind (request, answer, noise, ignored), hex, text}, mqtt {direction as the
        charger sees it ("out" is from it), topic, payload}, lines {name, value}, ledger {seq,
        type, fields}, log {level, text}, fault {name, text or on}.
        """
        ...

    def unsubscribe(self, queue: asyncio.Queue[dict[str, Any]]) -> None:
        """Nobody reads this queue any more."""
        ...

    async def act(self, name: str, /, **args: Any) -> dict[str, Any]:
        """Do what hostsim.front.acts names: {"ok": True} or {"ok": False, "error": "..."}.

        `name` is positional only: meter_fault and terminal_fault have an argument called name.
        """
        ...

"""A world for the front's own tests: plausible sessions without firmware, terminal or meter.

`python -m tests.front.test_front_world [PORT]` serves the page on it, to look at while designing.
"""

import asyncio
import json
import sys
from typing import Any

TICK_S = 0.1
HOLD = 5000
PRICE_E4 = 4900  # per kWh
CARDS = {
    "visa": "approved",
    "mastercard": "approved",
    "girocard": "approved",
    "declined": "the bank says no",
    "partial": "only 20.00 EUR are approved",
    "unreadable": "cannot be read",
    "pin": "asks for a PIN",
    "member": "RFID card of a member",
}
FIRST_LINES = {
    "free": ("Ready", "Plug in or tap your card"),
    "plugged": ("Vehicle connected", "Tap your card to start"),
    "wait_plug": ("Card accepted", "Now plug in the cable"),
    "authorising": ("Checking your card", "Please wait"),
    "charging": ("Charging", "Stop: tap the same card or press Stop"),
    "paused": ("Paused by the vehicle", "It goes on when the vehicle asks"),
    "finished": ("Charging ended", "Please unplug the cable"),
    "receipt": ("Thank you", "Scan the code for your receipt"),
    "declined": ("Not accepted", "No money was taken"),
    "out_of_service": ("Out of service", "Please use another charger"),
}
LIGHTS = {"free": "green", "plugged": "green", "charging": "blue", "paused": "blink-blue"}


def money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d} EUR"


def pair(left: str, right: str) -> str:
    return left + right.rjust(40 - len(left))


class FakeWorld:
    """Implements hostsim.front.world.World."""

    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[dict[str, Any]]] = []
        self.acts: list[tuple[str, dict[str, Any]]] = []
        self.refuse: dict[str, str] = {}
        self.state = "free"
        self.speed = 1
        self.time_ms = 0
        self.on = {"network": True, "meter": True, "terminal": True, "power": True, "reader": True}
        self.emergency = False
        self.card = ""
        self.seq = 0
        self.energy_mwh = 0
        self.elapsed_ms = 0
        self.register_wh = 4711042
        self.vehicle: dict[str, Any] = {
            "plugged": False,
            "power_w": 0,
            "energy_wh": 0,
            "wanted_wh": 38000,
            "soc_pct": 31,
            "paused": False,
            "full": False,
        }
        self.faults = {"step_back": False, "silent": False, "no_ack": False}
        self.by_phone = {"captured_minor": 0, "payments": 0}
        self.agree: bool | None = None
        self.paid = 0

    # -- what the front reads ----------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        up = self.on["power"]
        return {
            "charger": "FC-0001",
            "speed": self.speed,
            "sim_time_ms": self.time_ms,
            "up": up,
            "power": up,
            "screen": self._screen(),
            "lines": {
                "pilot": self._pilot(),
                "contactor": self.state == "charging",
                "feedback": self.state == "charging",
                "emergency": self.emergency,
                "offered_ma": 32000 if self.state == "charging" else 0,
            },
            "vehicle": dict(self.vehicle),
            "meter": self._meter(),
            "terminal": self._terminal(),
            "network": {"connected": self.on["network"], "broker_up": True},
            "session": self._session(),
            "sync": {
                "sent": self.seq,
                "acked": self.seq if self.on["network"] else max(0, self.seq - 3),
                "online": self.on["network"] and up,
                "next_seq": self.seq + 1,
                "acked_seq": self.seq if self.on["network"] else max(0, self.seq - 3),
            },
            "heap": {"total": 196608, "used": 118304, "peak": 141120},
            "firmware": {"version": "0.1.0", "pointer_bits": 32, "micropython": "1.25.0"},
            "reader": {"fitted": True, "connected": self.on["reader"]},
            "cards": [{"name": name, "help": text} for name, text in CARDS.items()],
            "languages": ["en", "de", "fr"],
            "books": self._books(),
        }

    def subscribe(self) -> asyncio.Queue[dict[str, Any]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.queues.append(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[dict[str, Any]]) -> None:
        self.queues.remove(queue)

    async def act(self, name: str, /, **args: Any) -> dict[str, Any]:
        self.acts.append((name, args))
        if name in self.refuse:
            return {"ok": False, "error": self.refuse[name]}
        error = getattr(self, f"_do_{name}")(**args)
        self.publish()
        return {"ok": False, "error": error} if error else {"ok": True}

    # -- state -------------------------------------------------------------------------------

    def price(self) -> int:
        return (self.energy_mwh * PRICE_E4 + 50_000_000 * 1) // 100_000_000

    def _pilot(self) -> str:
        if not self.vehicle["plugged"]:
            return "A"
        return "C" if self.state == "charging" else "B"

    def _screen(self) -> dict[str, Any]:
        if not self.on["power"]:
            return {"lines": [], "qr": "", "light": "off"}
        title, prompt = FIRST_LINES.get(self.state, (self.state, ""))
        body: list[str] = []
        if self.state in ("free", "plugged"):
            body = [
                "Energy 0.49 EUR/kWh",
                "Occupancy 0.10 EUR/min from minute 241",
                "",
                pair("Reserved", money(HOLD)),
            ]
        elif self.state in ("charging", "paused", "finished", "receipt"):
            body = [
                pair("Energy", f"{self.energy_mwh // 1000 / 1000:.3f} kWh"),
                pair("Price", money(self.price())),
            ]
            if self.state == "receipt":
                body += [pair("Paid", money(self.paid)), pair("Released", money(HOLD - self.paid))]
        lines = [pair(title, "14:32"), "", *body]
        lines += [""] * (7 - len(lines)) + [prompt]
        qr = "https://127.0.0.1:8080/r/FC-0001/231-7c1e" if self.state == "receipt" else ""
        return {"lines": lines, "qr": qr, "light": LIGHTS.get(self.state, "white")}

    def _meter(self) -> dict[str, Any]:
        power = self.vehicle["power_w"]
        return {
            "connected": self.on["meter"],
            "registers": {
                "Voltage L1": "230.4 V",
                "Current L1": f"{power / 690:.2f} A",
                "Total system power": f"{power} W",
                "Frequency": "50.01 Hz",
                "Import active energy": f"{self.register_wh / 1000:.2f} kWh",
                "Serial number": "20451187",
            },
            "register_wh": self.register_wh,
            "faults": {k: self.faults[k] for k in ("step_back", "silent")},
        }

    def _terminal(self) -> dict[str, Any]:
        shown = {"authorising": "Please wait...", "declined": "DECLINED"}
        on = self.on["terminal"]
        return {
            "connected": on,
            "powered": on,
            "display": shown.get(self.state, "Approved" if self.card else "Welcome") if on else "",
            "card": self.card,
            "books": {"captured_minor": self.paid},
            "faults": {"no_ack": self.faults["no_ack"]},
        }

    def _session(self) -> dict[str, Any] | None:
        if self.state in ("free", "plugged", "declined", "out_of_service"):
            return None
        return {
            "state": self.state,
            "energy_wh": self.energy_mwh // 1000,
            "power_w": self.vehicle["power_w"],
            "price_minor": self.price(),
            "currency": "EUR",
            "hold_minor": HOLD,
            "elapsed_ms": self.elapsed_ms,
        }

    def _books(self) -> dict[str, Any]:
        book = {"sessions": 1 if self.paid else 0, "captured_minor": self.paid, "currency": "EUR"}
        other = dict(book, captured_minor=self.paid + 1) if self.agree is False else book
        differences = ["receipt 231: terminal 6.05 EUR, back office 6.06 EUR"]
        books: dict[str, Any] = {
            "charger": book | {"elsewhere": self.by_phone},
            "terminal": book | {"elsewhere": {"captured_minor": 0, "payments": 0}},
            "backoffice": other | {"elsewhere": self.by_phone},
            "agree": self.agree,
            "differences": differences if self.agree is False else [],
        }
        if self.by_phone["payments"]:
            books["gateway"] = self.by_phone
        return books

    # -- acts --------------------------------------------------------------------------------

    def _do_tap(self, card: str) -> str:
        if not self.on["terminal"]:
            return "The terminal has no power."
        if self.state in ("charging", "paused"):
            self._end("tap")
            return ""
        if self.state not in ("free", "plugged", "declined"):
            return f"No card is awaited now ({self.state})."
        self.event(
            "zvt",
            direction="in",
            name="06 22 Reservation",
            hex="06 22 0D 04 00 00 00 00 50 00",
            fields={"amount": "50.00", "currency": "EUR", "card": card},
        )
        if CARDS[card] != "approved":
            self.state = "declined"
            self.event(
                "zvt",
                direction="out",
                name="04 0F Status",
                hex="04 0F 02 27 05",
                fields={"result": "05"},
            )
            return ""
        self.card = card
        self.event(
            "zvt",
            direction="out",
            name="04 0F Status",
            hex="04 0F 10 27 00 87 02 31",
            fields={"result": "00", "receipt": 231, "pan": "4761 73** **** 0119"},
        )
        self.ledger("authorised", sess=1, amount_minor=HOLD, receipt=231)
        self.energy_mwh = self.elapsed_ms = 0
        self.state = "charging" if self.vehicle["plugged"] else "wait_plug"
        return ""

    def _do_remove_card(self) -> None:
        self.card = ""

    def _do_plug(self) -> None:
        self.vehicle["plugged"] = True
        self.event("lines", name="pilot", value="B")
        self.state = {"free": "plugged", "wait_plug": "charging"}.get(self.state, self.state)

    def _do_unplug(self) -> None:
        if self.state in ("charging", "paused"):
            self._end("unplug")
        self.vehicle["plugged"] = False
        self.event("lines", name="pilot", value="A")
        if self.state == "finished":
            self.paid = self.price()
            self.state = "receipt"
            self.ledger(
                "captured", sess=1, captured_minor=self.paid, released_minor=HOLD - self.paid
            )
            self.card = ""
            self.agree = True
        elif self.state in ("receipt", "plugged", "declined"):
            self.state = "free"

    def _do_stop(self) -> None:
        if self.state in ("charging", "paused"):
            self._end("button")

    def _do_emergency(self, on: bool) -> None:
        self.emergency = on
        self.event("fault", name="emergency", text="pressed" if on else "released")
        if on and self.state == "charging":
            self._end("emergency")

    def _do_vehicle_full(self) -> None:
        self.vehicle.update(full=True, soc_pct=100)
        if self.state == "charging":
            self._end("vehicle")

    def _do_vehicle_pause(self, on: bool) -> None:
        self.vehicle["paused"] = on
        if self.state in ("charging", "paused"):
            self.state = "paused" if on else "charging"

    def _do_speed(self, n: int) -> None:
        self.speed = n

    def _do_network(self, on: bool) -> None:
        self.on["network"] = on

    def _do_meter(self, on: bool) -> None:
        self.on["meter"] = on

    def _do_reader(self, on: bool) -> None:
        self.on["reader"] = on

    def _do_terminal(self, on: bool) -> None:
        self.on["terminal"] = on

    def _do_power(self, on: bool) -> None:
        self.on["power"] = on
        self.event("log", level="info", text="booting" if on else "power cut")

    def _do_meter_fault(self, name: str, on: bool) -> str:
        return self._do_terminal_fault(name, on)

    def _do_terminal_fault(self, name: str, on: bool) -> str:
        if name not in self.faults:
            return f"There is no fault {name}."
        self.faults[name] = on
        return ""

    def _do_language(self, code: str) -> None:
        self.event("log", level="info", text=f"language {code}")

    def _end(self, reason: str) -> None:
        self.state = "finished"
        self.vehicle["power_w"] = 0
        self.ledger("power_off", sess=1, register_wh=self.register_wh, reason=reason)

    # -- time --------------------------------------------------------------------------------

    def event(self, kind: str, /, **data: Any) -> None:
        self._send({"t": "event", "kind": kind, "data": data, "at_ms": self.time_ms})

    def ledger(self, kind: str, **fields: Any) -> None:
        self.seq += 1
        self.event("ledger", seq=self.seq, type=kind, fields=fields)
        self.event(
            "mqtt",
            direction="out",
            topic="forecourt/v1/FC-0001/records",
            payload={"epoch": 1, "seq": self.seq, "type": kind, **fields},
        )

    def publish(self) -> None:
        self._send({"t": "state", **self.snapshot()})

    def _send(self, message: dict[str, Any]) -> None:
        for queue in self.queues:
            queue.put_nowait(message)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.tick(int(TICK_S * 1000) * self.speed)

    def tick(self, ms: int) -> None:
        self.time_ms += ms
        if self.state in ("charging", "paused") and self.on["power"]:
            vehicle = self.vehicle
            target = 10960 if self.state == "charging" else 0
            vehicle["power_w"] += (target - vehicle["power_w"]) // 4
            self.elapsed_ms += ms
            before = self.energy_mwh // 1000
            self.energy_mwh += vehicle["power_w"] * ms // 3600
            self.register_wh += self.energy_mwh // 1000 - before
            vehicle["energy_wh"] = self.energy_mwh // 1000
            vehicle["soc_pct"] = min(100, 31 + vehicle["energy_wh"] * 100 // 58000)
            self.event(
                "modbus",
                kind="answer",
                hex="01 04 04 41 2F 5C 29 0A 1B",
                text=f"Total system power = {vehicle['power_w']} W",
            )
            if self.price() >= HOLD - 100:
                self._end("hold_reached")
        self.publish()


def test_the_fake_world_can_be_sent_as_json() -> None:
    assert json.loads(json.dumps(FakeWorld().snapshot()))["charger"] == "FC-0001"


def test_the_fake_world_plays_a_session() -> None:
    async def session() -> dict[str, Any]:
        world = FakeWorld()
        await world.act("plug")
        await world.act("tap", card="visa")
        for _ in range(600):
            world.tick(6000)
        await world.act("stop")
        await world.act("unplug")
        return world.snapshot()

    after = asyncio.run(session())
    assert after["screen"]["qr"] and after["books"]["charger"]["captured_minor"] > 0


async def _look(port: int) -> None:
    from hostsim.front.app import create_app, serve

    world = FakeWorld()
    ticking = asyncio.create_task(world.run())
    try:
        await serve(create_app(world), port=port)
    finally:
        ticking.cancel()


if __name__ == "__main__":
    asyncio.run(_look(int(sys.argv[1]) if len(sys.argv) > 1 else 8099))

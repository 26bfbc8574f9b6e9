"""A session's machine on the bench: its surroundings, and what it decided. On CPython and both
MicroPython builds.
"""

from firmware.pricing.calendar import TimeZone
from firmware.pricing.tariff import Tariff
from firmware.session import decisions as do
from firmware.session.machine import Machine

ENERGY = (
    '{"id":"T","currency":"EUR","elements":[{"price_components":'
    '[{"type":"ENERGY","price":0.50,"step_size":1}]}]}'
)
PARKING = (
    '{"id":"P","currency":"EUR","elements":[{"price_components":[{"type":"ENERGY","price":0.50,"step_size":1},'
    '{"type":"PARKING_TIME","price":6.00,"step_size":1}]}]}'
)


class Settings:
    hold_minor = 2000
    refund = (50000, 0, 0, 0, 0)
    extend = (0, 0)
    min_hold_minor = 100
    connector = 1
    max_power_w = 22000
    max_current_ma = 32000
    checkpoint_s = 60
    plug_timeout_s = 120
    pause_limit_s = 3600
    settle_after_s = 43200
    receipt_show_s = 60
    message_show_s = 8
    meter_lost_s = 10
    meter_wait_s = 600


class Silent(Settings):
    meter_lost_s = 600


class PatientMeter(Settings):
    meter_wait_s = 86400


class Prices:
    def __init__(self, text):
        self.tariff = Tariff.from_json(text)
        self.tz = TimeZone("UTC0")
        self.crc = 7


class Numbers:
    next_session = 1
    next_receipt = 1


class Card:
    def __init__(self, uid="u1", kind="bank"):
        self.kind = kind
        self.pan = "411111******1111" if uid == "u1" else "555555******4444"
        self.aid = b""
        self.uid_hash = uid
        self.card = "VISA"
        self.text = ""
        self.session = None


class Hold:
    def __init__(self, amount=2000, uid=""):
        self.uid_hash = uid
        self.amount_minor = amount
        self.receipt = 231
        self.pan = "411111******1111"
        self.card = "VISA"
        self.auth_code = "123456"


class Answer:
    def __init__(self, ok=True, certain=True, code=0, text=""):
        self.ok = ok
        self.certain = certain
        self.code = code
        self.text = text
        self.receipt = 231
        self.trace = 5
        self.amount_minor = 0
        self.proven = False


class Reading:
    def __init__(self, at_ms, energy_wh, power_w=0):
        self.at_ms = at_ms
        self.energy_wh = energy_wh
        self.power_w = power_w
        self.current_ma = -1
        self.behind = False


class Bench:
    """A machine, and everything it ever decided."""

    def __init__(self, tariff=ENERGY):
        self.all = []
        self.now = 1000
        self.m = Machine(Settings(), Prices(tariff), Numbers(), lambda: 1700000000000)
        self.meter(1000)

    def do(self, decided):
        self.all.extend(decided)
        return decided

    def meter(self, wh, power_w=0):
        return self.do(self.m.on_reading(self.now, Reading(self.now, wh, power_w)))

    def later(self, seconds):
        self.now += seconds * 1000
        return self.do(self.m.on_tick(self.now))

    def charge(self, hold=None):
        """Tap, hold, plug, contactor closed, vehicle asks."""
        self.do(self.m.on_card(self.now, Card()))
        self.do(self.m.on_authorised(self.now, hold or Hold()))
        self.do(self.m.on_pilot(self.now, "B"))
        self.do(self.m.on_feedback(self.now, True))
        self.do(self.m.on_pilot(self.now, "C"))

    def deliver(self, wh=1100):
        """A charge, and what its register says a second later."""
        self.charge()
        self.now += 1000
        self.meter(wh, 11000)

    def power_off(self, wh):
        """The contactor opened and the register was read."""
        self.do(self.m.on_feedback(self.now, False))
        self.now += 1000
        self.meter(wh - 1 if wh > 1000 else wh)  # asked for while current still flowed
        self.now += 1000
        self.meter(wh)

    def kinds(self):
        return [d[1] for d in self.all if d[0] == do.RECORD]

    def record(self, kind):
        return [d[2] for d in self.all if d[0] == do.RECORD and d[1] == kind][-1]

    def did(self, what):
        return [d for d in self.all if d[0] == what]

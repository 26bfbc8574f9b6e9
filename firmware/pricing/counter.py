"""What a session has used so far, per price component and per charging period.

Quantities only, no money: mWh and ms, as integers. The engine says when a stretch ends.
"""

from micropython import const

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.engine import OnPeriod
    from firmware.pricing.tariff import Tariff

PARKED = const(0)
CHARGING = const(1)
IDLE = const(2)  # neither time counts: a CDR period that names no time


class Counter:
    """Counts for the components that are active. Attributes may be read by the pricing modules.

    ms and mwh are session time and energy at the last reading; `energy`, `time`, `flat_now` the
    indexes of the components that price now (-1: none); `used` and `amounts` the quantities per
    component; `flat` the component of the flat fee that is due, `first_flat` of the one due
    before anything is used, when no load is known.
    """

    def __init__(self, tariff: "Tariff", on_period: "OnPeriod") -> None:
        self.tariff = tariff
        self.on_period = on_period
        self.epoch_ms = 0
        self.ms = self.mwh = self.stretch_ms = self.stretch_mwh = 0
        self.kind = CHARGING
        self.period_ms = self.period_mwh = self.period_charged = self.period_parked = 0
        self.charged_ms = self.parked_ms = 0
        self.low_ma = self.high_ma = self.low_w = self.high_w = -1
        self.period_low_ma = self.period_high_ma = self.period_low_w = self.period_high_w = -1
        self.last_energy = self.last_time = self.last_parking = self.last_reserved = -1
        self.flat = self.first_flat = -1
        self.used: list[int] = []
        self.amounts: list[int] = []
        self.energy = self.time = self.flat_now = -1

    def add(self, component: int, quantity: int) -> None:
        """Count a quantity for a component."""
        used = self.used
        for index in range(len(used)):
            if used[index] == component:
                self.amounts[index] += quantity
                return
        used.append(component)
        self.amounts.append(quantity)

    def settle(self) -> None:
        """Count the stretch since the last boundary up to the last reading."""
        energy = self.mwh - self.stretch_mwh
        time = self.ms - self.stretch_ms
        if not energy and not time:
            return
        self.stretch_mwh = self.mwh
        self.stretch_ms = self.ms
        if self.kind == CHARGING:
            self.charged_ms += time
            self.period_charged += time
        elif self.kind == PARKED:
            self.parked_ms += time
            self.period_parked += time
        if self.flat < 0:
            self.flat = self.flat_now
        if energy and self.energy >= 0:
            self.add(self.energy, energy)
            self.last_energy = self.energy
        if time and self.time >= 0:
            self.add(self.time, time)
            if self.kind == CHARGING:
                self.last_time = self.time
            else:
                self.last_parking = self.time

    def _empty(self) -> bool:
        return self.ms == self.period_ms and self.mwh == self.period_mwh

    def _close_period(self) -> None:
        """Publish what was counted since the last closed period, if anything; begin the next."""
        self.settle()
        if not self._empty() and self.on_period:
            self.on_period(
                self.epoch_ms + self.period_ms,
                self.epoch_ms + self.ms,
                self.mwh - self.period_mwh,
                self.period_charged,
                self.period_parked,
                self.period_low_ma,
                self.period_high_ma,
                self.period_low_w,
                self.period_high_w,
            )
        self.period_ms = self.ms
        self.period_mwh = self.mwh
        self.period_charged = self.period_parked = 0

    def _widen(self) -> None:
        """Take the interval's load into the period's."""
        if self._empty():
            self.period_low_ma, self.period_high_ma = self.low_ma, self.high_ma
            self.period_low_w, self.period_high_w = self.low_w, self.high_w
        else:
            self.period_low_ma = min(self.period_low_ma, self.low_ma)
            self.period_high_ma = max(self.period_high_ma, self.high_ma)
            self.period_low_w = min(self.period_low_w, self.low_w)
            self.period_high_w = max(self.period_high_w, self.high_w)

"""The bill of one session: feeds the tariff engine from the meter's register, guards the hold,
gives the final figures.

Goals: billed Wh is always the difference of the meter's own register; the price never passes the
hold (the engine is frozen at it, and energy is stopped before it by the worst case until the
contactor is open). Times are ms since the session's start; the engine sees them on top of the
start's wall clock.
"""

from micropython import const

from firmware.pricing.counter import CHARGING, PARKED
from firmware.pricing.engine import Engine

_CONTACTOR_OPEN_MS = const(1500)  # from the decision to open until no current flows, worst case
_LOOK_MS = const(1000)  # the machine looks once a second, also while no reading comes
_NEAR_MS = const(300000)  # the terminal may take three minutes to answer
_NEVER = const(-1)


class RunningBill:
    """`start_ms`: wall clock at the start (epoch ms), or any fixed number where the tariff does
    not need the time. `state`: the engine's state at a checkpoint, to go on from.
    """

    def __init__(self, tariff, tz, hold_minor: int, start_wh: int, start_ms: int,
                 max_power_w: int, state=None):  # fmt: skip
        self.periods: "list[tuple]" = []  # closed OCPI charging periods, taken by the machine
        self.hold_minor = hold_minor
        self.start_wh = start_wh
        self.register_wh = start_wh
        self.elapsed_ms = 0
        self.start_ms = start_ms
        self._max_power_w = max_power_w
        self.check_at = 0  # the hold is looked at from here on
        self.near = False  # at full power the hold would be used up within _NEAR_MS
        self._gap_ms = 1000
        if state:
            self.engine = Engine.restore(tariff, tz, state, self._period)
            self.start_ms = self.engine.epoch_ms  # the clock may have been unknown then
        else:
            self.engine = Engine(tariff, tz, self._period)
            self.engine.start(start_ms, True)
        self.engine.freeze_at(hold_minor)

    def _period(self, *figures) -> None:
        self.periods.append(figures)

    def reading(
        self, elapsed_ms: int, register_wh: int, charging: bool, power_w: int, current_ma: int
    ) -> None:
        """One meter reading; the interval since the last one was of the given kind."""
        gap = elapsed_ms - self.elapsed_ms
        self._gap_ms = max(gap, self._gap_ms - (self._gap_ms >> 3))
        self.elapsed_ms = elapsed_ms
        self.register_wh = register_wh
        mwh = (register_wh - self.start_wh) * 1000
        kind = CHARGING if charging else PARKED
        self.engine.tick(elapsed_ms, mwh, kind, power_w, current_ma)

    def must_stop(self, now_ms: int) -> bool:
        """True when the price could pass the hold before the contactor is open, `now_ms` after
        the start.

        What may have flowed since the last reading counts at full power, however long the meter
        has been silent; on top come the gap to the next look and the contactor's own time. How
        far away the hold is is computed only when half the shortest way to it has gone by, so a
        look costs two comparisons. Limit: prices are those of the last reading.
        """
        if self.engine.frozen:
            return True
        if now_ms < self.check_at:
            return False
        energy_mwh, time_ms = self.engine.left(self.hold_minor)
        gap = max(self._gap_ms, _LOOK_MS)
        worst_ms = max(now_ms - self.elapsed_ms, gap) + gap + _CONTACTOR_OPEN_MS
        used, whole = self._share(worst_ms, energy_mwh, time_ms)
        if used >= whole:
            return True
        if used:
            until = worst_ms * whole // used - worst_ms
            self.near = until < _NEAR_MS
            self.check_at = now_ms + min(until // 2, 60000)
        return False

    def raise_hold(self, hold_minor: int) -> None:
        """More is held: the price may go on."""
        self.hold_minor = hold_minor
        self.engine.freeze_at(hold_minor)
        self.check_at = 0
        self.near = False

    def _share(self, ms: int, energy_mwh: int, time_ms: int):
        """The share of what is left that `ms` at full power would use, as a fraction (used,
        whole).
        """
        energy = self._max_power_w * ms // 3600  # W * ms / 3600 = mWh
        if energy_mwh == 0 or time_ms == 0:
            return 1, 1
        if energy_mwh == _NEVER:
            return (ms, time_ms) if time_ms != _NEVER else (0, 1)
        if time_ms == _NEVER:
            return energy, energy_mwh
        return energy * time_ms + ms * energy_mwh, energy_mwh * time_ms

"""Can this register reading be true? Pure integers in charger time; one object per meter, nothing
allocated per reading.

Refused (docs/meters.md, "When the meter is not believed"): a step back; a step beyond what the
supply can give in the time since the last good reading (a register once seen beyond reach stays
refused however long one waits); power far beyond the supply; a register that stands still or runs
at another pace than the power the meter itself shows."""

from micropython import const

_MARGIN_PERCENT = const(120)  # 10 % over the nominal voltage (EN 50160), 10 % over the current
# A register may be so many steps behind the power before it counts as frozen.
_STILL_STEPS = const(5)
_STILL_WH = const(100)
_BEHIND_WH = const(10)
_PACE_WH = const(500)  # register and integrated power are compared over at least this much
_PACE_PERCENT = const(20)


class Plausibility:
    """`limit_w`: the most the supply can give. `resolution_wh`: step of the register. `last_wh`:
    last good value, or -1.

    `refused` is the reason of the last refusal, "" after a good reading: back, beyond, power,
    still, pace."""

    def __init__(self, limit_w: int, resolution_wh: int) -> None:
        self.limit_w = limit_w
        self.resolution_wh = resolution_wh
        self.forget()

    def forget(self) -> None:
        """Begin anew: the next reading is taken as it is."""
        self.expect(0)

    def expect(self, floor_wh: int, span_s: int = -1) -> None:
        """The register was `floor_wh` before a power cut of unknown length: it cannot be less, nor
        more than `span_s` seconds of full power add (-1: any amount).
        """
        self.last_wh = -1
        self.refused = ""
        self._floor_wh = floor_wh
        self._span_s = span_s
        self._asked_ms = 0
        self._beyond_wh = -1
        self._power_w = 0
        self._stood_ws = 0
        self._mark(-1, 0)

    def _mark(self, energy_wh: int, at_ms: int) -> None:
        """Integration of power begins here; -1: with the next reading that is compared."""
        self._from_wh = energy_wh
        self._power_ms = at_ms
        self._sum_wh = 0
        self._sum_rest = 0  # W s beyond whole Wh
        self._unsure_ws = 0  # the power may have changed at either end of an interval

    def accept(self, energy_wh: int, power_w: int, asked_ms: int, answered_ms: int) -> bool:
        """True when the reading can be true and is now the last good one. The meter looked at its
        register between `asked_ms` and `answered_ms`.
        """
        disagreed = self.refused in ("still", "pace")
        self.refused = self._reason(energy_wh, power_w, answered_ms)
        if self.refused:
            return False
        if energy_wh != self.last_wh:
            self._stood_ws = 0
        if self.last_wh < 0:
            self._mark(energy_wh, answered_ms)
        elif power_w <= 0 and (disagreed or self._from_wh < 0):
            # without power the register has the last word: it may catch up until power flows again
            self._mark(-1, answered_ms)
        else:
            self._integrate(power_w, answered_ms)
            self.refused = self._pace(energy_wh)
            if self.refused:
                return False
        self._power_w = power_w
        self._beyond_wh = -1
        self.last_wh = energy_wh
        if not self.behind:  # else it may still count what it stood still for
            self._asked_ms = asked_ms
        return True

    @property
    def behind(self) -> bool:
        """The register stands still since more energy flowed than it needs to move."""
        return self._stood_ws // 3600 > _STILL_STEPS * self.resolution_wh + _BEHIND_WH

    def _reason(self, energy_wh: int, power_w: int, answered_ms: int) -> str:
        if power_w > 2 * self.limit_w or power_w < -2 * self.limit_w:
            return "power"
        last_wh = self.last_wh
        # what it can have gained at most: full power since the last good request was sent, and
        # what it stood still for
        seconds = (answered_ms - self._asked_ms) // 1000 + 1
        if last_wh < 0:
            last_wh = self._floor_wh
            seconds = self._span_s
        if energy_wh < last_wh:
            return "back"
        if seconds < 0:
            return ""
        if 0 <= self._beyond_wh <= energy_wh:
            return "beyond"
        most_w = self.limit_w * _MARGIN_PERCENT // 100
        most_wh = (most_w * seconds + self._stood_ws) // 3600 + 2 * self.resolution_wh
        if energy_wh - last_wh > most_wh:
            self._beyond_wh = energy_wh
            return "beyond"
        return ""

    def _integrate(self, power_w: int, now_ms: int) -> None:
        """Trapezoid of the shown power, in W s; long gaps are cut because nobody knows what
        flowed in them.
        """
        seconds = (now_ms - self._power_ms) // 1000
        self._power_ms += 1000 * seconds
        both = power_w + self._power_w
        change = power_w - self._power_w
        least_w = power_w if change < 0 else self._power_w
        if least_w > 0:
            self._stood_ws += least_w * seconds
        if seconds > 600 or both < 0:
            self._mark(-1, now_ms)
            return
        rest = self._sum_rest + both * seconds // 2
        self._sum_wh += rest // 3600
        self._sum_rest = rest % 3600
        self._unsure_ws += (change if change > 0 else -change) * seconds // 2

    def _pace(self, energy_wh: int) -> str:
        """Register against integrated power since the last mark."""
        if self._from_wh < 0:
            self._from_wh = energy_wh
            return ""
        gained = energy_wh - self._from_wh
        unsure = self._unsure_ws // 3600 + 1
        still = _STILL_STEPS * self.resolution_wh
        if gained == 0 and self._sum_wh - unsure > (still if still > _STILL_WH else _STILL_WH):
            return "still"
        if gained < _PACE_WH and self._sum_wh < _PACE_WH:
            return ""
        slack = self._sum_wh * _PACE_PERCENT // 100 + 2 * self.resolution_wh + unsure
        difference = gained - self._sum_wh
        if difference > slack or difference < -slack:
            return "pace"
        self._mark(energy_wh, self._power_ms)
        return ""

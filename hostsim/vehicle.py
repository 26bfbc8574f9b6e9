"""The vehicle at the plug: battery, what it wants, how fast it takes it, and its IEC 61851-1
control pilot state.

Power is integer watts, constant between two looks; energy is the exact sum in integer millijoules
over WorldClock time."""

from __future__ import annotations

from hostsim.clock import WorldClock

MJ_PER_WH = 3_600_000
_VOLT = 230
_TAPER_FROM_PERCENT = 90
_TAPER_FLOOR_PERCENT = 15


class Vehicle:
    """A vehicle with a battery of `battery_wh`, holding `stored_wh`, that wants `wanted_wh` more
    (None: until full).

    `power_w(contactor_closed, offered_ma)` is what it takes now. It ramps up within `ramp_s`,
    tapers above 90 % of the battery down to 15 % of its power, and stops when full or satisfied.
    """

    def __init__(
        self,
        clock: WorldClock,
        battery_wh: int = 60_000,
        stored_wh: int = 20_000,
        wanted_wh: int | None = None,
        max_power_w: int = 11_000,
        phases: int = 3,
        ramp_s: int = 6,
    ) -> None:
        """Raises ValueError for a battery that holds more than it can."""
        if not 0 <= stored_wh <= battery_wh:
            raise ValueError(f"a battery of {battery_wh} Wh cannot hold {stored_wh} Wh")
        self._clock = clock
        self.battery_wh = battery_wh
        self.max_power_w = max_power_w
        self.phases = phases
        self.ramp_s = ramp_s
        self.plugged = False
        self.paused = False
        self.fault = ""  # "E" or "F": what the pilot shows instead
        self.wanted_wh = wanted_wh
        self._stored_mj = stored_wh * MJ_PER_WH
        self._delivered_mj = 0
        self._power_w = 0
        self._since_ms = clock.now_ms()
        self._ramp_from_ms = self._since_ms

    def plug(self) -> None:
        """Put the cable in; what is delivered counts from here."""
        self.plugged = True
        self._delivered_mj = 0
        self._ramp_from_ms = self._clock.now_ms()

    def unplug(self) -> None:
        """Pull the cable: the current ends at once."""
        self._advance()
        self.plugged = False
        self._power_w = 0

    def drive(self, stored_wh: int) -> None:
        """It was away and comes back with that much in its battery. Raises ValueError."""
        if not 0 <= stored_wh <= self.battery_wh:
            raise ValueError(f"a battery of {self.battery_wh} Wh cannot hold {stored_wh} Wh")
        self._advance()
        self._stored_mj = stored_wh * MJ_PER_WH

    def pause(self, on: bool) -> None:
        """The vehicle itself stops asking for power, or asks again."""
        self.paused = on

    @property
    def delivered_wh(self) -> int:
        """Taken since plug(), whole Wh."""
        return self._delivered_mj // MJ_PER_WH

    @property
    def delivered_mj(self) -> int:
        """Taken since plug(), exactly, in millijoules."""
        return self._delivered_mj

    @property
    def stored_percent(self) -> int:
        """State of charge."""
        return self._stored_mj * 100 // (self.battery_wh * MJ_PER_WH)

    @property
    def full(self) -> bool:
        """The battery is full."""
        return self._stored_mj >= self.battery_wh * MJ_PER_WH

    @property
    def wants_energy(self) -> bool:
        """Plugged, neither paused nor full nor satisfied."""
        satisfied = self.wanted_wh is not None and self._delivered_mj >= self.wanted_wh * MJ_PER_WH
        return self.plugged and not self.paused and not self.full and not satisfied

    def pilot(self, offered_ma: int) -> str:
        """IEC 61851-1: A no vehicle, B connected, C asks for power; E or F by `fault`."""
        if self.fault:
            return self.fault
        if not self.plugged:
            return "A"
        return "C" if offered_ma > 0 and self.wants_energy else "B"

    def power_w(self, contactor_closed: bool, offered_ma: int) -> int:
        """Watts taken from now until the next look; books what was taken since the last one."""
        now_ms = self._advance()
        if not contactor_closed or self.pilot(offered_ma) != "C":
            self._power_w = 0
            self._ramp_from_ms = now_ms
            return 0
        limit = min(self.max_power_w, _VOLT * self.phases * offered_ma // 1000)
        limit = limit * self._taper_percent() // 100
        ramp_ms = self.ramp_s * 1000
        age_ms = now_ms - self._ramp_from_ms
        if age_ms < ramp_ms:
            limit = limit * (age_ms + 1) // ramp_ms
        self._power_w = limit
        return limit

    def _taper_percent(self) -> int:
        if self.stored_percent < _TAPER_FROM_PERCENT:
            return 100
        left = (100 - self.stored_percent) * 100 // (100 - _TAPER_FROM_PERCENT)
        return max(left, _TAPER_FLOOR_PERCENT)

    def _advance(self) -> int:
        now_ms = self._clock.now_ms()
        taken_mj = self._power_w * (now_ms - self._since_ms)
        self._stored_mj += taken_mj
        self._delivered_mj += taken_mj
        self._since_ms = now_ms
        return now_ms

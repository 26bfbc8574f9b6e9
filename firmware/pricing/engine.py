"""The live engine: fed with meter readings as they come, it knows the price of the session so far.

Promise: a tick inside a stretch without a boundary compares and stores small integers only; it
allocates nothing and costs the same in hour 20 as in minute 1. At a boundary (local time, date,
clock change, duration, energy, power, current, free quantities) the stretch is split exactly
there, so that how often the meter is read does not change the price. Quantities are kept, not
money: mWh and ms per price component; bill.py turns them into money when somebody looks.

Limits that follow: a session may last 2**30 ms (12.4 days) and take 2**30 mWh (1073 kWh) within
small integers on 32-bit; beyond that it stays exact but a tick allocates. Source of the rules:
OCPI 2.2.1 mod_tariffs; the readings chosen are in docs/pricing.md.
"""

from array import array

from micropython import const

from firmware.errors import PricingError
from firmware.pricing import boundary, checkpoint, limits
from firmware.pricing.bill import Bill
from firmware.pricing.counter import CHARGING, PARKED, Counter
from firmware.pricing.paper import leave

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.pricing.calendar import TimeZone
    from firmware.pricing.tariff import Tariff

    OnPeriod = Callable[[int, int, int, int, int, int, int, int, int], None]

FAR = const(0x3FFFFFFF)


class Engine(Counter):
    """Prices one session: drives the counter from boundary to boundary."""

    def __init__(self, tariff: "Tariff", tz: "TimeZone", on_period: "OnPeriod" = None) -> None:
        super().__init__(tariff, on_period)
        self.tz = tz
        self.limit = -1
        self.frozen = 0
        self.open = 0
        self.minute = self.weekday = self.days = 0  # the local clock at the last boundary
        self._key = 0
        self._small = array("q", [0])
        self._next_ms = self._next_mwh = self._stop_ms = self._stop_mwh = FAR
        self._ma_from = self._w_from = -1
        self._ma_to = self._w_to = 0

    # -- the session's life

    def start(self, epoch_ms: int, charging: bool = True) -> None:
        """Begin: durations count from this instant; any clock will do unless
        tariff.time_dependent.
        """
        if self.open:
            raise PricingError("session already started")
        self.epoch_ms = epoch_ms
        self.kind = CHARGING if charging else PARKED
        self.open = 1
        self._select()
        self.first_flat = self.flat_now
        self._w_to = -1  # the first reading must pass the long way, which takes its load

    def update(
        self,
        epoch_ms: int,
        energy_mwh: int,
        charging: bool,
        power_w: int = -1,
        current_ma: int = -1,
    ) -> None:
        """A reading at an instant; `charging`, power and current hold since the last one.

        energy_mwh counts from the session's start; -1 means not measured. Raises PricingError when
        time or energy go back. Where integers are 31-bit, epoch_ms itself is a heap object: tick()
        is free.
        """
        self._small[0] = epoch_ms - self.epoch_ms
        self.tick(
            self._small[0], energy_mwh, CHARGING if charging else PARKED, power_w, current_ma
        )

    def tick(self, ms: int, mwh: int, kind: int, power_w: int = -1, current_ma: int = -1) -> None:
        """update() in session time: ms since start. Allocates nothing between boundaries."""
        if self.frozen:
            return
        if ms < self.ms or mwh < self.mwh or not self.open:
            raise PricingError(
                f"reading goes back: {ms} ms, {mwh} mWh after {self.ms} ms, {self.mwh} mWh"
            )
        if (
            kind == self.kind
            and ms <= self._stop_ms
            and mwh <= self._stop_mwh
            and self._w_from <= power_w < self._w_to
            and self._ma_from <= current_ma < self._ma_to
        ):
            self.ms = ms
            self.mwh = mwh
        else:
            self.interval(ms, mwh, kind, current_ma, current_ma, power_w, power_w)
            return
        if power_w != self.low_w:
            self.low_w = self.high_w = power_w
            if power_w < self.period_low_w:
                self.period_low_w = power_w
            elif power_w > self.period_high_w:
                self.period_high_w = power_w
        if current_ma != self.low_ma:
            self.low_ma = self.high_ma = current_ma
            if current_ma < self.period_low_ma:
                self.period_low_ma = current_ma
            elif current_ma > self.period_high_ma:
                self.period_high_ma = current_ma

    def interval(
        self, ms: int, mwh: int, kind: int, low_ma: int, high_ma: int, low_w: int, high_w: int
    ) -> None:
        """The general form of tick: the stretch up to (ms, mwh) with the range its current and
        power had.
        """
        if not self._same(kind, low_ma, high_ma, low_w, high_w):
            self.settle()
            self.kind = kind
            self.low_ma, self.high_ma, self.low_w, self.high_w = low_ma, high_ma, low_w, high_w
            self._select()
        self._widen()
        self._run(ms, mwh)

    def finish(self, epoch_ms: int, energy_mwh: int, charging: bool) -> None:
        """The last reading; closes the open period. Power and current are those of the reading
        before.
        """
        if not self.frozen:
            ms = epoch_ms - self.epoch_ms
            if ms < self.ms or energy_mwh < self.mwh:
                raise PricingError("reading goes back")
            kind = CHARGING if charging else PARKED
            self.interval(ms, energy_mwh, kind, self.low_ma, self.high_ma, self.low_w, self.high_w)
        self.close()

    def close(self) -> None:
        """End the session at the last reading."""
        if not self.frozen:
            self._freeze()
        self.open = 0

    # -- what it costs

    def bill(self, more_mwh: int = 0, more_ms: int = 0) -> Bill:
        """The bill as of the last reading, or as it would be after more of the same."""
        self.settle()
        return Bill(self, more_mwh, more_ms)

    def price_minor(self) -> int:
        """What the driver would pay now: minor units, tax included, the sum of the receipt's
        lines.
        """
        return self.bill().gross_minor()

    def totals(self) -> Bill:
        """The exact totals as of the last reading (see bill.Bill)."""
        return self.bill()

    def lines(self) -> list[tuple[int, ...]]:
        """The receipt's lines as of the last reading (see bill.Bill.lines)."""
        return self.bill().lines()

    def rate(self) -> tuple[int, int]:
        """Prices now, tax included, in 1e-4 of the currency: (per kWh, per hour)."""
        return limits.gross_price(self.tariff, self.energy), limits.gross_price(
            self.tariff, self.time
        )

    def next_change(self) -> tuple[int, int]:
        """The next known change of a price: (epoch ms or -1, session energy in mWh or -1)."""
        from firmware.pricing import outlook

        found = outlook.next_change(self)
        leave("firmware.pricing.outlook")
        return found

    def left(self, limit_minor: int) -> tuple[int, int]:
        """(mWh, ms) that still fit under a limit, each alone, at the prices of now; -1 where it is
        free.
        """
        return limits.left(self, limit_minor)

    def freeze_at(self, limit_minor: int) -> None:
        """Never let the price pass limit_minor: stop counting at the last instant that fits."""
        self.limit = limit_minor
        self._arm()

    # -- kept over a power cut

    def state(self) -> list[int]:
        """Everything that is needed to go on, as integers below 2**31 (see checkpoint.py)."""
        return checkpoint.take(self)

    @staticmethod
    def restore(
        tariff: "Tariff", tz: "TimeZone", state: list[int], on_period: "OnPeriod" = None
    ) -> "Engine":
        """An engine that goes on exactly where state() was taken, with the same tariff.

        Raises PricingError when the state is not one of this version or tariff.
        """
        engine = Engine(tariff, tz, on_period)
        checkpoint.give(engine, state)
        if engine.open:
            engine._select(True)
            engine._w_to = -1
        return engine

    # -- within

    def _same(self, kind: int, low_ma: int, high_ma: int, low_w: int, high_w: int) -> bool:
        return (
            kind == self.kind
            and self._w_from <= low_w <= high_w < self._w_to
            and self._ma_from <= low_ma <= high_ma < self._ma_to
        )

    def _select(self, restored: bool = False) -> None:
        """Choose components for the instant and load of now; a change closes the period before."""
        self._next_ms = boundary.choose(self)
        self._next_mwh = boundary.energy_cut(self)
        self._w_from, self._w_to = boundary.between(self.tariff.cut_w, self.low_w, self.high_w)
        self._ma_from, self._ma_to = boundary.between(
            self.tariff.cut_ma, self.low_ma, self.high_ma
        )
        key = self.kind | (self.flat_now + 1) << 2 | (self.time + 1) << 11
        key |= (self.energy + 1) << 20
        if self.tariff.needs_power:  # what is measured and what is not do not share a period
            key |= (self.low_ma < 0) << 28 | (self.low_w < 0) << 29
        if key != self._key and not restored:
            self._close_period()
        self._key = key
        self._stop_ms, self._stop_mwh = self._next_ms, self._next_mwh
        if self.limit >= 0:
            self._stop_ms = self._stop_mwh = -1  # not looked ahead yet

    def _run(self, ms: int, mwh: int) -> None:
        """Go to (ms, mwh) in a straight line, stopping at every cut and at the limit."""
        start = (self.ms, self.mwh)
        while True:
            then = ms, mwh
            cut = ms > self._next_ms or mwh > self._next_mwh
            if cut:
                then = boundary.crossing(start, then, self._next_ms, self._next_mwh, self.mwh)
            if self.limit >= 0 and (then[0] > self._stop_ms or then[1] > self._stop_mwh):
                if limits.stop_before(self, then[0], then[1]):
                    self._freeze()
                    return
            self.ms, self.mwh = then
            if not cut:
                break
            self._close_period()
            self._widen()
            self._select()
        if self.limit >= 0:
            self._arm()

    def _arm(self) -> None:
        """Look ahead how far the limit surely holds, so that a tick need not look."""
        if self.frozen or not self.open:
            return
        self.settle()
        ahead = limits.ahead(self)
        if ahead is None:
            if self.ms or self.mwh:
                self._freeze()
            return  # before anything was used the load may still change the flat fee
        self._stop_mwh = min(self._next_mwh, self.mwh + ahead[0])
        self._stop_ms = min(self._next_ms, self.ms + ahead[1])

    def _freeze(self) -> None:
        self._close_period()
        if not (self.ms or self.mwh):
            self.flat = self.first_flat
        self.frozen = 1

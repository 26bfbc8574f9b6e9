"""What a running session may expect: the price rate, its next change, what the hold still buys.

Computed for those who look (screen, MQTT), not in the metering path. Limit: as if the vehicle went
on as it does now.
"""

from micropython import const

_DAY_MS = const(86400000)
_NEVER = const(-1)


class Ahead:
    """Remembers the next change, so that it is looked for only when the price has changed."""

    def __init__(self):
        self._price = -1
        self._at = self._mwh = -1

    def look(self, view: dict, bill, tz, start_at: int) -> None:
        """Adds to `view` price_per_kwh and price_per_hour (1e-4 of the currency, tax included),
        change_at_ms (epoch ms) and change_at_wh (of the session), hold_left_wh and hold_left_ms,
        each alone; -1 where there is none. change_clock: the local time of a change within a day,
        else "". `start_at` is the session's start, epoch ms; 0 where the clock is not known.
        """
        engine = bill.engine
        now = engine.epoch_ms + engine.ms
        price = (engine.energy + 1) << 10 | (engine.time + 1) << 2 | engine.kind
        if price != self._price or 0 <= self._mwh <= engine.mwh or 0 <= self._at <= now:
            self._price = price
            self._at, self._mwh = engine.next_change()
        at, mwh = self._at, self._mwh
        view["price_per_kwh"], view["price_per_hour"] = engine.rate()
        view["change_at_ms"] = at if start_at else _NEVER
        view["change_at_wh"] = mwh if mwh < 0 else mwh // 1000
        mwh, view["hold_left_ms"] = engine.left(bill.hold_minor)
        view["hold_left_wh"] = mwh if mwh < 0 else mwh // 1000
        view["change_clock"] = ""
        if start_at and now < at < now + _DAY_MS:
            second = tz.local(at // 1000)[1]
            view["change_clock"] = "%02d:%02d" % (second // 3600, second % 3600 // 60)

"""One delivery of energy: from the contactor's closing to the bill. Pure; what must be in flash
goes to `out`.

Three times matter: power on (`start_ms`), power off (`off_ms`, elapsed) and the last register
reading after it. Between power off and settlement only time for standing is added.
"""

from micropython import const

from firmware.session.decisions import RECORD

_SURE = const(2)
_BEHIND_MS = const(600000)


class Delivery:
    """`out`: list the records are added to; `start_ms`: charger time at power-on."""

    def __init__(self, out: list, session, bill, start_ms: int, checkpoint_ms: int):
        self.bill = bill
        self.off_ms = -1  # elapsed ms at which power went off; -1 while it is on
        self.final = False  # the register was read after that
        self._out = out
        self._s = session
        self._start_ms = start_ms
        self._checkpoint_ms = checkpoint_ms
        self._checkpoint_at = checkpoint_ms
        self._charging = True
        self._after = 0  # readings since the contactor opened

    def _record(self, kind: str, fields: dict) -> None:
        fields["sess"] = self._s.number
        self._out.append((RECORD, kind, fields))

    def elapsed_ms(self, now_ms: int) -> int:
        """Session time for the screen, ms: runs until the bill is final."""
        return max(now_ms - self._start_ms, 0) if self.off_ms < 0 else self.bill.elapsed_ms

    def running(self, r, charging: bool) -> None:
        """A reading while power is on."""
        elapsed = r.at_ms - self._start_ms
        if elapsed <= self.bill.elapsed_ms:
            return
        self._charging = charging
        self.bill.reading(elapsed, r.energy_wh, charging, r.power_w, r.current_ma)
        closed = self._periods()
        # also after a period, so that a recovery does not write it again
        if closed or elapsed >= self._checkpoint_at:
            self._checkpoint(elapsed)

    def must_stop(self, now_ms: int) -> bool:
        """Power has to go off now for the price to stay within the hold."""
        return self.bill.must_stop(now_ms - self._start_ms)

    def _checkpoint(self, elapsed: int) -> None:
        self._checkpoint_at = elapsed + self._checkpoint_ms
        b = self.bill
        fields = {"register_wh": b.register_wh, "elapsed_ms": b.elapsed_ms,
                  "state": list(b.engine.state())}  # fmt: skip
        self._record("checkpoint", fields)

    def _periods(self) -> bool:
        """Closed periods go to flash; whether there were any."""
        any_closed = bool(self.bill.periods)
        start = self.bill.start_ms
        for p in self.bill.periods:
            self._record("period", {
                "start_ms": p[0] - start, "end_ms": p[1] - start, "energy_mwh": p[2],
                "charging_ms": p[3], "parking_ms": p[4],
                "min_ma": p[5], "max_ma": p[6], "min_w": p[7], "max_w": p[8],
            })  # fmt: skip
        self.bill.periods.clear()
        return any_closed

    def power_off(self, now_ms: int) -> None:
        self.off_ms = now_ms - self._start_ms
        self.final = False
        self._after = 0

    def after_off(self, r) -> bool:
        """A reading with the contactor open; True when it was the one that gives the final
        register.

        The first may have been asked for while current still flowed: the second one counts. A
        register that stands still although power flowed has ten minutes to count it.
        """
        waited_ms = r.at_ms - self._start_ms - self.off_ms
        if self.final or waited_ms <= 0 or r.behind and waited_ms < _BEHIND_MS:
            return False
        self._after += 1
        if self._after < _SURE:
            return False
        self.final_register(r.energy_wh)
        return True

    def final_register(self, register_wh: int) -> None:
        """What the driver pays for is known: in flash with the reason."""
        self.final = True
        b = self.bill
        elapsed = max(self.off_ms, b.elapsed_ms)
        b.reading(elapsed, max(register_wh, b.register_wh), self._charging, -1, -1)
        self._periods()
        self._record("power_off", {"register_wh": b.register_wh, "elapsed_ms": b.elapsed_ms,
                                   "reason": self._s.reason})  # fmt: skip

    def standing(self, now_ms: int) -> None:
        """Plugged in without power: time for an occupancy fee, no energy."""
        elapsed = now_ms - self._start_ms
        if elapsed > self.bill.elapsed_ms:
            self.bill.reading(elapsed, self.bill.register_wh, False, 0, 0)
            self._periods()

    def price(self, receipt_no: int, currency: str, rules: tuple) -> None:
        """Every figure is final; the `priced` record goes to flash. `rules`: closing.priced."""
        from firmware.session.closing import priced

        b = self.bill
        b.engine.finish(b.start_ms + b.elapsed_ms, (b.register_wh - b.start_wh) * 1000, False)
        self._periods()
        self._record("priced", priced(self._s, b, receipt_no, currency, rules))

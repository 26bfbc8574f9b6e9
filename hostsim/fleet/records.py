"""The records a charger of the fleet writes: whole sessions that add up, out of a seed.

They are what docs/mqtt/schemas/records says, and keep the books' invariants: captured and released
are what was authorised, net and VAT the total, billed Wh the registers' difference.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

VAT_E4 = 190_000
_CARDS = ("Visa", "Mastercard", "girocard", "Visa", "Mastercard")
_DECLINES = ((5, "declined"), (51, "declined"), (54, "card_expired"), (75, "wrong_pin"))
_REASONS = ("unplugged", "unplugged", "vehicle_full", "stop_button", "card", "hold_reached")
_HOLD = 6000
_SECOND = ("hold_asked", "priced")  # kinds whose version is 2


@dataclass(frozen=True)
class Tariff:
    """Prices in 1e-4 of the currency, gross: per kWh, per hour of occupancy."""

    name: str
    crc: int
    energy_e4: int
    idle_e4: int


TARIFFS = (
    Tariff("ADHOC-1", 101, 5900, 60_000),
    Tariff("ADHOC-2", 102, 4900, 0),
    Tariff("FAST-1", 103, 7900, 120_000),
)


class VirtualLedger:
    """One charger's flash: numbers records, keeps its meter and receipt numbers going on."""

    def __init__(self, name: str, seed: int = 0, epoch: int = 0) -> None:
        """`seed` and the name decide everything."""
        self.name = name
        self.dice = random.Random(f"{seed} {name}")
        self.epoch = epoch or self.dice.randrange(1, 2**31)
        self.seq = 0
        self.sess = 0
        self.receipt_no = 0
        self.terminal_receipt = 0
        self.register_wh = self.dice.randrange(10_000, 9_000_000)
        self.tariff = TARIFFS[self.dice.randrange(len(TARIFFS))]
        self.day_minor = self.day_count = 0

    def session(self, start_ms: int) -> list[dict[str, Any]]:
        """A session's records, from its hold to its end; a few are declined or cancelled."""
        dice = self.dice
        self.sess += 1
        found = [self._record("hold_asked", start_ms, **self._hold())]
        fate = dice.random()
        if fate < 0.04:
            code, text = dice.choice(_DECLINES)
            found.append(
                self._record("declined", start_ms + 4000, sess=self.sess, code=code, text=text)
            )
            return found
        self.terminal_receipt = self.terminal_receipt % 9999 + 1
        found.append(self._record("authorised", start_ms + 5000, **self._authorised()))
        if fate < 0.06:
            cancelled = {
                "sess": self.sess, "released_minor": _HOLD, "receipt": self.terminal_receipt,
                "reason": "no_vehicle",
            }  # fmt: skip
            return [*found, self._record("cancelled", start_ms + 125_000, **cancelled)]
        return found + self._charge(start_ms + 30_000)

    def end_of_day(self, at_ms: int) -> dict[str, Any]:
        """The terminal's end of day; it agrees."""
        fields = {
            "count": self.day_count, "terminal_minor": self.day_minor,
            "ledger_minor": self.day_minor, "result": "agree",
        }  # fmt: skip
        self.day_minor = self.day_count = 0
        return self._record("end_of_day", at_ms, **fields)

    def lost_answer(self, at_ms: int, sess: int, paid_minor: int) -> dict[str, Any]:
        """A capture of which the charger only knows that the terminal lists the hold no more."""
        fields = {
            "sess": sess, "captured_minor": paid_minor, "released_minor": _HOLD - paid_minor,
            "receipt": self.terminal_receipt, "trace": self.sess, "how": "pending_query",
        }  # fmt: skip
        return self._record("captured", at_ms, **fields)

    def _charge(self, start_ms: int) -> list[dict[str, Any]]:
        dice, sess = self.dice, self.sess
        power_w = dice.choice((3700, 7400, 11_000, 11_000, 22_000))
        charging_ms = dice.randrange(5 * 60_000, 150 * 60_000)
        parking_ms = dice.choice((0, 0, dice.randrange(60_000, 90 * 60_000)))
        wh = max(power_w * charging_ms // 3_600_000, 1)
        most = (_HOLD - 100) * 100_000 // self.tariff.energy_e4
        wh = min(wh, most)
        idle_ms = parking_ms if self.tariff.idle_e4 else 0
        gross_energy = _half_up(self.tariff.energy_e4 * wh, 100_000)
        room_ms = (_HOLD - gross_energy) * 360_000_000 // max(self.tariff.idle_e4, 1)
        idle_ms = min(idle_ms, max(room_ms - 360_000, 0))
        gross_idle = _half_up(self.tariff.idle_e4 * idle_ms, 360_000_000)
        lines = [0, wh * 1000, self.tariff.energy_e4, VAT_E4, gross_energy]
        if gross_idle:
            lines += [2, idle_ms, self.tariff.idle_e4, VAT_E4, gross_idle]
        total = gross_energy + gross_idle
        net = _half_up(total * 1_000_000, 1_000_000 + VAT_E4)
        elapsed = charging_ms + parking_ms
        end_ms = start_ms + elapsed
        begin_wh, self.register_wh = self.register_wh, self.register_wh + wh
        self.receipt_no += 1
        self.day_minor += total
        self.day_count += 1
        period = {
            "sess": sess, "start_ms": 0, "end_ms": charging_ms, "energy_mwh": wh * 1000,
            "charging_ms": charging_ms, "parking_ms": 0, "min_ma": 6000, "max_ma": 16000,
            "min_w": power_w // 2, "max_w": power_w,
        }  # fmt: skip
        parked = period | {
            "start_ms": charging_ms, "end_ms": elapsed, "energy_mwh": 0, "charging_ms": 0,
            "parking_ms": parking_ms, "min_ma": 0, "max_ma": 0, "min_w": 0, "max_w": 0,
        }  # fmt: skip
        reason = dice.choice(_REASONS)
        priced = {
            "sess": sess, "receipt_no": self.receipt_no, "start_at": start_ms, "end_at": end_ms,
            "start_wh": begin_wh, "end_wh": self.register_wh, "billed_wh": wh,
            "elapsed_ms": elapsed, "total_minor": total, "net_minor": net,
            "vat_minor": total - net, "currency": "EUR", "lines": lines, "reason": reason,
            "vat": [VAT_E4, net, total - net, total],
        }  # fmt: skip
        captured = {
            "sess": sess, "captured_minor": total, "released_minor": _HOLD - total,
            "receipt": self.terminal_receipt, "trace": self.sess, "how": "direct",
        }  # fmt: skip
        energising = {"sess": sess, "register_wh": begin_wh, "serial": f"M{self.epoch % 10**6}"}
        off = {
            "sess": sess, "register_wh": self.register_wh, "elapsed_ms": elapsed, "reason": reason,
        }  # fmt: skip
        return [
            self._record("energising", start_ms, **energising),
            self._record("period", start_ms + charging_ms, **period),
            *([self._record("period", end_ms, **parked)] if parking_ms else []),
            self._record("power_off", end_ms, **off),
            self._record("priced", end_ms + 1000, **priced),
            self._record("captured", end_ms + 3000, **captured),
        ]

    def _hold(self) -> dict[str, Any]:
        return {
            "sess": self.sess, "hold_minor": _HOLD, "currency": "EUR",
            "tariff": self.tariff.name, "tariff_crc": self.tariff.crc, "method": "card",
            "connector": 1, "reference": f"S{self.sess}", "uid_hash": "", "remote": "",
        }  # fmt: skip

    def _authorised(self) -> dict[str, Any]:
        digits = f"{self.dice.randrange(10_000):04}"
        return {
            "sess": self.sess, "amount_minor": _HOLD, "receipt": self.terminal_receipt,
            "trace": self.sess, "terminal_id": "52500001", "vu": "455600001",
            "auth_code": f"{self.dice.randrange(10**6):06}", "pan": f"############{digits}",
            "card": self.dice.choice(_CARDS),
        }  # fmt: skip

    def _record(self, kind: str, at_ms: int, **fields: Any) -> dict[str, Any]:
        self.seq += 1
        head = {
            "epoch": self.epoch, "seq": self.seq, "type": kind, "at": at_ms,
            "version": 2 if kind in _SECOND else 1,
        }  # fmt: skip
        return head | fields


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)

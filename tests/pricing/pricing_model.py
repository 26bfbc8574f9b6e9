"""An independent exact model of tariff pricing on CPython: Fraction, datetime and zoneinfo.

It shares no code with firmware.pricing. A session is a list of readings (ms, mWh, kind, watts,
milliamps) counted from the start, each describing the stretch since the one before; kind is
"charging" or "parked". It lays out every point at which anything could change, prices piece by
piece, then adds up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
HOUR_MS = 3_600_000

Reading = tuple[int, int, str, int, int]


@dataclass
class Piece:
    """A stretch within which nothing changes."""

    start: int
    end: int
    energy: int
    kind: str
    total_mwh: int
    watts: int
    milliamps: int
    charged: int = 0
    parked: int = 0


@dataclass
class Outcome:
    """What a session costs."""

    excl: Fraction | None
    incl: Fraction
    parts: dict[str, tuple[Fraction | None, Fraction]]
    quantities: dict[int, Fraction] = field(default_factory=dict)
    gross_by_rate: dict[str | None, Fraction] = field(default_factory=dict)


def f(value: Any) -> Fraction:
    """A decimal, given as text or a JSON number kept as text."""
    return Fraction(str(value))


class Model:
    """Prices sessions by one OCPI tariff (a dict with decimals as text)."""

    def __init__(self, tariff: dict[str, Any], zone: str) -> None:
        self.tariff = tariff
        self.zone = ZoneInfo(zone)
        self.flat: list[tuple[int, dict[str, Any], dict[str, Any]]] = []
        number = 0
        for element in tariff["elements"]:
            for component in element["price_components"]:
                self.flat.append((number, component, element.get("restrictions") or {}))
                number += 1

    # -- where anything can change

    def minutes(self) -> set[str]:
        """Local times of day that matter."""
        found: set[str] = set()
        for _, _, rule in self.flat:
            found |= {rule[key] for key in ("start_time", "end_time") if rule.get(key)}
            if {"start_date", "end_date", "day_of_week", "start_time", "end_time"} & set(rule):
                found.add("00:00")
        sleep = self.tariff.get("x_parking_sleep")
        if sleep:
            found |= {sleep["start_time"], sleep["end_time"]}
        return found

    def clock_cuts(self, start: datetime, length_ms: int) -> list[int]:
        """Session ms of every local time of day that matters, and of every change of the clock."""
        minutes = self.minutes()
        if not minutes:
            return []
        cuts: set[int] = set()
        end = start + timedelta(milliseconds=length_ms)
        day = (start.astimezone(self.zone) - timedelta(days=2)).date()
        while day <= end.astimezone(self.zone).date() + timedelta(days=2):
            for text in minutes:
                hour, minute = text.split(":")
                for fold in (0, 1):
                    local = datetime(
                        day.year, day.month, day.day, int(hour), int(minute), fold=fold
                    )
                    instant = local.replace(tzinfo=self.zone).astimezone(UTC)
                    if instant.astimezone(self.zone).replace(tzinfo=None) == local:
                        cuts.add(round((instant - start) / timedelta(milliseconds=1)))
            day += timedelta(days=1)
        hour_start = start.replace(minute=0, second=0, microsecond=0)
        for hours in range(length_ms // HOUR_MS + 3):
            for quarter in range(4):
                at = hour_start + timedelta(hours=hours, minutes=15 * quarter)
                before = (at - timedelta(minutes=15)).astimezone(self.zone).utcoffset()
                if at.astimezone(self.zone).utcoffset() != before:
                    cuts.add(round((at - start) / timedelta(milliseconds=1)))
        return sorted(cuts)

    def energy_cuts(self) -> set[int]:
        """Session energies in mWh that matter."""
        found = {
            int(f(rule[key]) * 10**6)
            for _, _, rule in self.flat
            for key in ("min_kwh", "max_kwh")
            if key in rule
        }
        if self.tariff.get("x_free_kwh"):
            found.add(int(f(self.tariff["x_free_kwh"]) * 10**6))
        return found

    def pieces(self, start: datetime, readings: list[Reading]) -> Iterator[Piece]:
        """The session in stretches within which nothing changes."""
        energies = self.energy_cuts()
        durations = {
            int(rule[key]) * 1000
            for _, _, rule in self.flat
            for key in ("min_duration", "max_duration")
            if key in rule
        }
        length = readings[-1][0] if readings else 0
        clock = set(self.clock_cuts(start, length)) | durations
        free = {
            "charging": 60000 * int(self.tariff.get("x_free_minutes", 0)),
            "parked": 60000 * int(self.tariff.get("x_grace_minutes", 0)),
        }
        spent = {"charging": 0, "parked": 0}
        t0 = e0 = 0
        for t1, e1, kind, watts, milliamps in readings:
            cuts = {at for at in clock if t0 < at < t1}
            left = free[kind] - spent[kind]
            if 0 < left and t0 + left < t1:
                cuts.add(t0 + left)
            for piece in self.lay(t0, e0, t1, e1, cuts, {at for at in energies if e0 < at < e1}):
                found = Piece(*piece[:2], piece[3] - piece[2], kind, piece[2], watts, milliamps)
                found.charged, found.parked = spent["charging"], spent["parked"]
                spent[kind] += found.end - found.start
                yield found
            t0, e0 = t1, e1

    @staticmethod
    def lay(
        t0: int, e0: int, t1: int, e1: int, times: set[int], energies: set[int]
    ) -> Iterator[tuple[int, int, int, int]]:
        """Divide a straight line: energy goes down to the mWh, time up to the ms."""
        points: list[tuple[Fraction, int, int, int]] = []
        for at in times:
            part = Fraction(at - t0, t1 - t0)
            points.append((part, 1, at, floor(e0 + part * (e1 - e0))))
        for at in energies:
            part = Fraction(at - e0, e1 - e0)
            points.append((part, 0, ceil(t0 + part * (t1 - t0)), at))
        points.sort()
        points.append((Fraction(1), 2, t1, e1))
        t, e = t0, e0
        for _, _, at, energy in points:
            yield t, at, e, max(energy, e)
            t, e = at, max(energy, e)

    # -- who prices

    def holds(self, rule: dict[str, Any], piece: Piece, start: datetime) -> bool:
        """Whether all restrictions of an element hold at the start of a piece."""
        local = (start + timedelta(milliseconds=piece.start)).astimezone(self.zone)
        clock = f"{local.hour:02d}:{local.minute:02d}"
        first, last = rule.get("start_time") or "00:00", rule.get("end_time") or "24:00"
        if last == "00:00":
            last = "24:00"
        inside = first <= clock < last if first < last else clock >= first or clock < last
        if first in (last, "00:00") and last in (first, "24:00"):
            inside = True
        checks = [inside]
        if rule.get("day_of_week"):
            checks.append(DAYS[local.weekday()] in rule["day_of_week"])
        if rule.get("start_date"):
            checks.append(local.date().isoformat() >= rule["start_date"])
        if rule.get("end_date"):
            checks.append(local.date().isoformat() < rule["end_date"])
        for name, value, unit in (
            ("kwh", piece.total_mwh, 10**6),
            ("duration", piece.start, 1000),
            ("power", piece.watts, 1000),
            ("current", piece.milliamps, 1000),
        ):
            low, high = rule.get("min_" + name), rule.get("max_" + name)
            if low is not None:
                checks.append(value >= 0 and value >= f(low) * unit)
            if high is not None:
                checks.append(0 <= value < f(high) * unit)
        return all(checks)

    def active(self, kind: str, piece: Piece, start: datetime) -> int | None:
        """The number of the component that prices a dimension during a piece."""
        for number, component, rule in self.flat:
            if (
                component["type"] == kind
                and "reservation" not in rule
                and self.holds(rule, piece, start)
            ):
                return number
        return None

    def asleep(self, piece: Piece, start: datetime) -> bool:
        """Whether the occupancy fee sleeps (x_parking_sleep)."""
        sleep = self.tariff.get("x_parking_sleep")
        return sleep is not None and self.holds(sleep, piece, start)

    # -- how much

    def price(self, start: datetime, readings: list[Reading]) -> Outcome:
        """What the session costs."""
        quantities: dict[int, Fraction] = {}
        last: dict[str, int] = {}
        flat: int | None = None
        pieces = list(self.pieces(start, readings))
        if not any(piece.end > piece.start or piece.energy for piece in pieces):
            pieces = []
            flat = self.active("FLAT", Piece(0, 0, 0, "charging", 0, -1, -1), start)
        for piece in pieces:
            if flat is None and (piece.end > piece.start or piece.energy):
                flat = self.active("FLAT", piece, start)
            for dimension, amount in self.counted(piece, start).items():
                number = self.active(dimension, piece, start)
                if number is not None and amount:
                    quantities[number] = quantities.get(number, Fraction(0)) + amount
                    last[dimension] = number
        self.step(quantities, last, "ENERGY", 1000)
        self.step(quantities, last, "PARKING_TIME" if "PARKING_TIME" in last else "TIME", 1000)
        if flat is not None:
            quantities[flat] = Fraction(1)
        return self.outcome(quantities)

    def counted(self, piece: Piece, start: datetime) -> dict[str, Fraction]:
        """What counts during a piece: mWh of energy, ms of time."""
        found = {}
        if piece.total_mwh >= f(self.tariff.get("x_free_kwh", 0)) * 10**6:
            found["ENERGY"] = Fraction(piece.energy)
        length = Fraction(piece.end - piece.start)
        if piece.kind == "charging" and piece.charged >= 60000 * int(
            self.tariff.get("x_free_minutes", 0)
        ):
            found["TIME"] = length
        if piece.kind == "parked" and piece.parked >= 60000 * int(
            self.tariff.get("x_grace_minutes", 0)
        ):
            if not self.asleep(piece, start):
                found["PARKING_TIME"] = length
        return found

    def step(
        self, quantities: dict[int, Fraction], last: dict[str, int], kind: str, unit: int
    ) -> None:
        """Round a dimension's priced total up to the step of its last component."""
        if kind not in last:
            return
        step = int(self.flat[last[kind]][1].get("step_size", 1))
        if step > 1:
            total = sum(
                amount
                for number, amount in quantities.items()
                if self.flat[number][1]["type"] == kind
            )
            quantities[last[kind]] += ceil(total / (step * unit)) * step * unit - total

    def cost(self, number: int, quantity: Fraction) -> Fraction:
        """Quantity times price, in whole units of the currency."""
        component = self.flat[number][1]
        unit = {"ENERGY": 10**6, "TIME": HOUR_MS, "PARKING_TIME": HOUR_MS, "FLAT": 1}[
            component["type"]
        ]
        return f(component["price"]) * quantity / unit

    def outcome(self, quantities: dict[int, Fraction]) -> Outcome:
        """Totals from quantities: caps, VAT, limits."""
        amounts = {number: self.cost(number, quantity) for number, quantity in quantities.items()}
        self.cap(amounts)
        parts = {}
        for kind in ("ENERGY", "TIME", "PARKING_TIME", "FLAT"):
            parts[kind] = self.taxed(
                {n: a for n, a in amounts.items() if self.flat[n][1]["type"] == kind}
            )
        excl, incl = self.taxed(amounts)
        by_rate: dict[str | None, Fraction] = {}
        for number, amount in amounts.items():
            rate = self.flat[number][1].get("vat")
            key = None if rate is None else str(f(rate))
            by_rate[key] = by_rate.get(key, Fraction(0)) + self.taxed({number: amount})[1]
        excl, incl = self.limited(excl, incl)
        return Outcome(excl, incl, parts, quantities, by_rate)

    def cap(self, amounts: dict[int, Fraction]) -> None:
        """x_caps, by taking from the components of the capped dimension in equal proportion."""
        for name in ("ENERGY", "TIME", "PARKING_TIME", "TIME+PARKING_TIME"):
            if name not in (self.tariff.get("x_caps") or {}):
                continue
            for_kinds = name.split("+")
            over = sum(a for n, a in amounts.items() if self.flat[n][1]["type"] in for_kinds) - f(
                self.tariff["x_caps"][name]
            )
            for kind in reversed(for_kinds):
                those = [n for n in amounts if self.flat[n][1]["type"] == kind]
                total = sum(amounts[n] for n in those)
                back = min(over, total)
                if back > 0:
                    for n in those:
                        amounts[n] -= amounts[n] * back / total
                    over -= back

    def taxed(self, amounts: dict[int, Fraction]) -> tuple[Fraction | None, Fraction]:
        """(without tax, with tax); without is None where a rate that matters is unknown."""
        excl: Fraction | None = Fraction(0)
        incl = Fraction(0)
        for number, amount in amounts.items():
            vat = self.flat[number][1].get("vat")
            part = 1 + f(vat or 0) / 100
            if self.tariff.get("tax_included") == "YES":
                incl += amount
                if excl is not None:
                    excl = None if vat is None and amount else excl + amount / part
            else:
                incl += amount * part
                excl = (excl or Fraction(0)) + amount
        return excl, incl

    def limited(self, excl: Fraction | None, incl: Fraction) -> tuple[Fraction | None, Fraction]:
        """min_price and max_price, independently without and with tax.

        A side that is not given follows the other: at the highest VAT for what lets more through.
        """
        rates = [1 + f(c.get("vat") or 0) / 100 for _, c, _ in self.flat if f(c["price"])] or [
            Fraction(1)
        ]
        for name, low, high in (
            ("min_price", min(rates), max(rates)),
            ("max_price", max(rates), min(rates)),
        ):
            given = self.tariff.get(name)
            if not given:
                continue
            net, gross = (
                given.get("excl_vat", given.get("before_taxes")),
                given.get("incl_vat", given.get("after_taxes")),
            )
            net_bound = f(net) if net is not None else f(gross) / high
            gross_bound = f(gross) if gross is not None else f(net) * low
            pick = max if name == "min_price" else min
            incl = pick(incl, gross_bound)
            excl = None if excl is None else pick(excl, net_bound)
        return excl, incl


def four(value: Fraction | None) -> str | None:
    """As OCPI prints it: 4 decimals, half-up."""
    if value is None:
        return None
    digits = floor(value * 10000 + Fraction(1, 2))
    return f"{digits // 10000}.{digits % 10000:04d}"


def receipt_minor(outcome: Outcome, places: int = 2) -> int:
    """Half-up once per VAT rate, then summed (before min_price and max_price)."""
    return sum(
        floor(amount * 10**places + Fraction(1, 2)) for amount in outcome.gross_by_rate.values()
    )

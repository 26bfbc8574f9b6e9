"""The days a report is of."""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_DAYS = 3660
_FIRST, _LAST = 1970, 2199  # what every time zone has an instant for
PRESETS = {
    "today": "Today",
    "week": "Last 7 days",
    "month": "This month",
    "last_month": "Last month",
    "quarter": "Last 90 days",
    "year": "Last 365 days",
}


class PeriodError(ValueError):
    """(field, why)"""

    def __init__(self, field: str, why: str) -> None:
        """The field and what is allowed."""
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True)
class Days:
    """Local days from `first` to `last`, both in it."""

    first: datetime.date
    last: datetime.date

    @property
    def count(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def numbers(self) -> tuple[int, int]:
        """First and last as yyyymmdd."""
        return number(self.first), number(self.last)

    def __iter__(self) -> Iterator[datetime.date]:
        return (self.first + datetime.timedelta(days=n) for n in range(self.count))

    def __str__(self) -> str:
        return f"{self.first} to {self.last}" if self.count > 1 else str(self.first)

    def parts(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Whole months in it as yyyymm00, and what is left as spans of days (yyyymmdd)."""
        months: list[int] = []
        spans: list[tuple[int, int]] = []
        first = self.first
        while first <= self.last:
            end = first.replace(day=calendar.monthrange(first.year, first.month)[1])
            if first.day == 1 and end <= self.last:
                months.append(number(first) // 100 * 100)
            else:
                spans.append((number(first), number(min(end, self.last))))
            first = end + datetime.timedelta(days=1)
        return months, spans

    def bounds_ms(self, zone: datetime.tzinfo) -> tuple[int, int]:
        """From the first instant to the one after the last, epoch ms."""
        after = self.last + datetime.timedelta(days=1)
        return _midnight(self.first, zone), _midnight(after, zone)


def preset(name: str, today: datetime.date) -> Days:
    """One of PRESETS."""
    first = today.replace(day=1)
    if name == "today":
        return Days(today, today)
    if name == "month":
        return Days(first, today.replace(day=calendar.monthrange(today.year, today.month)[1]))
    if name == "last_month":
        last = first - datetime.timedelta(days=1)
        return Days(last.replace(day=1), last)
    days = {"week": 7, "quarter": 90, "year": 365}.get(name, 30)
    return Days(today - datetime.timedelta(days=days - 1), today)


def chosen(first: str, last: str, name: str, today: datetime.date) -> Days:
    """What somebody asked for: two dates, or a preset. Raises PeriodError."""
    if not first and not last:
        return preset(name, today)
    found = Days(_date("first", first), _date("last", last or first))
    if found.last < found.first:
        raise PeriodError("last", "must not be before the first day")
    if found.count > _MOST_DAYS:
        raise PeriodError("first", f"at most {_MOST_DAYS} days")
    return found


def number(day: datetime.date) -> int:
    """yyyymmdd"""
    return day.year * 10_000 + day.month * 100 + day.day


def _date(field: str, text: str) -> datetime.date:
    try:
        found = datetime.date.fromisoformat(text)
    except ValueError as exc:
        raise PeriodError(field, "must be a day such as 2026-05-31") from exc
    if not _FIRST <= found.year <= _LAST:
        raise PeriodError(field, f"must be in a year from {_FIRST} to {_LAST}")
    return found


def _midnight(day: datetime.date, zone: datetime.tzinfo) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), zone).timestamp()) * 1000

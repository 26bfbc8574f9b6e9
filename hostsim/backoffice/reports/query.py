"""Reading the sums: one report of a period, a charger or all, a tariff or all, in one currency."""

from __future__ import annotations

import datetime
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Engine, func, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import disputes
from hostsim.backoffice.models import Charger, Period, Session
from hostsim.backoffice.reports import roll
from hostsim.backoffice.reports.period import Days, number
from hostsim.backoffice.tables import EndOfDay, StatDay, StatHour, StatReason, StatVat

SUMS = (
    "sessions", "declined", "cancelled", "energy_wh", "gross_minor", "net_minor", "vat_minor",
    "energy_minor", "idle_minor", "idle_sessions", "occupied_ms", "charging_ms", "refunds",
    "refunded_minor",
)  # fmt: skip
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
TIMES = ("occupied_ms", "charging_ms")

Row = dict[str, Any]


@dataclass
class Report:
    """Every row has the names of SUMS, and `key`: a date, a charger's or a tariff's name."""

    days: Days
    currency: str
    charger: str
    tariff: str
    total: Row
    by_day: list[Row]
    by_charger: list[Row]
    by_tariff: list[Row]
    occupied: list[list[int]]
    """ms, seven weekdays (Monday first) of 24 hours."""
    delivering: list[list[int]]
    """ms in which energy flowed, likewise."""
    possible: list[list[int]]
    """ms a charger could have been occupied, likewise: what is over of the period."""
    chargers: int
    zone: ZoneInfo
    declined: list[Row] = field(default_factory=list)
    refunded: list[Row] = field(default_factory=list)
    stopped: list[Row] = field(default_factory=list)
    disputes: list[Row] = field(default_factory=list)
    vat: list[Row] = field(default_factory=list)
    terminals: list[Row] = field(default_factory=list)

    @property
    def whole_ms(self) -> int:
        """The time all its chargers could have been occupied until now."""
        return max(self.chargers, 1) * self.charger_ms

    @property
    def charger_ms(self) -> int:
        """The time one could."""
        return sum(map(sum, self.possible))

    @property
    def occupancy(self) -> float:
        """Share of the time a vehicle was at a charger, 0 to 1."""
        return share(self.total["occupied_ms"], self.whole_ms)

    @property
    def utilisation(self) -> float:
        """Share of the time energy flowed, 0 to 1."""
        return share(self.total["charging_ms"], self.whole_ms)


def share(part: float, whole: float) -> float:
    """0 of nothing."""
    return part / whole if whole else 0.0


def read(
    engine: Engine, zone: ZoneInfo, days: Days, now_ms: int, currency: str = "",
    charger: str = "", tariff: str = "",
) -> Report:  # fmt: skip
    """The report; `currency` "" is the one with the most sessions in the period. Shares of the
    time are of what is over at `now_ms`."""
    with Db(engine) as db:
        first, last = days.numbers
        currency = currency or _usual_currency(db, first, last)
        days_only = [StatDay.day.between(first, last), StatDay.day % 100 > 0]
        where = [StatDay.charger == (charger or roll.ALL), StatDay.currency == currency]
        each = [StatDay.charger != roll.ALL, StatDay.currency == currency, _whole(days)]
        if charger:
            each.append(StatDay.charger == charger)
        if tariff:
            where.append(StatDay.tariff == tariff)
            each.append(StatDay.tariff == tariff)
        where += days_only
        by_day = {row["key"]: row for row in _grouped(db, StatDay.day, where)}
        occupied, delivering = _times(db, zone, days, (charger, tariff, currency))
        count = 1 if charger else db.scalar(select(func.count()).select_from(Charger)) or 0
        report = Report(
            days=days,
            currency=currency,
            charger=charger,
            tariff=tariff,
            total=_total(list(by_day.values())),
            by_day=[by_day.get(number(day), _empty(number(day))) for day in days],
            by_charger=_grouped(db, StatDay.charger, each, StatDay.gross_minor),
            by_tariff=_grouped(db, StatDay.tariff, where, StatDay.gross_minor),
            occupied=occupied,
            delivering=delivering,
            possible=_possible(zone, days, now_ms),
            chargers=count,
            zone=zone,
        )
        for kind in ("declined", "refunded", "stopped"):
            name = "refund" if kind == "refunded" else kind
            setattr(report, kind, _reasons(db, days, name, (charger, tariff, currency)))
        report.vat = _vat(db, first // 100, last // 100, currency)
        start, end = days.bounds_ms(zone)
        report.disputes = disputes.sums(db, start, end, currency, charger, tariff)
        report.terminals = _terminals(db, zone, days, charger, currency)
        return report


def _whole(days: Days, table: Any = StatDay) -> ColumnElement[bool]:
    """The rows that make up these days: whole months by their sums, days of others one by one."""
    months, single = days.parts()
    return or_(table.day.in_(months), *(table.day.between(*span) for span in single))


def currencies(engine: Engine) -> list[str]:
    """All that were ever used."""
    with Db(engine) as db:
        return list(db.scalars(_distinct(StatDay.currency)))


def tariffs(engine: Engine) -> list[str]:
    """All that were ever charged by."""
    with Db(engine) as db:
        return list(db.scalars(_distinct(StatDay.tariff)))


def _distinct(column: Any) -> Any:
    query = select(column).where(StatDay.charger == roll.ALL)
    return query.distinct().order_by(column)


def today(engine: Engine, day: datetime.date, charger: str = "") -> dict[str, Any]:
    """sessions, energy_wh, and money: currency -> minor units."""
    query = select(
        StatDay.currency,
        func.sum(StatDay.sessions),
        func.sum(StatDay.energy_wh),
        func.sum(StatDay.gross_minor),
    ).where(StatDay.day == number(day), StatDay.charger == (charger or roll.ALL))
    with Db(engine) as db:
        rows = db.execute(query.group_by(StatDay.currency)).all()
    return {
        "sessions": sum(int(row[1]) for row in rows),
        "energy_wh": sum(int(row[2]) for row in rows),
        "money": {row[0]: int(row[3]) for row in rows},
    }


def money_by_charger(engine: Engine, day: datetime.date) -> dict[str, tuple[int, str]]:
    """Minor units and currency each charger took that day."""
    query = (
        select(StatDay.charger, func.sum(StatDay.gross_minor), StatDay.currency)
        .where(StatDay.day == number(day), StatDay.charger != roll.ALL)
        .group_by(StatDay.charger, StatDay.currency)
    )
    with Db(engine) as db:
        return {name: (int(minor), currency) for name, minor, currency in db.execute(query)}


def _usual_currency(db: Db, first: int, last: int) -> str:
    query = (
        select(StatDay.currency)
        .where(StatDay.charger == roll.ALL, StatDay.day.between(first, last))
        .group_by(StatDay.currency)
        .order_by(func.sum(StatDay.sessions).desc(), StatDay.currency)
        .limit(1)
    )
    return db.scalar(query) or "EUR"


def _grouped(db: Db, key: Any, where: list[Any], order: Any = None) -> list[Row]:
    sums = [func.sum(getattr(StatDay, name)) for name in SUMS]
    query = select(key, *sums).where(*where).group_by(key)
    query = query.order_by(*(() if order is None else (func.sum(order).desc(),)), key)
    return [
        {"key": row[0]} | {name: int(row[n + 1]) for n, name in enumerate(SUMS)}
        for row in db.execute(query)
    ]


def _empty(key: Any) -> Row:
    return {"key": key} | dict.fromkeys(SUMS, 0)


def _total(rows: list[Row]) -> Row:
    return {name: sum(row[name] for row in rows) for name in SUMS}


def _week() -> list[list[int]]:
    return [[0] * 24 for _ in range(7)]


def _possible(zone: ZoneInfo, days: Days, now_ms: int) -> list[list[int]]:
    """ms of each weekday's hours that are over. Days of 24 hours are the rule; what is not (the
    clock changes, today) is looked at hour by hour."""
    found = _week()
    for day in days:
        start, end = Days(day, day).bounds_ms(zone)
        if start >= now_ms:
            break
        row = found[day.weekday()]
        if end <= now_ms and end - start == _DAY_MS:
            for hour in range(24):
                row[hour] += _HOUR_MS
            continue
        for _, hour, ms in roll.hours(start, min(end, now_ms) - start, zone):
            row[hour] += ms
    return found


def _times(
    db: Db, zone: ZoneInfo, days: Days, only: tuple[str, str, str]
) -> tuple[list[list[int]], list[list[int]]]:
    """Occupied and delivering, by weekday and hour; `only`: charger, tariff ("": all), currency.
    """
    found = _week(), _week()
    weekday = {number(day): day.weekday() for day in days}
    rows = _hours_of_charger if only[0] else _hours_of_all
    for day, hour, occupied, charging in rows(db, zone, days, only):
        if day in weekday:
            found[0][weekday[day]][hour] += occupied
            found[1][weekday[day]][hour] += charging
    return found


def _hours_of_all(
    db: Db, _zone: ZoneInfo, days: Days, only: tuple[str, str, str]
) -> list[tuple[int, int, int, int]]:
    _, tariff, currency = only
    query = (
        select(StatHour.day, StatHour.hour, *(func.sum(getattr(StatHour, x)) for x in TIMES))
        .where(StatHour.day.between(*days.numbers), StatHour.currency == currency)
        .group_by(StatHour.day, StatHour.hour)
    )
    if tariff:
        query = query.where(StatHour.tariff == tariff)
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in db.execute(query)]


def _hours_of_charger(
    db: Db, zone: ZoneInfo, days: Days, only: tuple[str, str, str]
) -> list[tuple[int, int, int, int]]:
    """Of one charger straight from its sessions, so that the sums need no row for each."""
    start, end = days.bounds_ms(zone)
    charger, tariff, currency = only
    where = [
        Session.charger == charger,
        Session.currency == currency,
        Session.state == "captured",
        Session.start_at < end,
        Session.start_at + Session.elapsed_ms >= start,
    ]
    if tariff:
        where.append(Session.tariff == tariff)
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    stays = select(Session.start_at, Session.elapsed_ms).where(*where)
    flows = (
        select(Session.start_at + Period.start_ms, Period.charging_ms)
        .join(Period, Period.session_id == Session.id)
        .where(*where, Period.charging_ms > 0)
    )
    for at, query in enumerate((stays, flows)):
        for begin, length in db.execute(query):
            for day, hour, ms in roll.hours(begin, length, zone):
                sums[day, hour][at] += ms
    return [(*key, occupied, charging) for key, (occupied, charging) in sums.items()]


def _reasons(db: Db, days: Days, kind: str, only: tuple[str, str, str]) -> list[Row]:
    charger, tariff, currency = only
    where = [
        StatReason.charger == (charger or roll.ALL),
        StatReason.kind == kind,
        StatReason.currency == currency,
    ]
    if charger:
        where.append(_whole(days, StatReason))
    else:
        where += [StatReason.day.between(*days.numbers), StatReason.day % 100 > 0]
    if tariff:
        where.append(StatReason.tariff == tariff)
    query = (
        select(StatReason.reason, func.sum(StatReason.count), func.sum(StatReason.amount_minor))
        .where(*where)
        .group_by(StatReason.reason)
        .order_by(func.sum(StatReason.count).desc(), StatReason.reason)
        .limit(30)
    )
    return [
        {"reason": reason, "count": int(count), "amount_minor": int(minor)}
        for reason, count, minor in db.execute(query)
    ]


def _vat(db: Db, first: int, last: int, currency: str) -> list[Row]:
    """By month, rate and kind; documents of all chargers and tariffs, as the tax office wants."""
    query = (
        select(StatVat)
        .where(StatVat.month.between(first, last), StatVat.currency == currency)
        .order_by(StatVat.month, StatVat.vat_e4, StatVat.kind.desc())
    )
    names = ("month", "vat_e4", "kind", "documents", "net_minor", "tax_minor", "gross_minor")
    return [{name: getattr(row, name) for name in names} for row in db.scalars(query)]


def _terminals(
    db: Db, zone: ZoneInfo, days: Days, charger: str, currency: str
) -> list[Row]:
    start, end = days.bounds_ms(zone)
    query = (
        select(EndOfDay)
        .where(EndOfDay.at >= start, EndOfDay.at < end, EndOfDay.currency.in_((currency, "")))
        .order_by(EndOfDay.at.desc(), EndOfDay.id.desc())
        .limit(500)
    )
    if charger:
        query = query.where(EndOfDay.charger == charger)
    names = (
        "charger at currency result count terminal_minor ledger_minor books_minor books_count"
    ).split()
    return [
        {name: getattr(row, name) for name in names}
        | {"agree": row.terminal_minor == row.ledger_minor == row.books_minor}
        for row in db.scalars(query)
    ]

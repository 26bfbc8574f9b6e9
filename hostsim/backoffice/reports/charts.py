"""A report's charts and tables: what both the page and the PDF show."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from hostsim.backoffice import figures
from hostsim.backoffice.disputes import WON
from hostsim.backoffice.reports import drawing
from hostsim.backoffice.reports.drawing import Drawing
from hostsim.backoffice.reports.query import TIMES, Report, Row, share

_TOP = 15
_HOUR_MS = 3_600_000


Cell = str | int | Decimal


@dataclass(frozen=True)
class Table:
    """`rows` are text, first column left, others right; `name` is the CSV file's, which has
    `data` under `columns`: text, whole numbers and exact decimals, without units and separators.
    """

    name: str
    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    columns: tuple[str, ...]
    data: list[tuple[Cell, ...]]


def tiles(r: Report) -> list[tuple[str, str]]:
    """Figure and what it is."""
    t = r.total
    standing = [row for row in r.disputes if row["reason"] != WON]
    count = sum(row["count"] for row in standing)
    against = sum(row["amount_minor"] for row in standing)

    def money(minor: int) -> str:
        return figures.money(minor, r.currency)

    return [
        (money(t["gross_minor"]), "revenue, VAT included"),
        (money(t["net_minor"]), "revenue, net"),
        (figures.kwh(t["energy_wh"]), "energy"),
        (f"{t['sessions']:,}", "sessions"),
        (per_kwh(t, r.currency), "average per kWh"),
        (f"{r.occupancy:.1%}", "occupied"),
        (f"{r.utilisation:.1%}", "delivering energy"),
        (money(t["idle_minor"]), f"idle fees in {t['idle_sessions']:,} sessions"),
        (money(t["refunded_minor"]), f"given back in {t['refunds']:,} refunds"),
        (money(against), f"asked back in {count:,} disputes that are open or lost"),
        (f"{t['declined']:,}", "cards declined"),
    ]


def charts(r: Report) -> list[Drawing]:
    """By day (by month when they are many), weekday and hour, charger, tariff."""
    keys, rows = _steps(r)
    exponent = 10 ** figures.exponent(r.currency)
    by_charger, by_tariff = r.by_charger[:_TOP], r.by_tariff[:_TOP]
    return [
        drawing.columns(
            f"Revenue, {r.currency}",
            keys,
            [row["gross_minor"] / exponent for row in rows],
            [figures.money(row["gross_minor"], r.currency) for row in rows],
        ),
        drawing.columns(
            "Energy, kWh",
            keys,
            [row["energy_wh"] / 1000 for row in rows],
            [figures.kwh(row["energy_wh"]) for row in rows],
            mark=1,
        ),
        drawing.columns(
            "Sessions",
            keys,
            [row["sessions"] for row in rows],
            [f"{row['sessions']:,}" for row in rows],
            mark=2,
        ),
        _week("Occupied by weekday and hour", "occupied", r.occupied, r),
        _week("Delivering energy by weekday and hour", "delivering", r.delivering, r),
        _money_bars(f"Revenue by charger{_of(r.by_charger)}", by_charger, r),
        _time_bars("Occupied by charger, share of the time", by_charger, 0, r.charger_ms),
        _time_bars("Delivering by charger, share of the time", by_charger, 1, r.charger_ms),
        _money_bars(f"Revenue by tariff{_of(r.by_tariff)}", by_tariff, r),
        _time_bars("Occupied by tariff, share of all chargers' time", by_tariff, 0, r.whole_ms),
        _time_bars("Delivering by tariff, share of all chargers' time", by_tariff, 1, r.whole_ms),
    ]


def _money_bars(title: str, rows: list[Row], r: Report) -> Drawing:
    money = [figures.money(row["gross_minor"], r.currency) for row in rows]
    keys = [str(row["key"]) for row in rows]
    return drawing.bars(title, keys, [row["gross_minor"] for row in rows], money)


def _time_bars(title: str, rows: list[Row], which: int, whole: int) -> Drawing:
    """`which` of TIMES."""
    values = [row[TIMES[which]] for row in rows]
    texts = [f"{share(value, whole):.1%}" for value in values]
    return drawing.bars(title, [str(row["key"]) for row in rows], values, texts, mark=3 - which)


def tables(r: Report) -> list[Table]:
    """All figures, for readers and for CSV."""
    days = [x | {"key": _day(x["key"])} for x in r.by_day]
    found = [
        _sums_table("days", "By day", "Day", days, r, None),
        _sums_table("chargers", "By charger", "Charger", r.by_charger, r, r.charger_ms),
        _sums_table("tariffs", "By tariff", "Tariff", r.by_tariff, r, r.whole_ms),
        _times_table("hours", "By hour of the day", "Hour", r),
        _times_table("weekdays", "By weekday", "Weekday", r),
        _vat(r),
        _terminals(r),
    ]
    for name, title, rows in (
        ("declined", "Cards declined, by reason", r.declined),
        ("refunds", "Refunds, by reason", r.refunded),
        ("stopped", "What ended sessions", r.stopped),
        ("disputes", "Disputes, by what became of them", r.disputes),
    ):
        found.append(_reasons(name, title, rows, r))
    return found


_HEADS = ("Sessions", "Energy", "Net", "VAT", "Gross", "Per kWh", "Idle fees", "Refunded",
          "Declined")  # fmt: skip
_COLUMNS = ("sessions", "energy_kwh", "currency", "net", "vat", "gross", "per_kwh", "idle_fees",
            "refunded", "declined")  # fmt: skip
_SHARES = ("Occupied", "Delivering")
_SHARE_COLUMNS = ("occupied_h", "delivering_h", "occupied_share", "delivering_share")


def _sums_table(
    name: str, title: str, head: str, rows: list[Row], r: Report, whole_ms: int | None
) -> Table:
    """`whole_ms`: what the shares of the time are of; None: none are shown."""
    shown, data = [], []
    for x in rows:
        line, cells = _figures(str(x["key"]), x, r), _cells(str(x["key"]), x, r)
        if whole_ms is not None:
            line += tuple(f"{share(x[time], whole_ms):.1%}" for time in TIMES)
            cells += _time_cells([x[time] for time in TIMES], whole_ms)
        shown.append(line)
        data.append(cells)
    more, columns = (_SHARES, _SHARE_COLUMNS) if whole_ms is not None else ((), ())
    return Table(name, title, (head, *_HEADS, *more), shown,
                 (head.lower(), *_COLUMNS, *columns), data)  # fmt: skip


def _times_table(name: str, title: str, head: str, r: Report) -> Table:
    """Shares of the time by hour of the day, or by weekday."""
    if name == "hours":
        keys = [f"{hour:02}:00" for hour in range(24)]
        sums = [[sum(row[n] for row in week) for n in range(24)]
                for week in (r.occupied, r.delivering, r.possible)]  # fmt: skip
    else:
        keys = list(drawing.DAYS)
        sums = [[sum(row) for row in week] for week in (r.occupied, r.delivering, r.possible)]
    rows, data = [], []
    for key, occupied, delivering, possible in zip(keys, *sums, strict=True):
        whole = possible * max(r.chargers, 1)
        times = [occupied, delivering]
        rows.append((key, *(_hours(ms) for ms in times),
                     *(f"{share(ms, whole):.1%}" for ms in times)))  # fmt: skip
        data.append((key, *_time_cells(times, whole)))
    heads = (head, "Occupied, h", "Delivering, h", *_SHARES)
    if not any(sums[0]):
        rows = []  # nothing was there: not shown
    return Table(name, title, heads, rows, (head.lower(), *_SHARE_COLUMNS), data)


def _hours(ms: int) -> str:
    return f"{Decimal(ms) / _HOUR_MS:,.1f}"


def _time_cells(times: Sequence[int], whole_ms: int) -> tuple[Cell, ...]:
    hours = [(Decimal(ms) / _HOUR_MS).quantize(Decimal("1e-4")) for ms in times]
    shares = [Decimal(str(round(share(ms, whole_ms), 6))) for ms in times]
    return (*hours, *shares)


def _reasons(name: str, title: str, rows: list[Row], r: Report) -> Table:
    shown: list[tuple[str, ...]] = []
    data: list[tuple[Cell, ...]] = []
    for x in rows:
        reason = str(x["reason"]).replace("_", " ")
        shown.append((reason, str(x["count"]), figures.money(x["amount_minor"], r.currency)))
        amount = figures.amount(x["amount_minor"], r.currency)
        data.append((reason, x["count"], r.currency, amount))
    heads = ("Reason", "Count", "Amount")
    return Table(name, title, heads, shown, ("reason", "count", "currency", "amount"), data)


def per_kwh(row: Row, currency: str) -> str:
    """Average gross price, four decimals; "" without energy."""
    if not row["energy_wh"]:
        return "-"
    return f"{_price(row, currency)} {figures.symbol(currency)}"


def _price(row: Row, currency: str) -> Decimal:
    price = figures.amount(row["gross_minor"], currency) * 1000 / Decimal(row["energy_wh"])
    return price.quantize(Decimal("1e-4"))


def _figures(key: str, x: Row, r: Report) -> tuple[str, ...]:
    return (
        key, f"{x['sessions']:,}", figures.kwh(x["energy_wh"]),
        *(figures.money(x[n], r.currency) for n in ("net_minor", "vat_minor", "gross_minor")),
        per_kwh(x, r.currency), figures.money(x["idle_minor"], r.currency),
        figures.money(x["refunded_minor"], r.currency), str(x["declined"]),
    )  # fmt: skip


def _cells(key: str, x: Row, r: Report) -> tuple[Cell, ...]:
    def money(name: str) -> Decimal:
        return figures.amount(x[name], r.currency)

    energy = Decimal(x["energy_wh"]).scaleb(-3)
    price = _price(x, r.currency) if x["energy_wh"] else ""
    return (
        key, x["sessions"], energy, r.currency, money("net_minor"), money("vat_minor"),
        money("gross_minor"), price, money("idle_minor"), money("refunded_minor"), x["declined"],
    )  # fmt: skip


def _vat(r: Report) -> Table:
    rows, data = [], []
    names = ("net_minor", "tax_minor", "gross_minor")
    for x in r.vat:
        rate = figures.rate_text(x["vat_e4"]) or "not known"
        percent = figures.plain(Decimal(x["vat_e4"]).scaleb(-4)) if x["vat_e4"] >= 0 else ""
        kind = "credit notes" if x["kind"] == "credit_note" else "invoices"
        month = f"{x['month'] // 100}-{x['month'] % 100:02}"
        shown = (figures.money(x[n], r.currency) for n in names)
        rows.append((month, rate, kind, str(x["documents"]), *shown))
        amounts = (figures.amount(x[n], r.currency) for n in names)
        data.append((month, percent, kind, x["documents"], r.currency, *amounts))
    heads = ("Month", "Rate", "Documents", "Number", "Net", "VAT", "Gross")
    columns = ("month", "rate_percent", "documents", "number", "currency", "net", "vat", "gross")
    return Table("vat", "VAT by month (all chargers)", heads, rows, columns, data)


def _terminals(r: Report) -> Table:
    rows, data = [], []
    names = ("terminal_minor", "ledger_minor", "books_minor")
    for x in r.terminals:
        at = figures.moment(x["at"], r.zone)
        verdict = "agree" if x["agree"] else "DIFFER"
        currency = x["currency"] or r.currency
        sums = (figures.money(x[n], currency) for n in names)
        rows.append((at, x["charger"], str(x["count"]), *sums, verdict))
        amounts = (figures.amount(x[n], currency) for n in names)
        when = datetime.datetime.fromtimestamp(x["at"] // 1000, r.zone).isoformat()
        data.append((when, x["charger"], x["count"], currency, *amounts, verdict.lower()))
    heads = ("End of day", "Charger", "Payments", "Terminal", "Charger's ledger", "Books here",
             "Verdict")  # fmt: skip
    columns = ("end_of_day", "charger", "payments", "currency", "terminal", "ledger", "books",
               "verdict")  # fmt: skip
    return Table("terminals", "Terminal reconciliation", heads, rows, columns, data)


def _steps(r: Report) -> tuple[list[str], list[Row]]:
    if r.days.count <= 92:
        return [_day(row["key"])[5:] for row in r.by_day], r.by_day
    months: dict[int, Row] = {}
    for row in r.by_day:
        month = months.setdefault(row["key"] // 100, {"key": row["key"] // 100})
        for name in ("gross_minor", "energy_wh", "sessions"):
            month[name] = month.get(name, 0) + row[name]
    return [f"{key // 100}-{key % 100:02}" for key in months], list(months.values())


def _week(title: str, word: str, times: list[list[int]], r: Report) -> Drawing:
    chargers = max(r.chargers, 1)
    shares: Sequence[Sequence[float]] = [
        [share(ms, possible * chargers) for ms, possible in zip(row, day, strict=True)]
        for row, day in zip(times, r.possible, strict=True)
    ]
    texts = [[f"{one:.1%} {word}" for one in row] for row in shares]
    return drawing.week(title, shares, texts)


def _of(rows: list[Row]) -> str:
    return f" (first {_TOP} of {len(rows)})" if len(rows) > _TOP else ""


def _day(number: int) -> str:
    return datetime.date(number // 10_000, number // 100 % 100, number % 100).isoformat()

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
from hostsim.backoffice.reports.query import Report, Row

_TOP = 15
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Table:
    """`rows` are text, first column left, others right; `name` is the CSV file's."""

    name: str
    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]


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
        _week(r),
        drawing.bars(
            f"Revenue by charger{_of(r.by_charger)}",
            [str(row["key"]) for row in by_charger],
            [row["gross_minor"] for row in by_charger],
            [figures.money(row["gross_minor"], r.currency) for row in by_charger],
        ),
        drawing.bars(
            "Occupied by charger, share of the time",
            [str(row["key"]) for row in by_charger],
            [row["occupied_ms"] for row in by_charger],
            [f"{row['occupied_ms'] / (r.days.count * 24 * _HOUR_MS):.1%}" for row in by_charger],
            mark=3,
        ),
        drawing.bars(
            "Revenue by tariff",
            [str(row["key"]) for row in by_tariff],
            [row["gross_minor"] for row in by_tariff],
            [figures.money(row["gross_minor"], r.currency) for row in by_tariff],
        ),
    ]


def tables(r: Report) -> list[Table]:
    """All figures, for readers and for CSV."""
    heads = ("Sessions", "Energy", "Net", "VAT", "Gross", "Per kWh", "Idle fees", "Refunded",
             "Declined")  # fmt: skip
    found = [
        Table("days", "By day", ("Day", *heads),
              [_figures(_day(x["key"]), x, r) for x in r.by_day]),
        Table("chargers", "By charger", ("Charger", *heads),
              [_figures(x["key"], x, r) for x in r.by_charger]),
        Table("tariffs", "By tariff", ("Tariff", *heads),
              [_figures(x["key"], x, r) for x in r.by_tariff]),
        _vat(r),
        _terminals(r),
    ]  # fmt: skip
    for name, title, rows in (
        ("declined", "Cards declined, by reason", r.declined),
        ("refunds", "Refunds, by reason", r.refunded),
        ("stopped", "What ended sessions", r.stopped),
        ("disputes", "Disputes, by what became of them", r.disputes),
    ):
        money = [figures.money(x["amount_minor"], r.currency) for x in rows]
        found.append(
            Table(
                name,
                title,
                ("Reason", "Count", "Amount"),
                [
                    (str(x["reason"]).replace("_", " "), str(x["count"]), amount)
                    for x, amount in zip(rows, money, strict=True)
                ],
            )
        )
    return found


def per_kwh(row: Row, currency: str) -> str:
    """Average gross price, four decimals; "" without energy."""
    if not row["energy_wh"]:
        return "-"
    price = figures.amount(row["gross_minor"], currency) * 1000 / Decimal(row["energy_wh"])
    return f"{price:.4f} {figures.symbol(currency)}"


def _figures(key: str, x: Row, r: Report) -> tuple[str, ...]:
    return (
        key, f"{x['sessions']:,}", figures.kwh(x["energy_wh"]),
        *(figures.money(x[n], r.currency) for n in ("net_minor", "vat_minor", "gross_minor")),
        per_kwh(x, r.currency), figures.money(x["idle_minor"], r.currency),
        figures.money(x["refunded_minor"], r.currency), str(x["declined"]),
    )  # fmt: skip


def _vat(r: Report) -> Table:
    rows = []
    for x in r.vat:
        rate = (
            "not known"
            if x["vat_e4"] < 0
            else f"{figures.plain(Decimal(x['vat_e4']).scaleb(-4))} %"
        )
        amounts = (
            figures.money(x[n], r.currency) for n in ("net_minor", "tax_minor", "gross_minor")
        )
        kind = "credit notes" if x["kind"] == "credit_note" else "invoices"
        month = f"{x['month'] // 100}-{x['month'] % 100:02}"
        rows.append((month, rate, kind, str(x["documents"]), *amounts))
    heads = ("Month", "Rate", "Documents", "Number", "Net", "VAT", "Gross")
    return Table("vat", "VAT by month (all chargers)", heads, rows)


def _terminals(r: Report) -> Table:
    rows = []
    for x in r.terminals:
        at = figures.moment(x["at"])
        sums = (
            figures.money(x[n], r.currency)
            for n in ("terminal_minor", "ledger_minor", "books_minor")
        )
        rows.append(
            (at, x["charger"], str(x["count"]), *sums, "agree" if x["agree"] else "DIFFER")
        )
    heads = (
        "End of day",
        "Charger",
        "Payments",
        "Terminal",
        "Charger's ledger",
        "Books here",
        "Verdict",
    )
    return Table("terminals", "Terminal reconciliation", heads, rows)


def _steps(r: Report) -> tuple[list[str], list[Row]]:
    if r.days.count <= 92:
        return [_day(row["key"])[5:] for row in r.by_day], r.by_day
    months: dict[int, Row] = {}
    for row in r.by_day:
        month = months.setdefault(row["key"] // 100, {"key": row["key"] // 100})
        for name in ("gross_minor", "energy_wh", "sessions"):
            month[name] = month.get(name, 0) + row[name]
    return [f"{key // 100}-{key % 100:02}" for key in months], list(months.values())


def _week(r: Report) -> Drawing:
    whole = [max(count, 1) * max(r.chargers, 1) * _HOUR_MS for count in r.weekdays]
    shares: Sequence[Sequence[float]] = [
        [occupied / whole[day] for occupied in row] for day, row in enumerate(r.weekday_hours)
    ]
    texts = [[f"{share:.1%} occupied" for share in row] for row in shares]
    return drawing.week("Occupied by weekday and hour", shares, texts)


def _of(rows: list[Row]) -> str:
    return f" (first {_TOP} of {len(rows)})" if len(rows) > _TOP else ""


def _day(number: int) -> str:
    return datetime.date(number // 10_000, number // 100 % 100, number % 100).isoformat()

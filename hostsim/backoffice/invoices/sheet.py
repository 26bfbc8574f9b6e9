"""A document as its reader sees it: titles, rows and figures as text in one language. HTML and
PDF show the same sheet.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hostsim.backoffice import figures
from hostsim.backoffice.invoices import texts
from hostsim.backoffice.invoices.document import BACK, NO_TAX

Row = tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """`facts` and `payment`: label, value. `lines`: what, quantity, price, VAT, amount. `vat`:
    rate, net, tax, gross. `heads`: the columns of both tables."""

    language: str
    title: str
    number: str
    supplier: str
    address: tuple[str, ...]
    supplier_facts: tuple[Row, ...]
    facts: tuple[Row, ...]
    line_heads: Row
    lines: tuple[Row, ...]
    total: Row
    vat_heads: Row
    vat: tuple[Row, ...]
    payment: tuple[Row, ...]
    paid: str


def sheet(document: dict[str, Any], language: str) -> Sheet:
    """The sheet of a parsed document."""

    def say(key: str) -> str:
        return texts.word(key, language)

    def money(minor: int) -> str:
        return texts.money(minor, document["currency"], language)

    back = document["kind"] in BACK
    supplier = document["supplier"]
    taxed = document["kind"] not in NO_TAX  # the monthly invoice shows the VAT, once
    on_account = not taxed or document.get("method") in ("rfid", "account")  # of before statements
    return Sheet(
        language=language,
        title=say(
            ("credit_note" if back else "invoice") + ("_on_account" if on_account else "")
        ),
        number=document["number"],
        supplier=supplier["name"],
        address=tuple(part.strip() for part in supplier["address"].split("/") if part.strip()),
        supplier_facts=_named(
            language,
            ("vat_id", supplier["vat_id"] if taxed else ""),
            ("helpline", supplier["helpline"]),
        ),
        facts=_facts(document, language),
        line_heads=tuple(
            say(key) if taxed or key != "vat" else ""
            for key in ("what", "quantity", "price", "vat", "amount")
        ),
        lines=tuple(
            _line(line, document["currency"], language, taxed) for line in _lines(document)
        ),
        total=(
            say(("total_back" if back else "total") + ("" if taxed else "_on_account")),
            money(document["total_minor"]),
        ),
        vat_heads=tuple(map(say, ("rate", "net", "tax", "gross"))),
        vat=tuple(
            (_rate(vat_e4, language), money(net), money(tax), money(gross))
            for vat_e4, net, tax, gross in (document["vat"] if taxed else ())
        ),
        payment=_payment(document, language),
        paid=say("paid_by" if "method" in document else "paid"),
    )


def _named(language: str, *rows: tuple[str, str]) -> tuple[Row, ...]:
    return tuple((texts.word(key, language), value) for key, value in rows if value)


def _facts(d: dict[str, Any], language: str) -> tuple[Row, ...]:
    def at(epoch_ms: int) -> str:
        return texts.moment(epoch_ms, d["zone"], language)

    connector = texts.word("connector", language)
    rows = [("number", d["number"]), ("date", at(d["issued_at"]))]
    if d["kind"] in BACK:
        original = "original_on_account" if d["kind"] in NO_TAX else "original"
        rows += [
            (original, d["original"]),
            ("reason", texts.coded("reason", d["reason"], language)),
            ("way", texts.coded("way", d["way"], language)),
        ]
    rows += [
        ("receipt", f"{d['charger']}-{d['receipt_no']}"),
        ("charger", f"{d['charger']}, {connector} {d['connector']}"),
        ("start", at(d["start_at"])),
        ("end", at(d["end_at"])),
        ("duration", figures.duration(d["elapsed_ms"])),
        ("meter", d["meter_serial"]),
        ("register_start", texts.kwh(d["start_wh"], language)),
        ("register_end", texts.kwh(d["end_wh"], language)),
        ("energy", texts.kwh(d["billed_wh"], language)),
    ]
    return _named(language, *rows)


def _payment(d: dict[str, Any], language: str) -> tuple[Row, ...]:
    def say(key: str) -> str:
        return texts.word(key, language)

    terminal = f"{d['terminal_id']}, {say('terminal_receipt')} {d['receipt']}"
    return _named(
        language,
        ("card", f"{d['card']} {d['pan']}".strip()),
        ("paid_by", say("paid_" + d["method"]) if "method" in d else ""),
        ("auth_code", d["auth_code"]),
        ("terminal", f"{terminal}, {say('trace')} {d['trace']}" if d["receipt"] else ""),
    )


def _lines(d: dict[str, Any]) -> list[list[int]]:
    numbers = d["lines"]
    return [numbers[at : at + 5] for at in range(0, len(numbers) - 4, 5)]


def _line(line: list[int], currency: str, language: str, taxed: bool) -> Row:
    number, quantity, price_e4, vat_e4, gross = line
    kind = figures.KINDS[number] if 0 <= number < len(figures.KINDS) else f"kind {number}"
    return (
        texts.word(kind, language),
        _quantity(kind, quantity, language),
        _price(kind, price_e4, currency, language),
        _rate(vat_e4, language) if taxed else "",
        texts.money(gross, currency, language),
    )


def _quantity(kind: str, quantity: int, language: str) -> str:
    if kind == "ENERGY":
        energy = Decimal(quantity).scaleb(-6).quantize(Decimal("1e-3"))
        return f"{texts.decimal(energy, language)} kWh"
    if kind.endswith("TIME"):
        return figures.duration(quantity)
    return "1" if kind.endswith("FLAT") else ""


def _price(kind: str, price_e4: int, currency: str, language: str) -> str:
    if kind in ("CAP", "MAX_PRICE", "MIN_PRICE", "WAIVED") or price_e4 < 0:
        return ""
    least = figures.exponent(currency)
    unit = "/kWh" if kind == "ENERGY" else "/h" if kind.endswith("TIME") else ""
    if unit == "/h" and price_e4 % 60 == 0:  # as the driver was shown it
        price_e4, unit = price_e4 // 60, "/min"
    price = Decimal(figures.plain(Decimal(price_e4).scaleb(-4), least))
    return f"{texts.decimal(price, language)} {figures.symbol(currency)}{unit}"


def _rate(vat_e4: int, language: str) -> str:
    if vat_e4 < 0:
        return ""
    return f"{texts.decimal(Decimal(figures.plain(Decimal(vat_e4).scaleb(-4))), language)} %"

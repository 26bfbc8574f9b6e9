"""A monthly invoice as its reader sees it, on the page and as PDF: the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hostsim.backoffice import figures
from hostsim.backoffice.invoices import pdf, texts

if TYPE_CHECKING:
    from fpdf import FPDF

_WIDTHS = (30, 38, 46, 20, 18, 22)
WORDS = {
    "bill": ("Monthly invoice", "Monatsrechnung", "Facture mensuelle"),
    "credit": ("Monthly credit note", "Monatsgutschrift", "Avoir mensuel"),
    "for": ("Customer", "Kunde", "Client"),
    "account": ("Account", "Konto", "Compte"),
    "month": ("Month", "Monat", "Mois"),
    "due": ("To be paid by", "Zahlbar bis", "À payer avant le"),
    "state_open": ("open", "offen", "à payer"),
    "state_paid": ("paid", "bezahlt", "payée"),
    "state_credit": ("being paid out", "wird ausgezahlt", "remboursement en cours"),
    "session": ("Session", "Ladevorgang", "Recharge"),
    "pay": ("Pay now", "Jetzt bezahlen", "Payer maintenant"),
    "sum": ("Total, VAT included", "Gesamt inkl. USt", "Total TTC"),
}
_ORDER = ("en", "de", "fr")


def word(key: str, language: str) -> str:
    """The word; an invoice's where there is none here."""
    found = WORDS.get(key)
    return found[_ORDER.index(language)] if found else texts.word(key, language)


@dataclass(frozen=True)
class BillSheet:
    """`facts`: label, value. `lines`: when, charger, document, energy, VAT, amount."""

    title: str
    number: str
    supplier: str
    address: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    total: tuple[str, str]
    vat_heads: tuple[str, ...]
    vat: tuple[tuple[str, ...], ...]


def sheet(document: dict[str, Any], language: str) -> BillSheet:
    """The sheet of a parsed bill."""

    def money(minor: int) -> str:
        return texts.money(minor, document["currency"], language)

    def say(key: str) -> str:
        return word(key, language)

    supplier, customer = document["supplier"], document["customer"]
    month, credit = document["month"], document["total_minor"] < 0
    facts = [
        (say("number"), document["number"]),
        (say("date"), texts.moment(document["issued_at"], document["zone"], language)),
        (say("vat_id"), supplier["vat_id"]),
        (say("for"), ", ".join(filter(None, (customer["name"], customer["address"])))),
        (say("account"), document["account"]),
        (say("vat_id"), customer["vat_id"]),
        (say("month"), f"{month % 100:02}/{month // 100}"),
    ]
    if not credit:
        facts.append((say("due"), texts.day(document["due_at"], document["zone"], language)))
    return BillSheet(
        title=say("credit" if credit else "bill"),
        number=document["number"],
        supplier=supplier["name"],
        address=tuple(part.strip() for part in supplier["address"].split("/") if part.strip()),
        facts=tuple(row for row in facts if row[1]),
        heads=tuple(map(say, ("start", "charger", "receipt", "energy", "vat", "amount"))),
        lines=tuple(
            (
                texts.minute(item["start_at"], document["zone"], language),
                item["charger"], item["number"],
                texts.kwh(item["wh"], language) if item["wh"] else "",
                money(item["tax"]), money(item["gross"]),
            )
            for item in document["items"]
        ),
        total=(say("sum"), money(document["total_minor"])),
        vat_heads=tuple(map(say, ("rate", "net", "tax", "gross"))),
        vat=tuple(
            (_rate(rate, language), money(net), money(tax), money(gross))
            for rate, net, tax, gross in document["vat"]
        ),
    )  # fmt: skip


def render(found: BillSheet, issued_at: int) -> bytes:
    """The PDF's bytes; the same document gives the same ones."""
    page = pdf.new_page(f"{found.title} {found.number}", issued_at)
    page.set_font("helvetica", "B", 20)
    page.cell(0, 10, pdf.fit(found.title), new_x="LMARGIN", new_y="NEXT")
    page.set_font("helvetica", "B", 11)
    page.cell(0, 6, pdf.fit(found.supplier), new_x="LMARGIN", new_y="NEXT")
    page.set_font("helvetica", size=10)
    for text in found.address:
        page.cell(0, 5, pdf.fit(text), new_x="LMARGIN", new_y="NEXT")
    page.ln(4)
    for label, value in found.facts:
        page.cell(52, 5.4, pdf.fit(label))
        page.multi_cell(0, 5.4, pdf.fit(value), new_x="LMARGIN", new_y="NEXT")
    page.ln(3)
    _table(page, (found.heads, *found.lines), _WIDTHS)
    page.set_font("helvetica", "B", 13)
    page.cell(124, 10, pdf.fit(found.total[0]))
    page.cell(50, 10, pdf.fit(found.total[1]), align="R", new_x="LMARGIN", new_y="NEXT")
    page.ln(2)
    _table(page, (found.vat_heads, *found.vat), (90, 28, 28, 28))
    return bytes(page.output())


def _table(page: FPDF, rows: tuple[tuple[str, ...], ...], widths: tuple[int, ...]) -> None:
    for number, row in enumerate(rows):
        page.set_font("helvetica", "" if number else "B", 9 if number else 8)
        for column, (text, width) in enumerate(zip(row, widths, strict=True)):
            align = "R" if column >= len(widths) - 3 else "L"
            page.cell(width, 6, pdf.fit(text), border="B", align=align)
        page.ln(6)


def _rate(vat_e4: int, language: str) -> str:
    if vat_e4 < 0:
        return ""
    return f"{texts.decimal(Decimal(figures.plain(Decimal(vat_e4).scaleb(-4))), language)} %"

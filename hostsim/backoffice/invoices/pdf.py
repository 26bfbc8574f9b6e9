"""A document's sheet as PDF: A4, the standard fonts, text
that can be searched and copied. The same document gives the same bytes.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import segno

from hostsim.backoffice.invoices import texts
from hostsim.backoffice.invoices.sheet import Row, Sheet

if TYPE_CHECKING:
    from fpdf import FPDF

_INK = (23, 33, 43)
_SOFT = (91, 107, 122)
_LINE = (217, 224, 230)
_ACCENT = (11, 110, 79)
_WIDTHS = (58, 32, 38, 20, 26)
_VAT_WIDTHS = (90, 28, 28, 28)
_MARGIN = 18
_QR_MM = 30


def render(sheet: Sheet, link: str, issued_at: int) -> bytes:
    """The PDF's bytes; `link` (may be "") is what its QR code leads to."""
    page = new_page(f"{sheet.title} {sheet.number}", issued_at)
    _head(page, sheet, link)
    _pairs(page, sheet.facts)
    page.ln(3)
    _table(page, sheet.line_heads, sheet.lines, _WIDTHS)
    page.set_font("helvetica", "B", 13)
    page.cell(sum(_WIDTHS) - 50, 10, fit(sheet.total[0]))
    page.cell(50, 10, fit(sheet.total[1]), align="R", new_x="LMARGIN", new_y="NEXT")
    page.ln(2)
    _table(page, sheet.vat_heads, sheet.vat, _VAT_WIDTHS)
    page.ln(3)
    _pairs(page, sheet.payment)
    if link:
        page.ln(4)
        page.set_font("helvetica", size=8)
        page.set_text_color(*_SOFT)
        page.multi_cell(0, 4, fit(f"{texts.word('online', sheet.language)}: {link}"))
    return bytes(page.output())


def new_page(title: str, at_ms: int) -> FPDF:
    """An A4 document with its first page, ready to be written on."""
    from fpdf import FPDF  # a quarter of all the time that imports take; few print

    page = FPDF(format="A4", unit="mm")
    page.core_fonts_encoding = "cp1252"  # what /WinAnsiEncoding of the standard fonts is
    page.set_margins(_MARGIN, _MARGIN)
    page.set_auto_page_break(True, _MARGIN)
    page.set_title(title)
    page.set_creator("Forecourt")
    page.set_creation_date(datetime.datetime.fromtimestamp(at_ms // 1000, datetime.UTC))
    page.add_page()
    page.set_draw_color(*_LINE)
    page.set_text_color(*_INK)
    return page


def fit(text: str) -> str:
    """What the standard fonts can write; other letters become question marks."""
    return text.encode("cp1252", "replace").decode("cp1252")


def _head(page: FPDF, sheet: Sheet, link: str) -> None:
    top = page.get_y()
    page.set_font("helvetica", "B", 20)
    page.set_text_color(*_ACCENT)
    page.cell(0, 10, fit(sheet.title), new_x="LMARGIN", new_y="NEXT")
    page.set_text_color(*_INK)
    page.set_font("helvetica", "B", 11)
    page.cell(0, 6, fit(sheet.supplier), new_x="LMARGIN", new_y="NEXT")
    page.set_font("helvetica", size=10)
    page.set_text_color(*_SOFT)
    for text in (*sheet.address, *(": ".join(row) for row in sheet.supplier_facts)):
        page.cell(0, 5, fit(text), new_x="LMARGIN", new_y="NEXT")
    page.set_text_color(*_INK)
    if link:
        _qr(page, link, page.w - _MARGIN - _QR_MM, top)
    page.set_y(max(page.get_y() + 5, top + _QR_MM + 4))


def _qr(page: FPDF, link: str, x: float, y: float) -> None:
    matrix = segno.make(link, error="m", micro=False).matrix
    size = _QR_MM / len(matrix)
    page.set_fill_color(*_INK)
    for row, cells in enumerate(matrix):
        for column, dark in enumerate(cells):
            if dark:
                page.rect(x + column * size, y + row * size, size, size, style="F")


def _pairs(page: FPDF, rows: tuple[Row, ...]) -> None:
    for label, value in rows:
        page.set_font("helvetica", size=10)
        page.set_text_color(*_SOFT)
        page.cell(52, 5.4, fit(label))
        page.set_text_color(*_INK)
        page.multi_cell(0, 5.4, fit(value), new_x="LMARGIN", new_y="NEXT")


def _table(page: FPDF, heads: Row, rows: tuple[Row, ...], widths: tuple[int, ...]) -> None:
    if not rows:
        return
    page.set_font("helvetica", "B", 8)
    page.set_text_color(*_SOFT)
    _cells(page, heads, widths, 6)
    page.set_text_color(*_INK)
    page.set_font("helvetica", size=10)
    for row in rows:
        _cells(page, row, widths, 7)


def _cells(page: FPDF, row: Row, widths: tuple[int, ...], height: float) -> None:
    for number, (text, width) in enumerate(zip(row, widths, strict=True)):
        page.cell(width, height, fit(text), border="B", align="R" if number else "L")
    page.ln(height)

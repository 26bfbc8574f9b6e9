"""A report as PDF and its tables as CSV."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import TYPE_CHECKING

from hostsim.backoffice.invoices.pdf import fit, new_page
from hostsim.backoffice.reports import charts
from hostsim.backoffice.reports.charts import Cell, Table
from hostsim.backoffice.reports.drawing import Drawing, Line, Rect
from hostsim.backoffice.reports.query import Report

if TYPE_CHECKING:
    from fpdf import FPDF

_MARKS = ((11, 110, 79), (91, 141, 239), (217, 131, 36), (154, 107, 208))
_SOFT = (91, 107, 122)
_INK = (23, 33, 43)
_MOST_ROWS = 400
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(table: Table) -> str:
    """Comma-separated, for programs: names of columns, whole numbers and decimals with a point;
    text that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(table.columns)
    for row in table.data:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def pdf_of(report: Report, operator: str, made_at_ms: int) -> bytes:
    """Figures, charts and tables."""
    page = new_page(f"Report {report.days}", made_at_ms)
    page.set_font("helvetica", "B", 18)
    page.cell(0, 9, fit(f"{operator}: {report.days}"), new_x="LMARGIN", new_y="NEXT")
    page.set_font("helvetica", size=10)
    page.set_text_color(*_SOFT)
    what = ", ".join(text for text in (report.charger, report.tariff, report.currency) if text)
    page.cell(0, 6, fit(what), new_x="LMARGIN", new_y="NEXT")
    page.ln(2)
    _tiles(page, report)
    for drawing in charts.charts(report):
        _draw(page, drawing)
    for table in charts.tables(report):
        if table.rows:
            _table(page, table)
    return bytes(page.output())


def _tiles(page: FPDF, report: Report) -> None:
    for n, (figure, what) in enumerate(charts.tiles(report)):
        if n % 2 == 0:
            y = page.get_y()
        x = page.l_margin + (n % 2) * page.epw / 2
        page.set_xy(x, y)
        page.set_font("helvetica", "B", 11)
        page.set_text_color(*_INK)
        page.cell(page.epw / 4, 6, fit(figure))
        page.set_font("helvetica", size=9)
        page.set_text_color(*_SOFT)
        page.cell(page.epw / 4, 6, fit(what))
        if n % 2:
            page.ln(6)
    page.ln(8)


def _draw(page: FPDF, drawing: Drawing) -> None:
    scale = page.epw / drawing.width
    if page.get_y() + drawing.height * scale + 12 > page.h - page.b_margin:
        page.add_page()
    page.set_font("helvetica", "B", 11)
    page.set_text_color(*_INK)
    page.cell(0, 7, fit(drawing.title), new_x="LMARGIN", new_y="NEXT")
    left, top = page.l_margin, page.get_y()
    page.set_font("helvetica", size=7)
    page.set_text_color(*_SOFT)
    for shape in drawing.shapes:
        if isinstance(shape, Rect):
            page.set_fill_color(*_faded(_MARKS[shape.mark], shape.strength))
            if shape.h > 0:
                page.rect(
                    left + shape.x * scale, top + shape.y * scale, shape.w * scale,
                    shape.h * scale, style="F",
                )  # fmt: skip
        elif isinstance(shape, Line):
            page.line(
                left + shape.x1 * scale, top + shape.y1 * scale, left + shape.x2 * scale,
                top + shape.y2 * scale,
            )  # fmt: skip
        else:
            text = fit(shape.text)
            shift = {"middle": 0.5, "end": 1.0}.get(shape.anchor, 0) * page.get_string_width(text)
            page.text(left + shape.x * scale - shift, top + shape.y * scale, text)
    page.set_y(top + drawing.height * scale + 4)


def _faded(colour: tuple[int, int, int], strength: float) -> tuple[int, ...]:
    return tuple(round(242 + (part - 242) * strength) for part in colour)


def _table(page: FPDF, table: Table) -> None:
    page.ln(2)
    page.set_font("helvetica", "B", 11)
    page.set_text_color(*_INK)
    page.cell(0, 7, fit(table.title), new_x="LMARGIN", new_y="NEXT")
    first = 0.28 if len(table.heads) < 6 else 0.16
    rest = (1 - first) / (len(table.heads) - 1)
    widths = [page.epw * (rest if n else first) for n in range(len(table.heads))]
    page.set_font("helvetica", "B", 6.5)
    _row(page, table.heads, widths)
    page.set_font("helvetica", size=6.5)
    for row in table.rows[:_MOST_ROWS]:
        _row(page, row, widths)
    if len(table.rows) > _MOST_ROWS:
        page.cell(0, 5, f"and {len(table.rows) - _MOST_ROWS} more in the CSV")
        page.ln(5)


def _row(page: FPDF, row: tuple[str, ...], widths: list[float]) -> None:
    for n, (text, width) in enumerate(zip(row, widths, strict=True)):
        page.cell(width, 4.6, fit(text), border="B", align="R" if n else "L")
    page.ln(4.6)


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return f"{value:f}" if isinstance(value, Decimal) else str(value)

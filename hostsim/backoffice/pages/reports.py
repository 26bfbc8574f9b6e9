"""Reports: choose days, charger and tariff; see charts; take CSV, PDF or CDRs along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from hostsim.backoffice import cdr, cdrs, views
from hostsim.backoffice.pages.shell import HEADERS, Desk, Shell, Viewer
from hostsim.backoffice.reports import charts, paper, query, roll
from hostsim.backoffice.reports.period import PRESETS, Days, PeriodError, chosen
from hostsim.backoffice.reports.query import Report
from hostsim.backoffice.reports.svg import svg

routes = APIRouter()
_CHUNK = 200


class Wish:
    """What a reader asked for, from the address."""

    def __init__(
        self,
        first: str = Query("", max_length=10),
        last: str = Query("", max_length=10),
        preset: str = Query("month", max_length=12),
        charger: str = Query("", max_length=32),
        tariff: str = Query("", max_length=36),
        currency: str = Query("", max_length=3),
    ) -> None:
        """As FastAPI reads it."""
        self.first, self.last, self.preset = first, last, preset
        self.charger, self.tariff, self.currency = charger, tariff, currency

    def days(self, shell: Shell) -> Days:
        """Raises PeriodError."""
        return chosen(self.first, self.last, self.preset, shell.now().date())

    def report(self, shell: Shell) -> Report:
        """The report, with everything that is in the books by now. Raises HTTPException."""
        engine, zone = shell.office.engine, shell.operator.zone
        try:
            days = self.days(shell)
        except PeriodError as exc:
            raise HTTPException(422, str(exc)) from exc
        roll.catch_up(engine, zone, 5)
        now_ms = shell.office.now_ms()
        return query.read(engine, zone, days, now_ms, self.currency, self.charger, self.tariff)

    def values(self) -> dict[str, Any]:
        """For the form."""
        return dict(vars(self))


Asked = Annotated[Wish, Depends()]


@routes.get("/reports")
def report(request: Request, shell: Desk, caller: Viewer, wish: Asked) -> Response:
    engine = shell.office.engine
    context: dict[str, Any] = {
        "here": "reports",
        "presets": PRESETS,
        "values": wish.values(),
        "chargers": views.charger_names(engine),
        "tariffs": query.tariffs(engine),
        "currencies": query.currencies(engine),
    }
    try:
        wish.days(shell)
    except PeriodError as exc:
        context["errors"] = {exc.field: exc.why}
        return shell.page(request, "reports.html", caller, context, 422)
    found = wish.report(shell)
    context |= {
        "report": found,
        "tiles": charts.tiles(found),
        "charts": [(one.title, svg(one)) for one in charts.charts(found) if one.shapes],
        "tables": [one for one in charts.tables(found) if one.rows],
        "query": str(request.url.query),
    }
    return shell.page(request, "reports.html", caller, context)


@routes.get("/reports/report.pdf")
def as_pdf(shell: Desk, caller: Viewer, wish: Asked) -> Response:
    found = wish.report(shell)
    data = paper.pdf_of(found, shell.operator.name, shell.office.now_ms())
    return _file(data, "application/pdf", f"report {found.days}.pdf")


@routes.get("/reports/{name}.csv")
def as_csv(shell: Desk, caller: Viewer, wish: Asked, name: str) -> Response:
    found = wish.report(shell)
    for table in charts.tables(found):
        if table.name == name:
            text = paper.csv_of(table).encode("utf-8-sig")  # spreadsheets ask for the mark
            return _file(text, "text/csv", f"{name} {found.days}.csv")
    raise HTTPException(404, "There is no such table.")


@routes.get("/reports/cdrs.json")
def as_cdrs(shell: Desk, caller: Viewer, wish: Asked) -> Response:
    """All CDRs of the period, a JSON array, written as it is read."""
    try:
        days = wish.days(shell)
    except PeriodError as exc:
        raise HTTPException(422, str(exc)) from exc
    start, end = days.bounds_ms(shell.operator.zone)
    disposition = f'attachment; filename="cdrs {days}.json"'
    return StreamingResponse(
        _all_cdrs(shell, start, end),
        media_type="application/json",
        headers=HEADERS | {"Content-Disposition": disposition},
    )


def _all_cdrs(shell: Shell, start: int, end: int) -> Iterator[str]:
    yield "["
    offset = 0
    while page := cdrs.page(shell.office.engine, shell.operator, start, end, offset, _CHUNK):
        yield ("," if offset else "") + ",\n".join(cdr.to_json(one) for one in page)
        offset += len(page)
    yield "]\n"


def _file(data: bytes, kind: str, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(data, media_type=kind, headers=HEADERS | {"Content-Disposition": disposition})

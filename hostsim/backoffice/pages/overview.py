"""The first page: what needs a look, today's figures, the newest sessions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from hostsim.backoffice import views
from hostsim.backoffice.pages.shell import Desk, Id, SupportForm, Viewer, back
from hostsim.backoffice.reports import query, roll

_NEWEST = 12
_SHOWN = 20
_PAGE = 50


routes = APIRouter()


@routes.get("/")
def overview(request: Request, shell: Desk, caller: Viewer) -> Response:
    chargers = shell.office.chargers()
    roll.catch_up(shell.office.engine, shell.operator.zone, 1)
    engine = shell.office.engine
    count = views.open_problems(engine)
    phone = shell.office.phone
    context: dict[str, Any] = {
        "here": "overview",
        "faults": shell.office.faults,
        "troubles": shell.office.troubles(),
        "cashier": phone.cashier.keeper if phone is not None else None,
        "chargers": chargers,
        "today": query.today(shell.office.engine, shell.now().date()),
        "online": sum(1 for charger in chargers if charger["online"]),
        "charging": sum(1 for charger in chargers if charger["figures"].get("session")),
        "problems": views.problems(engine, limit=_SHOWN) if count else [],
        "count": count,
        "sessions": views.sessions(engine, None, _NEWEST),
    }
    return shell.page(request, "overview.html", caller, context)


@routes.get("/problems")
def problems(
    request: Request, shell: Desk, caller: Viewer, skip: int = Query(0, ge=0, le=10**9)
) -> Response:
    """All that nobody has closed, page by page."""
    rows = views.problems(shell.office.engine, limit=_PAGE + 1, skip=skip)
    context = {
        "here": "overview",
        "problems": rows[:_PAGE],
        "older": skip + _PAGE if len(rows) > _PAGE else 0,
        "newer": max(skip - _PAGE, 0) if skip else None,
    }
    return shell.page(request, "problems.html", caller, context)


@routes.post("/problems/{identity}/close")
def close(request: Request, shell: Desk, form: SupportForm, identity: Id) -> Response:
    lasts = shell.office.close_problem(identity, form.caller.name)
    to = form.text("to", most=8)
    said = "Closed, but it goes on: what comes next is shown again." if lasts else "Closed."
    return back(request, to if to == "problems" else "", said)

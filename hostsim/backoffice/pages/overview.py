"""The first page: what needs a look, today's figures, the newest sessions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from hostsim.backoffice import views
from hostsim.backoffice.pages.shell import Desk, Id, SupportForm, Viewer, back
from hostsim.backoffice.reports import query, roll

_NEWEST = 12
_SHOWN = 20


routes = APIRouter()


@routes.get("/")
def overview(request: Request, shell: Desk, caller: Viewer) -> Response:
    chargers = shell.office.chargers()
    roll.catch_up(shell.office.engine, shell.operator.zone, 1)
    problems = shell.office.problems()
    phone = shell.office.phone
    context: dict[str, Any] = {
        "here": "overview",
        "cashier": phone.cashier.keeper if phone is not None else None,
        "chargers": chargers,
        "today": query.today(shell.office.engine, shell.now().date()),
        "online": sum(1 for charger in chargers if charger["online"]),
        "charging": sum(1 for charger in chargers if charger["figures"].get("session")),
        "problems": problems[:_SHOWN],
        "more": len(problems) - _SHOWN,
        "sessions": views.sessions(shell.office.engine, None, _NEWEST),
    }
    return shell.page(request, "overview.html", caller, context)


@routes.post("/problems/{identity}/close")
def close(request: Request, shell: Desk, form: SupportForm, identity: Id) -> Response:
    shell.office.close_problem(identity, form.caller.name)
    return back(request, "", "Closed.")

"""All chargers, and one with its log and report."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from hostsim.backoffice import fleet_view, gaps, tariffs, views
from hostsim.backoffice.pages.shell import Desk, FinanceForm, SupportForm, Viewer, back
from hostsim.backoffice.reports import query, roll

routes = APIRouter()
_NEWEST = 15
_COMMANDS = {"report": "A report was asked for.", "doctor": "The doctor was asked for.",
             "stop": "Stop was sent.", "restart": "Restart was sent."}  # fmt: skip


@routes.get("/fleet")
def fleet(
    request: Request, shell: Desk, caller: Viewer, only: str = Query("", max_length=12)
) -> Response:
    engine = shell.office.engine
    everyone = fleet_view.everyone(engine)
    roll.catch_up(engine, shell.operator.zone, 1)
    chosen = {
        "offline": lambda c: not c["online"],
        "charging": lambda c: c["running"],
        "trouble": lambda c: c["faulty"] or c["problems"],
    }.get(only)
    context: dict[str, Any] = {
        "here": "fleet",
        "chargers": [c for c in everyone if chosen is None or chosen(c)],
        "count": len(everyone),
        "online": sum(1 for c in everyone if c["online"]),
        "charging": sum(1 for c in everyone if c["running"]),
        "trouble": sum(1 for c in everyone if c["faulty"] or c["problems"]),
        "power_w": sum(c["power_w"] for c in everyone),
        "money_today": query.money_by_charger(engine, shell.now().date()),
        "only": only,
        "refresh": 10,
    }
    return shell.page(request, "fleet.html", caller, context)


@routes.get("/fleet/{name}")
def charger(request: Request, shell: Desk, caller: Viewer, name: str) -> Response:
    engine = shell.office.engine
    found = fleet_view.one(engine, name)
    if found is None:
        raise HTTPException(404, "There is no such charger.")
    context = {
        "here": "fleet",
        "c": found,
        "today": query.today(engine, shell.now().date(), name),
        "tariff": tariffs.in_force(engine).get(name, {}),
        "sessions": views.sessions(engine, name, _NEWEST),
    }
    return shell.page(request, "charger.html", caller, context)


@routes.post("/fleet/{name}/give-up")
def give_up(request: Request, shell: Desk, form: FinanceForm, name: str) -> Response:
    """Records that neither the database nor the charger's flash has will not come."""
    through = form.text("through", 1, 18)
    number = int(through) if through.isascii() and through.isdecimal() else 0
    try:
        shell.office.give_up(name, number, form.caller.name, form.fields.get("note", ""))
    except gaps.NoCharger as exc:
        raise HTTPException(404, "There is no such charger.") from exc
    except gaps.GapError as exc:
        return back(request, f"fleet/{name}", f"Nothing was given up: {exc}.")
    return back(request, f"fleet/{name}", "Given up; the charger repeats what it has.")


@routes.post("/fleet/{name}/{command}")
def send(request: Request, shell: Desk, form: SupportForm, name: str, command: str) -> Response:
    if command not in _COMMANDS:
        raise HTTPException(404, "There is no such command.")
    if fleet_view.one(shell.office.engine, name) is None:
        raise HTTPException(404, "There is no such charger.")
    shell.office.send_command(name, command)
    shell.office.note(form.caller.name, f"command {command}", name)
    return back(request, f"fleet/{name}", _COMMANDS[command])

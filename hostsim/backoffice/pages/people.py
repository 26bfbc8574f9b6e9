"""People: who may what, new ones, changes, one's own password."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from hostsim.backoffice import audit
from hostsim.backoffice.accounts import people, tokens
from hostsim.backoffice.accounts.logins import Caller, now_ms
from hostsim.backoffice.pages.shell import Admin, AdminForm, Before, Desk, Finance, Id, Shell, back

_PAGE = 100


routes = APIRouter()


def _shown(
    request: Request, shell: Shell, caller: Caller, status: int = 200, **more: Any
) -> Response:
    context = {
        "here": "people",
        "people": people.everybody(shell.office.engine),
        "roles": people.ROLES,
        "tokens": tokens.everyone(shell.office.engine),
    }
    return shell.page(request, "people.html", caller, context | more, status)


@routes.get("/people")
def everybody(request: Request, shell: Desk, caller: Admin) -> Response:
    return _shown(request, shell, caller)


@routes.post("/people")
def add(request: Request, shell: Desk, form: AdminForm) -> Response:
    name, role = form.text("name").lower(), form.text("role")
    password = form.fields.get("password", "")
    try:
        people.add(shell.office.engine, form.caller.name, name, role, password, now_ms())
    except people.PersonError as exc:
        values = {"name": name, "role": role}
        return _shown(request, shell, form.caller, 422, errors={exc.field: exc.why}, values=values)
    return back(request, "people", f"{name} may log in now.")


@routes.post("/people/tokens")
def new_token(request: Request, shell: Desk, form: AdminForm) -> Response:
    name = form.text("name", 1, 40)
    if form.errors:
        return _shown(
            request,
            shell,
            form.caller,
            422,
            wrong={"name": "Partner", "why": form.errors["name"]},
        )
    token = tokens.add(shell.office.engine, form.caller.name, name, now_ms())
    said = f"The token of {name}, shown only now: {token}" if token else f"{name} has one already."
    return _shown(request, shell, form.caller, said=said)


@routes.post("/people/tokens/{identity}/end")
def end_token(request: Request, shell: Desk, form: AdminForm, identity: Id) -> Response:
    tokens.end(shell.office.engine, form.caller.name, identity, now_ms())
    return back(request, "people", "The token is of no use any more.")


@routes.post("/people/{name}")
def change(request: Request, shell: Desk, form: AdminForm, name: str) -> Response:
    role, active = form.text("role"), form.text("active") == "yes"
    password = form.fields.get("password", "")
    try:
        people.change(
            shell.office.engine, form.caller.name, name, now_ms(), role, active, password
        )
    except people.PersonError as exc:
        return _shown(request, shell, form.caller, 422, wrong={"name": name, "why": str(exc)})
    return back(request, "people", f"{name} is changed and has to log in anew.")


@routes.get("/audit")
def log(
    request: Request,
    shell: Desk,
    caller: Finance,
    before: Before = 0,
    subject: str = Query("", max_length=80),
) -> Response:
    rows = audit.entries(shell.office.engine, before, subject.strip(), _PAGE + 1)
    context = {
        "here": "audit",
        "entries": rows[:_PAGE],
        "older": rows[_PAGE - 1]["id"] if len(rows) > _PAGE else 0,
        "values": {"subject": subject},
    }
    return shell.page(request, "audit.html", caller, context)

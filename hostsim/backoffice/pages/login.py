"""Logging in and out; one's own password."""

from __future__ import annotations

import logging

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from hostsim.backoffice.accounts.people import PersonError
from hostsim.backoffice.pages.shell import COOKIE, Desk, Own, OwnForm, at_https, back, read_form

_log = logging.getLogger(__name__)


routes = APIRouter()


@routes.get("/login")
def ask(request: Request, shell: Desk, to: str = "") -> Response:
    if shell.find_caller(request):
        return back(request, _ours(to))
    return shell.page(request, "login.html", None, {"values": {"to": to}})


@routes.post("/login")
async def begin(request: Request, shell: Desk) -> Response:
    form = await read_form(request)
    name, password, to = (str(form.get(key, "")) for key in ("name", "password", "to"))
    name = name.strip().lower()
    keys = (f"name {name[:40]}", f"from {shell.address(request)}")
    context = {"values": {"name": name[:40], "to": to}}
    if not shell.login_tries.take(*keys):
        context["errors"] = {"name": "Too many tries. Please wait ten minutes."}
        return shell.page(request, "login.html", None, context, 429)
    with shell.hashing.entered() as entered:
        if not entered:
            context["errors"] = {"name": "Too many log-ins at once. Please try again."}
            return shell.page(request, "login.html", None, context, 503)
        token = await run_in_threadpool(shell.logins.begin, name, password)
    if token is None:
        _log.warning("a log-in failed from %s", shell.address(request))
        context["errors"] = {"name": "Name or password is wrong."}
        return shell.page(request, "login.html", None, context, 403)
    shell.login_tries.forgive(*keys)
    answer = back(request, _ours(to))
    answer.set_cookie(
        COOKIE,
        token,
        httponly=True,
        samesite="strict",
        secure=at_https(request),
        path=request.scope.get("root_path", "") or "/",
    )
    return answer


@routes.get("/password")
def ask_password(request: Request, shell: Desk, caller: Own) -> Response:
    return shell.page(request, "password.html", caller)


@routes.post("/password")
def change_password(request: Request, shell: Desk, form: OwnForm) -> Response:
    """One's own, by the old one; who guesses it is stopped as at a log-in."""
    old, new, again = (form.fields.get(key, "") for key in ("old", "new", "again"))
    caller, key = form.caller, f"name {form.caller.name}"
    errors = {} if new == again else {"again": "This is not the same."}
    if not errors and not shell.login_tries.take(key):
        errors = {"old": "Too many tries. Please wait ten minutes."}
    if not errors:
        token = request.cookies.get(COOKIE, "")
        try:
            if shell.logins.change_password(caller, token, old, new):
                shell.login_tries.forgive(key)
                return back(request, "", "Your password is changed; your other log-ins ended.")
            errors = {"old": "This is not your password."}
        except PersonError as exc:
            errors = {exc.field: exc.why}
    return shell.page(request, "password.html", caller, {"errors": errors}, 422)


@routes.post("/logout")
async def end(request: Request, shell: Desk) -> Response:
    caller = await run_in_threadpool(shell.find_caller, request)
    form = await read_form(request)
    if caller is not None:
        if form.get("csrf") != caller.csrf:
            raise HTTPException(403, "This form is not from your log-in. Please reload it.")
        await run_in_threadpool(shell.logins.end, request.cookies.get(COOKIE, ""))
    answer = back(request, "login")
    answer.delete_cookie(COOKIE, path=request.scope.get("root_path", "") or "/")
    return answer


def _ours(to: str) -> str:
    """A path of these pages, whatever was given."""
    good = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if good else ""

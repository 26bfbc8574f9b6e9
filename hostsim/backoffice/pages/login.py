"""Logging in and out."""

from __future__ import annotations

import logging

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from hostsim.backoffice.pages.shell import COOKIE, Desk, back, read_form

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
    if not shell.login_tries.allowed(*keys):
        context["errors"] = {"name": "Too many tries. Please wait ten minutes."}
        return shell.page(request, "login.html", None, context, 429)
    token = await run_in_threadpool(shell.logins.begin, name, password)
    if token is None:
        shell.login_tries.failed(*keys)
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
        secure=request.url.scheme == "https" or shell.operator.public_url.startswith("https"),
        path=request.scope.get("root_path", "") or "/",
    )
    return answer


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

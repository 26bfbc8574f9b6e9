"""All sessions, and one with its bill, its payment's life and its documents."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import PlainTextResponse, Response

from hostsim.backoffice import cdr, disputes, figures, payments, views
from hostsim.backoffice.accounts.logins import Caller
from hostsim.backoffice.invoices import find
from hostsim.backoffice.pages.shell import HEADERS, Before, Desk, Id, Shell, Viewer
from hostsim.backoffice.refund_desk import RefundDesk

_PAGE = 50


routes = APIRouter()


def _found(shell: Shell, identity: int) -> dict[str, Any]:
    session = views.session(shell.office.engine, identity)
    if session is None:
        raise HTTPException(404, "There is no such session.")
    return session


@routes.get("/sessions")
def sessions(
    request: Request,
    shell: Desk,
    caller: Viewer,
    before: Before = 0,
    charger: str = Query("", max_length=32),
) -> Response:
    rows = views.sessions(shell.office.engine, charger or None, _PAGE + 1, before)
    context = {
        "sessions": rows[:_PAGE],
        "older": rows[_PAGE - 1]["id"] if len(rows) > _PAGE else 0,
        "charger": charger,
    }
    return shell.page(request, "sessions.html", caller, context)


@routes.get("/sessions/{identity}")
def session(request: Request, shell: Desk, caller: Viewer, identity: Id) -> Response:
    return one_session(request, shell, caller, identity)


def one_session(
    request: Request, shell: Shell, caller: Caller, identity: int, status: int = 200, **more: Any
) -> Response:
    """The page of a session; `more`: of a form on it that was refused."""
    one = _found(shell, identity)
    context = {
        "s": one,
        "lines": figures.lines(one),
        "vat": figures.vat_table(one),
        "documents": find.by_session(shell.office.engine, identity),
        "life": payments.life(shell.office.engine, one),
        "disputes": disputes.of_session(shell.office.engine, identity),
        "orders": RefundDesk(shell.office).of_session(one) if one["receipt_no"] else [],
        "once": str(uuid.uuid4()),
        "finished": one["state"] in ("priced", "captured"),
    }
    return shell.page(request, "session.html", caller, context | more, status)


@routes.get("/sessions/{identity}/cdr.json")
def cdr_of(shell: Desk, caller: Viewer, identity: Id) -> Response:
    try:
        text = cdr.to_json(cdr.compose(_found(shell, identity), shell.operator))
    except cdr.NotFinished as exc:
        raise HTTPException(409, str(exc)) from exc
    return PlainTextResponse(text, media_type="application/json", headers=HEADERS)

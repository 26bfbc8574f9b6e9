"""The refund desk: search a session, ask, approve, follow, file with the acquirer."""

from __future__ import annotations

import re
import uuid
from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from hostsim.backoffice import amounts, figures, payments, refund_desk, views
from hostsim.backoffice.accounts.logins import Caller
from hostsim.backoffice.pages.shell import (
    Desk,
    FinanceForm,
    Id,
    Shell,
    Support,
    SupportForm,
    Viewer,
    back,
)  # fmt: skip
from hostsim.backoffice.refund_desk import DeskError, RefundDesk

routes = APIRouter()
_FOUND = 20
_PAGE = 50
_WAITING = 200
_ONCE = re.compile("[A-Za-z0-9][A-Za-z0-9-]{0,35}")  # as an id in an address
_STATES = ("requested", "approved", "sent", "done", "refused", "failed")


@routes.get("/refunds")
def listed(
    request: Request,
    shell: Desk,
    caller: Viewer,
    state: str = Query("", max_length=12),
    find: str = Query("", max_length=60),
    skip: int = Query(0, ge=0, le=10**9),
) -> Response:
    office = shell.office
    found = payments.listed(office.engine, _FOUND, find=find.strip()) if find.strip() else []
    orders = office.refunds.listed(state=state or None, limit=_PAGE + 1, skip=skip)
    context = {
        "here": "refunds",
        "waiting": office.refunds.listed(state="requested", limit=_WAITING),
        "orders": orders[:_PAGE],
        "older": skip + _PAGE if len(orders) > _PAGE else 0,
        "newer": max(skip - _PAGE, 0) if skip else None,
        "found": found,
        "states": _STATES,
        "values": {"state": state, "find": find},
    }
    return shell.page(request, "refunds.html", caller, context)


@routes.get("/sessions/{identity}/refund")
def ask(request: Request, shell: Desk, caller: Support, identity: Id) -> Response:
    return _asking(request, shell, caller, identity)


def _asking(
    request: Request, shell: Shell, caller: Caller, identity: int, status: int = 200, **more: Any
) -> Response:
    session = views.session(shell.office.engine, identity)
    if session is None:
        raise HTTPException(404, "There is no such session.")
    desk = RefundDesk(shell.office)
    context = {
        "here": "refunds",
        "s": session,
        "lines": figures.lines(session),
        "left": desk.left(session),
        "orders": desk.of_session(session),
        "reasons": refund_desk.REASONS,
        "what": refund_desk.WHAT,
        "once": str(uuid.uuid4()),
        "given": shell.office.refunds.lines_back(identity),
        "limit": shell.operator.alone_minor(session["currency"]),
        "values": {"what": "all"},
    }
    return shell.page(request, "refund_ask.html", caller, context | more, status)


@routes.post("/sessions/{identity}/refund")
def asked(request: Request, shell: Desk, form: SupportForm, identity: Id) -> Response:
    lines = [int(text) for text in form.many("line") if re.fullmatch("[0-9]{1,5}", text)]
    session = views.session(shell.office.engine, identity)
    amount = amounts.parse(form.text("amount"), session["currency"]) if session else None
    once = form.text("once")
    try:
        if once and not _ONCE.fullmatch(once):
            raise DeskError("what", "this is not our form; please reload it")
        refund, waits = RefundDesk(shell.office).ask(
            form.caller, identity, form.text("what"), amount, lines, form.text("reason"),
            form.text("card") == "yes", once,
        )  # fmt: skip
    except DeskError as exc:
        values = {name: form.text(name) for name in ("what", "amount", "reason", "card")}
        return _asking(
            request, shell, form.caller, identity, 422, errors={exc.field: exc.why},
            values=values | {"lines": lines},
        )  # fmt: skip
    said = "It waits for somebody else's approval." if waits else "It is approved and on its way."
    return back(request, f"refunds/{refund}", said)


@routes.get("/refunds/{refund}")
def one(request: Request, shell: Desk, caller: Viewer, refund: str) -> Response:
    desk = RefundDesk(shell.office)
    try:
        order = desk.follow(refund)
    except DeskError as exc:
        raise HTTPException(404, "There is no such refund.") from exc
    context = {
        "here": "refunds",
        "r": order,
        "s": views.session(shell.office.engine, order["session_id"]),
        "log": refund_desk.audit_of(shell.office, refund),
        "hangs": desk.hangs(refund),
        "acquirer": desk.request_text(refund),
        "own": order["operator"] == caller.name[:32],
    }
    return shell.page(request, "refund.html", caller, context)


@routes.post("/refunds/{refund}/{action}")
def act(request: Request, shell: Desk, form: FinanceForm, refund: str, action: str) -> Response:
    desk = RefundDesk(shell.office)
    note = form.text("note")
    try:
        if action == "approve":
            desk.approve(form.caller, refund)
        elif action == "refuse":
            desk.refuse(form.caller, refund, note)
        elif action in ("accepted", "declined"):
            desk.confirm(form.caller, refund, action == "accepted", note)
        elif action in ("again", "nothing"):
            desk.end(form.caller, refund, action == "again", note)
        else:
            raise HTTPException(404, "There is no such step.")
    except DeskError as exc:
        return back(request, f"refunds/{refund}", f"Not done: {exc.why}.")
    return back(request, f"refunds/{refund}", "Done.")

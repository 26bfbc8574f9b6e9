"""Payments: what is wrong, all of them, disputes."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from hostsim.backoffice import amounts, disputes, payments, troubles, views
from hostsim.backoffice.fourth import compare
from hostsim.backoffice.fourth.found import Comparison
from hostsim.backoffice.gateways.base import GatewayError
from hostsim.backoffice.pages.sessions import one_session
from hostsim.backoffice.pages.shell import (
    Before,
    Caller,
    Desk,
    Finance,
    FinanceForm,
    Id,
    Shell,
    Viewer,
    back,
)
from hostsim.backoffice.phone import pays

routes = APIRouter()
_PAGE = 50
_SHOWN = 5


@routes.get("/payments")
def listed(
    request: Request,
    shell: Desk,
    caller: Viewer,
    before: Before = 0,
    state: str = Query("", max_length=12),
    charger: str = Query("", max_length=32),
    find: str = Query("", max_length=60),
) -> Response:
    office = shell.office
    rows = payments.listed(office.engine, _PAGE + 1, before, state, charger.strip(), find.strip())
    context = {
        "here": "payments",
        "groups": troubles.groups(office.engine, shell.operator, office.now_ms(), _SHOWN),
        "elsewhere": troubles.ELSEWHERE,
        "payments": rows[:_PAGE],
        "older": rows[_PAGE - 1]["id"] if len(rows) > _PAGE else 0,
        "states": payments.STATES,
        "gateway": office.phone is not None,
        "values": {"state": state, "charger": charger, "find": find},
    }
    return shell.page(request, "payments.html", caller, context)


@routes.get("/payments/troubles/{kind}")
def of_kind(
    request: Request,
    shell: Desk,
    caller: Viewer,
    kind: str,
    skip: int = Query(0, ge=0, le=10**9),
) -> Response:
    """All of one kind of what is wrong."""
    if kind not in troubles.ORDER:
        raise HTTPException(404, "There is no such kind.")
    office = shell.office
    rows = troubles.page(
        office.engine, shell.operator, office.now_ms(), kind, _PAGE + 1, skip
    )  # fmt: skip
    context = {
        "here": "payments",
        "kind": kind,
        "title": troubles.title(kind),
        "todo": troubles.todo(kind),
        "elsewhere": troubles.ELSEWHERE,
        "rows": rows[:_PAGE],
        "older": skip + _PAGE if len(rows) > _PAGE else 0,
        "newer": max(skip - _PAGE, 0) if skip else None,
    }
    return shell.page(request, "troubles.html", caller, context)


@routes.post("/payments/troubles/{kind}/close")
def closed(request: Request, shell: Desk, form: FinanceForm, kind: str) -> Response:
    if kind not in troubles.ORDER:
        raise HTTPException(404, "There is no such kind.")
    ref, mark, office = form.text("ref", 1, 64), form.text("mark", 1, 12), shell.office
    number = int(mark) if mark.isascii() and mark.isdecimal() else 0
    note = form.fields.get("note", "")
    try:
        troubles.close(office.engine, form.caller.name, kind, ref, number, note, office.now_ms())
    except troubles.NoTrouble as exc:
        raise HTTPException(404, "There is no such row.") from exc
    except troubles.TroubleError as exc:
        return back(request, f"payments/troubles/{kind}", f"Not closed: {exc}.")
    return back(request, f"payments/troubles/{kind}", "Closed.")


@routes.post("/sessions/{identity}/disputes")
def dispute(request: Request, shell: Desk, form: FinanceForm, identity: Id) -> Response:
    office = shell.office
    session = views.session(office.engine, identity)
    amount = amounts.parse(form.text("amount"), session["currency"]) if session else None
    text = form.text("note", most=500)
    try:
        for name, why in form.errors.items():
            raise disputes.PaymentError(name, why)
        disputes.note(
            office.engine, form.caller.name, identity, amount, form.text("reference"), text,
            office.now_ms(), form.text("once")[:36],
        )  # fmt: skip
    except disputes.PaymentError as exc:
        values = {name: form.text(name) for name in ("amount", "reference", "note")}
        more = {"errors": {exc.field: exc.why}, "values": values}
        return one_session(request, shell, form.caller, identity, 422, **more)
    return back(request, f"sessions/{identity}", "The dispute is noted.")


@routes.post("/disputes/{identity}/close")
def close(request: Request, shell: Desk, form: FinanceForm, identity: Id) -> Response:
    outcome = form.text("outcome")
    if outcome not in (disputes.WON, disputes.LOST):
        raise HTTPException(422, "outcome: must be won or lost")
    won = outcome == disputes.WON
    try:
        session = disputes.close(
            shell.office.engine, form.caller.name, identity, won, shell.office.now_ms()
        )
    except disputes.PaymentError as exc:
        return back(request, "payments", f"Not changed. {exc}.")
    return back(request, f"sessions/{session}", "The dispute is closed.")


@routes.get("/payments/phone")
def by_phone(request: Request, shell: Desk, caller: Finance) -> Response:
    """What is open at the gateway."""
    context = {"here": "payments", "pays": pays.open_ones(shell.office.engine)}
    return shell.page(request, "payments_phone.html", caller, context)


@routes.post("/payments/phone/{identity}/end")
def ended(request: Request, shell: Desk, form: FinanceForm, identity: str) -> Response:
    office = shell.office
    pay = pays.get(office.engine, identity)
    amount = amounts.parse(form.text("amount", 1, 20), pay.currency) if pay is not None else None
    try:
        if amount is None:
            raise pays.HandError("amount: must be an amount, 0 to give the hold back")
        pays.end_by_hand(
            office.engine, identity, amount, form.caller.name, form.fields.get("note", ""),
            office.now_ms(),
        )  # fmt: skip
    except pays.HandError as exc:
        return back(request, "payments/phone", f"Not ended: {exc}.")
    if office.phone is not None:
        office.phone.cashier.wake()
    return back(request, "payments/phone", "The payment is being ended.")


@routes.get("/payments/gateway")
def gateway(request: Request, shell: Desk, caller: Finance) -> Response:
    return _gateway(request, shell, caller, compare.DAYS)


@routes.post("/payments/gateway")
def compared(request: Request, shell: Desk, form: FinanceForm) -> Response:
    phone = shell.office.phone
    try:
        days = int(form.text("days", 1, 4))
    except ValueError as exc:
        raise HTTPException(422, "days: must be a whole number") from exc
    if phone is None or not 0 <= days <= 9999:
        raise HTTPException(404 if phone is None else 422, "days: must be 0 to 9999")
    try:
        found = phone.fourth.work(days)
    except GatewayError as exc:
        return _gateway(request, shell, form.caller, days, failed=str(exc))
    return _gateway(request, shell, form.caller, days, found)


def _gateway(
    request: Request, shell: Shell, caller: Caller, days: int,
    found: Comparison | None = None, failed: str = "",
) -> Response:  # fmt: skip
    if shell.office.phone is None:
        raise HTTPException(404, "There is no payment gateway.")
    context = {"here": "payments", "days": days, "found": found, "failed": failed}
    return shell.page(request, "gateway_books.html", caller, context)

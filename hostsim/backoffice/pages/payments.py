"""Payments: what is wrong, all of them, disputes."""

from __future__ import annotations

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from hostsim.backoffice import payments
from hostsim.backoffice.invoices.find import parse_amount
from hostsim.backoffice.pages.shell import Before, Desk, FinanceForm, Id, Viewer, back

routes = APIRouter()
_PAGE = 50


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
        "wrong": payments.wrong(office.engine, shell.operator, office.now_ms()),
        "payments": rows[:_PAGE],
        "older": rows[_PAGE - 1]["id"] if len(rows) > _PAGE else 0,
        "states": payments.STATES,
        "values": {"state": state, "charger": charger, "find": find},
    }
    return shell.page(request, "payments.html", caller, context)


@routes.post("/sessions/{identity}/disputes")
def dispute(request: Request, shell: Desk, form: FinanceForm, identity: Id) -> Response:
    amount = parse_amount(form.text("amount"))
    try:
        payments.dispute(
            shell.office.engine, form.caller.name, identity, amount, form.text("reference"),
            form.text("note", most=500), shell.office.now_ms(),
        )  # fmt: skip
    except payments.PaymentError as exc:
        return back(request, f"sessions/{identity}", f"Not taken. {exc}.")
    return back(request, f"sessions/{identity}", "The dispute is noted.")


@routes.post("/disputes/{identity}/close")
def close(request: Request, shell: Desk, form: FinanceForm, identity: Id) -> Response:
    won = form.text("outcome") == "won"
    try:
        session = payments.close_dispute(
            shell.office.engine, form.caller.name, identity, won, shell.office.now_ms()
        )
    except payments.PaymentError as exc:
        return back(request, "payments", f"Not changed. {exc}.")
    return back(request, f"sessions/{session}", "The dispute is closed.")

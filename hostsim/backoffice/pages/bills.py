"""Monthly invoices: the finance desk's list of accounts and bills, and the member's own page,
where a bill is read and paid.

The member's address has the bill's number and the beginning of its hash, which nobody can count
up to; misses are limited per address.
"""

from __future__ import annotations

import datetime
import secrets
from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from hostsim.backoffice import amounts
from hostsim.backoffice.bills import paper
from hostsim.backoffice.bills.desk import BillError
from hostsim.backoffice.invoices import texts as formats
from hostsim.backoffice.pages.pay import in_words, method_of, to_page
from hostsim.backoffice.pages.shell import (
    HEADERS,
    Desk,
    Finance,
    FinanceForm,
    Form,
    Shell,
    back,
    read_form,
)

routes = APIRouter()


@routes.get("/bills")
def listed(request: Request, shell: Desk, caller: Finance) -> Response:
    bills = shell.office.bills
    rows = bills.listed()
    context = {"here": "bills", "bills": rows, "accounts": bills.accounts()}
    context["open"] = [b for b in rows if b["state"] == "open"]
    return shell.page(request, "bills.html", caller, context)


def terms_in(form: Form, shell: Shell, account: str) -> tuple[int, int]:
    """Limit in minor units and days to pay, as a form has them. Raises BillError."""
    known = next((a for a in shell.office.bills.accounts() if a["account"] == account), None)
    currency = known["currency"] if known is not None else shell.operator.currency
    limit = amounts.parse(form.text("limit", 1, 20), currency)
    if limit is None:
        raise BillError("limit: must be an amount, 0 for none")
    days = form.text("pay_days", 1, 12)
    if not (days.isascii() and days.isdecimal()):
        raise BillError("pay_days: must be a whole number")
    return limit, int(days)


@routes.post("/bills/terms")
def terms(request: Request, shell: Desk, form: FinanceForm) -> Response:
    account = form.text("account", 1, 32)
    try:
        limit, days = terms_in(form, shell, account)
        shell.office.bills.set_terms(account, limit, days, form.caller.name)
    except BillError as exc:
        return back(request, "bills", str(exc))
    return back(request, "bills", f"The terms of {account} are kept.")


@routes.post("/bills/paid")
def paid(request: Request, shell: Desk, form: FinanceForm) -> Response:
    number, reference = form.text("number", 1, 16), form.text("reference")
    try:
        day = datetime.datetime.strptime(form.text("date", 10, 10), "%Y-%m-%d")
        at = int(day.replace(tzinfo=shell.operator.zone).timestamp() * 1000)
        shell.office.bills.paid_otherwise(number, at, reference, form.caller.name)
    except BillError as exc:
        return back(request, "bills", str(exc))
    except ValueError:
        return back(request, "bills", "date must be a day (year-month-day)")
    return back(request, "bills", f"{number} is noted as paid.")


def _bill(request: Request, shell: Shell, number: str, check: str) -> dict[str, Any]:
    key = shell.address(request)
    if not shell.receipt_tries.allowed(key):
        raise HTTPException(429, formats.word("wait", "en"))
    found = shell.office.bills.find(number, check) if len(check) == 24 else None
    if found is None:
        shell.receipt_tries.failed(key)
        raise HTTPException(404, formats.word("not_yet", "en"))
    return found


@routes.get("/bill/{number}/{check}")
def bill(
    request: Request, shell: Desk, number: str, check: str, lang: str = Query("", max_length=8)
) -> Response:
    found = _bill(request, shell, number, check)
    wished = request.headers.get("accept-language", "")
    code = formats.choose(lang, wished, shell.operator.language)
    phone = shell.office.phone
    context = in_words(
        code,
        path=f"bill/{number}/{check}",
        bill=found,
        sheet=paper.sheet(found["document"], code),
        word=lambda key: paper.word(key, code),
        token=secrets.token_urlsafe(32),
        methods=phone.gateway.test_methods if phone is not None else (),
        payable=phone is not None
        and found["state"] == "open"
        and phone.gateway.takes(found["currency"]),
    )
    return shell.page(request, "bill.html", None, context)


@routes.get("/bill/{number}/{check}/{name}.pdf")
def as_pdf(
    request: Request, shell: Desk, number: str, check: str, name: str,
    lang: str = Query("", max_length=8),
) -> Response:  # fmt: skip
    found = _bill(request, shell, number, check)
    code = formats.choose(lang, request.headers.get("accept-language", ""))
    data = paper.render(paper.sheet(found["document"], code), found["issued_at"])
    shown = {"Content-Disposition": f'inline; filename="{found["number"]}.pdf"'}
    return Response(data, media_type="application/pdf", headers=HEADERS | shown)


@routes.post("/bill/{number}/{check}")
async def pay(request: Request, shell: Desk, number: str, check: str) -> Response:
    fields = await read_form(request)
    token, method = str(fields.get("token", "")), str(fields.get("method", ""))[:64]
    language = str(fields.get("lang", ""))[:2]
    return await run_in_threadpool(
        _pay, request, shell, number, check, token[:43], method, language
    )


def _pay(
    request: Request, shell: Shell, number: str, check: str, token: str, method: str,
    language: str,
) -> Response:  # fmt: skip
    found = _bill(request, shell, number, check)
    phone = shell.office.phone
    if phone is None or found["state"] != "open" or len(token) != 43:
        raise HTTPException(409, "This bill cannot be paid here now.")
    if not shell.pay_holds.allowed(shell.address(request)):
        raise HTTPException(429, formats.word("wait", "en"))
    shell.pay_holds.failed(shell.address(request))
    to = f"{shell.base(request)}/pay/back"
    known = phone.begin_bill(found, token, method_of(phone, method), formats.choose(language), to)
    if not known:
        raise HTTPException(409, "A payment of this bill is under way already.")
    return to_page(request, token)

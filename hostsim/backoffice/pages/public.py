"""What drivers reach without an account: their invoice, by its QR code or by number and amount.

The total stands in the address so that nobody finds other drivers' invoices by counting; misses
are limited per address. A charger whose flash was replaced counts its receipts anew: where two
sessions have one number and total, the driver is asked when it was, and sees no other's.
"""

from __future__ import annotations

import datetime
import io
from typing import Annotated, Any

import segno
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from hostsim.backoffice import amounts, views
from hostsim.backoffice.invoices import find, pdf, sheet, texts
from hostsim.backoffice.pages.shell import HEADERS, Desk, Id, Shell, back, read_form

_Family = list[dict[str, Any]]


routes = APIRouter()


def _language(request: Request, shell: Shell, lang: str) -> str:
    wished = request.headers.get("accept-language", "")
    return texts.choose(lang, wished, shell.operator.language)


class Wish:
    """Which of several sessions with one number and total: by its flash, or by when it was."""

    def __init__(
        self,
        lang: str = Query("", max_length=8),
        flash: int = Query(0, ge=0, le=2**63 - 1),
        day: str = Query("", max_length=10),
        time: str = Query("", max_length=5),
    ) -> None:
        """As FastAPI reads it."""
        self.lang, self.flash, self.day, self.time = lang, flash, day, time

    def at_ms(self, zone: datetime.tzinfo) -> int:
        """The moment that was given; -1 for none."""
        try:
            at = datetime.datetime.strptime(f"{self.day} {self.time}", "%Y-%m-%d %H:%M")
            return int(at.replace(tzinfo=zone).timestamp() * 1000)
        except (ValueError, OverflowError):
            return -1


Asked = Annotated[Wish, Depends()]


class Several(Exception):  # noqa: N818 - nothing is wrong
    """More than one session has this number and total: whose it is must be said."""


def _family(
    request: Request, shell: Shell, charger: str, receipt_no: int, total: int, wish: Wish,
    code: str,
) -> _Family:  # fmt: skip
    """The invoice and its credit notes; of several sessions never another's than was meant."""
    key = shell.address(request)
    if not shell.receipt_tries.allowed(key):
        raise HTTPException(429, texts.word("wait", code))
    found = find.bills(shell.office.engine, charger, receipt_no, total)
    several = len(found) > 1
    if wish.flash:
        found = [bill for bill in found if bill.flash == wish.flash]
    elif several:
        found = [bill for bill in found if bill.goes_on_at(wish.at_ms(shell.operator.zone))]
    if len(found) == 1:
        return find.by_session(shell.office.engine, found[0].session_id)
    if not several or wish.day or wish.flash:
        shell.receipt_tries.failed(key)
    if several and not wish.flash:
        raise Several
    raise HTTPException(404, texts.word("not_yet", code))


def _when(request: Request, shell: Shell, path: str, wish: Wish, code: str) -> Response:
    """Asks when it was."""
    errors = {"time": texts.word("when_none", code)} if wish.day or wish.time else {}
    values = {"day": wish.day, "time": wish.time}
    context = _find_context(code) | {"path": path, "values": values, "errors": errors}
    return shell.page(request, "find_when.html", None, context, 404 if errors else 200)


@routes.get("/find")
def ask(request: Request, shell: Desk, lang: str = Query("", max_length=8)) -> Response:
    code = _language(request, shell, lang)
    return shell.page(request, "find.html", None, _find_context(code))


@routes.post("/find")
async def look(request: Request, shell: Desk) -> Response:
    form = await read_form(request)
    number, amount, lang = (str(form.get(k, ""))[:80] for k in ("number", "amount", "lang"))
    code = _language(request, shell, lang)
    context = _find_context(code) | {"values": {"number": number, "amount": amount}}
    errors = {}
    named = find.parse_receipt(number)
    if named is None:
        errors["number"] = texts.word("find_bad_number", code)
    if not amounts.could_be(amount):
        errors["amount"] = texts.word("find_bad_amount", code)
    if named is None or errors:
        return shell.page(request, "find.html", None, context | {"errors": errors}, 422)
    key = shell.address(request)
    if not shell.receipt_tries.allowed(key):
        errors["number"] = texts.word("wait", code)
        return shell.page(request, "find.html", None, context | {"errors": errors}, 429)
    known = find.bills(shell.office.engine, named[0], named[1], letter=named[2])
    fit = [bill for bill in known if amounts.parse(amount, bill.currency) == bill.total_minor]
    if not fit:
        shell.receipt_tries.failed(key)
        errors["number"] = texts.word("find_none", code)
        return shell.page(request, "find.html", None, context | {"errors": errors}, 404)
    bill = fit[0]
    which = f"&flash={bill.flash}" if named[2] else ""  # such a number is there once
    return back(
        request, f"r/{bill.charger}/{bill.receipt_no}/{bill.total_minor}?lang={code}{which}"
    )


@routes.get("/r/{charger}/{receipt_no}/{total_minor}")
def invoice(
    request: Request,
    shell: Desk,
    charger: str,
    receipt_no: Id,
    total_minor: Id,
    wish: Asked,
) -> Response:
    code = _language(request, shell, wish.lang)
    try:
        found = _family(request, shell, charger, receipt_no, total_minor, wish, code)
    except Several:
        path = f"r/{charger}/{receipt_no}/{total_minor}"
        return _when(request, shell, path, wish, code)
    link = link_of(shell, request, found, code)
    context = {
        "language": code,
        "languages": texts.LANGUAGES,
        "say": lambda key: texts.word(key, code),
        "sheets": [sheet.sheet(one["document"], code) for one in found],
        "refunds": _refunds(shell, found[0]),
        "amount": lambda minor: texts.money(minor, found[0]["currency"], code),
        "path": find.link(found).partition("?")[0],
        "query": find.link(found).partition("?")[2],
        "qr": qr_svg(link),
    }
    return shell.page(request, "invoice.html", None, context)


@routes.get("/r/{charger}/{receipt_no}/{total_minor}/{number}.pdf")
def as_pdf(
    request: Request,
    shell: Desk,
    charger: str,
    receipt_no: Id,
    total_minor: Id,
    number: str,
    wish: Asked,
) -> Response:
    code = _language(request, shell, wish.lang)
    try:
        found = _family(request, shell, charger, receipt_no, total_minor, wish, code)
    except Several as exc:
        raise HTTPException(404, texts.word("not_yet", code)) from exc
    chosen = next((one for one in found if one["number"] == number), None)
    if chosen is None:
        raise HTTPException(404, texts.word("not_yet", code))
    link = link_of(shell, request, found, code)
    return pdf_answer(chosen, code, link)


def pdf_answer(document: dict[str, Any], code: str, link: str) -> Response:
    """One document as a PDF file."""
    data = pdf.render(sheet.sheet(document["document"], code), link, document["issued_at"])
    name = f'inline; filename="{document["number"]}.pdf"'
    return Response(
        data, media_type="application/pdf", headers=HEADERS | {"Content-Disposition": name}
    )


def _refunds(shell: Shell, invoice: dict[str, Any]) -> list[dict[str, Any]]:
    """What was asked for and what the charger did; an order and its record are one."""
    listed = shell.office.refunds.listed(invoice["charger"], receipt=invoice["receipt_no"])
    orders = [order for order in listed if order["session_id"] == invoice["session_id"]]
    known = {order["refund"] for order in orders}
    done = views.refunds_of(shell.office.engine, invoice["session_id"])
    return orders[::-1] + [refund for refund in done if refund["order_id"] not in known]


def link_of(shell: Shell, request: Request, family: _Family, code: str) -> str:
    """The whole address of a session's documents."""
    return f"{shell.base(request)}/{find.link(family)}&lang={code}"


def qr_svg(link: str) -> Markup:
    """A QR code to stand in a page."""
    out = io.BytesIO()
    segno.make(link, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, scale=3, border=2, omitsize=True
    )
    return Markup(out.getvalue().decode())


def _find_context(code: str) -> dict[str, Any]:
    return {
        "language": code,
        "languages": texts.LANGUAGES,
        "say": lambda key: texts.word(key, code),
        "path": "find",
    }

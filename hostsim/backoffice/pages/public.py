"""What drivers reach without an account: their invoice, by its QR code or by number and amount.

The total stands in the address so that nobody finds other drivers' invoices by counting; misses
are limited per address.
"""

from __future__ import annotations

import io
from typing import Any

import segno
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from hostsim.backoffice import views
from hostsim.backoffice.invoices import find, pdf, sheet, texts
from hostsim.backoffice.pages.shell import HEADERS, Desk, Id, Shell, back

_Family = list[dict[str, Any]]


routes = APIRouter()


def _language(request: Request, shell: Shell, lang: str) -> str:
    wished = request.headers.get("accept-language", "")
    return texts.choose(lang, wished, shell.operator.language)


def _family(
    request: Request, shell: Shell, charger: str, receipt_no: int, total: int, code: str
) -> _Family:
    key = shell.address(request)
    if not shell.receipt_tries.allowed(key):
        raise HTTPException(429, texts.word("wait", code))
    found = find.by_receipt(shell.office.engine, charger, receipt_no, total)
    if not found:
        shell.receipt_tries.failed(key)
        raise HTTPException(404, texts.word("not_yet", code))
    return found


@routes.get("/find")
def ask(request: Request, shell: Desk, lang: str = Query("", max_length=8)) -> Response:
    code = _language(request, shell, lang)
    return shell.page(request, "find.html", None, _find_context(code))


@routes.post("/find")
async def look(request: Request, shell: Desk) -> Response:
    form = await request.form(max_files=0, max_fields=10)
    number, amount, lang = (str(form.get(k, ""))[:80] for k in ("number", "amount", "lang"))
    code = _language(request, shell, lang)
    context = _find_context(code) | {"values": {"number": number, "amount": amount}}
    errors = {}
    named, minor = find.parse_receipt(number), find.parse_amount(amount)
    if named is None:
        errors["number"] = texts.word("find_bad_number", code)
    if minor is None:
        errors["amount"] = texts.word("find_bad_amount", code)
    if named is None or minor is None:
        return shell.page(request, "find.html", None, context | {"errors": errors}, 422)
    key = shell.address(request)
    if not shell.receipt_tries.allowed(key):
        errors["number"] = texts.word("wait", code)
        return shell.page(request, "find.html", None, context | {"errors": errors}, 429)
    if not find.by_receipt(shell.office.engine, *named, minor):
        shell.receipt_tries.failed(key)
        errors["number"] = texts.word("find_none", code)
        return shell.page(request, "find.html", None, context | {"errors": errors}, 404)
    return back(request, f"r/{named[0]}/{named[1]}/{minor}?lang={code}")


@routes.get("/r/{charger}/{receipt_no}/{total_minor}")
def invoice(
    request: Request,
    shell: Desk,
    charger: str,
    receipt_no: Id,
    total_minor: Id,
    lang: str = Query("", max_length=8),
) -> Response:
    code = _language(request, shell, lang)
    found = _family(request, shell, charger, receipt_no, total_minor, code)
    link = _link(shell, request, charger, receipt_no, total_minor, code)
    context = {
        "language": code,
        "languages": texts.LANGUAGES,
        "say": lambda key: texts.word(key, code),
        "sheets": [sheet.sheet(one["document"], code) for one in found],
        "refunds": _refunds(shell, found[0]),
        "amount": lambda minor: texts.money(minor, found[0]["currency"], code),
        "path": f"r/{charger}/{receipt_no}/{total_minor}",
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
    lang: str = Query("", max_length=8),
) -> Response:
    code = _language(request, shell, lang)
    found = _family(request, shell, charger, receipt_no, total_minor, code)
    chosen = next((one for one in found if one["number"] == number), None)
    if chosen is None:
        raise HTTPException(404, texts.word("not_yet", code))
    link = _link(shell, request, charger, receipt_no, total_minor, code)
    return pdf_answer(chosen, code, link)


def pdf_answer(document: dict[str, Any], code: str, link: str) -> Response:
    """One document as a PDF file."""
    data = pdf.render(sheet.sheet(document["document"], code), link, document["issued_at"])
    name = f'inline; filename="{document["number"]}.pdf"'
    return Response(
        data, media_type="application/pdf", headers=HEADERS | {"Content-Disposition": name}
    )


def link_of(shell: Shell, request: Request, one: dict[str, Any], code: str) -> str:
    """Where the driver finds a document's invoice."""
    total = one["total_minor"]
    return _link(shell, request, one["charger"], one["receipt_no"], total, code)


def _refunds(shell: Shell, invoice: dict[str, Any]) -> list[dict[str, Any]]:
    """What was asked for and what the charger did; an order and its record are one."""
    listed = shell.office.refunds.listed(invoice["charger"], receipt=invoice["receipt_no"])
    orders = [order for order in listed if order["session_id"] == invoice["session_id"]]
    known = {order["refund"] for order in orders}
    done = views.refunds_of(shell.office.engine, invoice["session_id"])
    return orders[::-1] + [refund for refund in done if refund["refund"] not in known]


def _link(
    shell: Shell, request: Request, charger: str, receipt_no: int, total: int, code: str
) -> str:
    return f"{shell.base(request)}/r/{charger}/{receipt_no}/{total}?lang={code}"


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

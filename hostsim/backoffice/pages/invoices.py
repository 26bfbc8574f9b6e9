"""Documents for the desk: the list, one in any language, its PDF, whether all are whole."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from hostsim.backoffice.bills import make
from hostsim.backoffice.invoices import find, sheet, texts, verify
from hostsim.backoffice.pages.public import link_of, pdf_answer, qr_svg
from hostsim.backoffice.pages.shell import Before, Desk, Finance, Shell, Viewer

_PAGE = 50


routes = APIRouter()


def _found(shell: Shell, number: str) -> dict[str, Any]:
    one = find.by_number(shell.office.engine, number)
    if one is None:
        raise HTTPException(404, "There is no such document.")
    return one


def _language(shell: Shell, lang: str) -> str:
    return texts.choose(lang, shell.operator.language)


@routes.get("/invoices")
def invoices(
    request: Request,
    shell: Desk,
    caller: Viewer,
    before: Before = 0,
    charger: str = Query("", max_length=32),
    number: str = Query("", max_length=48),
) -> Response:
    rows = find.newest(shell.office.engine, _PAGE + 1, before, charger.strip(), number.strip())
    context = {
        "here": "invoices",
        "documents": rows[:_PAGE],
        "older": rows[_PAGE - 1]["id"] if len(rows) > _PAGE else 0,
        "values": {"charger": charger, "number": number},
    }
    return shell.page(request, "invoices.html", caller, context)


@routes.get("/invoices/check")
def check(request: Request, shell: Desk, caller: Finance) -> Response:
    verdict = verify.verify(shell.office.engine)
    verdict.faults += make.verify(shell.office.engine)
    context = {"here": "invoices", "verdict": verdict}
    return shell.page(request, "invoice_check.html", caller, context)


@routes.get("/invoices/{number}.pdf")
def as_pdf(
    request: Request, shell: Desk, caller: Viewer, number: str, lang: str = Query("", max_length=8)
) -> Response:
    one, code = _found(shell, number), _language(shell, lang)
    return pdf_answer(one, code, _link(shell, request, one, code))


@routes.get("/invoices/{number}")
def invoice(
    request: Request, shell: Desk, caller: Viewer, number: str, lang: str = Query("", max_length=8)
) -> Response:
    one, code = _found(shell, number), _language(shell, lang)
    context = {
        "here": "invoices",
        "languages": texts.LANGUAGES,
        "language": code,
        "say": lambda key: texts.word(key, code),
        "sheets": [sheet.sheet(one["document"], code)],
        "path": f"invoices/{number}",
        "pdf_path": f"invoices/{number}.pdf",
        "refunds": [],
        "one": one,
        "qr": qr_svg(_link(shell, request, one, code)),
    }
    return shell.page(request, "invoice.html", caller, context)


def _link(shell: Shell, request: Request, one: dict[str, Any], code: str) -> str:
    """A credit note leads to its invoice's address."""
    family = find.by_session(shell.office.engine, one["session_id"])
    return link_of(shell, request, family, code)

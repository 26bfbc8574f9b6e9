"""The back office's pages: chargers, what needs a look, sessions, and a receipt for each.

Server-rendered, no script and nothing from elsewhere; every link is relative, so the application
works at any mount point (the front page has it at /backoffice) and alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.templating import Jinja2Templates
from starlette.middleware.trustedhost import TrustedHostMiddleware

from hostsim.backoffice import cdr, figures, views
from hostsim.backoffice.service import BackOffice

_TEMPLATES = Path(__file__).with_name("templates")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PAGE = 50
_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
_STATES = {
    "asked": "hold asked",
    "authorised": "waiting for the plug",
    "charging": "charging",
    "delivered": "being settled",
    "priced": "being settled",
    "captured": "paid",
    "cancelled": "nothing charged",
    "declined": "card declined",
}


def create_app(office: BackOffice, supplier: str = "") -> FastAPI:
    """The pages of one back office; `supplier` heads the receipts."""
    app = FastAPI(title="Forecourt back office", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)
    app.include_router(_pages(office, supplier))
    app.include_router(_data(office))
    return app


def _found(office: BackOffice, identity: int) -> dict[str, Any]:
    session = views.session(office.engine, identity)
    if session is None:
        raise HTTPException(404, "There is no such session.")
    return session


def _pages(office: BackOffice, supplier: str) -> APIRouter:
    router = APIRouter()
    templates = Jinja2Templates(_TEMPLATES)
    filters = templates.env.filters
    filters["kwh"], filters["duration"] = figures.kwh, figures.duration
    filters["moment"], filters["state"] = figures.moment, lambda s: _STATES.get(s, s)
    templates.env.globals["money"] = figures.money

    def page(request: Request, name: str, context: dict[str, Any]) -> Response:
        return templates.TemplateResponse(request, name, context, headers=_HEADERS)

    @router.get("/", response_class=HTMLResponse)
    def overview(
        request: Request,
        before: int = Query(0, ge=0),
        charger: str = Query("", max_length=32),
    ) -> Response:
        rows = views.sessions(office.engine, charger or None, _PAGE + 1, before)
        context = {
            "chargers": office.chargers(),
            "problems": office.problems(),
            "sessions": rows[:_PAGE],
            "older": rows[_PAGE - 1]["id"] if len(rows) > _PAGE else 0,
            "charger": charger,
            "connected": office.connected,
        }
        return page(request, "overview.html", context)

    @router.get("/sessions/{identity}", response_class=HTMLResponse)
    def receipt(request: Request, identity: int) -> Response:
        session = _found(office, identity)
        context = {
            "s": session,
            "lines": figures.lines(session),
            "vat": figures.vat_table(session),
            "supplier": supplier,
            "finished": session["state"] in ("priced", "captured"),
        }
        return page(request, "receipt.html", context)

    return router


def _data(office: BackOffice) -> APIRouter:
    router = APIRouter()

    @router.get("/sessions/{identity}/cdr.json")
    def cdr_of(identity: int) -> Response:
        try:
            text = cdr.to_json(cdr.compose(_found(office, identity)))
        except cdr.NotFinished as exc:
            raise HTTPException(409, str(exc)) from exc
        headers = {"Cache-Control": "no-store"}
        return PlainTextResponse(text, media_type="application/json", headers=headers)

    @router.get("/api/chargers")
    def chargers() -> list[dict[str, Any]]:
        return office.chargers()

    @router.get("/api/sessions")
    def sessions(charger: str = Query("", max_length=32)) -> list[dict[str, Any]]:
        return views.sessions(office.engine, charger or None, 500)

    @router.get("/api/problems")
    def problems() -> list[dict[str, Any]]:
        return office.problems()

    return router

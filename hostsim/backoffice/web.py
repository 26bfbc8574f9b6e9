"""The back office's pages: composed here, a module per job in pages/.

Server-rendered, no script and nothing from elsewhere; it works at any mount point (the front page
has it at /backoffice) and alone.
"""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles

from hostsim.backoffice import ingest_texts
from hostsim.backoffice.invoices import texts
from hostsim.backoffice.pages import (
    bills,
    fleet,
    health,
    invoices,
    login,
    members,
    ocpi,
    overview,
    pay,
    payments,
    people,
    public,
    refunds,
    reports,
    sessions,
    tariffs,
)  # fmt: skip
from hostsim.backoffice.pages.shell import Shell, plain
from hostsim.backoffice.phone import texts as words
from hostsim.backoffice.service import BackOffice

_STATIC = Path(__file__).with_name("static")
_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
_PARTS = (
    login, health, public, pay, overview, fleet, payments, refunds, sessions, invoices, members,
    bills, reports, tariffs, ocpi, people,
)  # fmt: skip
_TITLES = {403: "Not allowed", 404: "Not here", 409: "Not now", 413: "Too much",
           422: "Not understood", 429: "Slowly"}  # fmt: skip
_NO_DATABASE = (
    "The database did not take this, so nothing of it is kept. Please try again; the back "
    "office's log has the reason."
)
_log = logging.getLogger(__name__)


_DRIVERS = ("/pay/", "/bill/", "/r/", "/find")  # whose pages speak their languages


def create_app(office: BackOffice) -> FastAPI:
    """The pages of one back office."""
    app = FastAPI(
        title="Forecourt desk", docs_url=None, redoc_url=None, openapi_url=None,
        dependencies=[Depends(plain)],
    )  # fmt: skip
    public_host = urlsplit(office.operator.public_url).hostname
    hosts = [*_HOSTS, public_host] if public_host else _HOSTS
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.mount("/static", StaticFiles(directory=_STATIC))
    app.state.shell = shell = Shell(office, office.operator)
    for part in _PARTS:
        app.include_router(part.routes)
    _explain_errors(app, shell)
    return app


def _is_ocpi(request: Request) -> bool:
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    return path.startswith("/ocpi/")


def _drivers_language(request: Request, shell: Shell) -> str:
    """The language of a page for drivers; "" for all others."""
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    if not path.startswith(_DRIVERS):
        return ""
    wished = (request.query_params.get("lang", ""), request.headers.get("accept-language", ""))
    return texts.choose(*wished, shell.operator.language)


def _explain_errors(app: FastAPI, shell: Shell) -> None:
    """Pages say what is wrong as a page; what machines read, as JSON."""

    @app.exception_handler(HTTPException)
    async def explain(request: Request, exc: HTTPException) -> Response:
        if exc.status_code < 400:
            return await http_exception_handler(request, exc)
        if _is_ocpi(request):
            return ocpi.refused(exc.status_code, str(exc.detail), exc.headers)
        title = _TITLES.get(exc.status_code, "That did not work")
        context = {"status": exc.status_code, "title": title, "detail": exc.detail}
        code = _drivers_language(request, shell)
        if code:
            context |= {"language": code, "title": words.word("wrong", code)}
        return shell.page(request, "error.html", None, context, exc.status_code)

    @app.exception_handler(SQLAlchemyError)
    async def without_database(request: Request, exc: SQLAlchemyError) -> Response:
        _log.error("%s %s: %s", request.method, request.url.path, ingest_texts.fault(exc))
        if _is_ocpi(request):
            return ocpi.refused(503, _NO_DATABASE)
        context = {"status": 503, "title": "The database refused", "detail": _NO_DATABASE}
        code = _drivers_language(request, shell)
        if code:
            title, detail = (words.word(key, code) for key in ("wrong", "no_database"))
            context |= {"language": code, "title": title, "detail": detail}
        return shell.page(request, "error.html", None, context, 503)

    @app.exception_handler(RequestValidationError)
    async def refuse(request: Request, exc: RequestValidationError) -> Response:
        first = exc.errors()[0]
        detail = f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}"
        if _is_ocpi(request):
            return ocpi.refused(400, detail)
        context = {"status": 422, "title": "Not understood", "detail": detail}
        return shell.page(request, "error.html", None, context, 422)

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _exc: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it: a browser left while it sent its form

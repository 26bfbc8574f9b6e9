"""What is wrong is said as a page, to drivers in their language; to machines as JSON."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from hostsim.backoffice import ingest_texts
from hostsim.backoffice.invoices import texts
from hostsim.backoffice.pages import ocpi
from hostsim.backoffice.pages.shell import Shell
from hostsim.backoffice.phone import texts as words

_TITLES = {403: "Not allowed", 404: "Not here", 409: "Not now", 413: "Too much",
           422: "Not understood", 429: "Slowly"}  # fmt: skip
_DRIVERS = ("/pay/", "/bill/", "/r/", "/find")  # whose pages speak their languages
_NO_DATABASE = (
    "The database did not take this, so nothing of it is kept. Please try again; the back "
    "office's log has the reason."
)
_log = logging.getLogger(__name__)


def explain(app: FastAPI, shell: Shell) -> None:
    """Has the pages of this app answer so."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> Response:
        if exc.status_code < 400:
            return await http_exception_handler(request, exc)
        if _is_ocpi(request):
            return ocpi.refused(exc.status_code, str(exc.detail), exc.headers)
        title = _TITLES.get(exc.status_code, "That did not work")
        return _page(request, shell, exc.status_code, title, str(exc.detail))

    @app.exception_handler(SQLAlchemyError)
    async def without_database(request: Request, exc: SQLAlchemyError) -> Response:
        _log.error("%s %s: %s", request.method, request.url.path, ingest_texts.fault(exc))
        if _is_ocpi(request):
            return ocpi.refused(503, _NO_DATABASE)
        code = _drivers_language(request, shell)
        detail = words.word("no_database", code) if code else _NO_DATABASE
        return _page(request, shell, 503, "The database refused", detail)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, exc: RequestValidationError) -> Response:
        first = exc.errors()[0]
        detail = f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}"
        if _is_ocpi(request):
            return ocpi.refused(400, detail)
        return _page(request, shell, 422, _TITLES[422], detail)

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _exc: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it: a browser left while it sent its form


def _page(request: Request, shell: Shell, status: int, title: str, detail: str) -> Response:
    context = {"status": status, "title": title, "detail": detail}
    code = _drivers_language(request, shell)
    if code:
        context |= {"language": code, "title": words.word("wrong", code)}
    return shell.page(request, "error.html", None, context, status)


def _drivers_language(request: Request, shell: Shell) -> str:
    """The language of a page for drivers; "" for all others."""
    if not _path(request).startswith(_DRIVERS):
        return ""
    wished = (request.query_params.get("lang", ""), request.headers.get("accept-language", ""))
    return texts.choose(*wished, shell.operator.language)


def _is_ocpi(request: Request) -> bool:
    return _path(request).startswith("/ocpi/")


def _path(request: Request) -> str:
    """As it is where the pages are mounted."""
    return request.url.path.removeprefix(request.scope.get("root_path", ""))

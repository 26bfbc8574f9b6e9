"""The back office's pages: composed here, a module per job in pages/.

Server-rendered, no script and nothing from elsewhere; it works at any mount point (the front page
has it at /backoffice) and alone.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from hostsim.backoffice.pages import (
    bills,
    errors,
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
from hostsim.backoffice.service import BackOffice

_STATIC = Path(__file__).with_name("static")
_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
_PARTS = (
    login, health, public, pay, overview, fleet, payments, refunds, sessions, invoices, members,
    bills, reports, tariffs, ocpi, people,
)  # fmt: skip


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
    errors.explain(app, shell)
    return app

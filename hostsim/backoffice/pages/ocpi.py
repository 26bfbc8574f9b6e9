"""OCPI 2.2.1, CDRs module, Sender interface: GET with token and pagination, read only.

Source: OCPI 2.2.1, mod_cdrs, "GET Method"; transport and format, "Authorization", "Pagination",
"Response format", "Status codes". The token comes Base64-encoded (2.2.1) or as it is (2.1.1).
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import cdr, cdrs
from hostsim.backoffice.pages.shell import Desk, Shell
from hostsim.backoffice.tables import ApiToken

routes = APIRouter()
_MOST = 250


@routes.get("/ocpi/versions")
def versions(request: Request, shell: Desk) -> Response:
    _partner(request, shell)
    url = f"{shell.base(request)}/ocpi/2.2.1"
    return _answer([{"version": "2.2.1", "url": url}])


@routes.get("/ocpi/2.2.1")
def version(request: Request, shell: Desk) -> Response:
    _partner(request, shell)
    url = f"{shell.base(request)}/ocpi/2.2.1/cdrs"
    endpoint = {"identifier": "cdrs", "role": "SENDER", "url": url}
    return _answer({"version": "2.2.1", "endpoints": [endpoint]})


@routes.get("/ocpi/2.2.1/cdrs")
def get_cdrs(
    request: Request,
    shell: Desk,
    date_from: Annotated[str, Query(max_length=40)] = "",
    date_to: Annotated[str, Query(max_length=40)] = "",
    offset: Annotated[str, Query(max_length=12)] = "0",
    limit: Annotated[str, Query(max_length=12)] = "",
) -> Response:
    _partner(request, shell)
    start, end = _time("date_from", date_from), _time("date_to", date_to)
    skip, wished = _natural("offset", offset, 0), _natural("limit", limit, _MOST)
    engine = shell.office.engine
    size = min(wished or _MOST, _MOST)
    total = cdrs.count(engine, start, end)
    found = cdrs.page(engine, shell.operator, start, end, skip, size)
    headers = {"X-Total-Count": str(total), "X-Limit": str(_MOST)}
    if skip + size < total:
        asked = {"date_from": date_from, "date_to": date_to}
        following = {key: value for key, value in asked.items() if value}
        following |= {"offset": str(skip + size), "limit": str(size)}
        here = f"{shell.base(request)}/ocpi/2.2.1/cdrs"
        headers["Link"] = f'<{here}?{urlencode(following)}>; rel="next"'
    return _answer(found, headers)


def _partner(request: Request, shell: Shell) -> None:
    """Raises HTTPException for anybody without a token."""
    key = shell.address(request)
    if not shell.token_tries.allowed(key):
        raise HTTPException(429, "too many tries")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in _readings(given.strip())]
    with Db(shell.office.engine) as db:
        query = select(ApiToken.id).where(ApiToken.token.in_(hashes), ApiToken.active)
        found = db.scalar(query) if scheme.lower() == "token" else None
    if found is None:
        shell.token_tries.failed(key)
        raise HTTPException(401, "a valid token is needed", {"WWW-Authenticate": "Token"})


def _readings(given: str) -> list[str]:
    found = [given]
    try:
        found.append(base64.b64decode(given, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return found
    return found


def _time(name: str, text: str) -> int:
    if not text:
        return 0
    try:
        at = datetime.datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise HTTPException(400, f"{name}: must be an RFC 3339 time") from exc
    return int((at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


def _natural(name: str, text: str, default: int) -> int:
    if not text:
        return default
    if not text.isascii() or not text.isdecimal():
        raise HTTPException(400, f"{name}: must be a whole number")
    return int(text)


def refused(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as OCPI says it: 2001 for what was asked wrongly, 2000 and 3000 for the others."""
    code = 2001 if status in (400, 422) else 2000 if status < 500 else 3000
    return _message({"status_code": code, "status_message": why}, headers, status)


def _answer(data: Any, headers: dict[str, str] | None = None) -> Response:
    return _message({"data": data, "status_code": 1000, "status_message": "Success"}, headers)


def _message(
    body: dict[str, Any], headers: Mapping[str, str] | None, status: int = 200
) -> Response:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Response(
        cdr.to_json(body | {"timestamp": now}),
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )

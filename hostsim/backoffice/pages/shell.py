"""What all pages share: templates, who is asking, forms that only our own pages can send.

Every page that shows anything needs a log-in; what changes something is a POST with the log-in's
CSRF token from a page of this origin. Server-rendered, without script, nothing from elsewhere.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, HTTPException, Query, Request
from fastapi import Path as InAddress
from fastapi.responses import Response
from fastapi.templating import Jinja2Templates
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from hostsim.backoffice import figures
from hostsim.backoffice.accounts import people
from hostsim.backoffice.accounts.limits import Limiter, Room
from hostsim.backoffice.accounts.logins import Caller, Logins
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice

COOKIE = "forecourt_desk"
AUTO = "auto"
"""In the address of a page that renewed itself: that is no use of the log-in."""

_KEY = secrets.token_bytes(32)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TEMPLATES = Path(__file__).parents[1] / "templates"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_MAX_BODY = 400_000
STATES = {
    "asked": "hold asked",
    "authorised": "waiting for the plug",
    "charging": "charging",
    "delivered": "being settled",
    "priced": "being settled",
    "captured": "paid",
    "cancelled": "nothing charged",
    "declined": "card declined",
}
NAVIGATION = (
    ("overview", "", "Overview", "viewer"),
    ("fleet", "fleet", "Chargers", "viewer"),
    ("payments", "payments", "Payments", "viewer"),
    ("invoices", "invoices", "Invoices", "viewer"),
    ("refunds", "refunds", "Refunds", "viewer"),
    ("members", "members", "Members", "finance"),
    ("bills", "bills", "Accounts", "finance"),
    ("reports", "reports", "Reports", "viewer"),
    ("tariffs", "tariffs", "Tariffs", "viewer"),
    ("people", "people", "People", "admin"),
    ("audit", "audit", "Audit", "finance"),
)


@dataclass
class Form:
    """What somebody sent: `fields` as text, `many` for those that may come several times."""

    caller: Caller
    fields: Mapping[str, str]
    many: Callable[[str], list[str]]
    errors: dict[str, str] = field(default_factory=dict)

    def text(self, name: str, least: int = 0, most: int = 200) -> str:
        """A field without the spaces around it; a wrong length is noted in errors."""
        value = self.fields.get(name, "").strip()
        if not least <= len(value) <= most:
            what = f"{least} to {most}" if least else f"at most {most}"
            self.errors[name] = f"Please give {what} characters."
        return value


class Shell:
    """The pages of one back office."""

    def __init__(self, office: BackOffice, operator: Operator) -> None:
        """`operator` says how long log-ins last and which time zone is shown."""
        self.office = office
        self.operator = operator
        self.logins = Logins(office.engine, operator)
        self.login_tries = Limiter(10, 600)
        self.hashing = Room(8)  # two hash, the others wait for them
        self.receipt_tries = Limiter(30, 60)
        self.token_tries = Limiter(30, 60)
        self.pay_tries = Limiter(30, 60)  # codes that are none
        self.pay_holds = Limiter(20, 600)  # holds, whatever became of them
        self.forged_tries = Limiter(60, 60)
        self.templates = Jinja2Templates(_TEMPLATES)
        env = self.templates.env
        env.filters["kwh"] = figures.kwh
        env.filters["duration"] = figures.duration
        env.filters["moment"] = self.moment
        env.filters["when"] = self.when
        env.filters["state"] = lambda state: STATES.get(state, state)
        env.globals["money"] = figures.money
        env.globals["url"] = _url
        env.globals["operator"] = operator

    def moment(self, epoch_ms: int) -> str:
        """A time in the operator's zone."""
        return figures.moment(epoch_ms, self.operator.zone)

    def when(self, epoch_ms: int) -> Markup:
        """The same for a list: to the minute, with a place to break; all of it as title."""
        full = self.moment(epoch_ms)
        day, _, rest = full.partition(" ")
        page = '<time title="{}"><span class="number">{}</span> {}</time>'
        return Markup(page).format(full, day, rest[:5])

    def now(self) -> datetime.datetime:
        """The office's clock (the simulated world's) in the operator's zone."""
        return datetime.datetime.fromtimestamp(
            self.office.now_ms() / 1000, datetime.UTC
        ).astimezone(self.operator.zone)

    def page(
        self,
        request: Request,
        name: str,
        caller: Caller | None,
        context: dict[str, Any] | None = None,
        status: int = 200,
    ) -> Response:
        """A rendered template."""
        shown: dict[str, Any] = {
            "caller": caller,
            "navigation": [
                entry for entry in NAVIGATION if caller and people.may(caller.role, entry[3])
            ],
            "may": lambda role: caller is not None and people.may(caller.role, role),
            "errors": {},
            "values": {},
            "connected": self.office.connected,
            "said": _our_word(request) if caller else "",
        }
        shown |= context or {}
        return self.templates.TemplateResponse(
            request, name, shown, status_code=status, headers=HEADERS
        )

    def find_caller(self, request: Request) -> Caller | None:
        """Who holds a log-in; None when nobody does."""
        token = request.cookies.get(COOKIE, "")
        return self.logins.find(token, AUTO not in request.query_params) if token else None

    def base(self, request: Request) -> str:
        """Where these pages are, as somebody outside has to write it, without a slash at the end:
        public_url, else as they were asked for (the mount point is part of it)."""
        if self.operator.public_url:
            return self.operator.public_url
        here: str = request.scope.get("root_path", "")
        return f"{request.url.scheme}://{request.url.netloc}{here}"

    def address(self, request: Request) -> str:
        """Where a request comes from, for limits: the peer, or behind so many proxies of the
        operator's what the outermost of them put into X-Forwarded-For. What stands left of that
        is the sender's own word."""
        peer = request.client.host if request.client else ""
        passed = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        proxies = self.operator.proxies
        if not 0 < proxies <= len(passed):
            return peer
        return passed[-proxies].strip()[:64] or peer


def at_https(request: Request) -> bool:
    """Whether browsers are here by TLS: cookies are then sent over it only."""
    public: str = _shell(request).operator.public_url
    return request.url.scheme == "https" or public.startswith("https")


def _shell(request: Request) -> Shell:
    found = request.app.state.shell
    assert isinstance(found, Shell)
    return found


def _needs(role: str, own: bool = False) -> Callable[[Request], Caller]:
    """A dependency: the caller, of at least this role; others are sent to log in, and who must
    choose a password to where they can (`own`: that page itself)."""

    def dependency(request: Request) -> Caller:
        caller = _shell(request).find_caller(request)
        if caller is None:
            here = request.scope.get("root_path", "")
            path = request.url.path.removeprefix(here)
            query = f"?{request.url.query}" if request.url.query else ""
            to = f"{here}/login?to={quote(path + query, safe='')}"
            raise HTTPException(303, "Please log in.", {"Location": to})
        if caller.must_change and not own:
            root = request.scope.get("root_path", "")
            raise HTTPException(303, "Please choose a password.", {"Location": f"{root}/password"})
        if not people.may(caller.role, role):
            raise HTTPException(403, f"This needs the role {role}; yours is {caller.role}.")
        return caller

    return dependency


def _form(role: str, own: bool = False) -> Callable[[Request], Any]:
    """A dependency: what a caller of at least this role sent from one of our pages."""
    needs = _needs(role, own)

    async def dependency(request: Request) -> Form:
        caller = await run_in_threadpool(needs, request)
        fields = await read_form(request)
        if fields.get("csrf", "") != caller.csrf:
            raise HTTPException(403, "This form is not from your log-in. Please reload it.")
        return Form(caller, _texts(fields), lambda name: _many(fields, name))

    return dependency


_HIGHEST = 2**63 - 1
Id = Annotated[int, InAddress(ge=0, le=_HIGHEST)]
"""A number in an address, such as a database can have."""
Before = Annotated[int, Query(ge=0, le=_HIGHEST)]
"""The last row's number of the page before; 0: the first page."""

Desk = Annotated[Shell, Depends(_shell)]
Viewer = Annotated[Caller, Depends(_needs("viewer"))]
Support = Annotated[Caller, Depends(_needs("support"))]
Finance = Annotated[Caller, Depends(_needs("finance"))]
Admin = Annotated[Caller, Depends(_needs("admin"))]
SupportForm = Annotated[Form, Depends(_form("support"))]
FinanceForm = Annotated[Form, Depends(_form("finance"))]
AdminForm = Annotated[Form, Depends(_form("admin"))]
Own = Annotated[Caller, Depends(_needs("viewer", own=True))]
OwnForm = Annotated[Form, Depends(_form("viewer", own=True))]
"""Also of somebody who must choose a password."""


async def read_form(request: Request) -> Any:
    """The form a page of this origin sent. Raises HTTPException for another origin's."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, "This form comes from elsewhere.")
    if "content-length" not in request.headers:
        raise HTTPException(411, "This form has no length.")
    if int(request.headers["content-length"]) > _MAX_BODY:
        raise HTTPException(413, "This is too much for a form.")
    form = await request.form(max_files=0, max_fields=1500)
    for name, value in form.multi_items():
        refuse_control(name, str(value))
    return form


def plain(request: Request) -> None:
    """A dependency of every page: no control characters in an address (a database may not take
    them). Raises HTTPException. Forms: `read_form`."""
    if _CONTROL.search(request.url.path) or _CONTROL.search(request.scope["path"]):
        raise HTTPException(404, "There is no such page.")
    for name, value in request.query_params.multi_items():
        refuse_control(name, value)


def refuse_control(name: str, value: str) -> None:
    """Raises HTTPException, which names the field, for text no keyboard gives."""
    if _CONTROL.search(name) or _CONTROL.search(value):
        shown = _CONTROL.sub("", name)[:40]
        raise HTTPException(422, f"{shown}: must not have control characters.")


def _texts(fields: Any) -> dict[str, str]:
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _many(fields: Any, name: str) -> list[str]:
    return [value for value in fields.getlist(name) if isinstance(value, str)]


def back(request: Request, path: str, said: str = "") -> Response:
    """After a POST: to a page of ours, with a word about what was done."""
    root = request.scope.get("root_path", "")
    mark = "&" if "?" in path else "?"
    word = f"{mark}said={_mark_of(request, said)}.{quote(said)}" if said else ""
    to = f"{root}/{path.lstrip('/')}" + word
    return Response(status_code=303, headers={"Location": to, "Cache-Control": "no-store"})


def _mark_of(request: Request, said: str) -> str:
    """Proves that a word in an address is this desk's own, for this log-in."""
    text = f"{request.cookies.get(COOKIE, '')}\n{said}"
    return hmac.new(_KEY, text.encode(), hashlib.sha256).hexdigest()[:20]


def _our_word(request: Request) -> str:
    mark, _, said = request.query_params.get("said", "").partition(".")
    good = mark.isascii() and hmac.compare_digest(mark, _mark_of(request, said))
    return said if good else ""


@pass_context
def _url(context: Context, path: str) -> str:
    root: str = context["request"].scope.get("root_path", "")
    return f"{root}/{path}"

"""Pay by phone: the page behind the code on a charger's screen, the payment's own page, and where
the gateway says that something happened.

Nobody logs in: the code's MAC opens the form, a random token in the address is the payment's own.
Card data never comes here: in test mode a named test method is chosen, else the gateway's own form
takes them in the browser; its script is allowed on that page only. No other page needs a
script; where there is one, a payment's page renews its parts, and not itself.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from hostsim.backoffice import figures
from hostsim.backoffice.gateways.base import Forged, GatewayError
from hostsim.backoffice.invoices import find, sheet
from hostsim.backoffice.invoices import texts as formats
from hostsim.backoffice.pages.public import link_of, qr_svg
from hostsim.backoffice.pages.shell import HEADERS, Desk, Shell, at_https, back, read_form
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.phone import pays, texts
from hostsim.backoffice.phone.code import BadCode
from hostsim.backoffice.phone.desk import NotForSale, Offer, PayDesk

routes = APIRouter()

_EMAIL = re.compile(r"[^@\s\"<>,;]{1,64}@[^@\s\"<>,;]{1,60}\.[A-Za-z]{2,20}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST_EVENT = 400_000
_RENEW_S = 3
_COOKIE = "forecourt_pay"
_FIELDS = ("token", "method", "email", "lang", "tariff")
_STATUS = {"code_old": 410, "code_used": 409, "someone_else": 409, "code_wrong": 404}


def _phone(shell: Shell, code: str) -> PayDesk:
    if shell.office.phone is None:
        raise HTTPException(404, texts.word("no_gateway", code))
    return shell.office.phone


def _language(request: Request, shell: Shell, lang: str) -> str:
    wished = request.headers.get("accept-language", "")
    return formats.choose(lang, wished, shell.operator.language)


def in_words(code: str, **more: Any) -> dict[str, Any]:
    """A page's context with the words of a language."""
    return {
        "language": code,
        "languages": formats.LANGUAGES,
        "say": lambda key: texts.word(key, code),
        "why": lambda key: texts.why(key, code),
        **more,
    }


def _no(request: Request, shell: Shell, code: str, key: str, path: str) -> Response:
    context = in_words(code, key=key, path=path)
    return shell.page(request, "pay_no.html", None, context, _STATUS.get(key, 503))


# -- the code on the screen


@routes.get("/pay/{charger}/{connector}/{expiry}/{mac}")
def form(
    request: Request, shell: Desk, charger: str, connector: int, expiry: int, mac: str,
    lang: str = Query("", max_length=8),
) -> Response:  # fmt: skip
    code = _language(request, shell, lang)
    path = f"pay/{charger}/{connector}/{expiry}/{mac}"
    try:
        offer = _opened(request, shell, code, charger, connector, expiry, mac)
    except (BadCode, NotForSale) as exc:
        return _no(request, shell, code, exc.key, path)
    if pays.by_code(shell.office.engine, mac) is not None:
        return _no(request, shell, code, "code_used", path)
    return _form(request, shell, code, offer, path, secrets.token_urlsafe(32), {})


def _opened(
    request: Request, shell: Shell, code: str, charger: str, connector: int, expiry: int, mac: str
) -> Offer:
    """What the code opens. Raises BadCode, NotForSale, HTTPException."""
    phone = _phone(shell, code)
    key = shell.address(request)
    if not shell.pay_tries.allowed(key):
        raise HTTPException(429, texts.word("wait", code))
    try:
        phone.check_code(charger, connector, expiry, mac)
    except BadCode:
        shell.pay_tries.failed(key)
        raise
    return phone.offer(charger, connector)


def _form(
    request: Request, shell: Shell, code: str, offer: Offer, path: str, token: str,
    errors: dict[str, str], values: dict[str, str] | None = None, moved: bool = False,
) -> Response:  # fmt: skip
    phone = _phone(shell, code)
    context = in_words(
        code,
        offer=offer,
        path=path,
        token=token,
        lines=offer.words[code],
        hold=formats.money(offer.hold_minor, offer.currency, code),
        most=_most(shell, offer, code),
        methods=phone.gateway.test_methods,
        errors=errors,
        values=values or {},
        moved=moved,
    )
    status = 409 if moved else 422 if errors else 200
    return shell.page(request, "pay.html", None, context, status)


def _most(shell: Shell, offer: Offer, code: str) -> str:
    """What may be held in all; "" when it is never more than at first."""
    operator = shell.operator
    if not operator.pay_extend_minor:
        return ""
    return formats.money(operator.pay_most_minor, offer.currency, code)


@routes.post("/pay/{charger}/{connector}/{expiry}/{mac}")
async def begin(
    request: Request, shell: Desk, charger: str, connector: int, expiry: int, mac: str
) -> Response:
    fields = await read_form(request)
    given = {k: str(fields.get(k, ""))[:200] for k in _FIELDS}
    code = _language(request, shell, given["lang"])
    path = f"pay/{charger}/{connector}/{expiry}/{mac}"
    if not _TOKEN.fullmatch(given["token"]):
        raise HTTPException(403, texts.word("not_ours", code))
    known = await run_in_threadpool(pays.by_page, shell.office.engine, given["token"])
    if known is not None:
        return back(request, f"pay/p/{given['token']}")
    return await run_in_threadpool(
        _begin, request, shell, code, path, (charger, connector, expiry, mac), given
    )


def _begin(
    request: Request, shell: Shell, code: str, path: str, scanned: tuple[str, int, int, str],
    given: dict[str, str],
) -> Response:  # fmt: skip
    try:
        offer = _opened(request, shell, code, *scanned)
        email, method = given["email"].strip(), given["method"]
        if email and not (email.isprintable() and _EMAIL.fullmatch(email)):
            errors = {"email": texts.word("email_bad", code)}
            return _form(request, shell, code, offer, path, given["token"], errors, given)
        if given["tariff"] != str(offer.tariff_crc):  # another price than the one that was shown
            return _form(request, shell, code, offer, path, given["token"], {}, given, True)
        phone = _phone(shell, code)
        method = method_of(phone, method)
        if not shell.pay_holds.allowed(shell.address(request)):
            raise HTTPException(429, texts.word("wait", code))
        shell.pay_holds.failed(shell.address(request))
        to = f"{shell.base(request)}/pay/back"
        phone.begin(offer, given["token"], scanned[3], method, code, email, to)
    except (BadCode, NotForSale) as exc:
        return _no(request, shell, code, exc.key, path)
    except pays.CodeUsed:
        return _no(request, shell, code, "code_used", path)
    return to_page(request, given["token"])


def to_page(request: Request, token: str) -> Response:
    """To the payment's own page; the browser keeps which it was."""
    answer = back(request, f"pay/p/{token}")
    answer.set_cookie(
        _COOKIE, token, max_age=86_400, path=request.scope.get("root_path", "") + "/pay",
        httponly=True, samesite="lax", secure=at_https(request),
    )  # fmt: skip
    return answer


def method_of(phone: PayDesk, method: str) -> str:
    """One of the test methods; "" where the gateway's own form asks."""
    names = [name for name, _ in phone.gateway.test_methods]
    if not names:
        return ""
    if method not in names:
        raise HTTPException(422, "method: must be one of those that are offered")
    return method


# -- the payment's own page


def _mine(shell: Shell, code: str, token: str) -> tuple[PayDesk, dict[str, Any]]:
    phone = _phone(shell, code)
    found = phone.follow(token) if _TOKEN.fullmatch(token) else None
    if found is None:
        raise HTTPException(404, texts.word("no_payment", code))
    return phone, found


@routes.get("/pay/p/{token}")
def follow(
    request: Request, shell: Desk, token: str, lang: str = Query("", max_length=8)
) -> Response:
    phone, found = _mine(shell, _language(request, shell, ""), token)
    pay: Pay = found["pay"]
    code = formats.choose(lang, pay.language)
    context = in_words(
        code,
        path=f"pay/p/{token}",
        pay=pay,
        shown=_shown(pay, found),
        renew=_RENEW_S if pay.state in pays.OPEN and pay.state != pays.DECLINED else 0,
        money=lambda minor: formats.money(minor, pay.currency, code),
        kwh=lambda wh: formats.kwh(wh, code),
        duration=figures.duration,
        figures=found["figures"],
        methods=phone.gateway.test_methods,
        confirm="",
        element=None,
        sheets=[],
    )
    if pay.state == pays.ACTION:
        context |= _confirmation(phone, pay, request, shell)
    if found["invoice"]:
        context |= _bill(request, shell, found["invoice"], code)
    answer = shell.page(request, "pay_follow.html", None, context)
    answer.headers["Content-Security-Policy"] = _policy(phone, bool(context["element"]))
    return answer


@routes.get("/pay/form.js")
def form_script(shell: Desk) -> Response:
    """Ours for the gateway's own card form."""
    text = _phone(shell, "en").gateway.form_script
    return Response(text, media_type="text/javascript", headers=HEADERS)


_GOES_ON = ("starting", "wait_plug", "charging", "paused")


def _shown(pay: Pay, found: dict[str, Any]) -> str:
    """The word of what is happening."""
    shown = _happening(pay, found)
    return "stopping" if found["stopping"] and shown in _GOES_ON else shown


def _happening(pay: Pay, found: dict[str, Any]) -> str:
    session = found["session"]
    if pay.state == pays.STARTED:
        state = (found["figures"] or {}).get("state", "")
        if session and session["state"] in ("delivered", "priced"):
            return "settling" if session["state"] == "priced" else "finished"
        return (
            state
            if state in ("wait_plug", "charging", "paused", "finished", "settling")
            else ("charging" if session and session["state"] == "charging" else "wait_plug")
        )
    return {
        pays.DECLINED: "declined_title",
        pays.CAPTURING: "settling",
        pays.CANCELLING: "cancelled",
    }.get(pay.state, pay.state)


def _confirmation(phone: PayDesk, pay: Pay, request: Request, shell: Shell) -> dict[str, Any]:
    """Where the payer confirms, or what the gateway's form needs."""
    try:
        now = phone.gateway.look_up(pay.reference)
    except GatewayError:
        return {}
    if phone.gateway.form != "element":
        return {"confirm": now.confirm_url}
    return {
        "renew": 0,
        "element": {
            "script": phone.gateway.script,
            "key": phone.gateway.public_key,
            "secret": now.secret,
            "back": f"{shell.base(request)}/pay/back",
        },
    }


def _policy(phone: PayDesk, element: bool) -> str:
    """This page's own script may renew it; with the gateway's form its hosts may be asked too."""
    allowed = {
        "default-src": ["'none'"], "style-src": ["'self'"], "img-src": ["'self'", "data:"],
        "script-src": ["'self'"], "connect-src": ["'self'"], "form-action": ["'self'"],
        "base-uri": ["'none'"], "frame-ancestors": ["'none'"],
    }  # fmt: skip
    for name, hosts in phone.gateway.hosts.items() if element else ():
        allowed.setdefault(name, []).extend(hosts)
    return "; ".join(f"{name} {' '.join(hosts)}" for name, hosts in allowed.items())


def _bill(request: Request, shell: Shell, session_id: int, code: str) -> dict[str, Any]:
    """The invoice and its credit notes, as behind the receipt's own code."""
    documents = find.by_session(shell.office.engine, session_id)
    path, _, query = find.link(documents).partition("?") if documents else ("", "", "")
    return {
        "sheets": [sheet.sheet(one["document"], code) for one in documents],
        "receipt_path": path,
        "query": query,
        "qr": qr_svg(link_of(shell, request, documents, code)) if documents else "",
    }


@routes.get("/pay/back")
def came_back(request: Request, shell: Desk) -> Response:
    """From the bank's page, or the gateway's form: what became of it is looked up. Whose payment
    it is the browser's cookie says: neither gateway nor bank learn the payment's address."""
    token = request.cookies.get(_COOKIE, "")
    phone, found = _mine(shell, _language(request, shell, ""), token)
    if found["pay"].state == pays.ACTION:
        phone.cashier.step(found["pay"].id)
        phone.cashier.wake()
    return back(request, f"pay/p/{token}")


@routes.post("/pay/p/{token}/again")
async def again(request: Request, shell: Desk, token: str) -> Response:
    fields = await read_form(request)
    method = str(fields.get("method", ""))[:64]
    return await run_in_threadpool(_again, request, shell, token, method)


def _again(request: Request, shell: Shell, token: str, method: str) -> Response:
    phone, found = _mine(shell, _language(request, shell, ""), token)
    pay = found["pay"]
    if not shell.pay_holds.allowed(shell.address(request)):
        raise HTTPException(429, texts.word("wait", pay.language))
    shell.pay_holds.failed(shell.address(request))
    try:
        phone.again(pay, method_of(phone, method))
    except NotForSale as exc:
        return _no(request, shell, pay.language, exc.key, f"pay/p/{token}")
    return back(request, f"pay/p/{token}")


@routes.post("/pay/p/{token}/stop")
async def stop(request: Request, shell: Desk, token: str) -> Response:
    await read_form(request)
    phone, found = await run_in_threadpool(_mine, shell, _language(request, shell, ""), token)
    await run_in_threadpool(phone.stop, found["pay"])
    return back(request, f"pay/p/{token}")


# -- the gateway


@routes.post("/gateway/events")
async def event(request: Request, shell: Desk) -> Response:
    """A webhook. What is not signed by the gateway, or too old, is refused and changes nothing."""
    phone = _phone(shell, "en")
    payload = bytearray()
    async for part in request.stream():
        payload += part
        if len(payload) > _MOST_EVENT:
            raise HTTPException(413, "too much")
    try:
        heard = phone.gateway.event(bytes(payload), dict(request.headers))
    except Forged:
        key = shell.address(request)
        if not shell.forged_tries.allowed(key):
            return Response(status_code=429, headers=HEADERS)
        shell.forged_tries.failed(key)
        return Response(status_code=400, headers=HEADERS)
    await run_in_threadpool(phone.hear, heard)
    return Response(status_code=200, headers=HEADERS)

"""Members: accounts, their cards and terms, as finance keeps them; so does `python -m hostsim
members`. Chargers have every change within seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from hostsim.backoffice.accounts.logins import Caller
from hostsim.backoffice.bills.desk import BillError
from hostsim.backoffice.members import FACTS, MemberError, last_day, last_moment
from hostsim.backoffice.pages.bills import terms_in
from hostsim.backoffice.pages.shell import Desk, Finance, FinanceForm, Form, Shell, back

_PAGE = 60

routes = APIRouter()


def _shown(
    request: Request, shell: Shell, caller: Caller, find: str = "", status: int = 200, **more: Any
) -> Response:
    members, word = shell.office.members, find.strip().lower()
    found = [one for one in members.listed() if not word or word in _words(one)]
    terms = {one["account"]: one for one in shell.office.bills.accounts()}
    context = {
        "here": "members",
        "members": [one | {"terms": terms.get(one["account"], {})} for one in found[:_PAGE]],
        "more": len(found) - _PAGE,
        "tariffs": [("", "the charger's"), *((name, name) for name in members.tariffs())],
        "find": find,
        "last_day": last_day,
        "version": members.version,
    }
    return shell.page(request, "members.html", caller, context | more, status)


def _words(member: dict[str, Any]) -> str:
    """What a member is found by."""
    cards = " ".join(f"{card['label']} {card['uid_hash']}" for card in member["cards"])
    return f"{member['account']} {member['name']} {member['email']} {cards}".lower()


@routes.get("/members")
def listed(
    request: Request, shell: Desk, caller: Finance, find: str = Query("", max_length=80)
) -> Response:
    return _shown(request, shell, caller, find)


@routes.post("/members")
def add(request: Request, shell: Desk, form: FinanceForm) -> Response:
    account = form.text("account", 1, 32)
    tariff = form.text("tariff", 0, 36)
    facts = {name: form.text(name, 0, most) for name, most in FACTS.items()}
    try:
        if not form.errors:
            shell.office.members.add(account, by=form.caller.name, tariff=tariff, **facts)
    except MemberError as exc:
        form.errors[exc.field] = exc.why
    if form.errors:
        values = {"account": account, "tariff": tariff} | facts
        return _shown(
            request, shell, form.caller, status=422, errors=form.errors, values=values
        )
    return back(request, f"members?find={account}", f"{account} is a member.")


def _done(
    request: Request, shell: Shell, form: Form, said: str, work: Callable[[str], object]
) -> Response:
    """One change of an account that is there; what is wrong with it stands above the page."""
    account = form.text("account", 1, 32)
    try:
        work(account)
    except (MemberError, BillError) as exc:
        wrong = {"name": account, "why": str(exc)}
        return _shown(request, shell, form.caller, account, 422, wrong=wrong)
    return back(request, f"members?find={account}", said.format(account))


@routes.post("/members/card")
def add_card(request: Request, shell: Desk, form: FinanceForm) -> Response:
    uid, label = form.fields.get("uid", "").strip(), form.text("label", 0, 40)
    expires = form.text("expires", 0, 10)

    def work(account: str) -> None:
        shell.office.members.add_card(
            account, uid, by=form.caller.name, label=label,
            expires_at=last_moment(expires) if expires else 0,
        )  # fmt: skip

    return _done(request, shell, form, "A card of {} works.", work)


@routes.post("/members/revoke")
def revoke(request: Request, shell: Desk, form: FinanceForm) -> Response:
    card = form.text("card", 16, 16)
    work = lambda _: shell.office.members.revoke(card, by=form.caller.name)  # noqa: E731
    return _done(request, shell, form, "A card of {} works no more.", work)


@routes.post("/members/change")
def change(request: Request, shell: Desk, form: FinanceForm) -> Response:
    active, tariff = form.text("active") == "yes", form.text("tariff", 0, 36)

    def work(account: str) -> None:
        by, members = form.caller.name, shell.office.members
        shell.office.bills.set_terms(account, *terms_in(form, shell, account), by)
        was = next(one["active"] for one in members.listed() if one["account"] == account)
        # what billing stopped is an operator's word only when the operator changes it
        changed = None if active is was else active
        members.change(account, by=by, active=changed, tariff=tariff)

    return _done(request, shell, form, "{} is changed.", work)

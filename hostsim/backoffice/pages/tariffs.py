"""Tariffs: write one, read it in words, try it on past sessions, send it to chargers."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from hostsim.backoffice import tariffs, views
from hostsim.backoffice.accounts.logins import Caller
from hostsim.backoffice.pages.shell import AdminForm, Before, Desk, Id, Shell, Viewer, back
from hostsim.backoffice.tariffs import TariffRefused
from hostsim.pricing.cli import PriceError

routes = APIRouter()
_START = {
    "country_code": "DE",
    "party_id": "FCT",
    "id": "ADHOC-2",
    "currency": "EUR",
    "type": "AD_HOC_PAYMENT",
    "tax_included": "YES",
    "elements": [
        {"price_components": [{"type": "ENERGY", "price": 0.59, "vat": 19.0, "step_size": 1}]}
    ],
    "last_updated": "2026-01-01T00:00:00Z",
}


@routes.get("/tariffs")
def listed(request: Request, shell: Desk, caller: Viewer) -> Response:
    engine = shell.office.engine
    context = {
        "here": "tariffs",
        "versions": tariffs.versions(engine),
        "in_force": tariffs.in_force(engine),
    }
    return shell.page(request, "tariffs.html", caller, context)


@routes.get("/tariffs/new")
def new(request: Request, shell: Desk, caller: Viewer, of: Before = 0) -> Response:
    known = tariffs.version(shell.office.engine, of) if of else None
    text = known["payload"] if known else json.dumps(_START, indent=1)
    return _editor(request, shell, caller, text)


def _editor(
    request: Request, shell: Shell, caller: Caller, text: str, status: int = 200, **more: Any
) -> Response:
    chargers = views.charger_names(shell.office.engine)
    context = {"here": "tariffs", "text": text, "chargers": chargers, "values": {}}
    return shell.page(request, "tariff_edit.html", caller, context | more, status)


@routes.post("/tariffs/new")
def write(request: Request, shell: Desk, form: AdminForm) -> Response:
    text = form.fields.get("text", "").replace("\r\n", "\n").strip()
    note, charger, what = form.text("note", most=500), form.text("charger"), form.text("do")
    values = {"note": note, "charger": charger}
    office = shell.office
    try:
        if what == "keep":
            now = office.now_ms()
            identity = tariffs.keep(office.engine, form.caller.name, text, note, now)
            return back(request, f"tariffs/{identity}", "Kept. Now choose who gets it.")
        found = tariffs.reading(text)
        tried = tariffs.what_if(office, text, charger) if what == "try" else None
    except (TariffRefused, PriceError) as exc:
        return _editor(
            request, shell, form.caller, text, 422, errors={"text": str(exc)}, values=values
        )
    return _editor(
        request, shell, form.caller, text, words=found["words"], tried=tried, values=values
    )


@routes.get("/tariffs/{identity}")
def one(request: Request, shell: Desk, caller: Viewer, identity: Id) -> Response:
    engine = shell.office.engine
    found = tariffs.version(engine, identity)
    if found is None:
        raise HTTPException(404, "There is no such version.")
    try:
        words = tariffs.reading(found["payload"])["words"]
    except (TariffRefused, PriceError) as exc:
        words = {"en": [str(exc)]}
    context = {
        "here": "tariffs",
        "v": found,
        "words": words,
        "in_force": tariffs.in_force(engine),
    }
    return shell.page(request, "tariff.html", caller, context)


@routes.post("/tariffs/{identity}/roll-out")
def roll_out(request: Request, shell: Desk, form: AdminForm, identity: Id) -> Response:
    if tariffs.version(shell.office.engine, identity) is None:
        raise HTTPException(404, "There is no such version.")
    count = tariffs.roll_out(shell.office, form.caller.name, identity, form.many("charger"))
    said = f"Sent to {count} chargers." if count else "Choose at least one charger."
    return back(request, f"tariffs/{identity}", said)

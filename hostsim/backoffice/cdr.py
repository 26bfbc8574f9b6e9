"""A finished session as an OCPI 2.2.1 CDR, from its hold_asked, period and priced records.

Source: OCPI 2.2.1, mod_cdrs, "CDR Object", "CdrToken", "ChargingPeriod", "CdrDimensionType"
(ENERGY kWh, TIME and PARKING_TIME hours, currents A, powers kW). Decimals are exact: mWh / 10^6
has six of them; ms / 3.6 * 10^6 is given with ten, from which the milliseconds come back by
rounding.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hostsim.backoffice import figures
from hostsim.backoffice.locations import Location, cdr_location
from hostsim.backoffice.operator import Operator

_PLACES = Decimal("1e-10")
_TOKENS = {"rfid": "RFID", "app": "APP_USER", "account": "OTHER"}
"""OCPI 2.2.1, mod_tokens, TokenType; cards and the gateway are ad hoc."""
_FINISHED = ("priced", "captured")
_ID = 36
_REMARK = 255
_NO_LOCATION = "cdr_location: placeholders, the operator gave none"


class NotFinished(LookupError):
    """The session has no bill yet, so there is no CDR of it."""


def compose(session: dict[str, Any], operator: Operator | None = None) -> dict[str, Any]:
    """The CDR of one of views.session's dicts, the demo operator's when none is given; numbers
    are Decimal. Raises NotFinished."""
    if session["state"] not in _FINISHED:
        raise NotFinished(
            f"session {session['sess']} of {session['charger']} is {session['state']}"
        )
    operator = operator or Operator()
    country, party = operator.country, operator.party
    location = operator.location_of(session["charger"])
    currency = session["currency"]
    parking_ms = sum(period["parking_ms"] for period in session["periods"])
    cdr = {
        "country_code": country,
        "party_id": party,
        "id": identity(session),
        "start_date_time": time(session["start_at"]),
        "end_date_time": time(session["end_at"]),
        "session_id": identity(session),
        "cdr_token": _token(session, country, party),
        "auth_method": "WHITELIST" if session["method"] == "rfid" else "COMMAND",
        "cdr_location": cdr_location(
            location, session["charger"], session["connector"], country, party
        ),
        "meter_id": session["meter_serial"],
        "currency": currency,
        "charging_periods": _periods(session),
        "total_cost": cost(session["net_minor"], session["total_minor"], currency),
        "total_energy": Decimal(session["billed_wh"]).scaleb(-3),
        "total_time": _hours(session["elapsed_ms"]),
        "total_parking_time": _hours(parking_ms),
        "invoice_reference_id": str(session["receipt_no"]),
        "remark": _remark(session, location),
        "last_updated": time(session["settled_at"] or session["end_at"]),
    }
    if session["reference"]:
        cdr["authorization_reference"] = session["reference"][:_ID]
    return cdr | _part_costs(session)


def to_json(value: Any) -> str:
    """JSON text in which a Decimal is a number, digit by digit."""
    if isinstance(value, Decimal):
        return figures.plain(value, 0)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(key)}:{to_json(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(to_json(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def identity(session: dict[str, Any], more: str = "") -> str:
    """Of at most 36 characters: a credit CDR's may have three more."""
    found = f"{session['charger']}-{session['epoch']}-{session['sess']}{more}"
    return found if len(found) <= _ID else hashlib.sha256(found.encode()).hexdigest()[:_ID]


def _remark(session: dict[str, Any], location: Location) -> str:
    parts = [session["stop_reason"], "" if location.given else _NO_LOCATION]
    return "; ".join(part for part in parts if part)[:_REMARK]


def _periods(session: dict[str, Any]) -> list[dict[str, Any]]:
    """OCPI wants one at least: a session without any has one of no energy."""
    if session["periods"]:
        return [_period(session, period) for period in session["periods"]]
    return [
        {
            "start_date_time": time(session["start_at"]),
            "dimensions": [{"type": "ENERGY", "volume": Decimal(0)}],
            "tariff_id": session["tariff"],
        }
    ]


def _period(session: dict[str, Any], period: dict[str, Any]) -> dict[str, Any]:
    dimensions = [("ENERGY", Decimal(period["energy_mwh"]).scaleb(-6))]
    for name, key in (("TIME", "charging_ms"), ("PARKING_TIME", "parking_ms")):
        if period[key]:
            dimensions.append((name, _hours(period[key])))
    for name, key in (
        ("MIN_CURRENT", "min_ma"),
        ("MAX_CURRENT", "max_ma"),
        ("MIN_POWER", "min_w"),
        ("MAX_POWER", "max_w"),
    ):
        if period[key] >= 0:
            dimensions.append((name, Decimal(period[key]).scaleb(-3)))
    return {
        "start_date_time": time(
            session["start_at"] + period["start_ms"] if session["start_at"] else 0
        ),
        "dimensions": [{"type": name, "volume": volume} for name, volume in dimensions],
        "tariff_id": session["tariff"],
    }


def _part_costs(session: dict[str, Any]) -> dict[str, Any]:
    names = {
        "ENERGY": "total_energy_cost",
        "TIME": "total_time_cost",
        "PARKING_TIME": "total_parking_cost",
    }
    names["FLAT"] = "total_fixed_cost"
    gross: dict[str, int] = {}
    net: dict[str, Decimal] = {}
    for line, part in zip(figures.lines(session), _net_parts(session), strict=True):
        name = names.get(line["kind"])
        if name is not None:
            gross[name] = gross.get(name, 0) + line["gross_minor"]
            net[name] = net.get(name, Decimal(0)) + part
    return {name: _both(net[name], gross[name], session["currency"]) for name in gross}


def cost(net_minor: int, gross_minor: int, currency: str) -> dict[str, Decimal]:
    """OCPI 2.2.1, types, Price."""
    return _both(figures.amount(net_minor, currency), gross_minor, currency)


def _net_parts(session: dict[str, Any]) -> list[Decimal]:
    """What each line costs without tax, to four decimals: its part of its rate's net, so that the
    parts of all lines add up to the bill's net."""
    groups = {rate: (net, gross) for rate, net, _, gross in figures.vat_groups(session)}
    run: dict[int, tuple[int, Decimal]] = {}
    parts = []
    for line in figures.lines(session):
        rate, minor = line["vat_e4"], line["gross_minor"]
        net, gross = groups[rate]
        amount = figures.amount(minor, session["currency"])
        if not gross:
            parts.append(figures.net_of(amount, rate, 4))
            continue
        so_far, before = run.get(rate, (0, Decimal(0)))
        whole = figures.amount(net, session["currency"])
        now = (whole * (so_far + minor) / gross).quantize(Decimal("1e-4"), ROUND_HALF_UP)
        run[rate] = so_far + minor, now
        parts.append(now - before)
    return parts


def _both(net: Decimal, gross_minor: int, currency: str) -> dict[str, Decimal]:
    return {"excl_vat": net, "incl_vat": figures.amount(gross_minor, currency)}


def _hours(ms: int) -> Decimal:
    return (Decimal(ms) / 3_600_000).quantize(_PLACES)


def time(epoch_ms: int) -> str:
    """OCPI 2.2.1, types, DateTime: UTC with Z; a time that was never known is the epoch."""
    moment = datetime.datetime.fromtimestamp(epoch_ms // 1000, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{epoch_ms % 1000:03}Z"


def _token(session: dict[str, Any], country: str, party: str) -> dict[str, str]:
    """A bank card has no reference: its token is good for this session only, and named so."""
    contract = session["reference"][:_ID] or identity(session)
    hashed = session["uid_hash"] if session["method"] == "rfid" else ""
    return {
        "country_code": country,
        "party_id": party,
        "uid": hashed[:_ID] or contract,
        "type": _TOKENS.get(session["method"], "AD_HOC_USER"),
        "contract_id": contract,
    }

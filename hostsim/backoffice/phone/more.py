"""A session by phone whose price nears its hold, where the operator allows more (operator.toml,
pay_extend_minor and pay_most_minor): the gateway holds more, then the charger gets the signed
`extend`. In this order, so that nothing is delivered that is not held.

A lost answer is asked for again with the same key. A final no is not asked for again: the session
stops at its hold. A charger that does not hear of more stops at the hold it knows, and the rest is
released by the capture.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.gateways.base import Declined, Gateway, Refused
from hostsim.backoffice.models import Charger, Command, Session
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.phone.office import Office
from hostsim.backoffice.phone.strays import LOST

NO_MORE = 1000
"""Pay.tries of a session whose hold the gateway will not make greater."""

_NEAR = 80  # per cent of the hold
_WATCH_MS = 60_000
_NEARER_MS = 10_000  # where a hold may become greater
_VALID_S = 120
_RUNS = ("authorised", "charging")


def pause_ms(operator: Operator) -> int:
    """How long a session that runs is not looked at."""
    return _NEARER_MS if operator.pay_extend_minor else _WATCH_MS


def wanted(office: Office, pay: Pay) -> int:
    """What is to be held in all from now on; 0: nothing more."""
    step, most = office.operator.pay_extend_minor, office.operator.pay_most_minor
    if not step or pay.amount_minor >= most or pay.tries >= NO_MORE:
        return 0
    with Db(office.engine) as db:
        session = db.get(Session, pay.session_id)
        charger = db.get(Charger, pay.charger)
        if session is None or charger is None or session.state not in _RUNS:
            return 0
        figures = charger.figures
        knows = session.payment.authorised_minor == pay.amount_minor  # else it is to be told
        if not knows or not charger.online or figures.get("session") != session.sess:
            return 0
        if int(figures.get("price_minor") or 0) * 100 < pay.amount_minor * _NEAR:
            return 0
    return min(pay.amount_minor + step, most)


def ask(gateway: Gateway, pay: Pay, amount_minor: int) -> dict[str, Any]:
    """Asks for it; the payment's fields that change. Raises Unanswered, Busy."""
    try:
        key = f"extend-{pay.id}-{amount_minor}-{pay.turn}"
        held = gateway.extend(pay.reference, amount_minor, key, pay.currency).authorised_minor
    except (Refused, Declined) as exc:
        held = gateway.look_up(pay.reference).authorised_minor
        if held < amount_minor:
            return {"tries": NO_MORE, "fault": f"no more: {exc}"[:200]}
    return {"amount_minor": held, "tries": 0, "fault": ""}


def tell(office: Office, pay: Pay) -> None:
    """The charger, when it knows of less than is held; not while a word of it is on its way, nor
    once more when it said no."""
    with Db(office.engine) as db:
        session = db.get(Session, pay.session_id)
        charger = db.get(Charger, pay.charger)
        if session is None or charger is None or not charger.online:
            return
        if session.state not in _RUNS or session.payment.authorised_minor >= pay.amount_minor:
            return
        query = select(Command).where(
            Command.charger == pay.charger, Command.name == "extend",
            Command.message.contains(pay.id),
        )  # fmt: skip
        last = db.scalars(query.order_by(Command.counter.desc())).first()
        if last is not None and last.state not in LOST:
            args = json.loads(json.loads(last.message)["args"])
            if args["amount_minor"] == pay.amount_minor:
                return
    office.send(
        pay.charger, "extend", expires_in_s=_VALID_S, session=pay.id,
        amount_minor=pay.amount_minor,
    )  # fmt: skip

"""A session that runs on a payment by phone: whether its charger is heard, whether it can still be
running there, and whether its hold is still at the gateway. Only looks; what follows is the
cashier's and the desk's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session as Db

from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Gateway, GatewayError
from hostsim.backoffice.models import Charger, Session
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.phone.office import Office

ODD_MS = 300_000
"""Records of a session that has ended may come so long after its charger is free again."""

LOOK_MS = 300_000
_AGAIN_MS = 60_000  # after a look that failed
_FREE = ("free", "plugged", "declined")


def of_charger(office: Office, pay: Pay, now: int) -> tuple[dict[str, Any], list[str]]:
    """The payment's fields that change, and what an operator must see."""
    operator, found = office.operator, []
    with Db(office.engine) as db:
        charger = db.get_one(Charger, pay.charger)
        odd = _cannot_be(charger, db.get(Session, pay.session_id))
        silent = not charger.online and now - charger.seen_at > operator.pay_silent_s * 1000
    since = (pay.odd_at or now) if odd else 0
    if now > pay.hold_until - operator.hold_alarm_h * 3_600_000:
        found.append(f"{pay.reference}: the session has no end and its hold ends soon")
    elif silent:
        found.append(f"{pay.reference}: the charger is not heard during the session")
    if odd and now - since >= ODD_MS:
        found.append(f"{pay.reference}: {odd}, and the session has no end here")
    return {"odd_at": since}, found


def _cannot_be(charger: Charger, session: Session | None) -> str:
    """Why what a charger says of itself and a session that runs there exclude each other."""
    if not charger.online:
        return ""
    epoch = charger.status.get("epoch") or charger.epoch
    if session is not None and epoch and epoch != session.epoch:
        return "the charger has another flash"
    state = str(charger.status.get("state", ""))
    return f"the charger is {state}" if state in _FREE else ""


def of_hold(gateway: Gateway, pay: Pay, now: int) -> tuple[dict[str, Any], str]:
    """After an event, and every few minutes: the payment's fields that change, and what is wrong.
    A gateway that does not answer says nothing."""
    if now - pay.looked_at < LOOK_MS:
        return {}, ""
    try:
        found = gateway.look_up(pay.reference)
    except GatewayError:
        return {"looked_at": now - LOOK_MS + _AGAIN_MS}, ""
    if found.state == base.HELD:
        return {"looked_at": now}, ""
    what = f"the hold is {found.state} at the gateway while the session runs; it is told to stop"
    return {"looked_at": now}, f"{pay.reference}: {what}"

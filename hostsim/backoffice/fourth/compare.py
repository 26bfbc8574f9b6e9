"""The whole comparison: the gateway's own list of payments and refunds, read page by page to its
end, beside everything here that it settles: sessions by phone, monthly invoices and credits, card
payments and refunds at terminals whose acquirer it is. To the cent; every difference is named.

Ours is what has our order or our terminal's references in its metadata. Other payments of the same
gateway account are named and not counted. The gateway is read first and each difference looked at
once more, so that what moves meanwhile is none.
"""

from __future__ import annotations

import time

from sqlalchemy import Engine

from hostsim.backoffice.fourth import cards, own, payments, refunds
from hostsim.backoffice.fourth.found import Comparison, Foreign
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Gateway
from hostsim.backoffice.operator import Operator

DAYS = 35
_DAY_S = 86_400


def since_days(days: int, now_ms: int) -> int:
    """Epoch s so many days ago; 0 for everything when days is 0."""
    return now_ms // 1000 - days * _DAY_S if days else 0


def compare(
    engine: Engine, operator: Operator, gateway: Gateway, since: int, now_ms: int | None = None
) -> Comparison:
    """Of what was made since (epoch s). Raises gateways.base.GatewayError: no list, no verdict."""
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    into = Comparison(since)
    listed = list(gateway.listed(since))
    made = list(gateway.refunds_made(since))
    ordered = [one for one in listed if one.order]
    sold = [one for one in listed if not one.order and one.terminal_id in operator.acquires]
    known = {one.reference: one for one in (*ordered, *sold)}
    for one in listed:
        if one.reference not in known and one.state in (base.HELD, base.CAPTURED):
            amount = one.captured_minor or one.authorised_minor
            into.foreign.append(Foreign(one.reference, one.state, amount, one.currency))
    payments.compare(engine, gateway, since, ordered, into)
    cards.compare(engine, operator, since, sold, now_ms, into)
    refunds.compare(engine, gateway, since, made, known, into)
    own.compare(engine, since, into)
    return into

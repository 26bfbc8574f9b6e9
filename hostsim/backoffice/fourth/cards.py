"""Card payments at terminals whose acquirer the gateway is (operator.toml, gateway_acquires),
beside the gateway's list: by terminal id, trace, currency and time; a trace comes again."""

from __future__ import annotations

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.fourth.found import (
    CARD,
    DIFFERS,
    MISSING_HERE,
    MISSING_THERE,
    Comparison,
    Difference,
)
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Payment
from hostsim.backoffice.models import Payment as Sale
from hostsim.backoffice.models import Session
from hostsim.backoffice.operator import Operator

_NEAR_MS = 3 * 86_400_000  # as phone/paybacks.py looks for one
_NEVER = 2**62
_SUBMITTED_MS = 86_400_000  # what was taken reaches the acquirer by the terminal's end of day


def compare(
    engine: Engine, operator: Operator, since: int, listed: list[Payment], now_ms: int,
    into: Comparison,
) -> None:  # fmt: skip
    """Every captured card payment of these terminals that either side has."""
    here = _sales(engine, operator, since)
    taken_there = sorted((p for p in listed if p.state == base.CAPTURED), key=lambda p: p.created)
    of = _matched(here, taken_there)
    for payment in taken_there:
        into.count(payment.currency, "there", "payments", payment.captured_minor)
        session = of.get(payment.reference)
        trace = f"{payment.terminal_id}/{payment.trace}"
        taken = payment.captured_minor
        if session is None:
            detail = f"captured {figures.money(taken, payment.currency)} there"
            into.differences.append(
                Difference(MISSING_HERE, CARD, payment.reference, trace, detail)
            )
            continue
        into.count(session.currency, "here", "payments", session.payment.captured_minor)
        if session.payment.captured_minor != taken:
            detail = f"captured is {session.payment.captured_minor} here, {taken} there"
            into.differences.append(Difference(DIFFERS, CARD, payment.reference, trace, detail))
    for session in here:
        sale = session.payment
        if session in of.values() or sale.settled_at < since * 1000:
            continue
        if sale.settled_at > now_ms - _SUBMITTED_MS:
            into.under_way += 1
            continue
        into.count(session.currency, "here", "payments", sale.captured_minor)
        trace = f"{sale.terminal_id}/{sale.trace}"
        name = f"{session.charger}-{session.receipt_no}"
        detail = f"captured {figures.money(sale.captured_minor, session.currency)} here"
        into.differences.append(Difference(MISSING_THERE, CARD, name, trace, detail))


def _sales(engine: Engine, operator: Operator, since: int) -> list[Session]:
    if not operator.acquires:
        return []
    query = (
        select(Session)
        .join(Sale, Sale.session_id == Session.id)
        .where(
            Sale.state == "captured", Sale.terminal_id.in_(sorted(operator.acquires)),
            Sale.settled_at >= since * 1000 - _NEAR_MS,
        )
        .order_by(Session.id)
    )  # fmt: skip
    with Db(engine, expire_on_commit=False) as db:
        return list(db.scalars(query).unique())


def _matched(sales: list[Session], payments: list[Payment]) -> dict[str, Session]:
    """The session of each payment, by the payment's name: first those of the same amount, then
    those of another one; the nearest in time."""
    found: dict[str, Session] = {}
    left = list(sales)
    for same in (True, False):
        for payment in payments:
            fits = [
                (away, sale.id, sale)
                for sale in left
                if (away := _away(sale, payment)) <= _NEAR_MS
                and (sale.payment.captured_minor == payment.captured_minor) >= same
            ]
            if payment.reference not in found and fits:
                found[payment.reference] = min(fits)[2]
                left.remove(found[payment.reference])
    return found


def _away(session: Session, payment: Payment) -> int:
    """How far apart in time, ms; for ever when it is another sale's."""
    sale = session.payment
    wanted = (payment.terminal_id, payment.trace, payment.currency)
    if (sale.terminal_id, sale.trace, session.currency) != wanted:
        return _NEVER
    return abs((sale.authorised_at or sale.settled_at) - payment.created * 1000)

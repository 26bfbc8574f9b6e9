"""Payments of ours (sessions by phone, monthly invoices) beside the gateway's list."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.fourth.found import (
    BILL,
    DIFFERS,
    MISSING_HERE,
    MISSING_THERE,
    SESSION,
    TWICE,
    Comparison,
    Difference,
)
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Gateway, Payment, Refused
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.phone import pays

_MONEY = (base.HELD, base.CAPTURED)
_RUNS = (pays.HELD, pays.STARTING, pays.STARTED)
_ENDS = (pays.CAPTURED, pays.CANCELLED, pays.LOST)
_MANY = 500  # names in one question to the database


def rows(engine: Engine, gateway: str, since: int, orders: set[str]) -> dict[str, Pay]:
    """Our payments made since (epoch s), and those with these ids, by id."""
    names = sorted(orders)
    found: dict[str, Pay] = {}
    with Db(engine, expire_on_commit=False) as db:
        query = select(Pay).where(Pay.gateway == gateway)
        for pay in db.scalars(query.where(Pay.created_at >= since * 1000)):
            found[pay.id] = pay
        for at in range(0, len(names), _MANY):
            for pay in db.scalars(query.where(Pay.id.in_(names[at : at + _MANY]))):
                found[pay.id] = pay
    return found


def by_references(engine: Engine, references: set[str]) -> dict[str, Pay]:
    """Our payments by the gateway's name."""
    names = sorted(references - {""})
    found: dict[str, Pay] = {}
    with Db(engine, expire_on_commit=False) as db:
        for at in range(0, len(names), _MANY):
            some = names[at : at + _MANY]
            for pay in db.scalars(select(Pay).where(Pay.reference.in_(some))):
                found[pay.reference] = pay
    return found


def compare(
    engine: Engine, gateway: Gateway, since: int, listed: list[Payment], into: Comparison
) -> None:
    """Every payment of ours that either side has."""
    there: dict[str, list[Payment]] = {}
    for payment in listed:
        there.setdefault(payment.order, []).append(payment)
    here = rows(engine, gateway.name, since, set(there))
    for payment in listed:
        if payment.state == base.CAPTURED:
            into.count(payment.currency, "there", "payments", payment.captured_minor)
        if payment.order not in here and payment.state in _MONEY:
            into.differences.append(_unknown(payment))
    for pay in here.values():
        if pay.state not in _ENDS:
            into.under_way += 1
        elif pay.state == pays.CAPTURED:
            into.count(pay.currency, "here", "payments", pay.captured_minor)
        if any(_judged(pay, there.get(pay.id, []))):  # once more: it may have moved meanwhile
            again = pays.get(engine, pay.id)
            if again is not None:
                into.differences += _judged(again, _fresh(gateway, again, there.get(pay.id, [])))


def _fresh(gateway: Gateway, pay: Pay, listed: list[Payment]) -> list[Payment]:
    """As the gateway has them now; also one that was made before the list begins."""
    found = []
    for reference in {pay.reference, *(payment.reference for payment in listed)} - {""}:
        try:
            found.append(gateway.look_up(reference))
        except Refused:
            continue
    return found


def _judged(pay: Pay, there: list[Payment]) -> list[Difference]:
    money = [one for one in there if one.state in _MONEY]
    mine = next((one for one in there if one.reference == pay.reference), None)
    if mine is None and money:
        mine = money[0]
    found = list(_one(pay, mine))
    for other in money:
        if other is not mine:
            detail = f"{other.reference} has {_amounts(other)} of the same order"
            found.append(_difference(pay, TWICE, detail))
    return found


def _one(pay: Pay, mine: Payment | None) -> Iterator[Difference]:
    state = mine.state if mine is not None else "nothing"
    if pay.state == pays.CAPTURED:
        if mine is None:
            yield _difference(pay, MISSING_THERE, f"captured {pay.captured_minor} here")
            return
        for name, ours, theirs in (
            ("state", base.CAPTURED, mine.state),
            ("currency", pay.currency, mine.currency),
            ("authorised", pay.amount_minor, mine.authorised_minor),
            ("captured", pay.captured_minor, mine.captured_minor),
            ("released", pay.released_minor, mine.released_minor),
        ):
            if ours != theirs:
                yield _difference(pay, DIFFERS, f"{name} is {ours} here, {theirs} there")
    elif pay.state == pays.LOST:
        owed = pay.capture_minor or (pay.amount_minor if pay.kind == "bill" else 0)
        taken = mine.captured_minor if mine is not None else 0
        yield _difference(pay, DIFFERS, f"{owed} are owed here, {taken} were taken there")
    elif pay.state == pays.CANCELLED:
        if mine is not None and mine.state in _MONEY:
            yield _difference(pay, DIFFERS, f"given back here, {_amounts(mine)} there")
    elif state == base.CAPTURED and pay.state not in (pays.CAPTURING, pays.CANCELLING):
        yield _difference(pay, DIFFERS, f"{pay.state} here, {_amounts(mine)} there")
    elif pay.state in _RUNS and state != base.HELD:
        yield _difference(pay, DIFFERS, f"{pay.state} here, {state} there")


def _unknown(payment: Payment) -> Difference:
    kind = BILL if payment.about.startswith("bill-") else SESSION
    detail = f"{_amounts(payment)} for {payment.about or 'nobody'}"
    return Difference(MISSING_HERE, kind, payment.reference, payment.order, detail)


def _amounts(payment: Payment | None) -> str:
    if payment is None:
        return "nothing"
    amount = payment.captured_minor if payment.state == base.CAPTURED else payment.authorised_minor
    return f"{payment.state} {figures.money(amount, payment.currency)}"


def _difference(pay: Pay, what: str, detail: str) -> Difference:
    kind = BILL if pay.kind == "bill" else SESSION
    ours = pay.code if pay.kind == "bill" else pay.id
    return Difference(what, kind, pay.reference or pay.id, ours, detail)

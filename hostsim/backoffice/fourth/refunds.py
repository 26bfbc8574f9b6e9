"""Refunds beside the gateway's list: of sessions by phone, of card payments whose acquirer the
gateway is, and of monthly credits. They are known by our own id in them; one without it is ours
when its payment is, and then somebody made it at the gateway itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.fourth import payments
from hostsim.backoffice.fourth.found import (
    CREDIT,
    DIFFERS,
    MISSING_HERE,
    MISSING_THERE,
    REFUND,
    TWICE,
    Comparison,
    Difference,
    Foreign,
)
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Gateway, Payment, Refunded, Refused
from hostsim.backoffice.models import Refund, RefundOrder
from hostsim.backoffice.pay_tables import BY_HAND, PayRefund

_MANY = 500


def compare(
    engine: Engine, gateway: Gateway, since: int, made: list[Refunded],
    known: dict[str, Payment], into: Comparison,
) -> None:  # fmt: skip
    """`known`: the gateway's payments that are ours, by its name for them."""
    there: dict[str, list[Refunded]] = {}
    for refund in made:
        there.setdefault(refund.refund, []).append(refund)
    there.pop("", None)
    here = _rows(engine, since, set(there))
    ours = set(known) | {row.payment for row in here.values()}
    ours |= set(payments.by_references(engine, {r.payment for r in made} - ours))
    _unnamed(engine, gateway, made, ours, known, into)
    for refund in made:
        if not refund.refund:
            continue
        if refund.refund not in here and refund.payment not in ours:
            into.foreign.append(_foreign(refund))
        else:
            _theirs(refund, refund.refund in here, into)
    for row in here.values():
        if row.state in ("asked", "pending"):
            into.under_way += 1
        elif row.state == "done":
            currency = _currency(row, known, there)
            into.count(currency, "here", "refunds", row.amount_minor)
        if any(_judged(row, there.get(row.refund, []))):  # once more: both may have moved
            into.differences += _again(engine, gateway, row)


def _theirs(refund: Refunded, known: bool, into: Comparison) -> None:
    if refund.state == base.DONE:
        into.count(refund.currency, "there", "refunds", refund.amount_minor)
    if not known and refund.state != base.FAILED:
        detail = f"{figures.money(refund.amount_minor, refund.currency)} given back there"
        into.differences.append(
            Difference(MISSING_HERE, REFUND, refund.reference, refund.refund, detail)
        )


def _rows(engine: Engine, since: int, names: set[str]) -> dict[str, PayRefund]:
    sought = sorted(names)
    with Db(engine, expire_on_commit=False) as db:
        query = select(PayRefund)
        found = list(db.scalars(query.where(PayRefund.asked_at >= since * 1000)))
        for at in range(0, len(sought), _MANY):
            some = sought[at : at + _MANY]
            found += db.scalars(query.where(PayRefund.refund.in_(some)))
    return {row.refund: row for row in found}


def _again(engine: Engine, gateway: Gateway, row: PayRefund) -> Iterator[Difference]:
    with Db(engine, expire_on_commit=False) as db:
        row = db.get_one(PayRefund, row.refund)
    mine: list[Refunded] = []
    if row.payment:
        try:
            mine = [one for one in gateway.refunds(row.payment) if one.refund == row.refund]
        except Refused:
            mine = []  # the payment is not there, so the refund is not
    yield from _judged(row, mine)


def _judged(row: PayRefund, there: list[Refunded]) -> Iterator[Difference]:
    paid = [one for one in there if one.state != base.FAILED]
    if len(paid) > 1:
        names = ", ".join(one.reference for one in paid)
        yield _difference(row, TWICE, f"{names}: {row.amount_minor} each")
        return
    mine = paid[0] if paid else None
    if mine is None:
        if row.state == "done":
            how = "failed there" if there else "not there"
            yield _difference(row, MISSING_THERE, f"{row.amount_minor} done here, {how}")
        return
    if row.state in ("failed", BY_HAND):
        yield _difference(
            row, DIFFERS, f"{row.state} here, {mine.amount_minor} {mine.state} there"
        )
    elif mine.amount_minor != row.amount_minor:
        yield _difference(
            row, DIFFERS, f"{row.amount_minor} here, {mine.amount_minor} there"
        )  # fmt: skip
    elif row.payment and mine.payment != row.payment:
        yield _difference(row, DIFFERS, f"of {row.payment} here, of {mine.payment} there")
    elif row.state == "done" and mine.state != base.DONE:
        yield _difference(row, DIFFERS, f"done here, {mine.state} there")


def _unnamed(
    engine: Engine, gateway: Gateway, made: list[Refunded], ours: set[str],
    known: dict[str, Payment], into: Comparison,
) -> None:  # fmt: skip
    """Refunds without our id. A gateway may list what a capture released as one as well: that is
    in no payment's refunded amount."""
    named: Counter[str] = Counter()
    for refund in made:
        if refund.refund and refund.state != base.FAILED:
            named[refund.payment] += refund.amount_minor
    by_hand = _by_hand(engine, [one.reference for one in made if not one.refund])
    for refund in made:
        if refund.refund or refund.state == base.FAILED:
            continue
        if refund.payment not in ours:
            into.foreign.append(_foreign(refund))
            continue
        if _refunded(gateway, known, refund.payment) == named[refund.payment]:
            continue
        into.count(refund.currency, "there", "refunds", refund.amount_minor)
        noted = by_hand.get(refund.reference)
        if noted == refund.amount_minor:
            into.count(refund.currency, "here", "refunds", noted)
            continue
        said = f"{noted} noted by hand here" if noted is not None else "made at the gateway itself"
        amount = figures.money(refund.amount_minor, refund.currency)
        detail = f"{amount} of {refund.payment}: {said}"
        what = MISSING_HERE if noted is None else DIFFERS
        into.differences.append(Difference(what, REFUND, refund.reference, "", detail))


def _refunded(gateway: Gateway, known: dict[str, Payment], reference: str) -> int:
    try:
        return (known.get(reference) or gateway.look_up(reference)).refunded_minor
    except Refused:
        return -1


def _by_hand(engine: Engine, references: list[str]) -> dict[str, int]:
    """What operators filed at the gateway's own pages, by the reference they noted."""
    found: dict[str, int] = {}
    with Db(engine) as db:
        for at in range(0, len(references), _MANY):
            query = (
                select(RefundOrder.acquirer_reference, Refund.amount_minor)
                .join(
                    Refund,
                    (Refund.order_id == RefundOrder.refund)
                    & (Refund.session_id == RefundOrder.session_id),
                )
                .where(RefundOrder.acquirer == "accepted")
                .where(RefundOrder.acquirer_reference.in_(references[at : at + _MANY]))
            )
            found.update((row[0], row[1]) for row in db.execute(query))
    return found


def _currency(
    row: PayRefund, known: dict[str, Payment], there: dict[str, list[Refunded]]
) -> str:  # fmt: skip
    payment = known.get(row.payment)
    if payment is not None:
        return payment.currency
    return next((one.currency for one in there.get(row.refund, [])), "")


def _foreign(refund: Refunded) -> Foreign:
    return Foreign(
        refund.reference, f"refund {refund.state}", refund.amount_minor, refund.currency
    )


def _difference(row: PayRefund, what: str, detail: str) -> Difference:
    kind = REFUND if row.session_id else CREDIT
    return Difference(what, kind, row.reference or row.payment, row.refund, detail)

"""Refunds at the gateway: of its own payments, and of card payments whose acquirer it is
(operator.toml, gateway_acquires). The charger's rules have allowed them before (way "gateway" or
"acquirer", docs/refunds.md); here they are paid, once, and the charger is told.

The key is the order's id. A gateway forgets keys (Stripe after 24 hours), and this database may
have been put back to a time before, so every refund is looked for in the payment's own list first;
when it is not there although the gateway had answered (5xx, which it may keep for the key), it is
asked with the next key.
Whose payment it is is not the charger's to say: one that is not this very session's, or of a
terminal that another charger names as well, is left to a person, with an alarm.
An event only says that something is new; what is true is looked up, and without events as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, and_, func, or_, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import (
    CardSale,
    Declined,
    Failed,
    Gateway,
    GatewayError,
    Refunded,
    Refused,
    Unanswered,
)
from hostsim.backoffice.models import Problem, Refund, RefundOrder, Session, writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.pay_tables import BY_HAND, Pay, PayRefund
from hostsim.backoffice.phone import paid_for, pays
from hostsim.backoffice.refunds import RefundError, Refunds

OPERATOR = "gateway"
_FIRST_MS = 2_000
_LONGEST_MS = 600_000
_ALARM_TRIES = 6
_SAME_KEY = 2  # a 5xx may come before the refund is in the list: not another key at once
_HAND_TRIES = 10  # a quarter of an hour
_CAPTURE_MS = 5_000
_SALE_S = 3 * 86_400  # around the time of the authorisation
_SALES_S = 400 * 86_400
_EVER_S = 2**40
_ALLOWED = RefundOrder.state == "approved", RefundOrder.acquirer == ""


class Paybacks:
    """`tend` is a chore of the cashier's."""

    def __init__(
        self,
        engine: Engine,
        operator: Operator,
        gateway: Gateway,
        refunds: Refunds,
        now_ms: Callable[[], int],
    ) -> None:
        """Nothing is done yet."""
        self._engine = engine
        self._gateway = gateway
        self._refunds = refunds
        self._now_ms = now_ms
        self._terminals = operator.acquires

    def tend(self) -> None:
        """Takes in what chargers handed over, and brings each refund on."""
        self._take_in()
        now = self._now_ms()
        query = select(PayRefund.refund).where(
            or_(
                and_(PayRefund.state.in_(("asked", "pending")), PayRefund.next_at <= now),
                and_(PayRefund.state.in_(("done", "failed")), PayRefund.told.is_(False)),
                PayRefund.look,
            )
        )
        with Db(self._engine) as db:
            found = list(db.scalars(query.limit(50)))
        for refund in found:
            self._step(refund)

    def _take_in(self) -> None:
        """A row for each refund that is with us."""
        with Db(self._engine) as db:
            query = (
                select(Refund, Session)
                .join(
                    RefundOrder,
                    and_(
                        RefundOrder.refund == Refund.order_id,
                        RefundOrder.session_id == Refund.session_id,
                        RefundOrder.charger == Refund.charger,
                    ),
                )
                .join(Session, Session.id == Refund.session_id)
                .outerjoin(PayRefund, PayRefund.refund == Refund.order_id)
                .where(Refund.state == "sent", *_ALLOWED)
                .where(PayRefund.refund.is_(None), Refund.way.in_(("gateway", "acquirer")))
            )
            new = [
                (refund.order_id, session.id, refund.amount_minor, refund.way, session.method,
                 session.reference, session.payment.terminal_id)
                for refund, session in db.execute(query).unique()
            ]  # fmt: skip
        for refund, session_id, amount, way, method, reference, terminal in new:
            payment = reference if way == "gateway" and method == "gateway" else ""
            if not payment and (way == "gateway" or terminal not in self._terminals):
                continue
            with writing(self._engine) as db:  # an operator's answer and this one exclude another
                order = db.get_one(RefundOrder, refund, with_for_update=True)
                allowed = order.state == "approved" and not order.acquirer
                if allowed and db.get(PayRefund, refund) is None:
                    db.add(
                        PayRefund(
                            refund=refund, session_id=session_id, payment=payment,
                            amount_minor=amount, state="asked", asked_at=self._now_ms(),
                        )
                    )  # fmt: skip

    def _search(self, row: PayRefund) -> PayRefund:
        """A card payment's name at the gateway. One that is not known there, or not for certain,
        is left to an operator, with an alarm."""
        with Db(self._engine) as db:
            session = db.get_one(Session, row.session_id)
            paid, at = session.payment, session.payment.authorised_at // 1000
            span = (at - _SALE_S, at + _SALE_S) if at else (int(time.time()) - _SALES_S, _EVER_S)
            sale = CardSale(
                paid.terminal_id, paid.trace, paid.captured_minor, session.currency, *span
            )
        try:
            found = self._gateway.find_card_payments(sale)
        except (Refused, Declined) as exc:
            raise Unanswered(f"no list of payments: {exc}", exc.code) from exc
        if len(found) == 1:
            self._keep(row, payment=found[0].reference, tries=0, turn=0)
            row.payment, row.tries, row.turn = found[0].reference, 0, 0
            return row
        pause = min(_FIRST_MS * 2 ** min(row.tries, 16), _LONGEST_MS)
        late: dict[str, Any] = {"next_at": self._now_ms() + pause, "tries": row.tries + 1}
        if len(found) > 1 or row.turn + 1 >= _HAND_TRIES:
            late |= {"state": BY_HAND, "told": True}  # for good: it is not paid from here
        self._keep(row, turn=row.turn + 1, **late)
        what = "several payments fit" if found else "the gateway does not know the card payment"
        if "state" in late:
            what += "; it is to be filed by hand"
            self._alarm(row, "gateway_refund", f"refund {row.refund}: {what}")
        elif row.turn + 1 == _ALARM_TRIES:
            self._alarm(row, "gateway_refund", f"refund {row.refund}: {what}")
        return row

    def _step(self, refund: str) -> None:
        with Db(self._engine, expire_on_commit=False) as db:
            row = db.get_one(PayRefund, refund)
        if self._is_strange(row):
            return
        try:
            if not row.payment:
                row = self._search(row)
            if not row.payment:
                return
            if row.state == "asked" or row.state == "pending" or row.look:
                row = self._ask(row)
        except (Refused, Declined) as exc:
            self._keep(row, state="failed", fault=f"{exc} ({exc.code})"[:200], look=False)
            row.state = "failed"
        except GatewayError as exc:
            pause = min(_FIRST_MS * 2 ** min(row.tries, 16), _LONGEST_MS)
            self._keep(
                row, tries=row.tries + 1, next_at=self._now_ms() + pause, fault=str(exc)[:200],
                turn=row.turn
                + (bool(row.payment) and isinstance(exc, Failed) and row.tries >= _SAME_KEY),
            )  # fmt: skip
            if row.tries + 1 >= _ALARM_TRIES:
                name = row.payment or "a card"
                self._alarm(row, "gateway_refund", f"refund {refund} of {name} fails")
            return
        if row.state in ("done", "failed") and not row.told:
            self._tell(row)
        elif row.state == "failed" and not row.session_id:
            self._alarm(row, "gateway_refund", f"monthly credit {refund} of {row.payment} failed")

    def _is_strange(self, row: PayRefund) -> bool:
        """Before it is asked for the first time: whether the payment may be another's. Then it is
        not paid from here."""
        if row.state != "asked" or not row.session_id or (row.payment and row.tries):
            return False
        with Db(self._engine) as db:
            why = paid_for.strange(db, row.refund, row.session_id)
        if why:
            self._keep(row, state=BY_HAND, told=True)
            said = f"refund {row.refund}: {why}; it is to be filed by hand, if at all"
            self._alarm(row, "gateway_refund", said)
        return bool(why)

    def _ask(self, row: PayRefund) -> PayRefund:
        """Asked, or looked up; the row as it is then."""
        if row.state == "asked" and not row.tries and not self._taken(row):
            self._keep(row, next_at=self._now_ms() + _CAPTURE_MS)
            return row
        found = self._listed(row)
        if found is None and row.state == "asked":
            self._keep(row, tries=row.tries + 1)  # noted first: from now on it is looked for
            found = self._gateway.refund(
                row.payment, row.amount_minor, row.refund, f"refund-{row.refund}-{row.turn}",
                self._currency(row),
            )  # fmt: skip
        if found is None:
            pause = min(_FIRST_MS * 2 ** min(row.tries, 16), _LONGEST_MS)
            late = {"next_at": self._now_ms() + pause, "tries": row.tries + 1}
            self._keep(row, look=False, **late)
            self._alarm(row, "gateway_refund", f"refund {row.refund} is not at the gateway")
            return row
        return self._became(row, found)

    def _currency(self, row: PayRefund) -> str:
        """Of the payment, or of the session that was paid by card."""
        pay = pays.by_reference(self._engine, row.payment)
        with Db(self._engine) as db:
            return pay.currency if pay else db.get_one(Session, row.session_id).currency

    def _taken(self, row: PayRefund) -> bool:
        """Whether there is something to pay back; not before the capture. Raises Refused when
        there will never be."""
        pay = pays.by_reference(self._engine, row.payment)
        if pay is None or pay.state == pays.CAPTURED or pay.captured_minor:
            return True
        if pay.state in (pays.CANCELLED, pays.LOST):
            raise Refused("nothing was taken of this payment", pay.state)
        return False

    def _listed(self, row: PayRefund) -> Refunded | None:
        """In the payment's own list. A list that is refused says nothing about the refund."""
        with Db(self._engine) as db:
            word = select(Refund.refund).where(
                Refund.order_id == row.refund, Refund.session_id == row.session_id
            )
            names = {row.refund, *db.scalars(word)}  # its id here, or that of before
        try:
            mine = [r for r in self._gateway.refunds(row.payment) if r.refund in names]
        except (Refused, Declined) as exc:
            raise Unanswered(f"no list of refunds: {exc}", exc.code) from exc
        return mine[0] if mine else None

    def _became(self, row: PayRefund, found: Refunded) -> PayRefund:
        state = {base.DONE: "done", base.FAILED: "failed"}.get(found.state, "pending")
        pause = min(_FIRST_MS * 2 ** min(row.tries, 16), _LONGEST_MS)
        if row.state == "done" and state == "failed":  # the bank sent it back, after our word
            self._alarm(row, "gateway_refund_back", f"refund {row.refund} came back from the bank")
        fields: dict[str, Any] = {
            "state": state, "reference": found.reference, "look": False, "fault": found.code,
            "next_at": self._now_ms() + pause, "tries": row.tries + 1,
        }  # fmt: skip
        if state != row.state and state != "pending":
            fields["done_at"] = self._now_ms()
        self._keep(row, **fields)
        for name, value in fields.items():
            setattr(row, name, value)
        return row

    def _keep(self, row: PayRefund, **fields: Any) -> None:
        with writing(self._engine) as db:
            mine = select(Pay).where(Pay.reference == row.payment, Pay.reference != "")
            pay = db.scalars(mine).first()
            kept = db.get_one(PayRefund, row.refund, with_for_update=True)
            for name, value in fields.items():
                setattr(kept, name, value)
            if pay is not None and "state" in fields:
                db.flush()
                done = PayRefund.payment == row.payment, PayRefund.state == "done"
                sums = select(func.coalesce(func.sum(PayRefund.amount_minor), 0)).where(*done)
                pay.refunded_minor = int(db.scalar(sums) or 0)

    def _tell(self, row: PayRefund) -> None:
        """The charger's record is the last word; `confirm` repeats itself until it is there."""
        try:
            self._refunds.confirm(
                row.refund, accepted=row.state == "done", operator=OPERATOR,
                reference=row.reference or row.fault[:64], gateway=True,
            )  # fmt: skip
        except RefundError as exc:  # an operator said otherwise meanwhile
            self._alarm(row, "gateway_refund", f"refund {row.refund} is {row.state}: {exc}")
        self._keep(row, told=True)

    def _alarm(self, row: PayRefund, code: str, detail: str) -> None:
        with writing(self._engine) as db:
            session = db.get(Session, row.session_id)  # none: of a monthly invoice
            charger = session.charger if session is not None else ""
            known = select(Problem).where(
                Problem.charger == charger, Problem.code == code, Problem.detail == detail,
                Problem.open,
            )  # fmt: skip
            if db.scalars(known).first() is None:
                db.add(
                    Problem(
                        charger=charger, epoch=0, seq=0, code=code, detail=detail[:500],
                        payload=f"payment {row.payment}", at=self._now_ms(),
                    )
                )  # fmt: skip

"""Refunds as operators see them: ask, approve, follow, and the credit note.

    refunds = office.refunds                       # of a service.BackOffice
    refund = refunds.request("FC-0001", receipt=12, amount_minor=500, reason="goodwill",
                             operator="anna")      # requested; nothing is sent yet
    refunds.approve(refund, operator="bert")       # approved: the signed command goes out
    refunds.refuse(refund, operator="bert", note="paid already")    # or not
    refunds.follow(refund)["state"]                # requested approved sent done refused failed
    refunds.acquirer_request(refund)               # sent, way "acquirer": the references for it
    refunds.confirm(refund, accepted=True, operator="bert", reference="ARN 4711")
    refunds.credit_note(refund)                    # done: numbers, original, VAT lines
    refunds.listed(charger=None, state=None)       # newest first

Who may approve what is for the desk above this to say. An order works once: its id goes with every
command that is sent for it, and the charger answers a known id with the first result. A command
that expired or was lost is sent again by `tend`. What became of it are the charger's records, in
its books first and here after its commit (refund_records.py); only the acquirer's answer begins
here (`confirm`), and is in the books when the charger has drawn the credit note's number.

Caps here: the sum of a receipt's refunds never passes what was captured. The charger holds its own
(docs/config.md, refund.*), whatever is sent. Times are epoch ms, amounts minor units.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures, refund_view
from hostsim.backoffice.models import Command, Refund, RefundOrder, Session, writing
from hostsim.backoffice.pay_tables import BY_HAND, PayRefund
from hostsim.backoffice.refund_records import OPEN
from hostsim.backoffice.rules import OUTSIDE, REASONS

EXPIRES_S = 7 * 24 * 3600.0
_ACCOUNT = "account"
_LIVE = ("sent", "ok")  # a command that may still work, or did
_AGAIN_MS = 1_800_000  # a charger that took the answer and has no record of it lost power
_NAME = 32

Send = Callable[..., str]
"""service.BackOffice.send_command."""


class RefundError(ValueError):
    """An order cannot be taken or changed; str() names the field and what is allowed."""


class Refunds:
    """All refunds of a back office; every method may be called from any thread."""

    def __init__(
        self, engine: Engine, send: Send | None, now_ms: Callable[[], int],
        terminals: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        """`send(charger, name, expires_in_s=..., **args)` signs a command and gives its id; None:
        another process on the same database does, by its `tend`. `terminals`: those whose card
        payments the payment gateway gives back (phone/paybacks.py)."""
        self._engine = engine
        self._terminals = terminals
        self._send = send
        self._now_ms = now_ms

    # -- what operators do

    def request(
        self,
        charger: str,
        *,
        receipt: int,
        amount_minor: int,
        reason: str,
        operator: str,
        card: bool = False,
        refund: str | None = None,
    ) -> str:
        """A new order; gives its id. `receipt`: the number on the driver's receipt;
        `amount_minor` 0: all that is left; `card`: to be paid to the card at the terminal.
        `refund`: an id of the caller's own (36 characters at most): the same one again gives the
        first order, whatever else is said. Raises RefundError.
        """
        refund = refund or str(uuid.uuid4())
        _check("refund", refund, 36)
        _check("operator", operator, _NAME)
        if reason not in REASONS:
            raise RefundError(f"reason: must be one of {', '.join(REASONS)} (given {reason})")
        if amount_minor < 0:
            raise RefundError(f"amount_minor: must be 0 or more (given {amount_minor})")
        with writing(self._engine) as db:
            if db.get(RefundOrder, refund) is not None:
                return refund
            session = _sold(db, charger, receipt)
            left = _left(db, session)
            if not left or amount_minor > left:
                raise RefundError(
                    f"amount_minor: of receipt {receipt} {left} can be refunded"
                    f" (given {amount_minor})"
                )
            db.add(
                RefundOrder(
                    refund=refund,
                    charger=charger,
                    session_id=session.id,
                    receipt_no=receipt,
                    amount_minor=amount_minor,
                    reason=reason,
                    operator=operator,
                    card=card,
                    state="requested",
                    requested_at=self._now_ms(),
                )
            )
        return refund

    def approve(self, refund: str, operator: str) -> str:
        """The order may go out, and does; gives the command's id, "" when it is not sent from
        here. Raises RefundError."""
        _check("operator", operator, _NAME)
        with writing(self._engine) as db:
            order = _waiting(db, refund)
            order.state, order.approved_by = "approved", operator
            order.approved_at = self._now_ms()
        return self.send(refund)

    def refuse(self, refund: str, operator: str, note: str = "") -> None:
        """The order is not sent. Raises RefundError."""
        _check("operator", operator, _NAME)
        with writing(self._engine) as db:
            order = _waiting(db, refund)
            order.state, order.approved_by, order.note = "refused", operator, note

    def confirm(
        self, refund: str, *, accepted: bool, operator: str, reference: str = "",
        gateway: bool = False,
    ) -> str:  # fmt: skip
        """The answer of the acquirer, or of whom else the charger handed a refund to; gives the id
        of the command that tells the charger. The same answer again changes nothing. What the
        payment gateway pays only `gateway` answers for. Raises RefundError."""
        _check("operator", operator, _NAME)
        answer = "accepted" if accepted else "refused"
        with writing(self._engine) as db:
            order = _order(db, refund, locked=True)
            word = refund_view.charger_word(db, order)
            if word is None or word.way not in OUTSIDE:
                raise RefundError(f"refund: {refund} is not with the acquirer")
            if order.acquirer and order.acquirer != answer:
                raise RefundError(f"accepted: the acquirer's answer was {order.acquirer}")
            if order.acquirer:
                return order.confirmation
            if not gateway and self._gateway_pays(db, order, word):
                raise RefundError(
                    f"refund: {refund} is paid back by the payment gateway, whose answer comes by"
                    " itself: nothing is to be done by hand"
                )
            order.acquirer, order.confirmed_by = answer, operator
            order.acquirer_reference = reference
        return self._send_confirmation(refund)

    def _gateway_pays(self, db: Db, order: RefundOrder, word: Refund) -> bool:
        """Whether the payment gateway gives it back, or is about to: then nobody else does."""
        paying = db.get(PayRefund, word.refund)
        if paying is not None:
            return paying.state != BY_HAND
        if word.way != "acquirer" or order.acquirer:
            return False
        return db.get_one(Session, word.session_id).payment.terminal_id in self._terminals

    # -- commands

    def send(self, refund: str) -> str:
        """Sends the command of an approved order (again); gives its id. Raises RefundError."""
        with Db(self._engine) as db:
            order = _order(db, refund)
            if order.state != "approved":
                raise RefundError(f"refund: {refund} is {order.state}, not approved")
            charger = order.charger
            args = {
                "refund": refund,
                "receipt": order.receipt_no,
                "amount_minor": order.amount_minor,
                "reason": order.reason,
                "operator": order.operator,
                "card": order.card,
            }
        if self._send is None:
            return ""
        command = self._send(charger, "refund", expires_in_s=EXPIRES_S, **args)
        self._keep(refund, "command", command)
        return command

    def _send_confirmation(self, refund: str) -> str:
        with Db(self._engine) as db:
            order = _order(db, refund)
            charger, accepted = order.charger, order.acquirer == "accepted"
            operator = order.confirmed_by
        if self._send is None:
            return ""
        command = self._send(
            charger, "refund_done", expires_in_s=EXPIRES_S, refund=refund, ok=accepted,
            operator=operator,
        )  # fmt: skip
        self._keep(refund, "confirmation", command)
        return command

    def _keep(self, refund: str, name: str, command: str) -> None:
        with writing(self._engine) as db:
            setattr(_order(db, refund), name, command)

    def tend(self) -> None:
        """Sends again what a charger never answered, and notes what it refused. Called now and
        then; an order that is in the charger's books needs nothing more."""
        with Db(self._engine) as db:
            query = select(RefundOrder).where(RefundOrder.state == "approved")
            found = [(self._next_step(db, order), order.refund) for order in db.scalars(query)]
        for step, refund in found:
            if step is not None:
                step(refund)

    def _next_step(self, db: Db, order: RefundOrder) -> Callable[[str], object] | None:
        """What an approved order needs now."""
        word = refund_view.charger_word(db, order)
        if word is None:
            state = _command_state(db, order.command)
            if state in ("refused", "malformed"):
                return self._note_refused
            return self.send if state not in _LIVE else None
        if word.state != "sent":
            return None
        if word.way == _ACCOUNT and not order.acquirer:
            return self._credit
        if order.acquirer and not self._told(db, order.confirmation):
            return self._send_confirmation
        return None

    def _told(self, db: Db, identity: str) -> bool:
        """Whether the charger has the answer, or may have: it works on it between sessions."""
        command = db.get(Command, identity) if identity else None
        if command is None or command.state not in _LIVE:
            return False
        return command.state == "sent" or self._now_ms() - command.sent_at < _AGAIN_MS

    def _credit(self, refund: str) -> None:
        """Nobody has to pay: less is billed on the account."""
        self.confirm(refund, accepted=True, operator=_ACCOUNT)

    def _note_refused(self, refund: str) -> None:
        with writing(self._engine) as db:
            order = _order(db, refund)
            command = db.get(Command, order.command)
            order.state = "refused"
            order.text = str(command.result.get("reason", "")) if command is not None else ""

    # -- what is known

    def follow(self, refund: str) -> dict[str, Any]:
        """Where a refund stands: `state`, who asked and approved, the charger's words (way,
        credit_no, code, text, ...). Raises RefundError when there is no such order."""
        with Db(self._engine) as db:
            return refund_view.described(db, _order(db, refund))

    def listed(
        self, charger: str | None = None, state: str | None = None, receipt: int | None = None
    ) -> list[dict[str, Any]]:
        """Orders, newest first, as `follow` gives them."""
        query = select(RefundOrder).order_by(
            RefundOrder.requested_at.desc(), RefundOrder.refund.desc()
        )
        if charger is not None:
            query = query.where(RefundOrder.charger == charger)
        if receipt is not None:
            query = query.where(RefundOrder.receipt_no == receipt)
        with Db(self._engine) as db:
            found = [refund_view.described(db, order) for order in db.scalars(query)]
        return [order for order in found if state is None or order["state"] == state]

    def acquirer_request(self, refund: str) -> dict[str, Any]:
        """What the acquirer (or whoever took the money of an app's session: `payment` is its
        reference) needs for a referenced refund: terminal_id, vu, trace, receipt,
        auth_code, card (masked), authorised_at, captured_minor, amount_minor, currency, reason.
        Raises RefundError when it is not the acquirer's turn."""
        with Db(self._engine) as db:
            order = _order(db, refund)
            word = refund_view.charger_word(db, order)
            session = db.get_one(Session, order.session_id)
            if (
                word is None
                or not refund_view.by_hand(word, session)
                or word.state not in ("sent", "done")
                or self._gateway_pays(db, order, word)
            ):
                raise RefundError(f"refund: {refund} is not with the acquirer")
            payment = session.payment
            return {
                "request": refund,
                "payment": session.reference if word.way == "gateway" else "",
                "terminal_id": payment.terminal_id,
                "vu": payment.vu,
                "trace": payment.trace,
                "receipt": payment.receipt,
                "auth_code": payment.auth_code,
                "pan": payment.pan,
                "card": payment.card,
                "authorised_at": payment.authorised_at,
                "captured_at": payment.settled_at,
                "captured_minor": payment.captured_minor,
                "amount_minor": word.amount_minor,
                "currency": session.currency,
                "reason": order.reason,
            }

    def credit_note(self, refund: str) -> dict[str, Any]:
        """number, original (the receipt's number), charger, at, currency, reason, amount_minor,
        net_minor, vat_minor, way, and `vat`: rate, net_minor, tax_minor, gross_minor per rate.
        Raises RefundError while there is none."""
        with Db(self._engine) as db:
            order = _order(db, refund)
            word = refund_view.charger_word(db, order)
            if word is None or word.state != "done":
                raise RefundError(f"refund: {refund} has no credit note yet")
            session = db.get_one(Session, order.session_id)
            return {
                "number": f"{order.charger}-C{word.credit_no}",
                "original": f"{order.charger}-{order.receipt_no}",
                "charger": order.charger,
                "session_id": order.session_id,
                "at": word.done_at,
                "currency": session.currency,
                "reason": order.reason,
                "way": word.way,
                "amount_minor": word.amount_minor,
                "net_minor": word.net_minor,
                "vat_minor": word.vat_minor,
                "vat": figures.credit_lines(word.lines),
            }


def _check(field: str, value: str, most: int) -> None:
    if not 0 < len(value) <= most or not value.isprintable():
        raise RefundError(
            f"{field}: must be 1 to {most} printable characters (given {value[:40]})"
        )


def _order(db: Db, refund: str, locked: bool = False) -> RefundOrder:
    order = db.get(RefundOrder, refund, with_for_update=locked)
    if order is None:
        raise RefundError(f"refund: there is no order {refund[:40]}")
    return order


def _waiting(db: Db, refund: str) -> RefundOrder:
    order = _order(db, refund)
    if order.state != "requested":
        raise RefundError(f"refund: {refund} is {order.state} already")
    return order


def _sold(db: Db, charger: str, receipt: int) -> Session:
    query = (
        select(Session)
        .where(Session.charger == charger, Session.receipt_no == receipt)
        .order_by(Session.id.desc())
    )
    session = db.scalars(query).first() if receipt > 0 else None
    if session is None or session.state != "captured":
        raise RefundError(f"receipt: {charger} has no paid receipt {receipt}")
    return session


def _left(db: Db, session: Session) -> int:
    """What may still be refunded: orders that may come to something are counted as done."""
    query = select(RefundOrder).where(RefundOrder.session_id == session.id)
    words = {word.refund: word for word in session.refunds}
    left = session.payment.captured_minor
    for word in words.values():
        left -= word.amount_minor if word.state in (*OPEN, "done") else 0
    for order in db.scalars(query):
        if order.refund not in words and order.state in ("requested", "approved"):
            left -= order.amount_minor or left
    return max(left, 0)


def _command_state(db: Db, identity: str) -> str:
    command = db.get(Command, identity) if identity else None
    return command.state if command is not None else ""

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
    refunds.left(session_id)                       # what can still be asked for
    refunds.listed(charger=None, state=None)       # newest first; limit, skip: some of them

Who may approve what is for the desk above this to say (refund_desk.py). An order is of one
session: a receipt's number alone is not enough where a charger's flash was replaced and counts
anew. What the flash of now does not know is given back without the charger (refund_gone.py). Every
step is in the audit log, in its own transaction. An order works once: its id goes with every
command that is sent for it, and the charger answers a known id with the first result. A command
that expired or was lost is sent again by `tend`. What became of it are the charger's records, in
its books first and here after its commit (refund_records.py); only the acquirer's answer begins
here (`confirm`), and is in the books when the charger has drawn the credit note's number.

Caps here (refund_rules.py): the sum of a session's refunds and disputes never passes what was
captured. The charger holds its own (docs/config.md, refund.*), whatever is sent. Times are epoch
ms, amounts minor units.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit, figures, refund_gone, refund_rules, refund_stuck, refund_view
from hostsim.backoffice.models import Command, Refund, RefundOrder, Session, writing
from hostsim.backoffice.refund_rules import RefundError
from hostsim.backoffice.rules import OUTSIDE, REASONS

EXPIRES_S = 7 * 24 * 3600.0
_ACCOUNT = "account"
_LIVE = ("sent", "ok")  # a command that may still work, or did
_AGAIN_MS = 1_800_000  # a charger that took the answer and has no record of it lost power
_NAME = 32

Send = Callable[..., str]
"""service.BackOffice.send_command."""


class Refunds:
    """All refunds of a back office; every method may be called from any thread."""

    def __init__(
        self, engine: Engine, send: Send | None, now_ms: Callable[[], int],
        terminals: frozenset[str] = frozenset(),
        done: Callable[[Db, Refund], None] | None = None,
    ) -> None:  # fmt: skip
        """`send(charger, name, expires_in_s=..., **args)` signs a command and gives its id; None:
        another process on the same database does, by its `tend`. `terminals`: those whose card
        payments the payment gateway gives back (phone/paybacks.py). `done`: what follows from a
        refund that ends here and not at a charger (follow.py); None: another process does it."""
        self._engine = engine
        self._done = done
        self._terminals = terminals
        self._send = send
        self._now_ms = now_ms

    # -- what operators do

    def request(
        self,
        charger: str = "",
        *,
        receipt: int = 0,
        session_id: int = 0,
        amount_minor: int = 0,
        reason: str,
        operator: str,
        card: bool = False,
        refund: str | None = None,
        lines: Sequence[int] = (),
        alone_minor: int = -1,
    ) -> str:
        """A new order; gives its id. `session_id`, or `charger` and `receipt`: the number on the
        driver's receipt, where only one session has it. `amount_minor` 0: all that is left;
        `lines`: instead of it, the bill's lines of these numbers; `card`: to be paid to the card
        at the terminal. `refund`: an id of the caller's own (36 characters at most): the same one
        again gives the first order, whatever else is said. `alone_minor`: so much of a session
        the operator may approve alone, and does. Raises RefundError.
        """
        refund = refund or str(uuid.uuid4())
        refund_rules.check("refund", refund, 36)
        refund_rules.check("operator", operator, _NAME)
        if reason not in REASONS:
            raise RefundError("reason", f"must be one of {', '.join(REASONS)} (given {reason})")
        if amount_minor < 0:
            raise RefundError("amount_minor", f"must be 0 or more (given {amount_minor})")
        with writing(self._engine) as db:
            if db.get(RefundOrder, refund) is not None:
                return refund
            session = refund_rules.sold(db, charger, receipt, session_id)
            if lines:
                amount_minor = refund_rules.of_lines(db, session, list(lines))
            left = refund_rules.left(db, session)
            if not left or amount_minor > left:
                most = figures.money(left, session.currency)
                raise RefundError("amount_minor", f"{most} can be refunded")
            order = RefundOrder(
                refund=refund,
                charger=session.charger,
                session_id=session.id,
                receipt_no=session.receipt_no,
                amount_minor=amount_minor or left,
                reason=reason,
                operator=operator,
                card=card,
                state="requested",
                requested_at=self._now_ms(),
                lines=sorted(set(lines)),
            )
            db.add(order)
            db.flush()
            self._note(db, order, operator, "refund asked", f"{order.amount_minor} {reason}")
            if refund_rules.alone(db, session) <= alone_minor:
                self._approved(db, order, operator, "within the limit")
        return refund

    def session_of(self, charger: str, receipt: int, session_id: int = 0) -> int:
        """The paid session that a receipt is of, or that number itself. Raises RefundError."""
        with Db(self._engine) as db:
            return refund_rules.sold(db, charger, receipt, session_id).id

    def left(self, session_id: int) -> int:
        """What of a session can still be asked for, minor units."""
        with Db(self._engine) as db:
            session = db.get(Session, session_id)
            return refund_rules.left(db, session) if session is not None else 0

    def lines_back(self, session_id: int) -> set[int]:
        """Numbers of the bill's lines that are given back, or about to be."""
        with Db(self._engine) as db:
            return refund_rules.lines_back(db, db.get_one(Session, session_id))

    def approve(self, refund: str, operator: str) -> str:
        """The order may go out, and does; gives the command's id, "" when it is not sent from
        here. Raises RefundError."""
        refund_rules.check("operator", operator, _NAME)
        with writing(self._engine) as db:
            order, session = refund_rules.waiting(db, refund)
            if order.amount_minor > refund_rules.left(db, session, without=refund):
                raise RefundError("refund", refund_stuck.OVERTAKEN)
            self._approved(db, order, operator, "")
            begun = refund_view.not_ended(db, order) is not None
        return "" if begun else self.send(refund)

    def _approved(self, db: Db, order: RefundOrder, operator: str, why: str) -> None:
        order.state, order.approved_by = "approved", operator
        order.approved_at = self._now_ms()
        self._note(db, order, operator, "refund approved", why)

    def _note(self, db: Db, order: RefundOrder, who: str, action: str, detail: str = "") -> None:
        audit.note(db, self._now_ms(), who, action, order.refund, detail)

    def refuse(self, refund: str, operator: str, note: str = "") -> None:
        """The order is not sent; a charger that handed it over by itself is told. Raises
        RefundError."""
        refund_rules.check("operator", operator, _NAME)
        with writing(self._engine) as db:
            order, _ = refund_rules.waiting(db, refund)
            if refund_view.not_ended(db, order) is not None:
                order.acquirer, order.confirmed_by = "refused", operator
            order.state, order.approved_by, order.note = "refused", operator, note
            order.approved_at = self._now_ms()
            self._note(db, order, operator, "refund refused", note)

    def confirm(
        self, refund: str, *, accepted: bool, operator: str, reference: str = "",
        gateway: bool = False,
    ) -> str:  # fmt: skip
        """The answer of the acquirer, or of whom else the charger handed a refund to; gives the id
        of the command that tells the charger. The same answer again changes nothing. What the
        payment gateway pays only `gateway` answers for. Raises RefundError."""
        refund_rules.check("operator", operator, _NAME)
        answer = "accepted" if accepted else "refused"
        with writing(self._engine) as db:
            order = refund_rules.order(db, refund, own=True)
            word = refund_view.charger_word(db, order)
            if word is None or word.way not in OUTSIDE:
                raise RefundError("refund", f"{refund} is not with the acquirer")
            if order.state == "requested":
                raise RefundError("refund", f"{refund} waits for approval")
            if order.acquirer and order.acquirer != answer:
                raise RefundError("accepted", f"the acquirer's answer was {order.acquirer}")
            if order.acquirer:
                return order.confirmation
            if not gateway and refund_view.gateway_pays(db, order, word, self._terminals):
                raise RefundError(
                    "refund",
                    f"{refund} is paid back by the payment gateway, whose answer comes by"
                    " itself: nothing is to be done by hand",
                )
            order.acquirer, order.confirmed_by = answer, operator
            order.acquirer_reference = reference
            who = "gateway" if gateway else _ACCOUNT if word.way == _ACCOUNT else "acquirer"
            self._note(db, order, operator, f"{who} {answer}", reference)
            here = self._ends_here(db, word)
        if here:
            self._end_here(refund)
            return ""
        return self._send_confirmation(refund)

    def _ends_here(self, db: Db, word: Refund) -> bool:
        """Whether the charger cannot write its end."""
        session = db.get_one(Session, word.session_id)
        return word.command == refund_gone.OWN or refund_gone.gone(db, session)

    def _end_here(self, refund: str) -> None:
        """With its documents, where this process makes them; else another one's `tend` does."""
        if self._done is None:
            return
        with writing(self._engine) as db:
            order = refund_rules.order(db, refund, own=True)
            word = refund_view.charger_word(db, order)
            if word is None or word.state != "sent":
                return
            paid = refund_gone.close(db, order, word, self._now_ms())
            action = "refund done" if paid else "refund failed"
            self._note(db, order, refund_gone.OWN, action, f"{word.way} {word.amount_minor}")
            db.flush()
            if paid:
                self._done(db, word)

    # -- commands

    def send(self, refund: str) -> str:
        """Sends an approved order's command (again); its id, "": not sent. Raises RefundError."""
        with writing(self._engine) as db:
            order, session = refund_rules.alone_with(db, refund)
            if order.state != "approved":
                raise RefundError("refund", f"{refund} is {order.state}, not approved")
            charger = order.charger
            if refund_stuck.stopped(db, session, order, self._now_ms(), refund_gone.OWN):
                return ""
            if refund_gone.gone(db, session):
                self._without_charger(db, order, session)
                return ""
            args = {
                "refund": refund,
                "receipt": order.receipt_no,
                "epoch": session.epoch,
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

    def _without_charger(self, db: Db, order: RefundOrder, session: Session) -> None:
        """Once, and not while a command may still be with the old flash."""
        if refund_view.charger_word(db, order) is None and refund_gone.may_begin(
            db, order, self._now_ms()
        ):
            word = refund_gone.hand_over(order, session, self._now_ms())
            why = f"{word.way}: the charger's flash of then was replaced"
            self._note(db, order, refund_gone.OWN, "refund handed over", why)

    def _send_confirmation(self, refund: str) -> str:
        with Db(self._engine) as db:
            order = refund_rules.order(db, refund)
            charger, accepted = order.charger, order.acquirer == "accepted"
            operator, word = order.confirmed_by, refund_view.charger_word(db, order)
            name = word.refund if word is not None else refund
        if self._send is None:
            return ""
        command = self._send(
            charger, "refund_done", expires_in_s=EXPIRES_S, refund=name, ok=accepted,
            operator=operator,
        )  # fmt: skip
        self._keep(refund, "confirmation", command)
        return command

    def _keep(self, refund: str, name: str, command: str) -> None:
        with writing(self._engine) as db:
            setattr(refund_rules.order(db, refund), name, command)

    def tend(self) -> None:
        """Sends again what a charger never answered, and notes what it refused. Called now and
        then; an order that is in the charger's books needs nothing more."""
        with Db(self._engine) as db:
            rows = db.execute(refund_view.with_words().where(refund_view.UNDER_WAY)).all()
            found = [(self._next_step(db, order, word), order.refund) for order, word, _ in rows]
        for step, refund in found:
            if step is not None:
                step(refund)

    def _next_step(
        self, db: Db, order: RefundOrder, word: Refund | None
    ) -> Callable[[str], object] | None:
        """What an approved order needs now, whose end the charger has not said."""
        if word is None:
            if refund_gone.gone(db, db.get_one(Session, order.session_id)):
                return self.send
            state = _command_state(db, order.command, self._now_ms())
            if state in ("refused", "malformed"):
                return self._note_refused
            return self.send if state not in _LIVE else None
        if word.way == _ACCOUNT and not order.acquirer:
            return self._credit
        if not order.acquirer:
            return None
        if self._ends_here(db, word):
            return self._end_here
        return None if self._told(db, order.confirmation) else self._send_confirmation

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
            order = refund_rules.order(db, refund)
            command = db.get(Command, order.command)
            order.state = "refused"
            order.text = str(command.result.get("reason", "")) if command is not None else ""
            self._note(db, order, order.charger, "refund refused", order.text)

    # -- what is known

    def follow(self, refund: str) -> dict[str, Any]:
        """Where a refund stands: `state`, who asked and approved, the charger's words (way,
        credit_no, code, text, ...). Raises RefundError when there is no such order."""
        with Db(self._engine) as db:
            found = db.execute(refund_view.with_words(refund=refund)).first()
            if found is None:
                raise RefundError("refund", f"there is no order {refund[:40]}")
            return refund_view.described(*found)

    def listed(
        self, charger: str | None = None, state: str | None = None, receipt: int | None = None,
        limit: int | None = None, skip: int = 0,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Orders, newest first, as `follow` gives them."""
        query = refund_view.with_words(charger=charger, receipt_no=receipt, state=state)
        query = query.order_by(RefundOrder.requested_at.desc(), RefundOrder.refund.desc())
        with Db(self._engine) as db:
            rows = db.execute(query.limit(limit).offset(skip))
            return [refund_view.described(*row) for row in rows]

    def acquirer_request(self, refund: str) -> dict[str, Any]:
        """What the acquirer (or whoever took the money of an app's session: `payment` is its
        reference) needs for a referenced refund: terminal_id, vu, trace, receipt,
        auth_code, card (masked), authorised_at, captured_minor, amount_minor, currency, reason.
        Raises RefundError when it is not the acquirer's turn."""
        with Db(self._engine) as db:
            order = refund_rules.order(db, refund)
            word = refund_view.charger_word(db, order)
            session = db.get_one(Session, order.session_id)
            if (
                word is None
                or order.state == "requested"
                or not refund_view.by_hand(db, word, session)
                or word.state not in ("sent", "done")
                or refund_view.gateway_pays(db, order, word, self._terminals)
            ):
                raise RefundError("refund", f"{refund} is not with the acquirer")
            return refund_view.request_text(order, word, session)

    def credit_note(self, refund: str) -> dict[str, Any]:
        """number, original (the receipt's number), charger, at, currency, reason, amount_minor,
        net_minor, vat_minor, way, and `vat`: rate, net_minor, tax_minor, gross_minor per rate.
        Raises RefundError while there is none."""
        with Db(self._engine) as db:
            order = refund_rules.order(db, refund)
            word = refund_view.charger_word(db, order)
            if word is None or word.state != "done":
                raise RefundError("refund", f"{refund} has no credit note yet")
            return refund_view.credit_note(order, word, db.get_one(Session, order.session_id))


def _command_state(db: Db, identity: str, now_ms: int) -> str:
    command = db.get(Command, identity) if identity else None
    if command is not None and command.state == "full" and now_ms - command.sent_at < 60_000:
        return "sent"  # not said again at once
    return command.state if command is not None else ""

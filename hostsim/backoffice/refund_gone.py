"""Refunds of sessions that their charger does not know any more, for its flash was replaced since:
its receipt numbers have begun again, so no command may name one of before.

They are given back by whoever took the money (the acquirer, the gateway, the account) with the
references the books here have, and end here: `Refund.command` is OWN instead of a command's id.
The same goes for one that was handed over by the old flash and is answered now.
"""

from __future__ import annotations

from sqlalchemy.orm import Session as Db

from hostsim.backoffice import refund_records
from hostsim.backoffice.models import Charger, Command, Refund, RefundOrder, Session
from hostsim.backoffice.rules import ELSEWHERE

OWN = "back office"
_ACQUIRER, _ACCOUNT, _GATEWAY = "acquirer", "account", "gateway"


def gone(db: Db, session: Session) -> bool:
    """Whether the charger uses another flash than the one this session is in."""
    charger = db.get(Charger, session.charger)
    return charger is not None and charger.epoch not in (0, session.epoch)


def may_begin(db: Db, order: RefundOrder, now_ms: int) -> bool:
    """Whether no command of this order can work any more: none was sent, the charger refused it,
    or it has expired."""
    command = db.get(Command, order.command) if order.command else None
    if command is None:
        return True
    return command.state != "ok" and (command.state != "sent" or command.expires_at < now_ms)


def hand_over(
    order: RefundOrder, session: Session, now_ms: int, known: Refund | None = None
) -> Refund:
    """The order is with who took the money; `known`: what the old flash had said of it."""
    how = session.payment.how
    way = _ACCOUNT if how == _ACCOUNT else _GATEWAY if how in ELSEWHERE else _ACQUIRER
    if known is not None:
        known.state, known.way, known.command, known.sent_at = "sent", way, OWN, now_ms
        known.amount_minor = known.amount_minor or order.amount_minor
        return known
    word = Refund(
        charger=session.charger, epoch=session.epoch, refund=order.refund, state="sent",
        amount_minor=order.amount_minor, receipt_no=session.receipt_no, operator=order.operator,
        way=way, reason=order.reason, command=OWN, asked_at=now_ms, sent_at=now_ms,
    )  # fmt: skip
    session.refunds.append(word)
    return word


def close(db: Db, order: RefundOrder, word: Refund, now_ms: int) -> bool:
    """The answer is the end of it; whether it was paid."""
    paid = order.acquirer == "accepted"
    session = db.get_one(Session, word.session_id)
    word.done_at = refund_records.done_at(session, word, now_ms) if paid else now_ms
    word.state = "done" if paid else "failed"
    if not paid:
        word.text = "acquirer_refused"
    return paid

"""What of a session can be given back, and how much of it one person alone has asked for. Each
within one transaction that has the session to itself (`locked`), so that two orders at the same
moment count together.

What is under way counts as given back; so does what the cardholder's bank has asked back itself (a
dispute that is open or lost), and lines of a bill that an order gives back whole.
"""

from __future__ import annotations

import json

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.invoices import document
from hostsim.backoffice.models import Refund, RefundOrder, Session
from hostsim.backoffice.rules import ABOVE
from hostsim.backoffice.tables import Dispute, Invoice

OVER = ("refused", "failed")
"""States of refunds that gave nothing back."""

_LINE = 5


class RefundError(ValueError):
    """An order cannot be taken or changed; `field` and `why`: which field, and what is allowed."""

    def __init__(self, field: str, why: str) -> None:
        """str() has both."""
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


def locked(db: Db, session_id: int) -> Session | None:
    """The session, which nobody else orders a refund or notes a dispute of until the transaction
    ends; None when there is none."""
    db.execute(select(Session.id).where(Session.id == session_id).with_for_update())
    return db.get(Session, session_id)


def check(field: str, value: str, most: int) -> None:
    """A text of an order. Raises RefundError."""
    if not 0 < len(value) <= most or not value.isprintable():
        raise RefundError(
            field, f"must be 1 to {most} printable characters (given {value[:40]})"
        )
    if field == "refund" and value.startswith(ABOVE):
        raise RefundError(field, f"must not begin with {ABOVE}, as a charger's own do")


def order(db: Db, refund: str, own: bool = False) -> RefundOrder:
    """Raises RefundError when there is none."""
    found = db.get(RefundOrder, refund, with_for_update=own)
    if found is None:
        raise RefundError("refund", f"there is no order {refund[:40]}")
    return found


def waiting(db: Db, refund: str) -> tuple[RefundOrder, Session]:
    """An order nobody has decided, and its session, both this transaction's own.
    Raises RefundError."""
    found, session = alone_with(db, refund)
    if found.state != "requested":
        raise RefundError("refund", f"{refund} is {found.state} already")
    return found, session


def alone_with(db: Db, refund: str) -> tuple[RefundOrder, Session]:
    """An order and its session, both this transaction's own. Raises RefundError."""
    session = locked(db, order(db, refund).session_id)
    found = order(db, refund, own=True)
    db.refresh(found)
    assert session is not None
    return found, session


def sold(db: Db, charger: str, receipt: int, session_id: int) -> Session:
    """The paid session that is meant, this transaction's own. Raises RefundError."""
    query = select(Session.id).where(Session.state == "captured", Session.receipt_no > 0)
    if session_id:
        query = query.where(Session.id == session_id)
    else:
        query = query.where(Session.charger == charger, Session.receipt_no == receipt)
    found = list(db.scalars(query.limit(2)))
    if len(found) > 1:
        raise RefundError(
            "receipt", f"{charger} has two receipts {receipt}, its flash was replaced:"
            " choose the session at the desk",
        )  # fmt: skip
    session = locked(db, found[0]) if found else None
    if session is None:
        none = f"{charger} has no paid receipt {receipt}"
        raise RefundError("receipt", f"session {session_id} is not paid" if session_id else none)
    return session


def left(db: Db, session: Session, without: str = "") -> int:
    """What may still be given back, the order `without` not counted. Minor units."""
    rest = session.payment.captured_minor - in_dispute(db, session.id)
    for refund, amount in _standing(db, session).items():
        if refund != without:
            rest -= amount
    return max(rest, 0)


def in_dispute(db: Db, session_id: int) -> int:
    """What the bank has asked back and was not refused."""
    query = select(Dispute.amount_minor).where(
        Dispute.session_id == session_id, Dispute.state != "won"
    )
    return sum(db.scalars(query))


def alone(db: Db, session: Session) -> int:
    """What is asked for and no second person has approved: parts count together, so that nobody
    goes under a limit by asking several times."""
    standing = _standing(db, session)
    return sum(
        standing.get(order.refund, 0)
        for order in _orders(db, session)
        if order.approved_by in ("", order.operator) and order.reason != ABOVE
    )


def lines_back(db: Db, session: Session) -> set[int]:
    """Numbers of the bill's lines that are given back, or about to be."""
    standing = _standing(db, session)
    return {
        line for order in _orders(db, session) if order.refund in standing for line in order.lines
    }


def of_lines(db: Db, session: Session, lines: list[int]) -> int:
    """What these lines of the bill are together, VAT included. Raises RefundError when there is
    no such line, one was given back before, or too little is left of its VAT rate."""
    count = len(session.lines) // _LINE
    if not lines or any(not 0 <= line < count for line in lines):
        raise RefundError("what", "choose at least one line")
    back = lines_back(db, session)
    if back & set(lines):
        which = ", ".join(str(line + 1) for line in sorted(back & set(lines)))
        raise RefundError("what", f"line {which} was given back already")
    rest = rates_left(db, session)
    for rate, gross in by_rate(session.lines, _on_their_way(db, session)).items():
        rest[rate] = rest.get(rate, 0) - gross
    wanted = by_rate(session.lines, lines)
    if sum(wanted.values()) <= 0:
        raise RefundError("what", "these lines cost nothing")
    if any(gross > max(rest.get(rate, 0), 0) for rate, gross in wanted.items()):
        raise RefundError("what", "less is left of these lines: ask for a part instead")
    return sum(wanted.values())


def by_rate(numbers: list[int], lines: list[int]) -> dict[int, int]:
    """Gross amount of these lines of a bill by VAT rate (1e-4 percent)."""
    sums: dict[int, int] = {}
    for line in set(lines):
        rate, gross = numbers[line * _LINE + 3], numbers[line * _LINE + 4]
        sums[rate] = sums.get(rate, 0) + gross
    return sums


def rates_left(db: Db, session: Session) -> dict[int, int]:
    """Gross amount by VAT rate that has no credit note yet."""
    rest = by_rate(session.lines, list(range(len(session.lines) // _LINE)))
    for rate, gross in credited(db, session.id).items():
        rest[rate] = rest.get(rate, 0) - gross
    return rest


def credited(db: Db, session_id: int, column: int = 3) -> dict[int, int]:
    """Gross amount (`column` 2: VAT) by VAT rate of a session's credit notes."""
    query = select(Invoice.document).where(
        Invoice.session_id == session_id, Invoice.kind.in_(document.BACK)
    )
    sums: dict[int, int] = {}
    for text in db.scalars(query):
        said = json.loads(text)
        for row in () if said["reason"] == ABOVE else said["vat"]:
            sums[row[0]] = sums.get(row[0], 0) - row[column]
    return sums


def _on_their_way(db: Db, session: Session) -> list[int]:
    """Lines of orders that have no credit note yet."""
    query = select(Refund.order_id).join(Invoice, Invoice.refund_id == Refund.id)
    noted = set(db.scalars(query.where(Refund.session_id == session.id)))
    standing = _standing(db, session).keys() - noted
    return [
        line for order in _orders(db, session) if order.refund in standing for line in order.lines
    ]


def _orders(db: Db, session: Session) -> list[RefundOrder]:
    query = select(RefundOrder).where(RefundOrder.session_id == session.id)
    return list(db.scalars(query.order_by(RefundOrder.requested_at, RefundOrder.refund)))


def _standing(db: Db, session: Session) -> dict[str, int]:
    """Amount by refund of all that may come to something."""
    query = select(Refund).where(Refund.session_id == session.id)
    words = {word.order_id: word for word in db.scalars(query)}
    found = {
        name: word.amount_minor for name, word in words.items() if word.state not in OVER
    }
    for one in _orders(db, session):
        word = words.get(one.refund)
        begun = word.state not in OVER if word is not None else one.state not in OVER
        if begun and not found.get(one.refund):
            rest = session.payment.captured_minor - sum(found.values())  # of orders of "all"
            found[one.refund] = one.amount_minor or max(rest, 0)
    return found

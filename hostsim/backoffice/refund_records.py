"""What the charger's records say about refunds, as rows of `refunds`. Called by books.py in the
records' order.

    refund_requested -> requested     an order is in the charger's flash
    refund_asked     -> approved      its rules allow it; the terminal is about to be asked
    refund_sent      -> sent          with the acquirer, or approved by the terminal
    refunded         -> done          paid; the credit note has its number
    refund_failed    -> refused or failed

What is with the acquirer counts as given back, so that no two ways pay the same. A refund is of
the session and the charger its order is of, and not more than was ordered; one that has no order
gets one (unasked.py). Each step is in the audit log, under the charger's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from hostsim.backoffice import audit, unasked
from hostsim.backoffice.models import Record, Refund, RefundOrder, Session
from hostsim.backoffice.rules import ABOVE, Impossible, must

if TYPE_CHECKING:
    from hostsim.backoffice.books import Books

Fields = dict[str, Any]
OPEN = ("requested", "approved", "sent")
CLOSED = ("done", "refused", "failed")
_REPEATED = "asked_before"  # an order for what was done long ago: the first result stands


def requested(books: Books, record: Record, f: Fields) -> None:
    """A receipt that nobody knows is not refused here: the charger will."""
    must(not f["refund"].startswith(ABOVE), f"refund {f['refund']} is ordered by a capture alone")
    if _find(books, record) is not None:
        return
    books.db.flush()
    query = select(Session).where(
        Session.charger == record.charger,
        Session.epoch == record.epoch,
        Session.receipt_no == f["receipt_no"],
    )
    session = books.db.scalars(query).first()
    if session is not None:
        refund = _new(books, record, session, f)
        refund.state, refund.asked_at = "requested", record.at
        refund.receipt_no, refund.operator = f["receipt_no"], f["operator"]


def above(books: Books, record: Record, session: Session, over_minor: int) -> None:
    """The terminal took more than the price: the charger's own order for the difference, under the
    id that its books give it. Its order here follows (unasked.py)."""
    fields = {"refund": unasked.own_id(session), "amount_minor": over_minor, "reason": ABOVE,
              "command": ""}  # fmt: skip
    made = _new(books, record, session, fields)
    made.state, made.asked_at, made.receipt_no = "requested", record.at, session.receipt_no


def asked(books: Books, record: Record, f: Fields) -> None:
    session = _session(books, record)
    existing = _find(books, record)
    if existing is not None:
        _is_its(existing, session)
    order = unasked.find(books.db, session, f["refund"])
    must(
        order is None or not order.amount_minor or f["amount_minor"] <= order.amount_minor,
        f"refund {f['refund']} is of {f['amount_minor']}, ordered were"
        f" {order.amount_minor if order is not None else 0}",
    )
    must(
        existing is None or existing.state in ("requested", "failed"),
        f"refund {f['refund']} was asked before",
    )
    given = sum(r.amount_minor for r in session.refunds if r.state in ("approved", "sent", "done"))
    must(f["amount_minor"] > 0, "a refund of nothing")
    must(
        given + f["amount_minor"] <= session.payment.captured_minor,
        f"refunds of {given + f['amount_minor']} pass "
        f"the {session.payment.captured_minor} captured",
    )
    refund = existing or _new(books, record, session, f)
    refund.state, refund.asked_at = "approved", refund.asked_at or record.at
    refund.receipt_no = session.receipt_no
    for name in ("amount_minor", "way", "reason", "command"):
        setattr(refund, name, f[name])
    _note(books, record, "refund allowed", f["way"])


def sent(books: Books, record: Record, f: Fields) -> None:
    """What the terminal told of it before stays, for whoever looks what became of that."""
    refund = _open_refund(books, record)
    _is_its(refund, _session(books, record))
    must(
        0 < f["amount_minor"] == refund.amount_minor,
        f"handed over {f['amount_minor']}, asked were {refund.amount_minor}",
    )
    refund.state, refund.sent_at, refund.way = "sent", record.at, f["way"]
    if f["receipt"]:
        refund.receipt, refund.trace = f["receipt"], f["trace"]
    _note(books, record, "refund handed over", f["way"])


def refunded(books: Books, record: Record, f: Fields) -> None:
    refund = _open_refund(books, record)
    _is_its(refund, _session(books, record))
    must(
        f["amount_minor"] == refund.amount_minor,
        f"refunded {f['amount_minor']}, asked were {refund.amount_minor}",
    )
    session = books.db.get_one(Session, refund.session_id)
    refund.state, refund.done_at = "done", done_at(session, refund, record.at)
    for name in ("way", "receipt", "trace", "credit_no"):
        setattr(refund, name, f[name])
    refund.net_minor, refund.vat_minor = f.get("net_minor", 0), f.get("vat_minor", 0)
    refund.lines = f.get("lines", [])
    _note(books, record, "refund done", f"{f['way']} {f['amount_minor']}")


def done_at(session: Session, refund: Refund, at: int) -> int:
    """When a refund that ends now is said to have been done: after those that were done before
    (clocks may differ, or be set back), so that CDRs of what is done stay as they are."""
    done = [
        (one.done_at or one.asked_at) + 1
        for one in session.refunds
        if one.state == "done" and one.refund != refund.refund
    ]
    return max(at, session.payment.settled_at, *done)


def failed(books: Books, record: Record, f: Fields) -> None:
    state = f.get("state") or "failed"
    if state == _REPEATED:
        return
    must(state in ("refused", "failed"), f"a refund that did not come about is {state[:40]}")
    known = _find(books, record)
    order = _order(books, record, known)
    said = f"{f['text']} {f['code'] or ''}".strip()
    if known is None and order is not None:
        order.state, order.text = state, f["text"]  # of a receipt that is not here
        _note(books, record, f"refund {state}", said)
        return
    refund = _open_refund(books, record)
    if order is not None:
        order.text = f["text"]
    _note(books, record, f"refund {state}", said)
    refund.state, refund.done_at = state, record.at
    refund.code, refund.text = f["code"], f["text"]


def _order(books: Books, record: Record, known: Refund | None) -> RefundOrder | None:
    """The order of a refund that did not come about: of the same charger, and of the session the
    record names (0: the charger has no such receipt). Raises Impossible."""
    f = record.payload
    session = _session(books, record) if f["sess"] else None
    if known is not None and session is not None:
        _is_its(known, session)
    order = books.db.get(RefundOrder, known.order_id if known is not None else f["refund"])
    must(
        order is None or order.charger == record.charger,
        f"refund {f['refund']} is of another charger",
    )
    must(
        order is None or session is None or order.session_id == session.id,
        f"refund {f['refund']} is of another session",
    )
    return order


def _is_its(refund: Refund, session: Session) -> None:
    must(
        refund.session_id == session.id,
        f"refund {refund.refund} is not of session {session.sess}",
    )


def _note(books: Books, record: Record, action: str, detail: str) -> None:
    at, refund = record.at or record.received_at, _find(books, record)
    subject = refund.order_id if refund is not None else record.payload["refund"]
    audit.note(books.db, at, record.charger, action, subject, detail)


def _new(books: Books, record: Record, session: Session, f: Fields) -> Refund:
    """Raises Impossible when its order is another charger's or session's."""
    order = unasked.find(books.db, session, f["refund"])
    name = order.refund if order is not None else unasked.order_id(session, f["refund"])
    refund = Refund(
        charger=record.charger, epoch=record.epoch, refund=f["refund"], order_id=name
    )
    for name in ("amount_minor", "reason", "command"):
        setattr(refund, name, f[name])
    session.refunds.append(refund)
    return refund


def _session(books: Books, record: Record) -> Session:
    found = books.find(record.charger, record.epoch, record.payload["sess"])
    if found is None:
        raise Impossible(f"session {record.payload['sess']} was never opened")
    return found


def _find(books: Books, record: Record) -> Refund | None:
    query = select(Refund).where(
        Refund.charger == record.charger,
        Refund.epoch == record.epoch,
        Refund.refund == record.payload["refund"],
    )
    books.db.flush()
    return books.db.scalars(query).first()


def _open_refund(books: Books, record: Record) -> Refund:
    refund = _find(books, record)
    name = record.payload["refund"]
    if refund is None:
        raise Impossible(f"refund {name} was never asked")
    must(refund.state in OPEN, f"refund {name} is {refund.state} already")
    return refund

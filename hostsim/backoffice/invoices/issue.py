"""Issuing documents, in the transaction that puts the capture or refund into the books: no session
is ever settled without its invoice, none has two, and no number is left out.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import refund_gone, refund_rules, refund_vat
from hostsim.backoffice.at_hand import parts
from hostsim.backoffice.clocks import dated
from hostsim.backoffice.invoices import document
from hostsim.backoffice.invoices.document import (
    ADJUSTMENT,
    CREDIT_NOTE,
    INVOICE,
    SETTLES,
    STATEMENT,
)
from hostsim.backoffice.models import Refund, RefundOrder, Session, writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.rules import ABOVE
from hostsim.backoffice.tables import Invoice, InvoiceChain, Todo

_COUNTS = {
    INVOICE: "invoices", CREDIT_NOTE: "credit_notes", STATEMENT: "statements",
    ADJUSTMENT: "adjustments",
}  # fmt: skip


def prepare(db: Db, chargers: list[str]) -> None:
    """Their chains are locked until the transaction ends, so that two workers do not give one
    number; asked for at once. `chargers` in order."""
    kept = db.info.setdefault("chains", {})
    for part in parts(chargers):
        query = select(InvoiceChain).where(InvoiceChain.charger.in_(part))
        for chain in db.scalars(query.order_by(InvoiceChain.charger).with_for_update()):
            kept[chain.charger] = chain
        for name in part:
            kept.setdefault(name, None)


def issue_invoice(db: Db, session: Session, operator: Operator, now_ms: int) -> Invoice | None:
    """The invoice of a session that was captured, which the books let happen once; None when it
    has no receipt."""
    if not session.receipt_no:
        return None
    text = document.invoice(session, operator, dated(session.payment.settled_at, now_ms))
    return _append(db, session, text)


def skip(db: Db, charger: str, count: int) -> dict[str, int]:
    """Leaves out `count` numbers of each kind of document, for a database that is lost may have
    given them: of so many records there was at most one each. Answers the position they are left
    out behind, and the count (gaps.py keeps it, verify.py reads it)."""
    chain = _chain(db, charger)
    for kind in _COUNTS.values():
        setattr(chain, kind, getattr(chain, kind) + count)
    return {"position": chain.position, "count": count}


def catch_up(engine: Engine, operator: Operator, now_ms: int) -> int:
    """Documents of what was settled before there were any (a migration noted it); how many."""
    count = 0
    with Db(engine) as db:
        notes = db.execute(
            select(Todo.id, Todo.ref).where(Todo.kind == "unbilled").order_by(Todo.ref)
        ).all()
    for note, ref in notes:
        with writing(engine) as db:
            session = db.get_one(Session, ref)
            db.execute(delete(Todo).where(Todo.id == note))
            if find(db, ref) is None and issue_invoice(db, session, operator, now_ms):
                count += 1
            for refund in session.refunds:
                if refund.state == "done" and issue_credit_note(db, refund, operator, now_ms):
                    count += 1
    return count


def issue_credit_note(db: Db, refund: Refund, operator: Operator, now_ms: int) -> Invoice | None:
    """The credit note of a refund that was done; None when it has one, or its session no
    invoice."""
    db.flush()
    invoice = find(db, refund.session_id)
    known = select(Invoice.id).where(
        Invoice.session_id == refund.session_id, Invoice.refund_id == refund.id
    )
    if invoice is None or db.scalars(known).first() is not None:
        return None
    session = db.get_one(Session, refund.session_id)
    original = json.loads(invoice.document)
    _own_split(db, session, refund, original)
    text = document.credit_note(original, refund, operator, dated(refund.done_at, now_ms))
    return _append(db, session, text, refund.id)


def _own_split(db: Db, session: Session, refund: Refund, original: dict[str, Any]) -> None:
    """The VAT of a refund where it is not the charger's to say: lines of the bill were chosen, now
    or before, the bill has one rate (refund_vat.py), the charger had no word in it, or it is
    nothing of the bill."""
    orders = {
        order.refund: order.lines
        for order in db.scalars(select(RefundOrder).where(RefundOrder.session_id == session.id))
    }
    ours = refund.command == refund_gone.OWN or any(orders.values())
    if refund.reason == ABOVE:
        refund.lines = [-1, refund.amount_minor, 0, refund.amount_minor]
    elif ours or len(original["vat"]) == 1:
        chosen = refund_rules.by_rate(session.lines, orders.get(refund.order_id, []))
        before, taxed = (refund_rules.credited(db, session.id, column) for column in (3, 2))
        refund.lines = refund_vat.split(
            original["vat"], before, refund.amount_minor, chosen, taxed
        )
    else:
        return
    refund.net_minor, refund.vat_minor = sum(refund.lines[1::4]), sum(refund.lines[2::4])


def find(db: Db, session_id: int) -> Invoice | None:
    """The session's invoice or statement."""
    return db.scalars(
        select(Invoice).where(Invoice.session_id == session_id, Invoice.kind.in_(SETTLES))
    ).first()


def _append(db: Db, session: Session, fields: dict[str, Any], refund_id: int = 0) -> Invoice:
    chain = _chain(db, session.charger)
    kind = fields["kind"]
    count = getattr(chain, _COUNTS[kind]) + 1
    setattr(chain, _COUNTS[kind], count)
    chain.position += 1
    fields |= {
        "number": document.number(session.charger, kind, count),
        "position": chain.position,
        "previous": chain.head,
    }
    text = document.canonical(fields)
    chain.head = document.digest(text)
    names = "receipt_no issued_at currency total_minor net_minor vat_minor number position kind"
    row = Invoice(
        charger=session.charger,
        session_id=session.id,
        refund_id=refund_id,
        document=text,
        hash=chain.head,
        **{name: fields[name] for name in names.split()},
    )
    db.add(row)
    return row


def _chain(db: Db, charger: str) -> InvoiceChain:
    kept: dict[str, InvoiceChain | None] = db.info.setdefault("chains", {})
    if charger not in kept:
        prepare(db, [charger])
    chain = kept[charger]
    if chain is None:
        none = dict.fromkeys(_COUNTS.values(), 0)
        chain = InvoiceChain(charger=charger, position=0, head="", **none)
        db.add(chain)
        kept[charger] = chain
    return chain

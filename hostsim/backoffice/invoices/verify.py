"""Whether the documents are what was once issued: every number there, every hash right, nothing
changed, nothing taken away.

What a database alone cannot show is that its newest documents were cut off together with the
chain's end; against that, heads that were saved elsewhere are compared (`saved`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import gaps
from hostsim.backoffice.invoices import document
from hostsim.backoffice.models import Payment, Problem, Refund, Session
from hostsim.backoffice.tables import Invoice, InvoiceChain

_COLUMNS = "position kind number receipt_no issued_at currency total_minor net_minor vat_minor"


BILLS = "*"
"""Whose end in `heads` is that of the monthly invoices; no charger can have that name."""


@dataclass
class Verdict:
    """`faults`: a sentence each; `heads`: charger -> [position, hash] as they are now."""

    documents: int = 0
    faults: list[str] = field(default_factory=list)
    heads: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Nothing is wrong."""
        return not self.faults


def verify(engine: Engine, saved: dict[str, list[Any]] | None = None) -> Verdict:
    """Looks at every document; `saved`: heads of an earlier verdict."""
    verdict = Verdict()
    with Db(engine) as db:
        chains = list(db.scalars(select(InvoiceChain).order_by(InvoiceChain.charger)))
        named = {chain.charger for chain in chains}
        strays = select(Invoice.charger).where(Invoice.charger.not_in(named)).distinct()
        verdict.faults += [f"{name}: documents without a chain" for name in db.scalars(strays)]
        for chain in chains:
            _verify_chain(db, chain, verdict, (saved or {}).get(chain.charger))
        for name in sorted(set(saved or {}) - named - {BILLS}):
            verdict.faults.append(f"{name}: its documents were saved once and are gone")
        verdict.faults += _unbilled(db)
        verdict.faults += _uncredited(db)
    return verdict


def _verify_chain(db: Db, chain: InvoiceChain, verdict: Verdict, saved: list[Any] | None) -> None:
    position, head = 0, ""
    kinds = (document.INVOICE, document.CREDIT_NOTE, document.STATEMENT, document.ADJUSTMENT)
    counts = dict.fromkeys(kinds, 0)
    seen_saved = saved is None or saved[0] == 0
    left_out = _left_out(db, chain.charger)
    for row, total in _rows(db, chain.charger):
        _pass_over(left_out, counts, position)
        verdict.documents += 1
        position += 1
        for fault in _faults(row, position, head, counts, total):
            verdict.faults.append(f"{row.number}: {fault}")
        position, head = row.position, row.hash
        if saved is not None and position == saved[0]:
            seen_saved = True
            if head != saved[1]:
                verdict.faults.append(f"{row.number}: is not the document that was saved")
    if not seen_saved:
        verdict.faults.append(
            f"{chain.charger}: documents up to {saved[0] if saved else 0} are gone"
        )
    _pass_over(left_out, counts, position)
    ends = (
        chain.position, chain.head, chain.invoices, chain.credit_notes, chain.statements,
        chain.adjustments,
    )  # fmt: skip
    if ends != (position, head, *counts.values()):
        verdict.faults.append(f"{chain.charger}: the chain ends elsewhere than its documents")
    verdict.heads[chain.charger] = [position, head]


def _left_out(db: Db, charger: str) -> list[tuple[int, int]]:
    """Numbers that were left out when records were given up (gaps.py), oldest first: behind which
    position, how many of each kind."""
    query = select(Problem).where(Problem.charger == charger, Problem.code == gaps.GIVEN_UP)
    rows = db.scalars(query.order_by(Problem.id))
    facts = [gaps.facts_of(row).get("skipped", {}) for row in rows]
    return [(one.get("position", 0), one.get("count", 0)) for one in facts]


def _pass_over(left_out: list[tuple[int, int]], counts: dict[str, int], position: int) -> None:
    """Counts on over what was left out behind the documents up to `position`."""
    while left_out and left_out[0][0] <= position:
        _, count = left_out.pop(0)
        for kind in counts:
            counts[kind] += count


def _rows(db: Db, charger: str) -> Iterator[tuple[Invoice, int | None]]:
    query = (
        select(Invoice, Session.total_minor)
        .outerjoin(Session, Session.id == Invoice.session_id)
        .where(Invoice.charger == charger)
        .order_by(Invoice.position)
        .execution_options(yield_per=500)
    )
    for row, total in db.execute(query):
        yield row, total
        db.expunge(row)


def _faults(
    row: Invoice, position: int, head: str, counts: dict[str, int], total: int | None
) -> Iterator[str]:
    if row.position != position:
        yield f"is at {row.position}, {position} is missing"
    if document.digest(row.document) != row.hash:
        yield "its text was changed"
    try:
        fields = json.loads(row.document)
    except ValueError:
        yield "its text is not a document"
        return
    if fields.get("previous") != head:
        yield "does not follow the document before it"
    changed = [name for name in _COLUMNS.split() if fields.get(name) != getattr(row, name)]
    if changed:
        yield f"the table says something else than its text ({', '.join(changed)})"
    yield from document.sums(fields)
    counts[row.kind] = counts.get(row.kind, 0) + 1
    if row.number != document.number(row.charger, row.kind, counts[row.kind]):
        yield f"the number should be {document.number(row.charger, row.kind, counts[row.kind])}"
    if row.kind in document.SETTLES and total != row.total_minor:
        yield f"says {row.total_minor}, the books say {total}"


def _unbilled(db: Db) -> list[str]:
    query = (
        select(Session.charger, Session.receipt_no)
        .join(Payment, Payment.session_id == Session.id)
        .outerjoin(
            Invoice,
            (Invoice.session_id == Session.id) & Invoice.kind.in_(document.SETTLES),
        )
        .where(Payment.state == "captured", Session.receipt_no > 0, Invoice.id.is_(None))
        .order_by(Session.id)
        .limit(20)
    )
    return [f"{charger}: receipt {number} has no invoice" for charger, number in db.execute(query)]


def _uncredited(db: Db) -> list[str]:
    """Refunds that were done have a credit note each, as captures have their invoice."""
    query = (
        select(Refund.charger, Session.receipt_no, Refund.refund)
        .join(Session, Session.id == Refund.session_id)
        .outerjoin(Invoice, Invoice.refund_id == Refund.id)
        .where(Refund.state == "done", Session.receipt_no > 0, Invoice.id.is_(None))
        .order_by(Refund.id)
        .limit(20)
    )
    return [
        f"{charger}: refund {refund} of receipt {number} has no credit note"
        for charger, number, refund in db.execute(query)
    ]

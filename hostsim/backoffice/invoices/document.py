"""What an invoice says, once and for ever: integers and text, and their one canonical form.

Source of what it must hold: Directive 2006/112/EC, art. 226b (simplified invoice: date, supplier,
goods, tax or what it is computed from; a credit note names the invoice it changes), and the German
practice of § 33 UStDV (supplier's address, quantity, gross amount and rate).

A session on account is on the monthly invoice (bills/), the only document that shows its VAT: who
shows VAT twice owes it twice (art. 203; § 14c UStG). Its own document is a statement in a series
of its own, and so is what is given back of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hostsim.backoffice import figures
from hostsim.backoffice.models import Refund, Session
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.rules import ELSEWHERE

INVOICE = "invoice"
CREDIT_NOTE = "credit_note"
STATEMENT = "statement"
ADJUSTMENT = "adjustment"
SETTLES = (INVOICE, STATEMENT)
"""A captured session has one of these."""

BACK = (CREDIT_NOTE, ADJUSTMENT)
"""A finished refund has one of these."""

NO_TAX = (STATEMENT, ADJUSTMENT)
"""No tax documents: the monthly invoice is."""

_LETTER = {INVOICE: "I", CREDIT_NOTE: "C", STATEMENT: "S", ADJUSTMENT: "A"}
_SESSION = (
    "charger epoch sess connector receipt_no meter_serial start_at end_at elapsed_ms start_wh"
    " end_wh billed_wh currency lines"
).split()
_PAYMENT = "card pan auth_code terminal_id receipt trace".split()


def canonical(document: dict[str, Any]) -> str:
    """The text a document's hash is of: JSON, names in order, no spaces, UTF-8 as it is."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text: str) -> str:
    """SHA-256 of a canonical text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def number(charger: str, kind: str, count: int) -> str:
    """FC-0001-I000012 (invoice), -C000001 (credit note), -S000001 (statement), -A000001."""
    return f"{charger}-{_LETTER[kind]}{count:06}"


def invoice(session: Session, operator: Operator, issued_at: int) -> dict[str, Any]:
    """The invoice of a captured session, or its statement when it is on account; number, position
    and previous hash are the chain's."""
    fields = {name: getattr(session, name) for name in _SESSION}
    return {
        "version": 1,
        "kind": STATEMENT if session.payment.how == "account" else INVOICE,
        "issued_at": issued_at,
        "zone": operator.time_zone,
        "supplier": _supplier(operator),
        **fields,
        **{name: getattr(session.payment, name) for name in _PAYMENT},
        **({} if session.payment.how not in ELSEWHERE else {"method": session.method}),
        "total_minor": session.total_minor,
        "net_minor": session.net_minor,
        "vat_minor": session.vat_minor,
        "vat": figures.vat_groups(fields | {"net_minor": session.net_minor, "vat": session.vat}),
    }


def credit_note(
    original: dict[str, Any], refund: Refund, operator: Operator, issued_at: int
) -> dict[str, Any]:
    """The credit note of a refund that was done (of a statement: its adjustment); amounts are
    negative, VAT is split as it was on the invoice."""
    vat = given_back(original["vat"], refund.lines, refund.amount_minor)
    return {
        "version": 1,
        "kind": ADJUSTMENT if original["kind"] == STATEMENT else CREDIT_NOTE,
        "issued_at": issued_at,
        "zone": operator.time_zone,
        "supplier": _supplier(operator),
        **{name: original[name] for name in _SESSION if name != "lines"},
        **{name: original[name] for name in (*_PAYMENT, "method") if name in original},
        "lines": [],
        "original": original["number"],
        "refund": refund.refund,
        "credit_no": refund.credit_no,
        "reason": refund.reason,
        "way": refund.way,
        "receipt": refund.receipt or original["receipt"],
        "trace": refund.trace or original["trace"],
        "total_minor": -refund.amount_minor,
        "net_minor": sum(row[1] for row in vat),
        "vat_minor": sum(row[2] for row in vat),
        "vat": vat,
    }


def given_back(
    groups: list[list[int]], numbers: list[int] | None, amount_minor: int
) -> list[list[int]]:
    """A refund's negative groups: the charger's own split (Refund.lines), `split` of a charger
    that gave none."""
    rows = figures.fours(numbers or [])
    if sum(row[3] for row in rows) != amount_minor:
        return split(groups, amount_minor)
    return [[vat_e4, -net, -tax, -gross] for vat_e4, net, tax, gross in rows]


def split(groups: list[list[int]], amount_minor: int) -> list[list[int]]:
    """A refund's negative groups: the amount spread as the gross amounts are, to the minor unit
    (largest remainders first)."""
    whole = sum(row[3] for row in groups)
    if whole <= 0:
        return [[-1, -amount_minor, 0, -amount_minor]]
    shares = [amount_minor * row[3] // whole for row in groups]
    order = sorted(range(len(groups)), key=lambda i: (-(amount_minor * groups[i][3] % whole), i))
    for i in order[: amount_minor - sum(shares)]:
        shares[i] += 1
    found = []
    for row, gross in zip(groups, shares, strict=True):
        net = int(figures.net_of(Decimal(gross), row[0], 0)) if row[0] >= 0 else gross
        if gross == row[3]:
            net = row[1]
        if gross:
            found.append([row[0], -net, net - gross, -gross])
    return found


def sums(fields: dict[str, Any]) -> Iterator[str]:
    """What does not add up in a document: the VAT rows are its net and VAT, these its total."""
    total, net, vat = (int(fields.get(f"{name}_minor", 0)) for name in ("total", "net", "vat"))
    rows = fields.get("vat", [])
    for at, what, stated in ((1, "net", net), (2, "VAT", vat), (3, "gross", total)):
        found = sum(row[at] for row in rows)
        if found != stated:
            yield f"its rates' {what} add up to {found}, it says {stated}"
    if net + vat != total:
        yield f"its net {net} and VAT {vat} are not its total {total}"


def _supplier(operator: Operator) -> dict[str, str]:
    return {
        "name": operator.name,
        "address": operator.address,
        "vat_id": operator.vat_id,
        "helpline": operator.helpline,
    }

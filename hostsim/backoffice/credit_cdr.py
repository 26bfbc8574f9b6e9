"""What refunds make of a session's CDR.

A CDR is never changed: each refund credits the one that stood by a credit CDR of its whole amount,
and puts a new CDR of what is left in its place, unless nothing is. So the totals of all CDRs of a
time are what was billed less what was given back of it, as the reports have it. What a terminal
took above the price was never turnover: neither it nor its refund is in any CDR. Refunds follow
each other as they were done, which is strictly one after the other (refund_records.done_at).

Source: OCPI 2.2.1, mod_cdrs, "Credit CDRs" and "CDR Object": `credit` true, `credit_reference_id`
the id of the CDR it credits, everything else as there but for `total_cost`, which is negative; an
id may have three characters more. The new CDR has an id of its own and neither of the two fields.
"""

from __future__ import annotations

from typing import Any

from hostsim.backoffice import cdr, figures
from hostsim.backoffice.invoices import document as documents
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.rules import ABOVE

OWN, CREDIT, AGAIN = range(3)
"""A session's own CDR; a refund's credit CDR; the new one after it."""

_REMARK = 255
_PARTS = ("total_fixed_cost", "total_energy_cost", "total_time_cost", "total_parking_cost")

Cdrs = dict[tuple[str, int], dict[str, Any]]


def chain(session: dict[str, Any], operator: Operator | None = None) -> Cdrs:
    """All CDRs of one of views.session's dicts, by refund ("" for the session's own) and OWN,
    CREDIT or AGAIN. Raises cdr.NotFinished."""
    standing = cdr.compose(session, operator)
    found = {("", OWN): standing}
    gross, net = session["total_minor"], session["net_minor"]
    for count, refund in enumerate(_in_order(session["refunds"]), 1):
        if gross <= 0:  # all that was billed is credited
            break
        at = cdr.time(refund["done_at"] or refund["asked_at"])
        found[refund["refund"], CREDIT] = _credit(standing, at)
        vat = documents.given_back(
            figures.vat_groups(session), refund["lines"], refund["amount_minor"]
        )
        gross, net = gross - refund["amount_minor"], net + sum(row[1] for row in vat)
        if gross > 0:
            standing = _again(session, found["", OWN], count, refund) | {
                "total_cost": cdr.cost(net, gross, session["currency"]), "last_updated": at,
            }  # fmt: skip
            found[refund["refund"], AGAIN] = standing
    return found


def _in_order(refunds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = [one for one in refunds if one["state"] == "done" and one["reason"] != ABOVE]
    return sorted(
        done, key=lambda one: (one["done_at"] or one["asked_at"], one["credit_no"], one["refund"])
    )


def _credit(credited: dict[str, Any], at: str) -> dict[str, Any]:
    return credited | {
        "id": credited["id"] + "-C",
        "total_cost": {name: -value for name, value in credited["total_cost"].items()},
        "credit": True,
        "credit_reference_id": credited["id"],
        "last_updated": at,
    }


def _again(
    session: dict[str, Any], own: dict[str, Any], count: int, refund: dict[str, Any]
) -> dict[str, Any]:
    """Without the parts of the costs: a refund is of the whole bill, not of its lines."""
    said = f"refund {refund['refund']}, credit note {refund['credit_no']}"
    remark = "; ".join(part for part in (said, refund["reason"], own["remark"]) if part)
    kept = {name: value for name, value in own.items() if name not in _PARTS}
    return kept | {"id": cdr.identity(session, f"-R{count}"), "remark": remark[:_REMARK]}

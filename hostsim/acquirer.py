"""The acquirer, as far as refunds need one: a referenced refund names a sale by terminal, trace
and authorisation code, and is paid once per request, up to what the sale was.

Its book is beside the terminal's (hostsim.terminal.books): what it gave back stands at the sale.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from hostsim.backoffice.refunds import RefundError, Refunds
from hostsim.terminal.books import Books, Kind, State

_EVERY_S = 1.0
OPERATOR = "acquirer"


@dataclass(frozen=True)
class Answer:
    """`reference`: the acquirer's own, when it paid; `reason`: why it did not."""

    accepted: bool
    reference: str = ""
    reason: str = ""


class Acquirer:
    """`books`: of the terminal whose sales it settles."""

    def __init__(self, books: Books) -> None:
        """Nothing is done yet."""
        self._books = books

    def refund(self, request: dict[str, Any]) -> Answer:
        """Answers one request (backoffice.refunds.Refunds.acquirer_request); the same request
        again gets the same answer, and no money."""
        amount = request["amount_minor"]
        for sale in self._books.records:
            if request["request"] in sale.acquirer_refunds:
                return self._paid(request["request"])
            named = request["trace"] in sale.traces and request["auth_code"] == sale.authorisation
            if not named or sale.kind is Kind.REFUND:
                continue
            if sale.state not in (State.CAPTURED, State.PAID):
                return Answer(False, reason=f"the sale is {sale.state}")
            left = sale.captured_minor - sale.returned_minor - sum(sale.acquirer_refunds.values())
            if not 0 < amount <= left:
                return Answer(False, reason=f"{left} is left of the sale")
            sale.acquirer_refunds[request["request"]] = amount
            self._books.save()
            return self._paid(request["request"])
        return Answer(False, reason="there is no such sale")

    def _paid(self, request: str) -> Answer:
        return Answer(True, f"ARN {request[:8]}")


async def serve(refunds: Refunds, books: Books) -> None:
    """Answers what the back office hands over, as an operator would enter it; until cancelled."""
    acquirer = Acquirer(books)
    while True:
        try:
            for order in await asyncio.to_thread(refunds.listed, None, "sent"):
                if order["way"] == "acquirer" and not order["acquirer"]:
                    await asyncio.to_thread(answer, refunds, acquirer, order["refund"])
        except (RefundError, SQLAlchemyError):
            pass  # decided meanwhile, or the database is away: asked again
        await asyncio.sleep(_EVERY_S)


def answer(refunds: Refunds, acquirer: Acquirer, refund: str) -> Answer:
    """One refund's request to the acquirer, and its answer to the charger."""
    found = acquirer.refund(refunds.acquirer_request(refund))
    refunds.confirm(
        refund,
        accepted=found.accepted,
        operator=OPERATOR,
        reference=found.reference or found.reason,
    )
    return found

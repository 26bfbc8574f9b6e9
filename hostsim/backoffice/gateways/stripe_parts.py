"""What is read of Stripe's objects (API reference: "The PaymentIntent object", "The Charge
object", "The Refund object").
"""

from __future__ import annotations

from typing import Any

import stripe

from hostsim.backoffice.gateways import base, stripe_amounts
from hostsim.backoffice.gateways.base import Refunded


def metadata(found: dict[str, Any]) -> dict[str, str]:
    """Names and texts that we stored with it."""
    return {str(name): str(value) for name, value in (found.get("metadata") or {}).items()}


def number(text: str) -> int:
    """A whole number of at most nine digits, else 0."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def given_back(charge: dict[str, Any], released: int) -> int:
    """Refunds beyond the part that was released at the capture: `amount_refunded` has both."""
    if not charge or not charge["captured"]:
        return 0
    return max(int(charge["amount_refunded"]) - released, 0)


def capture_before(charge: dict[str, Any]) -> int:
    """When a hold ends by itself, 0 when it is not said."""
    details = charge.get("payment_method_details") or {}
    return int((details.get("card") or {}).get("capture_before") or 0)


def where(action: Any) -> str:
    """Where the payer confirms, when that is a page of its own."""
    if not action or action.get("type") != "redirect_to_url":
        return ""
    return str((action.get("redirect_to_url") or {}).get("url") or "")


def about(thing: Any) -> str:
    """The payment intent an event is about: its id, or itself where a version of the API writes it
    out; "" for none."""
    if thing["object"] == "payment_intent":
        return str(thing["id"])
    found = thing.get("payment_intent")
    if isinstance(found, dict):
        found = found.get("id")
    return found if isinstance(found, str) else ""


def refunded(answer: stripe.Refund) -> Refunded:
    """A refund as it is now."""
    found = answer.to_dict()
    currency = str(found.get("currency") or "").upper()
    states = {"succeeded": base.DONE, "pending": base.PENDING, "requires_action": base.PENDING}
    return Refunded(
        reference=found["id"],
        refund=metadata(found).get("refund", ""),
        payment=str(found.get("payment_intent") or ""),
        state=states.get(found["status"], base.FAILED),
        amount_minor=stripe_amounts.from_stripe(found["amount"], currency),
        code=str(found.get("failure_reason") or ""),
        currency=currency,
    )

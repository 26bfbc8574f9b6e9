"""A second payment gateway, as small as one can be: the shop's own till, in memory. It shows what
one new file needs (docs/gateways.md, "Another gateway").
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping

from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import (
    Declined,
    Event,
    Forged,
    Gateway,
    Order,
    Payment,
    Refunded,
    Refused,
    Settings,
)


def connect(settings: Settings) -> Gateway:
    """As base.opened calls it."""
    return Till(settings.mode, settings.secret("FORECOURT_TILL_KEY"))


class Till(Gateway):
    """Keeps payments in a dict; a key is answered with the first result."""

    name = "till"
    test_methods = (("coin", "test_good"), ("button", "test_declined"))

    def __init__(self, mode: str, key: str) -> None:
        """`key` signs events."""
        self.mode = mode
        self._key = key
        self._payments: dict[str, Payment] = {}
        self._refunds: list[Refunded] = []
        self._done: dict[str, Payment | Refunded] = {}

    def hold(self, order: Order, key: str) -> Payment:
        """A coin is good."""
        if order.method != "coin":
            raise Declined("a button is no money", "button")
        reference = f"till-{len(self._payments) + 1}"
        return self._once(
            key,
            Payment(
                reference, order.order, base.HELD, order.currency, order.amount_minor,
                created=len(self._payments), about=order.about,
            ),
        )  # fmt: skip

    def extend(self, reference: str, amount_minor: int, key: str, currency: str) -> Payment:
        """More of the same."""
        return self._change(reference, key, base.HELD, authorised_minor=amount_minor)

    def capture(self, reference: str, amount_minor: int, key: str, currency: str) -> Payment:
        """Into the drawer."""
        held = self.look_up(reference).authorised_minor
        if amount_minor > held:
            raise Refused("more than is held")
        return self._change(
            reference, key, base.HELD, state=base.CAPTURED, captured_minor=amount_minor,
            released_minor=held - amount_minor,
        )  # fmt: skip

    def cancel(self, reference: str, key: str) -> Payment:
        """Out of the hand again."""
        return self._change(reference, key, base.HELD, state=base.CANCELLED)

    def refund(
        self, reference: str, amount_minor: int, refund: str, key: str, currency: str
    ) -> Refunded:
        """Out of the drawer again."""
        if key in self._done:
            found = self._done[key]
            assert isinstance(found, Refunded)
            return found
        p = self.look_up(reference)
        if amount_minor > p.captured_minor - p.refunded_minor:
            raise Refused("more than was taken")
        made = Refunded(
            f"re-{key}", refund, reference, base.DONE, amount_minor, currency=p.currency
        )
        refunded = p.refunded_minor + amount_minor
        self._payments[reference] = dataclasses.replace(p, refunded_minor=refunded)
        self._refunds.append(made)
        self._done[key] = made
        return made

    def look_up(self, reference: str) -> Payment:
        """In the drawer."""
        if reference not in self._payments:
            raise Refused("no such payment")
        return self._payments[reference]

    def refunds(self, reference: str) -> list[Refunded]:
        """Of a payment."""
        return [one for one in self._refunds if one.payment == reference]

    def listed(self, since: int) -> Iterator[Payment]:
        """All of them."""
        return iter(list(self._payments.values()))

    def refunds_made(self, since: int) -> Iterator[Refunded]:
        """All of them."""
        return iter(list(self._refunds))

    def event(self, payload: bytes, headers: Mapping[str, str]) -> Event:
        """Signed by the key."""
        wanted = hmac.new(self._key.encode(), payload, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(headers.get("x-till", ""), wanted):
            raise Forged("not from the till")
        found = json.loads(payload)
        return Event(found["id"], found["kind"], found["payment"], 0)

    def _once(self, key: str, payment: Payment) -> Payment:
        found = self._done.setdefault(key, payment)
        assert isinstance(found, Payment)
        self._payments.setdefault(found.reference, found)
        return self._payments[found.reference]

    def _change(self, reference: str, key: str, wanted: str, **fields: object) -> Payment:
        if key in self._done:
            return self._payments[reference]
        payment = self.look_up(reference)
        if payment.state != wanted:
            raise Refused(f"the payment is {payment.state}")
        self._payments[reference] = dataclasses.replace(payment, **fields)  # type: ignore[arg-type]
        self._done[key] = self._payments[reference]
        return self._payments[reference]

"""Stripe by its own SDK: payment intents with manual capture.

Keys: FORECOURT_STRIPE_SECRET (sk_test_... or sk_live_..., rk_ for restricted ones),
FORECOURT_STRIPE_PUBLISHABLE (pk_...) and FORECOURT_STRIPE_WEBHOOK (whsec_..., several with commas
between while one replaces the other). A key of the other mode than gateway_mode is refused at the
start, and so is an object of the other mode in an answer.

Sources: Stripe API reference, "PaymentIntents" (capture_method manual, amount_to_capture,
increment_authorization), "Refunds", "Idempotent requests", "Webhooks: verify signatures". An
idempotency key is kept by Stripe for at least 24 hours with its first answer, 500 as well; beyond
that `find` (by the order in the metadata) says what became of a request.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import stripe

from hostsim.backoffice.gateways import base, stripe_amounts
from hostsim.backoffice.gateways import stripe_parts as parts
from hostsim.backoffice.gateways.base import (
    Busy,
    CardSale,
    Declined,
    Event,
    Failed,
    Forged,
    Gateway,
    Order,
    Payment,
    Refunded,
    Refused,
    Settings,
    SettingsError,
    Unanswered,
)

SECRET = "FORECOURT_STRIPE_SECRET"
PUBLISHABLE = "FORECOURT_STRIPE_PUBLISHABLE"
WEBHOOK = "FORECOURT_STRIPE_WEBHOOK"
_TIMEOUT_S = 8.0
_RETRIES = 2  # of one request, by the SDK, with back-off; the cashier goes on after that
_TOLERANCE_S = 300
_PAGE = 100
_STATES = {
    "requires_payment_method": base.NEW,
    "requires_confirmation": base.NEW,
    "requires_action": base.ACTION,
    "processing": base.ACTION,
    "requires_capture": base.HELD,
    "succeeded": base.CAPTURED,
    "canceled": base.CANCELLED,
}
_TEST_METHODS = (
    ("pm_card_visa", "test_good"),
    ("pm_card_chargeCustomerFail", "test_declined"),
    ("pm_card_authenticationRequired", "test_confirm"),
)
_CODES = {
    "insufficient_funds": "no_funds",
    "expired_card": "card_expired",
    "authentication_required": "confirm_failed",
    "payment_intent_authentication_failure": "confirm_failed",
}
_HOSTS = {
    "script-src": ("https://js.stripe.com",),
    "frame-src": ("https://js.stripe.com", "https://hooks.stripe.com"),
    "connect-src": ("https://api.stripe.com",),
    "style-src": ("'unsafe-inline'",),
}
_T = TypeVar("_T")


def connect(settings: Settings) -> Gateway:
    """Reads and judges the keys; nothing is asked of Stripe yet. Raises SettingsError."""
    secret, public = settings.secret(SECRET), settings.secret(PUBLISHABLE)
    hooks = [one.strip() for one in settings.secret(WEBHOOK).split(",")]
    for variable, value, kinds in ((SECRET, secret, ("sk", "rk")), (PUBLISHABLE, public, ("pk",))):
        if not value.startswith(tuple(f"{kind}_{settings.mode}_" for kind in kinds)):
            starts = " or ".join(f"{kind}_{settings.mode}_" for kind in kinds)
            raise SettingsError(
                f"{variable}: must start with {starts} in gateway_mode {settings.mode}"
            )
    if not all(one.startswith("whsec_") and len(one) > 16 for one in hooks):
        raise SettingsError(f"{WEBHOOK}: must start with whsec_")
    return Stripe(settings, secret, public, hooks)


class Stripe(Gateway):
    """One Stripe account."""

    name = "stripe"

    def __init__(self, settings: Settings, secret: str, public: str, hooks: list[str]) -> None:
        """See connect."""
        self.mode = settings.mode
        self._livemode = settings.mode == base.LIVE
        self._hooks = hooks
        logging.getLogger("stripe").setLevel(logging.WARNING)  # it would log whole answers
        addresses: Any = {"api": settings.base_url.rstrip("/")} if settings.base_url else {}
        self._client = stripe.StripeClient(
            secret,
            base_addresses=addresses,
            max_network_retries=_RETRIES,
            http_client=stripe.RequestsClient(timeout=_TIMEOUT_S),
        )
        if settings.base_url:
            self.test_methods = _TEST_METHODS
        else:
            self.form, self.public_key = "element", public
            self.script = "https://js.stripe.com/v3/"
            self.form_script = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
            self.hosts = _HOSTS

    def takes(self, currency: str) -> bool:
        """See stripe_amounts."""
        return stripe_amounts.scale(currency) > 0

    def hold(self, order: Order, key: str) -> Payment:
        """A payment intent that is confirmed at once with `order.method`, else by the browser."""
        params: dict[str, Any] = {
            "amount": stripe_amounts.to_stripe(order.amount_minor, order.currency),
            "currency": order.currency.lower(),
            "capture_method": "manual",
            "payment_method_types": ["card"],
            "metadata": {"order": order.order, "about": order.about},
            "expand": ["latest_charge"],
        }
        if order.more:
            asked = {"card": {"request_incremental_authorization": "if_available"}}
            params["payment_method_options"] = asked
        if order.method:
            params |= {"payment_method": order.method, "confirm": True}
            params |= {"return_url": order.return_url} if order.return_url else {}
        found = self._ask(
            lambda: self._client.v1.payment_intents.create(
                params,  # type: ignore[arg-type]
                {"idempotency_key": key},
            )
        )
        return self._payment(found)

    def extend(self, reference: str, amount_minor: int, key: str, currency: str) -> Payment:
        """Incremental authorisation, of holds that were placed for it (Order.more). Stripe has it
        for some card brands, merchant categories and countries, and accounts on IC+ pricing
        ("Increment an authorization", Availability); elsewhere it is refused."""
        amount = stripe_amounts.to_stripe(amount_minor, currency)
        return self._payment(
            self._ask(
                lambda: self._client.v1.payment_intents.increment_authorization(
                    reference, {"amount": amount}, {"idempotency_key": key}
                )
            )
        )

    def capture(self, reference: str, amount_minor: int, key: str, currency: str) -> Payment:
        """Once: the rest is released."""
        amount = stripe_amounts.to_stripe(amount_minor, currency)
        return self._payment(
            self._ask(
                lambda: self._client.v1.payment_intents.capture(
                    reference, {"amount_to_capture": amount}, {"idempotency_key": key}
                )
            )
        )

    def cancel(self, reference: str, key: str) -> Payment:
        """Also of one that nobody has paid yet."""
        return self._payment(
            self._ask(
                lambda: self._client.v1.payment_intents.cancel(
                    reference, {}, {"idempotency_key": key}
                )
            )
        )

    def refund(
        self, reference: str, amount_minor: int, refund: str, key: str, currency: str
    ) -> Refunded:
        """By payment intent, which names the charge."""
        amount = stripe_amounts.to_stripe(amount_minor, currency)
        return parts.refunded(
            self._ask(
                lambda: self._client.v1.refunds.create(
                    {
                        "payment_intent": reference,
                        "amount": amount,
                        "metadata": {"refund": refund},
                    },
                    {"idempotency_key": key},
                )
            )
        )

    def look_up(self, reference: str) -> Payment:
        """With its charge, which knows how long the hold lasts."""
        return self._payment(
            self._ask(
                lambda: self._client.v1.payment_intents.retrieve(
                    reference, {"expand": ["latest_charge"]}
                )
            )
        )

    def refunds(self, reference: str) -> list[Refunded]:
        """Newest first."""
        return self._ask(
            lambda: [
                parts.refunded(one)
                for one in self._client.v1.refunds.list(
                    {"payment_intent": reference, "limit": _PAGE}
                ).auto_paging_iter()
            ]
        )

    def listed(self, since: int) -> Iterator[Payment]:
        """Page by page."""
        found = self._ask(
            lambda: list(
                self._client.v1.payment_intents.list(
                    {"created": {"gte": since}, "limit": _PAGE, "expand": ["data.latest_charge"]}
                ).auto_paging_iter()
            )
        )
        return iter([self._payment(one) for one in found])

    def refunds_made(self, since: int) -> Iterator[Refunded]:
        """Page by page."""
        return iter(
            self._ask(
                lambda: [
                    parts.refunded(one)
                    for one in self._client.v1.refunds.list(
                        {"created": {"gte": since}, "limit": _PAGE}
                    ).auto_paging_iter()
                ]
            )
        )

    def find_card_payments(self, sale: CardSale) -> list[Payment]:
        """By the terminal's references, which whoever takes cards there puts in the metadata, and
        by what was captured: a trace comes again."""
        made: Any = {"gte": sale.since, "lte": sale.until}
        found = self._ask(
            lambda: list(
                self._client.v1.payment_intents.list(
                    {"created": made, "limit": _PAGE, "expand": ["data.latest_charge"]}
                ).auto_paging_iter()
            )
        )
        wanted = (sale.terminal_id, sale.trace, base.CAPTURED, sale.captured_minor, sale.currency)
        return [
            p
            for p in map(self._payment, found)
            if (p.terminal_id, p.trace, p.state, p.captured_minor, p.currency) == wanted
            and sale.since <= p.created <= sale.until
        ]

    def event(self, payload: bytes, headers: Mapping[str, str]) -> Event:
        """Signature and age are judged by the SDK, for each secret that is valid now."""
        why, signature = "no secret", headers.get("stripe-signature", "")
        if not signature.isascii():  # the SDK would not compare it
            raise Forged("webhook: not a signature")
        for secret in self._hooks:
            try:
                stripe.WebhookSignature.verify_header(
                    payload.decode(), signature, secret, _TOLERANCE_S
                )
            except (stripe.SignatureVerificationError, UnicodeDecodeError) as exc:
                why = str(exc).splitlines()[0][:120]
                continue
            return self._event(payload)
        raise Forged(f"webhook: {why}")

    def _event(self, payload: bytes) -> Event:
        try:
            found = json.loads(payload)
            about, made = parts.about(found["data"]["object"]), int(found["created"])
            event = Event(str(found["id"]), str(found["type"]), about, made)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as exc:
            raise Forged(f"webhook: not an event ({type(exc).__name__})") from exc
        if bool(found.get("livemode")) != self._livemode:
            raise Forged("webhook: of the other mode")
        return event

    def _payment(self, answer: stripe.PaymentIntent) -> Payment:
        found = answer.to_dict()
        if bool(found["livemode"]) != self._livemode:
            raise Refused(f"{found['id']} is of the other mode", "mode")
        charge = found.get("latest_charge")
        charge = charge if isinstance(charge, dict) else {}
        error = found.get("last_payment_error") or {}
        state = _STATES.get(found["status"], base.FAILED)
        if state == base.NEW and error:
            state = base.FAILED
        currency = found["currency"].upper()
        ours = functools.partial(stripe_amounts.from_stripe, currency=currency)
        authorised = ours(found["amount"]) if state in (base.HELD, base.CAPTURED) else 0
        taken = ours(found["amount_received"]) if state == base.CAPTURED else 0
        metadata = parts.metadata(found)
        released = found["amount"] - found["amount_received"]  # in its own units
        return Payment(
            reference=found["id"],
            order=metadata.get("order", ""),
            about=metadata.get("about", ""),
            state=state,
            currency=currency,
            authorised_minor=authorised,
            captured_minor=taken,
            released_minor=authorised - taken if state == base.CAPTURED else 0,
            refunded_minor=ours(parts.given_back(charge, released)),
            created=found["created"],
            until=parts.capture_before(charge),
            code=str(error.get("code") or ""),
            secret=found.get("client_secret") or "",
            confirm_url=parts.where(found.get("next_action")),
            terminal_id=metadata.get("terminal_id", ""),
            trace=parts.number(metadata.get("trace", "")),
        )

    def _ask(self, work: Callable[[], _T]) -> _T:
        """What Stripe's exceptions mean here."""
        try:
            return work()
        except stripe.CardError as exc:
            code = getattr(exc.error, "decline_code", None) or exc.code or "card_declined"
            raise Declined(_line(exc), code, _CODES.get(code, "declined")) from exc
        except stripe.RateLimitError as exc:
            raise Busy(_line(exc), "rate_limit") from exc
        except (stripe.AuthenticationError, stripe.PermissionError) as exc:
            raise Busy(f"the gateway does not take our key ({exc.http_status})", "key") from exc
        except stripe.IdempotencyError as exc:
            raise Refused(_line(exc), "idempotency") from exc
        except stripe.InvalidRequestError as exc:
            raise Refused(_line(exc), exc.code or f"http_{exc.http_status}") from exc
        except stripe.APIConnectionError as exc:
            raise Unanswered("no answer from the gateway", "connection") from exc
        except stripe.StripeError as exc:  # it may have been done
            if (exc.http_status or 0) < 500:  # 409: this key's first request is still under way
                raise Unanswered(_line(exc), f"http_{exc.http_status}") from exc
            raise Failed(_line(exc), f"http_{exc.http_status}") from exc


def _line(exc: stripe.StripeError) -> str:
    return f"{exc.http_status or ''} {exc.user_message or type(exc).__name__}".strip()[:200]

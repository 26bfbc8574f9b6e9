"""Stripe's behaviour where localstripe's differs (proxy.py lists it), on localstripe's objects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hostsim.gateway import bank, faults
from hostsim.gateway.hooks import Hooks

Answer = tuple[int, dict[str, Any]]
Ask = Callable[..., Answer]

_INTENT = re.compile(r"^/v1/payment_intents/(pi_\w+)(?:/(\w+))?$")
# Stripe's test methods that localstripe has no name for, by its number of the same meaning.
_CONFIRMED = {"pm_card_authenticationRequired": "4000002500003155"}
_REFUNDS = "/v1/refunds"
_LISTS = ("/v1/payment_intents", _REFUNDS)
_ALL = "1000000"  # localstripe filters nothing by time: pages are made here
_OPERATIONS = {
    "capture": faults.CAPTURE,
    "cancel": faults.CANCEL,
    "increment_authorization": faults.EXTEND,
}


def operation(method: str, path: str) -> str:
    """A request by its name in faults.py."""
    if method != "POST":
        return faults.READ
    if path == _REFUNDS:
        return faults.REFUND
    named = _INTENT.match(path)
    return _OPERATIONS.get((named and named[2]) or "", faults.HOLD)


def error(kind: str, text: str, code: str = "") -> dict[str, Any]:
    """A body that says what is wrong."""
    found = {"type": kind, "message": text}
    return {"error": found | ({"code": code} if code else {})}


def inexact(fields: dict[str, str], currency: str) -> dict[str, Any] | None:
    """The error of an amount that Stripe does not take in its currency ("Supported currencies",
    Special cases and Three-decimal currencies); None when it does."""
    amount = int(fields.get("amount") or fields.get("amount_to_capture") or 0)
    if currency.upper() in ("ISK", "UGX") and amount % 100:
        code = "invalid_charge_amount_no_decimal_compatible"
        return error("invalid_request_error", "must be evenly divisible by 100", code)
    if currency.upper() in ("BHD", "JOD", "KWD", "OMR", "TND") and amount % 10:
        return error("invalid_request_error", "the last digit must be 0", "amount_invalid")
    return None


class Keys:
    """Idempotency keys: the first answer, for whoever asks again; kept in `file`."""

    def __init__(self, file: Path) -> None:
        """Those of an earlier run are known."""
        self._file = file
        self._answers: dict[str, list[Any]] = {}
        if file.exists():
            self._answers = json.loads(file.read_text())

    def known(self, key: str, path: str, fields: dict[str, str]) -> Answer | None:
        """The first answer; an error when it was another request's key."""
        found = self._answers.get(key) if key else None
        if found is None:
            return None
        if found[0] != [path, fields]:
            return 400, error("idempotency_error", "this key was used for another request")
        return found[1], found[2]

    def keep(self, key: str, path: str, fields: dict[str, str], answer: Answer) -> None:
        """The first answer."""
        if key:
            self._answers[key] = [[path, fields], answer[0], answer[1]]
            self._file.write_text(json.dumps(self._answers))

    def forget(self) -> None:
        """None is known any more."""
        self._answers.clear()
        self._file.write_text("{}")


class StripeLike:
    """`ask(method, path, fields, as_json)`: localstripe. `refund_state`: what the next refunds
    become: succeeded, or pending until `finish_refunds`."""

    def __init__(self, ask: Ask, hooks: Hooks, base: str) -> None:
        """`base`: the proxy's own address, where the bank's page is."""
        self._base = base
        self._ask = ask
        self._hooks = hooks
        self.refund_state = "succeeded"
        self._states: dict[str, str] = {}
        self._back: dict[str, str] = {}  # where the payer goes after the bank's page

    # -- reading

    def read(self, path: str, fields: dict[str, str]) -> Answer:
        """A list or one object."""
        since = int(fields.pop("created[gte]", 0))
        until = int(fields.pop("created[lte]", 2**40))
        if path not in _LISTS:
            status, found = self._ask("GET", path, fields)
            return status, self._like(found) if status == 200 else found
        limit, after = int(fields.pop("limit", 10)), fields.pop("starting_after", "")
        status, found = self._ask("GET", path, fields | {"limit": _ALL})
        if status == 200:
            fits = [one for one in found["data"] if since <= one["created"] <= until]
            if path == _REFUNDS:  # what a partial capture releases is none at Stripe
                fits = [one for one in fits if one["payment_intent"]]
            self._page(found, fits, limit, after)
        return status, found

    def _page(
        self, found: dict[str, Any], fits: list[dict[str, Any]], limit: int, after: str
    ) -> None:
        """A page of a list, the newest first; what does not fit is on no page."""
        fits = sorted(fits[::-1], key=lambda one: one["created"], reverse=True)
        begin = next((n for n, one in enumerate(fits, 1) if one["id"] == after), 0)
        found["data"] = [self._like(one) for one in fits[begin : begin + limit]]
        found["has_more"] = begin + limit < len(fits)

    def _like(self, found: dict[str, Any]) -> dict[str, Any]:
        """An object with what Stripe's has and localstripe's lacks."""
        if found.get("object") == "refund":
            found["status"] = self._states.get(found["id"], found["status"])
            return found
        if found.get("object") != "payment_intent":
            return found
        taken, refunded = self._taken(found)
        found["amount_received"] = taken
        if taken:  # localstripe counts refunds that failed as well
            charge = found["latest_charge"]
            charge["amount_refunded"] = charge["amount"] - taken + refunded
        held = found["status"] == "requires_capture"
        found["amount_capturable"] = found["amount"] if held else 0
        if found["next_action"]:
            back = self._back.get(found["id"], "")
            url = f"{self._base}{bank.PATH}{found['id']}?back={quote(back, safe='')}"
            found["next_action"] = {
                "type": "redirect_to_url",
                "redirect_to_url": {"url": url, "return_url": back},
            }
        return found

    def _taken(self, intent: dict[str, Any]) -> tuple[int, int]:
        """Captured, and given back since: localstripe releases the rest of a partial capture as a
        refund that names no payment intent."""
        charge = intent["latest_charge"]
        if not charge or not charge["captured"] or intent["status"] != "succeeded":
            return 0, 0
        _, listed = self._ask("GET", "/v1/refunds", {"charge": charge["id"], "limit": "1000"})
        released = sum(one["amount"] for one in listed["data"] if not one["payment_intent"])
        refunded = sum(
            one["amount"]
            for one in listed["data"]
            if one["payment_intent"] and self._states.get(one["id"]) != "failed"
        )
        return charge["amount"] - released, refunded

    # -- doing

    def act(self, path: str, fields: dict[str, str]) -> Answer:
        """Whatever changes something."""
        if path == _REFUNDS:
            return self._refund(fields)
        named = _INTENT.match(path)
        if named and named[2]:
            return self._change(named[1], named[2], fields)
        if path == "/v1/payment_intents":
            return self._hold(fields)
        return self._ask("POST", path, fields)

    def _hold(self, fields: dict[str, str]) -> Answer:
        wrong = inexact(fields, fields.get("currency", ""))
        if wrong is not None:
            return 400, wrong
        back = fields.pop("return_url", "")
        number = _CONFIRMED.get(fields.get("payment_method", ""))
        if number:
            fields = fields | {"payment_method": self._method(number)}
        status, found = self._ask("POST", "/v1/payment_intents", fields)
        if status == 200:
            self._back[found["id"]] = back
            found = self._like(found)
            if found["status"] == "requires_capture":
                self._hooks.happened("payment_intent.amount_capturable_updated", found)
        elif status == 402:
            self._hooks.happened(
                "payment_intent.payment_failed", {"object": "payment_intent", "id": ""}
            )
        return status, found

    def _method(self, number: str) -> str:
        card = {"number": number, "exp_month": "12", "exp_year": "2030", "cvc": "123"}
        fields = {"type": "card"} | {f"card[{name}]": value for name, value in card.items()}
        _, found = self._ask("POST", "/v1/payment_methods", fields)
        return str(found["id"])

    def authenticate(self, intent: str, confirmed: bool) -> None:
        """The payer's answer at the bank's page."""
        _, found = self._ask("GET", f"/v1/payment_intents/{intent}")
        self._ask(
            "POST",
            f"/v1/payment_intents/{intent}/_authenticate",
            {"client_secret": found["client_secret"], "success": str(confirmed).lower()},
        )
        _, found = self.read(f"/v1/payment_intents/{intent}", {})
        kind = "amount_capturable_updated" if confirmed else "payment_failed"
        self._hooks.happened(f"payment_intent.{kind}", found)

    def _change(self, intent: str, what: str, fields: dict[str, str]) -> Answer:
        status, found = self._ask("GET", f"/v1/payment_intents/{intent}")
        if status != 200:
            return status, found
        state, wrong = found["status"], inexact(fields, found["currency"])
        if wrong is not None:
            return 400, wrong
        if what in ("capture", "increment_authorization") and state != "requires_capture":
            return 400, _unexpected(what, state)
        if what == "cancel" and state in ("succeeded", "canceled"):
            return 400, _unexpected(what, state)
        if what == "increment_authorization":
            return self._extend(found, int(fields["amount"]))
        status, found = self._ask("POST", f"/v1/payment_intents/{intent}/{what}", fields)
        if status == 200:
            found = self._like(found)
            kinds = {"capture": "charge.captured", "cancel": "payment_intent.canceled"}
            thing = {"object": "charge", "id": "", "payment_intent": intent}
            if what in kinds:
                self._hooks.happened(kinds[what], thing if what == "capture" else found)
            if what == "capture":
                self._hooks.happened("payment_intent.succeeded", found)
        return status, found

    def _extend(self, intent: dict[str, Any], amount: int) -> Answer:
        """Both objects get the greater amount; a JSON body, for localstripe keeps what it gets."""
        if amount <= intent["amount"]:
            return 400, error("invalid_request_error", "must be more than is held")
        for thing, name in ((intent["latest_charge"], "charges"), (intent, "payment_intents")):
            self._ask("POST", f"/v1/{name}/{thing['id']}", {"amount": amount}, as_json=True)
        status, found = self.read(f"/v1/payment_intents/{intent['id']}", {})
        self._hooks.happened("payment_intent.amount_capturable_updated", found)
        return status, found

    def expire(self, intent: str) -> None:
        """What a bank does with a hold that nobody captures."""
        self._ask("POST", f"/v1/payment_intents/{intent}/cancel")

    def _refund(self, fields: dict[str, str]) -> Answer:
        intent = fields.get("payment_intent", "")
        status, found = self._ask("GET", f"/v1/payment_intents/{intent}")
        if status != 200:
            return status, found
        wrong = inexact(fields, found["currency"])
        if wrong is not None:
            return 400, wrong
        taken, refunded = self._taken(found)
        amount = int(fields.get("amount", taken - refunded))
        if amount > taken - refunded:
            code = "charge_already_refunded" if taken == refunded else "amount_too_large"
            text = f"{taken - refunded} of the payment can be refunded"
            return 400, error("invalid_request_error", text, code)
        status, made = self._ask("POST", "/v1/refunds", fields)
        if status == 200:
            self._states[made["id"]] = made["status"] = self.refund_state
            self._hooks.happened("refund.created", made)
        return status, made

    def finish_refunds(self, state: str) -> None:
        """Those that are pending become succeeded or failed."""
        for refund, was in list(self._states.items()):
            if was == "pending":
                self._states[refund] = state
                _, found = self.read(f"/v1/refunds/{refund}", {})
                self._hooks.happened("refund.updated", found)

    def come_back(self, refund: str) -> None:
        """A bank sends a refund back that was paid: it failed after all."""
        self._states[refund] = "failed"
        _, found = self.read(f"/v1/refunds/{refund}", {})
        self._hooks.happened("refund.failed", found)

    def card_present(self, amount: int, metadata: dict[str, str]) -> str:
        """A card payment at a terminal whose acquirer this gateway is; its reference."""
        fields = {"amount": str(amount), "currency": "eur", "payment_method": "pm_card_visa"}
        fields |= {"confirm": "true"} | {f"metadata[{k}]": v for k, v in metadata.items()}
        _, found = self._ask("POST", "/v1/payment_intents", fields)
        return str(found["id"])


def _unexpected(what: str, state: str) -> dict[str, Any]:
    text = f"{what}: the payment is {state}"
    return error("invalid_request_error", text, "payment_intent_unexpected_state")

"""What the back office asks of a payment gateway, whichever it is.

A gateway is a module with `connect(settings) -> Gateway`; `opened` finds it by its name, so that a
second one is one new file in this folder (docs/gateways.md, "Another gateway"). Methods block, may
be called from any thread, and say by their exception what is certain:

    Unanswered   nobody knows whether it was done: ask again with the same key, or look it up
                 (Failed, one of them: with an answer, 5xx)
    Busy         it was not done, and may be later (429, 5xx, an outage it told of)
    Declined     it was not done and will not be: the payer's bank or card says no
    Refused      it was not done and will not be: the gateway knows why (too much, gone, not ours)

`key` makes a request work once: the same key again gives the first answer. Amounts are minor
units of ISO 4217, which a gateway translates into its own where it counts otherwise; `currency` is
the payment's. Times are epoch seconds (0: not known).
"""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NEW = "new"  # no card yet
ACTION = "action"  # the payer has something to do: enter the card, confirm with the bank
HELD = "held"
CAPTURED = "captured"
CANCELLED = "cancelled"
FAILED = "failed"
"""States of a payment. A failed one may be paid with another card."""

PENDING = "pending"
DONE = "done"
"""States of a refund; FAILED is one as well."""

TEST, LIVE = "test", "live"
MODES = (TEST, LIVE)


class GatewayError(Exception):
    """str() is for the operator and holds no secret; `code`: the gateway's own word."""

    def __init__(self, text: str, code: str = "") -> None:
        """What happened, in one line."""
        super().__init__(text)
        self.code = code


class Unanswered(GatewayError):
    """Nobody knows whether it was done. `kept`: there was an answer, by which the gateway failed,
    and it may keep that answer for the key; after a look-up another key may be used."""

    kept = False


class Failed(Unanswered):
    """The gateway failed by its own fault (5xx)."""

    kept = True


class Busy(GatewayError):
    """Not done; later perhaps."""


class Declined(GatewayError):
    """Not done: the payer's bank or card says no. `text_key` is a word of phone/texts.py."""

    def __init__(self, text: str, code: str = "", text_key: str = "declined") -> None:
        """What happened, the gateway's word, what the driver reads."""
        super().__init__(text, code)
        self.text_key = text_key


class Refused(GatewayError):
    """Not done, and it will not be."""


class Forged(GatewayError):
    """An event that is not the gateway's, or too old to be believed."""


class SettingsError(ValueError):
    """The gateway cannot be used like this; str() names the variable or field."""


@dataclass(frozen=True)
class Settings:
    """`mode` is the operator's word (test or live), keys are the environment's. `base_url`: of a
    test peer, "" for the gateway's own address."""

    name: str
    mode: str = TEST
    base_url: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def secret(self, variable: str) -> str:
        """A key from the environment. Raises SettingsError, which does not show it."""
        value = self.environ.get(variable, "").strip()
        if not value:
            raise SettingsError(f"{variable}: must be in the environment for gateway {self.name}")
        return value


@dataclass(frozen=True)
class Order:
    """What is to be held. `order`: our own id, stored with the payment at the gateway, as is
    `about` (charger/connector, or what else is paid); `method`:
    what the page got as the payer's card ("" when it is entered at the gateway's own form);
    `more`: the hold may have to be extended."""

    order: str
    amount_minor: int
    currency: str
    method: str = ""
    email: str = ""
    about: str = ""
    return_url: str = ""
    more: bool = False


@dataclass(frozen=True)
class CardSale:
    """A card payment at a terminal whose acquirer the gateway is: the terminal's references, what
    was captured, and between which times it was made."""

    terminal_id: str
    trace: int
    captured_minor: int
    currency: str
    since: int
    until: int


@dataclass(frozen=True)
class Payment:
    """A payment as the gateway has it now. `until`: when the hold ends by itself. `secret`: what
    the gateway's form in the driver's browser needs. `confirm_url`: where the payer confirms.
    `terminal_id`, `trace`: of a card payment at a terminal whose acquirer the gateway is."""

    reference: str
    order: str
    state: str
    currency: str
    authorised_minor: int
    captured_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0
    created: int = 0
    until: int = 0
    code: str = ""
    secret: str = ""
    confirm_url: str = ""
    about: str = ""
    terminal_id: str = ""
    trace: int = 0


@dataclass(frozen=True)
class Refunded:
    """A refund as the gateway has it now. `refund`: our own id of it."""

    reference: str
    refund: str
    payment: str
    state: str
    amount_minor: int
    code: str = ""
    currency: str = ""


@dataclass(frozen=True)
class Event:
    """Something happened at the gateway. It says only of what (`payment`: reference): what is
    true now is looked up, so that late, repeated and reordered events do no harm."""

    identity: str
    kind: str
    payment: str
    created: int


class Gateway(ABC):
    """`form`: how the page takes the payer's card: "test" (named test methods, no card data),
    "page" (at the gateway's or the bank's own, Payment.confirm_url) or "element" (the gateway's
    own form in the browser: `script` is its address, `form_script` the text of ours, which fills
    the page's form #card by its data-key, -secret and -back; `hosts`: what the page's content
    security policy allows for it, by directive)."""

    name: str
    mode: str
    form: str = "test"
    script: str = ""
    form_script: str = ""
    hosts: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    public_key: str = ""
    test_methods: tuple[tuple[str, str], ...] = ()
    """(value of Order.method, word of phone/texts.py)"""

    @abstractmethod
    def hold(self, order: Order, key: str) -> Payment:
        """Places a hold. Raises Unanswered, Busy, Declined, Refused."""

    @abstractmethod
    def extend(self, reference: str, amount_minor: int, key: str, currency: str) -> Payment:
        """Makes a hold `amount_minor` as a whole. Raises Unanswered, Busy, Declined, Refused."""

    @abstractmethod
    def capture(self, reference: str, amount_minor: int, key: str, currency: str) -> Payment:
        """Takes that much of a hold and releases the rest. Raises Unanswered, Busy, Refused."""

    @abstractmethod
    def cancel(self, reference: str, key: str) -> Payment:
        """Gives a hold back whole. Raises Unanswered, Busy, Refused (it is captured)."""

    @abstractmethod
    def refund(
        self, reference: str, amount_minor: int, refund: str, key: str, currency: str
    ) -> Refunded:
        """Pays back a part of what was captured. Raises Unanswered, Busy, Refused."""

    @abstractmethod
    def look_up(self, reference: str) -> Payment:
        """The payment as it is now. Raises Unanswered, Busy, Refused (there is none)."""

    @abstractmethod
    def refunds(self, reference: str) -> list[Refunded]:
        """All refunds of a payment, whoever made them. Raises Unanswered, Busy, Refused."""

    @abstractmethod
    def listed(self, since: int) -> Iterator[Payment]:
        """Every payment made from `since` on: the gateway's own book. Raises Unanswered, Busy."""

    @abstractmethod
    def refunds_made(self, since: int) -> Iterator[Refunded]:
        """Every refund made from `since` on, whoever made it. Raises Unanswered, Busy."""

    @abstractmethod
    def event(self, payload: bytes, headers: Mapping[str, str]) -> Event:
        """A webhook's content, when it is the gateway's and fresh; names of headers are in small
        letters. Raises Forged."""

    def takes(self, currency: str) -> bool:
        """Whether every amount of a currency (ISO 4217) can be held and captured exactly."""
        return True

    def find(self, order: str, since: int) -> Payment | None:
        """The newest payment of one of our orders; None when the gateway has none. Raises
        Unanswered, Busy."""
        found = [p for p in self.listed(since) if p.order == order]
        return max(found, key=lambda p: p.created, default=None)

    def find_card_payments(self, sale: CardSale) -> list[Payment]:
        """Every card payment that fits; [] when it is another acquirer's. Raises Unanswered,
        Busy, Refused."""
        return []


def opened(settings: Settings) -> Gateway:
    """The gateway `settings.name`: a file of this folder, or a module by its whole name. Raises
    SettingsError."""
    name = settings.name
    if settings.mode not in MODES:
        raise SettingsError(f"gateway_mode: must be one of {', '.join(MODES)}")
    if settings.mode == LIVE and settings.base_url:
        raise SettingsError("gateway_url: live keys are not sent to another address")
    module = name if "." in name else f"{__package__}.{name}"
    try:
        found = importlib.import_module(module)
        connect = found.connect
    except (ImportError, AttributeError) as exc:
        raise SettingsError(f"gateway: there is no gateway {name} ({exc})") from exc
    gateway = connect(settings)
    assert isinstance(gateway, Gateway)
    return gateway

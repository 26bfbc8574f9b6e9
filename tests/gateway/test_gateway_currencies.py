"""Amounts at Stripe: in its own units where they are not ISO 4217's, both ways; currencies whose
prices it cannot take to the last digit are not sold by phone.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostsim.backoffice.figures import exponent
from hostsim.backoffice.gateways import base, stripe_amounts
from hostsim.backoffice.gateways.base import Order, Refused, SettingsError
from hostsim.gateway.proxy import Proxy
from hostsim.phone import GOOD
from hostsim.world import DEFAULT_TARIFF
from tests.gateway.pay import CHARGER, TILL, House, stripe_at

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    ("currency", "minor", "theirs"),
    [("EUR", 1234, 1234), ("HUF", 1234, 1234), ("JPY", 1234, 1234), ("ISK", 1234, 123400),
     ("UGX", 5, 500), ("XAF", 7, 7)],
)  # fmt: skip
def test_an_amount_is_the_same_money_in_stripes_units(
    currency: str, minor: int, theirs: int
) -> None:
    assert stripe_amounts.to_stripe(minor, currency) == theirs
    assert stripe_amounts.from_stripe(theirs, currency) == minor


@pytest.mark.parametrize("currency", ["KWD", "BHD", "TND", "IQD", "LYD", "MGA"])
def test_what_cannot_be_said_to_the_last_digit_is_refused(currency: str) -> None:
    assert stripe_amounts.scale(currency) == 0
    with pytest.raises(Refused):
        stripe_amounts.to_stripe(10, currency)


def test_every_currency_of_the_firmware_has_the_same_decimals_here() -> None:
    from firmware.pricing import money
    from firmware.usable import _CURRENCIES

    names = [_CURRENCIES[n : n + 3] for n in range(0, len(_CURRENCIES), 6)]
    assert "ISK" in names and "KWD" in names
    for name in [*names, *money._NONE.split(), *money._THREE.split()]:
        assert exponent(name) == money.exponent(name), name


def test_icelandic_money_is_held_extended_captured_refunded_and_listed_as_it_is(
    proxy: Proxy,
) -> None:
    gateway = base.opened(stripe_at(proxy))
    held = gateway.hold(Order("isk-1", 8000, "ISK", GOOD), "isk-h")
    assert (held.authorised_minor, held.currency) == (8000, "ISK")
    _, raw = proxy.ask("GET", f"/v1/payment_intents/{held.reference}")
    assert raw["amount"] == 800_000  # 8000 kronur, and not 80
    more = gateway.extend(held.reference, 9000, "isk-e", "ISK")
    assert more.authorised_minor == 9000
    taken = gateway.capture(held.reference, 1235, "isk-c", "ISK")
    assert (taken.captured_minor, taken.released_minor) == (1235, 7765)
    back = gateway.refund(held.reference, 35, "r", "isk-r", "ISK")
    assert back.amount_minor == 35
    found = gateway.look_up(held.reference)
    assert (found.captured_minor, found.refunded_minor) == (1235, 35)
    assert [r.amount_minor for r in gateway.refunds(held.reference)] == [35]


def test_the_peer_refuses_amounts_as_stripe_does(proxy: Proxy) -> None:
    def asked(amount: int, currency: str) -> int:
        fields = {"amount": str(amount), "currency": currency, "capture_method": "manual",
                  "payment_method": GOOD, "confirm": "true"}  # fmt: skip
        return proxy.answer("POST", "/v1/payment_intents", fields, "")[0]

    assert [asked(800_050, "isk"), asked(800_000, "isk")] == [400, 200]
    assert [asked(8005, "kwd"), asked(8010, "kwd")] == [400, 200]


def test_a_tariff_in_a_currency_that_the_gateway_does_not_take_is_not_sold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, TILL)
    try:
        monkeypatch.setattr(house.phone.gateway, "takes", lambda currency: currency != "KWD")
        tariff = json.loads(DEFAULT_TARIFF.read_text()) | {"currency": "KWD"}
        house.office.send_tariff(CHARGER, json.dumps(tariff))
        answer = house.browser.get(house.address())
        assert answer.status_code == 503 and 'data-key="no_currency"' in answer.text
    finally:
        house.close()


def test_an_operator_of_such_a_currency_is_told_at_the_start(tmp_path: Path, proxy: Proxy) -> None:
    with pytest.raises(SettingsError, match="KWD"):
        House(tmp_path, stripe_at(proxy), currency="KWD")

"""The Stripe implementation against localstripe's process: holds, partial captures, refunds, what
happens once only, what is certain when an answer is lost; keys and signatures.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways import stripe as stripe_file
from hostsim.backoffice.gateways.base import Gateway, Order, Payment, Settings
from hostsim.gateway import hooks
from hostsim.gateway.faults import Fault
from hostsim.gateway.proxy import WEBHOOK, Proxy
from hostsim.phone import CONFIRM, DECLINED, GOOD

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="forecourt-test-") as directory:
        found = Proxy(Path(directory))
        try:
            found.start()
            yield found
        finally:
            found.stop()


@pytest.fixture(scope="module")
def gateway(proxy: Proxy) -> Gateway:
    return base.opened(Settings("stripe", base.TEST, proxy.url, proxy.environ))


@pytest.fixture(autouse=True)
def well(proxy: Proxy) -> Iterator[None]:
    yield
    proxy.faults.clear()
    proxy.like.refund_state = "succeeded"


_numbers = iter(range(1, 1000))


def held(gateway: Gateway, amount: int = 6000, method: str = GOOD) -> Payment:
    number = f"order{next(_numbers)}"
    return gateway.hold(Order(number, amount, "EUR", method, about="CP1/1"), f"hold-{number}")


def test_a_hold_takes_nothing_until_the_price_is_captured_and_releases_the_rest(
    gateway: Gateway,
) -> None:
    payment = held(gateway)
    assert (payment.state, payment.authorised_minor, payment.captured_minor) == ("held", 6000, 0)
    taken = gateway.capture(payment.reference, 1234, "c-" + payment.order, "EUR")
    assert (taken.state, taken.captured_minor, taken.released_minor) == ("captured", 1234, 4766)
    assert gateway.look_up(payment.reference) == taken


def test_the_same_key_works_once_and_another_request_with_it_is_refused(gateway: Gateway) -> None:
    first = held(gateway)
    again = gateway.hold(
        Order(first.order, 6000, "EUR", GOOD, about="CP1/1"), f"hold-{first.order}"
    )
    assert again.reference == first.reference
    with pytest.raises(base.Refused) as refused:
        gateway.hold(Order(first.order, 6001, "EUR", GOOD, about="CP1/1"), f"hold-{first.order}")
    assert refused.value.code == "idempotency"


def test_a_hold_can_be_extended_and_more_than_that_is_not_captured(gateway: Gateway) -> None:
    payment = held(gateway)
    assert (
        gateway.extend(payment.reference, 8000, "e-" + payment.order, "EUR").authorised_minor
        == 8000
    )
    with pytest.raises(base.Refused):
        gateway.capture(payment.reference, 8001, "c1-" + payment.order, "EUR")
    assert (
        gateway.capture(payment.reference, 8000, "c2-" + payment.order, "EUR").captured_minor
        == 8000
    )


def test_a_cancelled_hold_is_never_captured_and_a_captured_one_not_cancelled(
    gateway: Gateway,
) -> None:
    gone, taken = held(gateway), held(gateway)
    assert gateway.cancel(gone.reference, "x-" + gone.order).state == "cancelled"
    with pytest.raises(base.Refused):
        gateway.capture(gone.reference, 1, "c-" + gone.order, "EUR")
    gateway.capture(taken.reference, 100, "c-" + taken.order, "EUR")
    with pytest.raises(base.Refused):
        gateway.cancel(taken.reference, "x-" + taken.order)


def test_a_declined_card_says_so_in_the_drivers_words(gateway: Gateway) -> None:
    with pytest.raises(base.Declined) as declined:
        held(gateway, method=DECLINED)
    assert declined.value.text_key == "declined" and declined.value.code == "card_declined"


def test_a_card_whose_bank_asks_is_held_after_the_payer_confirmed(
    gateway: Gateway, proxy: Proxy
) -> None:
    yes, no = held(gateway, method=CONFIRM), held(gateway, method=CONFIRM)
    assert yes.state == no.state == "action" and "/_bank/" in yes.confirm_url
    proxy.like.authenticate(yes.reference, True)
    proxy.like.authenticate(no.reference, False)
    assert gateway.look_up(yes.reference).state == "held"
    assert gateway.look_up(no.reference).state == "failed"


def test_refunds_are_partial_repeated_without_effect_and_capped_by_the_capture(
    gateway: Gateway,
) -> None:
    payment = held(gateway)
    gateway.capture(payment.reference, 1000, "c-" + payment.order, "EUR")
    first = gateway.refund(payment.reference, 300, "r1", f"r1-{payment.order}", "EUR")
    assert gateway.refund(payment.reference, 300, "r1", f"r1-{payment.order}", "EUR") == first
    with pytest.raises(base.Refused):
        gateway.refund(payment.reference, 701, "r2", f"r2-{payment.order}", "EUR")
    gateway.refund(payment.reference, 700, "r3", f"r3-{payment.order}", "EUR")
    with pytest.raises(base.Refused) as refused:
        gateway.refund(payment.reference, 1, "r4", f"r4-{payment.order}", "EUR")
    assert refused.value.code == "charge_already_refunded"
    assert gateway.look_up(payment.reference).refunded_minor == 1000


def test_concurrent_refunds_never_pass_the_capture(gateway: Gateway) -> None:
    payment = held(gateway)
    gateway.capture(payment.reference, 1000, "c-" + payment.order, "EUR")
    done: list[int] = []

    def ask(number: int) -> None:
        try:
            gateway.refund(
                payment.reference, 400, f"p{number}", f"p{number}-{payment.order}", "EUR"
            )
            done.append(number)
        except base.Refused:
            pass

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2
    assert gateway.look_up(payment.reference).refunded_minor == 800


def test_a_lost_answer_is_asked_again_with_the_same_key_and_the_money_moves_once(
    gateway: Gateway, proxy: Proxy
) -> None:
    proxy.faults.add(Fault("lost", "hold", 1))
    payment = held(gateway)
    proxy.faults.add(Fault("lost", "capture", 1))
    assert (
        gateway.capture(payment.reference, 500, "c-" + payment.order, "EUR").captured_minor == 500
    )
    proxy.faults.add(Fault("lost", "refund", 1))
    gateway.refund(payment.reference, 100, "r", "r-" + payment.order, "EUR")
    found = [p for p in gateway.listed(0) if p.order == payment.order]
    assert [(p.captured_minor, p.refunded_minor) for p in found] == [(500, 100)]


@pytest.mark.parametrize(
    ("fault", "means"),
    [
        (Fault("down"), base.Unanswered),
        (Fault("error", status=500), base.Unanswered),
        (Fault("error", status=503), base.Unanswered),
        (Fault("error", status=429), base.Busy),
        (Fault("lost"), base.Unanswered),
    ],
    ids=lambda value: getattr(value, "kind", getattr(value, "__name__", "")),
)
def test_what_is_certain_after_trouble_is_told_apart(
    gateway: Gateway, proxy: Proxy, fault: Fault, means: type[Exception]
) -> None:
    payment = held(gateway)
    proxy.faults.add(fault)
    with pytest.raises(means):
        gateway.capture(payment.reference, 1, "c-" + payment.order, "EUR")


def test_an_order_is_found_in_the_gateways_list_when_its_reference_was_never_heard(
    gateway: Gateway, proxy: Proxy
) -> None:
    proxy.faults.add(Fault("lost", "hold"))
    with pytest.raises(base.Unanswered):
        gateway.hold(Order("unheard", 2000, "EUR", GOOD, about="CP1/1"), "hold-unheard")
    found = gateway.find("unheard", int(time.time()) - 60)
    assert found is not None and (found.state, found.authorised_minor) == ("held", 2000)
    assert gateway.find("never", 0) is None


def test_lists_of_payments_and_refunds_are_read_to_their_last_page(
    gateway: Gateway, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_file, "_PAGE", 2)
    began = int(time.time())
    made = [held(gateway, 1000) for _ in range(5)]
    for payment in made:
        gateway.capture(
            payment.reference, 400, "c-" + payment.order, "EUR"
        )  # 600 released: no refund
        gateway.refund(payment.reference, 100, "r-" + payment.order, "r-" + payment.order, "EUR")
    orders = {payment.order for payment in made}
    listed = [one for one in gateway.listed(began) if one.order in orders]
    assert sorted(one.order for one in listed) == sorted(orders)
    assert {(one.captured_minor, one.refunded_minor) for one in listed} == {(400, 100)}
    refunds = list(gateway.refunds_made(began))
    mine = [one for one in refunds if one.payment in {payment.reference for payment in made}]
    assert sorted(one.refund for one in mine) == sorted("r-" + order for order in orders)
    assert {(one.amount_minor, one.currency) for one in mine} == {(100, "EUR")}
    assert list(gateway.listed(began + 1000)) == list(gateway.refunds_made(began + 1000)) == []


def test_what_localstripe_knows_is_there_again_after_a_restart() -> None:
    with tempfile.TemporaryDirectory(prefix="forecourt-test-") as directory:
        kept = ""
        for turn in range(2):
            proxy = Proxy(Path(directory))
            try:
                proxy.start()
                gateway = base.opened(Settings("stripe", base.TEST, proxy.url, proxy.environ))
                order = Order("kept", 700, "EUR", GOOD)
                payment = gateway.hold(order, "hold-kept")  # the key is known again, too
                if turn:
                    assert payment.reference == kept
                    assert gateway.capture(kept, 700, "c", "EUR").captured_minor == 700
                kept = payment.reference
            finally:
                proxy.stop()


# --- keys ----------------------------------------------------------------------------------------


def _keys(mode: str) -> dict[str, str]:
    return {
        "FORECOURT_STRIPE_SECRET": f"sk_{mode}_abcdefgh",
        "FORECOURT_STRIPE_PUBLISHABLE": f"pk_{mode}_abcdefgh",
        "FORECOURT_STRIPE_WEBHOOK": "whsec_0123456789abcdef",
    }


@pytest.mark.parametrize(("keys", "mode"), [("test", "live"), ("live", "test")])
def test_keys_of_the_other_mode_are_refused_and_not_shown(keys: str, mode: str) -> None:
    with pytest.raises(base.SettingsError) as refused:
        base.opened(Settings("stripe", mode, environ=_keys(keys)))
    assert "FORECOURT_STRIPE_SECRET" in str(refused.value)
    assert "abcdefgh" not in str(refused.value)
    mixed = _keys(mode) | {"FORECOURT_STRIPE_PUBLISHABLE": f"pk_{keys}_abcdefgh"}
    with pytest.raises(base.SettingsError, match="PUBLISHABLE"):
        base.opened(Settings("stripe", mode, environ=mixed))


def test_live_keys_go_to_no_other_address_and_missing_ones_are_named() -> None:
    with pytest.raises(base.SettingsError, match="gateway_url"):
        base.opened(Settings("stripe", "live", "http://127.0.0.1:1", _keys("live")))
    with pytest.raises(base.SettingsError, match="FORECOURT_STRIPE_WEBHOOK"):
        keys = _keys("test")
        del keys["FORECOURT_STRIPE_WEBHOOK"]
        base.opened(Settings("stripe", "test", environ=keys))
    with pytest.raises(base.SettingsError, match="there is no gateway"):
        base.opened(Settings("nobody", "test"))


def test_with_real_stripe_the_card_form_is_its_own_and_the_key_in_it_is_the_public_one() -> None:
    real = base.opened(Settings("stripe", "live", environ=_keys("live")))
    assert (real.form, real.public_key) == ("element", "pk_live_abcdefgh")
    assert real.test_methods == ()


# --- signatures ----------------------------------------------------------------------------------


def _event(**changes: object) -> bytes:
    thing = {"object": "payment_intent", "id": "pi_1"}
    event = {
        "id": "evt_1", "type": "payment_intent.succeeded", "created": 1, "livemode": False,
        "data": {"object": thing},
    }  # fmt: skip
    return json.dumps(event | changes).encode()


def test_an_event_is_believed_only_when_signed_freshly_with_our_secret(gateway: Gateway) -> None:
    payload, now = _event(), int(time.time())

    def hear(body: bytes, header: str) -> base.Event:
        return gateway.event(body, {"stripe-signature": header})

    heard = hear(payload, hooks.signature(payload, WEBHOOK, now))
    assert (heard.identity, heard.payment) == ("evt_1", "pi_1")
    good = hooks.signature(payload, WEBHOOK, now)
    for body, header in (
        (payload.replace(b"pi_1", b"pi_2"), good),  # changed on the way
        (payload, hooks.signature(payload, "whsec_somebody_elses_0", now)),
        (payload, hooks.signature(payload, WEBHOOK, now - 301)),  # stale
        (payload, good.replace("t=", "t=1")),
        (payload, ""),
        (payload, "t=,v1="),
        (b"\xff", good),
    ):
        with pytest.raises(base.Forged):
            hear(body, header)


def test_a_signed_event_of_the_other_mode_or_of_no_shape_is_refused(gateway: Gateway) -> None:
    for payload in (_event(livemode=True), b"[]", b'{"id": 1}', _event(data=None)):
        header = hooks.signature(payload, WEBHOOK, int(time.time()))
        with pytest.raises(base.Forged):
            gateway.event(payload, {"stripe-signature": header})

"""What somebody may send to the pages that need no log-in: events that are not the gateway's or of
another shape, forms at the wrong moment, texts no database can hold. Nothing moves, nothing fails.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Gateway, Settings
from hostsim.backoffice.pay_tables import PayEvent
from hostsim.gateway import hooks
from hostsim.gateway.proxy import SECRET, WEBHOOK
from tests.backoffice import postgres
from tests.gateway.pay import TILL, House

pytestmark = pytest.mark.timeout(120)
KEYS = {
    "FORECOURT_STRIPE_SECRET": SECRET, "FORECOURT_STRIPE_PUBLISHABLE": "pk_test_x",
    "FORECOURT_STRIPE_WEBHOOK": WEBHOOK,
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On each database, with Stripe's events."""
    url = request.getfixturevalue("server") if request.param == "postgresql" else ""
    found = House(tmp_path, TILL, url)
    found.phone.gateway.event = stripe().event  # type: ignore[method-assign]
    yield found
    found.close()


def stripe() -> Gateway:
    return base.opened(Settings("stripe", base.TEST, "http://127.0.0.1:1", KEYS))


def send(house: House, event: Any, signature: str = "") -> int:
    """An event with the right signature, when none is given."""
    body = json.dumps(event).encode() if not isinstance(event, bytes) else event
    signature = signature or hooks.signature(body, WEBHOOK, int(time.time()))
    headers = {b"Stripe-Signature": signature.encode("latin-1")}
    return house.browser.post("/gateway/events", content=body, headers=headers).status_code


def of(thing: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "evt_1", "type": "charge.refunded", "created": 1, "livemode": False,
        "data": {"object": thing},
    } | more  # fmt: skip


def heard(house: House) -> list[tuple[str, str]]:
    with Db(house.office.engine) as db:
        return [(e.kind, e.payment) for e in db.scalars(select(PayEvent).order_by(PayEvent.at))]


def test_a_signature_no_gateway_makes_is_refused_like_any_other(house: House) -> None:
    house.phone.gateway.event = stripe().event  # type: ignore[method-assign]
    now = int(time.time())
    for bad in (
        f"t={now},v1=\xe9", "t=,v1=", "t=x,v1=y", f"t={now}", f"v1={'0' * 64}", "=", ",", "\xff",
        f"t={'9' * 5000},v1=0", f"t={now},v0={'0' * 64}",
    ):  # fmt: skip
        assert send(house, of({"object": "charge", "id": "ch_1"}), bad) == 400, bad
    assert send(house, b"\xff\xfe", f"t={now},v1={'0' * 64}") == 400
    assert heard(house) == []


def test_events_of_another_shape_or_unknown_kind_are_heard_and_move_nothing(
    either: House,
) -> None:
    pay = either.started()
    expanded = {"object": "charge", "id": "ch_1", "payment_intent": {
        "object": "payment_intent", "id": pay.reference, "description": "x" * 300}}  # fmt: skip
    for number, event in enumerate((
        of(expanded),
        of({"object": "payout", "id": "po_1"}, type="payout.paid"),
        of({"object": "charge", "payment_intent": None}, type="of.tomorrow." + "x" * 200),
        of({"object": "payment_intent", "id": "pi_" + "x" * 500}),
        of({"object": "payment_intent", "id": "pi_other", "metadata": {"order": "not ours"}},
           account="acct_other"),
        of({"object": "charge", "payment_intent": ["x"]}, api_version="2099-01-01"),
        of({"object": "payment_intent", "id": "pi_\x00"}, type="a\x00b"),
    )):  # fmt: skip
        assert send(either, event | {"id": f"evt_{number}"}) == 200, event
    assert len(heard(either)) == 7 and ("charge.refunded", pay.reference) in heard(either)
    assert all(len(kind) <= 64 and len(payment) <= 64 for kind, payment in heard(either))
    either.turn()
    assert either.now().state == "started" and either.problems() == set()
    shapeless: Any
    for shapeless in (
        [], 1, {}, of({}), of({"object": "payment_intent"}), of({"object": "x"}, created=None),
        of({"object": "x"}, created=float("inf")), {"object": "v2.core.event", "id": "evt_9"},
    ):  # fmt: skip
        assert send(either, shapeless) == 400, shapeless
    assert len(heard(either)) == 7


def test_an_identity_of_any_length_is_heard_once(either: House) -> None:
    for identity in ("evt_" + "x" * 300, "evt_" + "x" * 300, "evt_" + "x" * 299 + "y"):
        event = of({"object": "payment_intent", "id": "pi_1"}, id=identity)
        assert send(either, event) == 200
    assert len(heard(either)) == 2


def test_a_body_without_an_end_is_cut_off(house: House) -> None:
    given = []

    def endless() -> Iterator[bytes]:
        for _ in range(64):
            given.append(1)
            yield b"x" * 65_536

    house.phone.gateway.event = stripe().event  # type: ignore[method-assign]
    assert house.browser.post("/gateway/events", content=endless()).status_code == 413
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = house.browser.post(house.address(), content=endless(), headers=form)
    assert answer.status_code == 411


@pytest.mark.parametrize("state", ["held", "starting", "started", "captured", "cancelled"])
def test_another_card_is_tried_only_after_one_that_was_declined(house: House, state: str) -> None:
    if state == "held":
        house.station.away()
        house.office._desk.reminders()
    if state in ("held", "starting"):
        address = house.address()
        house.station.back()
        house.pay(address)
        if state == "held":
            house.station.away()
        house.turn()
    elif state == "cancelled":
        house.pay()
        house.phone.stop(house.now())
        house.turn()
    else:
        house.started(119 if state == "captured" else 0)
        house.station.status()
    before = house.now()
    if state != "held":
        assert before.state == state
    house.browser.post(house.page + "/again", data={"method": "coin"})
    house.turn()
    now = house.now()
    assert (now.attempt, now.reference, now.state) == (1, before.reference, before.state)
    assert len(list(house.phone.gateway.listed(0))) == 1


def test_two_phones_with_one_code_at_the_same_moment_are_one_hold(either: House) -> None:
    address = either.address()
    forms = [either.browser.get(address).text for _ in range(2)]
    tokens = [text.split('name="token" value="')[1][:43] for text in forms]
    shown = forms[0].split('name="tariff" value="')[1].split('"')[0]

    def pays(token: str) -> str:
        fields = {"token": token, "method": "coin", "tariff": shown}
        return str(either.browser.post(address, data=fields, follow_redirects=False).status_code)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(pays, tokens)) == ["303", "409"]
    held = [p for p in either.phone.gateway.listed(0) if p.state == base.HELD]
    assert len(held) == len(either._pays()) == 1


def test_back_and_pay_again_shows_the_payment_that_was_made(house: House) -> None:
    address = house.address()
    house.pay(address)
    again = house.pay(address)  # another form of the same code: the back button and reload
    assert again.status_code == 409 and len(house._pays()) == 1


def test_what_no_database_can_hold_is_refused_in_words(either: House) -> None:
    for path in (
        "/pay/CP1%00/1/9/aa", "/pay/p/%00", "/bill/A-%00/aa", "/r/CP1%00/1/100",
        "/pay/CP1/1/99999999999999999999999/aa", "/pay/CP1/99999999999999999999999/9/aa",
        "/r/CP1/99999999999999999999999/1", "/pay/\u00e9/1/9/\u00e9", "/pay/CP1/1/-5/aa",
        "/receipt?receipt=%00&amount=1", "/receipt?receipt=99999999999999999999&amount=1",
    ):  # fmt: skip
        answer = either.browser.get(path)
        assert 400 <= answer.status_code < 500, (path, answer.status_code)
    address = either.address()
    assert either.pay(address, email="a\x00b@example.org").status_code == 422
    assert either._pays() == []


def test_two_cashiers_on_one_payment_refund_and_bill_move_the_money_once(either: House) -> None:
    gateway = either.phone.gateway
    asked: list[str] = []
    for name in ("hold", "capture", "refund"):
        real = getattr(gateway, name)

        def slow(*args: Any, real: Any = real, name: str = name) -> Any:
            asked.append(name)
            time.sleep(0.02)
            return real(*args)

        setattr(gateway, name, slow)
    either.started()
    either.station.charge(200)

    def work(_: int) -> None:
        either.phone.cashier.turn()

    def both() -> None:
        with ThreadPoolExecutor(2) as pool:
            for _ in range(4):
                list(pool.map(work, range(2)))

    both()
    either.ask_refund(50)
    both()
    either.station.obey()
    both()
    paid = next(iter(gateway.listed(0)))
    assert (paid.state, paid.captured_minor, paid.refunded_minor) == ("captured", 200, 50)
    assert len(gateway.refunds(paid.reference)) == 1
    assert either.now().refunded_minor == 50 and either.differences() == []

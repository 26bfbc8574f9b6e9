"""Refunds at the gateway: once, capped, followed through events that come late, twice, backwards
or never; forged events; card payments whose acquirer the gateway is; another gateway.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from hostsim.backoffice import audit
from hostsim.backoffice.refunds import RefundError
from hostsim.backoffice.web import create_app
from hostsim.gateway import hooks
from hostsim.gateway.faults import Fault, HookFaults
from hostsim.gateway.proxy import WEBHOOK, Proxy
from tests.backoffice.desk import fill, needs_micropython
from tests.backoffice.records import Ledger
from tests.gateway.pay import CHARGER, TILL, House, finish, refund_of, stripe_at

pytestmark = [pytest.mark.timeout(120), needs_micropython]


@pytest.fixture
def house(at_stripe: House) -> House:
    return at_stripe


def test_a_refund_is_paid_at_the_gateway_and_the_charger_draws_the_credit_note(
    house: House,
) -> None:
    house.started(500)
    refund = house.ask_refund(200)
    assert refund_of(house, refund) == "sent"
    finish(house)
    assert refund_of(house, refund) == "done"
    assert house.office.refunds.credit_note(refund)["way"] == "gateway"
    assert house.now().refunded_minor == 200
    assert house.phone.gateway.look_up(house.now().reference).refunded_minor == 200
    assert house.differences() == []
    assert "2.00 €" in house.shown()  # on the driver's page


def test_a_session_of_a_flash_that_is_gone_is_refunded_at_the_gateway_without_the_charger(
    house: House,
) -> None:
    house.started(500)
    fill(house.office, Ledger(epoch=99).session(1), charger=CHARGER)
    sent = len(house.office.commands(CHARGER))
    session = house.now().session_id
    refunds = house.office.refunds
    refund = refunds.request(session_id=session, amount_minor=200, reason="fault", operator="anna")
    refunds.approve(refund, "bert")
    finish(house)
    assert refund_of(house, refund) == "done"
    assert house.phone.gateway.look_up(house.now().reference).refunded_minor == 200
    assert refunds.credit_note(refund)["way"] == "gateway"
    assert len(house.office.commands(CHARGER)) == sent
    said = [e["action"] for e in audit.entries(house.office.engine, subject=refund)][::-1]
    assert said == ["refund asked", "refund approved", "refund handed over", "gateway accepted",
                    "refund done"]  # fmt: skip


def test_partial_refunds_add_up_to_the_capture_and_not_beyond(house: House) -> None:
    house.started(500)
    for amount in (200, 250, 50):
        finish_of = house.ask_refund(amount)
        finish(house)
        assert refund_of(house, finish_of) == "done"
    with pytest.raises(RefundError):
        house.ask_refund(1)
    assert house.now().refunded_minor == 500 and house.differences() == []


def test_an_order_given_twice_and_worked_on_by_two_cashiers_pays_once(house: House) -> None:
    house.started(500)
    refund = house.ask_refund(300, refund="the-same")
    house.office.refunds.request(
        CHARGER, receipt=1, amount_minor=300, reason="goodwill", operator="anna", refund="the-same"
    )
    workers = [threading.Thread(target=house.phone.paybacks.tend) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    finish(house)
    assert refund_of(house, refund) == "done"
    assert house.phone.gateway.look_up(house.now().reference).refunded_minor == 300
    assert house.now().refunded_minor == 300 and house.differences() == []


@pytest.mark.parametrize("fault", ["lost", "down", "error", "stuck"])
def test_a_refund_whose_answer_is_lost_is_found_in_the_gateways_list(
    house: House, proxy: Proxy, fault: str
) -> None:
    house.started(500)
    proxy.faults.add(Fault(fault, "refund"))
    refund = house.ask_refund(200)
    house.turn(2)
    assert house.payback(refund).state == "asked"
    proxy.faults.clear()
    house.restart()  # and nobody remembers anything but the database
    house.pass_s(30)
    finish(house)
    assert refund_of(house, refund) == "done"
    assert house.phone.gateway.look_up(house.now().reference).refunded_minor == 200
    assert house.differences() == []


@pytest.mark.parametrize("status", [409, 500])
def test_a_refund_that_may_still_be_under_way_is_not_asked_with_another_key(
    house: House, proxy: Proxy, status: int
) -> None:
    house.started(500)
    proxy.faults.add(Fault("error", "refund", status=status))  # 409: the key is in use just now
    refund = house.ask_refund(200)
    house.turn(2)
    house.pass_s(3, 1)
    assert house.payback(refund).tries > 1 and house.payback(refund).turn == 0
    house.pass_s(60)
    assert (house.payback(refund).turn > 0) == (status == 500)
    proxy.faults.clear()
    house.pass_s(600, 60)
    finish(house)
    assert refund_of(house, refund) == "done"
    assert house.phone.gateway.look_up(house.now().reference).refunded_minor == 200


def test_a_refund_is_found_again_when_the_gateway_has_forgotten_its_key(
    house: House, proxy: Proxy
) -> None:
    house.started(500)
    proxy.faults.add(Fault("lost", "refund"))
    refund = house.ask_refund(200)
    house.turn(2)
    proxy.faults.clear()
    proxy.forget_keys()  # as Stripe does after a day
    house.pass_s(60)
    finish(house)
    assert refund_of(house, refund) == "done"
    assert house.phone.gateway.look_up(house.now().reference).refunded_minor == 200


def test_a_pending_refund_is_looked_up_when_no_event_ever_comes(
    house: House, proxy: Proxy
) -> None:
    proxy.like.refund_state = "pending"
    house.started(500)
    refund = house.ask_refund(200)
    finish(house)
    assert house.payback(refund).state == "pending" and refund_of(house, refund) == "sent"
    house.pass_s(60)
    assert house.payback(refund).state == "pending"
    proxy.like.finish_refunds("succeeded")
    house.pass_s(600, 60)
    finish(house)
    assert refund_of(house, refund) == "done" and house.differences() == []


def test_a_refund_that_fails_at_the_bank_is_no_refund(house: House, proxy: Proxy) -> None:
    proxy.like.refund_state = "pending"
    house.started(500)
    refund = house.ask_refund(200)
    finish(house)
    proxy.like.finish_refunds("failed")
    house.pass_s(600, 60)
    finish(house)
    assert refund_of(house, refund) == "failed"
    assert house.now().refunded_minor == 0 and house.differences() == []
    again = house.ask_refund(500)  # and all of it may be asked for again
    proxy.like.refund_state = "succeeded"
    finish(house)
    assert refund_of(house, again) == "done" and house.differences() == []


# --- events --------------------------------------------------------------------------------------


@pytest.fixture
def served(house: House, proxy: Proxy) -> Iterator[House]:
    """The back office's pages on a port, where the gateway sends its events."""
    config = uvicorn.Config(create_app(house.office), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    house.until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    proxy.hooks.url = f"http://127.0.0.1:{port}/gateway/events"
    yield house
    proxy.hooks.url = ""
    server.should_exit = True
    thread.join(10)


def heard(house: House) -> list[str]:
    with house.office.engine.connect() as db:
        return [row[0] for row in db.exec_driver_sql("SELECT kind FROM pay_events ORDER BY at")]


def test_an_event_makes_the_cashier_look_at_once(served: House, proxy: Proxy) -> None:
    proxy.like.refund_state = "pending"
    served.started(500)
    refund = served.ask_refund(200)
    finish(served)
    served.until(lambda: "refund.created" in heard(served))
    proxy.like.finish_refunds("succeeded")
    served.until(lambda: "refund.updated" in heard(served))
    finish(served)  # the clock stands: without the event it would not be looked up yet
    assert refund_of(served, refund) == "done" and served.differences() == []


@pytest.mark.parametrize(
    "travel",
    [
        HookFaults(copies=3),
        HookFaults(late_s=0.8),
        HookFaults(backwards=True),
        HookFaults(never=True),
    ],
    ids=["twice and more", "late", "backwards", "never"],
)
def test_events_in_any_order_and_number_change_nothing_about_the_money(
    served: House, proxy: Proxy, travel: HookFaults
) -> None:
    proxy.hooks.faults = travel
    proxy.like.refund_state = "pending"
    served.started(500)
    refund = served.ask_refund(200)
    finish(served)
    proxy.like.finish_refunds("succeeded")
    if travel.backwards:
        proxy.hooks.release()
    if not travel.never:
        served.until(lambda: "refund.updated" in heard(served))
    served.pass_s(700, 100)
    finish(served)
    assert refund_of(served, refund) == "done"
    assert served.now().refunded_minor == 200 and served.differences() == []
    names = [row for row in heard(served)]
    assert len(names) == len(set(names))  # each kind once, however often it came


def test_a_refund_that_comes_back_after_it_was_paid_is_an_alarm(
    served: House, proxy: Proxy
) -> None:
    served.started(500)
    refund = served.ask_refund(200)
    finish(served)
    assert refund_of(served, refund) == "done"
    proxy.like.come_back(served.payback(refund).reference)
    served.until(lambda: "refund.failed" in heard(served))
    finish(served)
    assert "gateway_refund_back" in served.problems()
    assert served.now().refunded_minor == 0


def test_forged_stale_and_changed_events_are_refused_and_change_nothing(house: House) -> None:
    house.started()
    payload = json.dumps(
        {
            "id": "evt_x", "type": "payment_intent.canceled", "created": 1, "livemode": False,
            "data": {"object": {"object": "payment_intent", "id": house.now().reference}},
        }
    ).encode()  # fmt: skip
    now = int(time.time())
    good = hooks.signature(payload, WEBHOOK, now)

    def send(body: bytes, **headers: str) -> int:
        return house.browser.post("/gateway/events", content=body, headers=headers).status_code

    assert send(payload) == 400
    assert (
        send(payload, **{"Stripe-Signature": hooks.signature(payload, "whsec_x" * 4, now)}) == 400
    )
    stale = hooks.signature(payload, WEBHOOK, now - 600)
    assert send(payload, **{"Stripe-Signature": stale}) == 400
    assert send(payload + b" ", **{"Stripe-Signature": good}) == 400
    assert heard(house) == []
    assert send(payload, **{"Stripe-Signature": good}) == 200
    assert send(payload, **{"Stripe-Signature": good}) == 200  # again: heard once
    assert heard(house) == ["payment_intent.canceled"]
    house.turn()
    assert house.now().state == "started"  # an event only says "look"
    codes = {send(payload) for _ in range(61)}
    assert codes == {400, 429}


# --- the acquirer --------------------------------------------------------------------------------


def sold_at(house: House, monkeypatch: pytest.MonkeyPatch, at: int, total: int = 300) -> None:
    """A card payment at the terminal at a time (epoch s)."""
    put = house.station.put
    monkeypatch.setattr(
        house.station, "put", lambda kind, **fields: put(kind, **{"at": at * 1000, **fields})
    )
    house.station.begin("card", "S1", 6000)
    house.station.charge(total)


def test_a_card_payment_whose_acquirer_is_the_gateway_is_paid_back_there(
    tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, stripe_at(proxy), gateway_acquires="52500041, 52500042")
    try:
        sold_at(house, monkeypatch, int(time.time()))
        # what the terminal's side of the acquirer did, with the terminal's references in it; the
        # trace comes again, with other amounts
        same = {"terminal_id": "52500041", "trace": "1"}
        proxy.like.card_present(299, same)
        found = proxy.like.card_present(300, same)
        proxy.like.card_present(300, same | {"trace": "2"})
        refund = house.ask_refund(100)
        finish(house)
        assert refund_of(house, refund) == "done"
        assert house.office.refunds.credit_note(refund)["way"] == "acquirer"
        assert house.phone.gateway.look_up(found).refunded_minor == 100
        assert house.compared().differences == []
    finally:
        house.close()


@pytest.mark.parametrize("twice", [False, True], ids=["of another week", "two that fit"])
def test_a_card_payment_that_is_not_certainly_the_one_is_not_paid_back(
    tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, twice: bool
) -> None:
    house = House(tmp_path, stripe_at(proxy), gateway_acquires="52500041")
    try:
        week = 0 if twice else 7 * 86_400
        total = 301 + twice
        sold_at(house, monkeypatch, int(time.time()) - week, total)
        same = {"terminal_id": "52500041", "trace": "1"}
        found = [proxy.like.card_present(total, same) for _ in range(1 + twice)]
        refund = house.ask_refund(100)
        finish(house)
        assert house.payback(refund).state == ("hand" if twice else "asked")
        assert {house.phone.gateway.look_up(one).refunded_minor for one in found} == {0}
    finally:
        house.close()


def test_a_card_payment_of_another_acquirer_is_left_to_it(house: House) -> None:
    house.station.begin("card", "S1", 6000)
    house.station.charge(300)
    refund = house.ask_refund(100)
    finish(house)
    assert refund_of(house, refund) == "sent"
    assert house.office.refunds.acquirer_request(refund)["trace"] == 1


# --- another gateway -----------------------------------------------------------------------------


def test_a_second_gateway_is_one_file_and_sells_a_session(tmp_path: Path) -> None:
    house = House(tmp_path, TILL)
    try:
        assert "is no money" not in house.pay(method="button").text
        assert house.now().state == "declined"
        house.browser.post(house.page + "/again", data={"method": "coin"})
        house.turn()
        house.station.obey()
        house.station.charge(250)
        house.turn()
        assert house.now().state == "captured" and house.now().gateway == "till"
        refund = house.ask_refund(50)
        finish(house)
        assert refund_of(house, refund) == "done" and house.differences() == []
    finally:
        house.close()


def test_no_secret_is_in_the_database_or_in_what_is_logged(
    house: House, proxy: Proxy, caplog: Any, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    proxy.faults.add(Fault("error", "capture", 1, status=500))
    house.started(300)
    refund = house.ask_refund(100)
    finish(house)
    assert refund_of(house, refund)
    secrets = [*proxy.environ.values(), house.page.removeprefix("/pay/p/")]
    kept = b"".join(p.read_bytes() for p in tmp_path.glob("o.db*"))
    for secret in secrets:
        assert secret.encode() not in kept
    for secret in proxy.environ.values():
        assert secret not in caplog.text

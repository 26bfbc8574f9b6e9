"""A gateway's settings, codes, events, and a page of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hostsim.backoffice import operator
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Order, Payment, SettingsError
from hostsim.backoffice.phone.desk import check_open
from tests.backoffice import billing
from tests.gateway.fourth import till
from tests.gateway.pay import House, event_of

# --- settings, codes, webhooks -------------------------------------------------------------------


def test_another_gateway_is_refused_while_payments_of_the_old_one_are_open(house: House) -> None:
    house.started()
    with pytest.raises(SettingsError, match="1 payments at till are open"):
        check_open(house.office.engine, "stripe")
    house.station.charge(300)
    house.turn()
    check_open(house.office.engine, "stripe")


def test_none_is_said_as_it_is_documented() -> None:
    found = operator.of({"pay_extend_minor": 0, "pay_most_minor": 0, "proxies": 0})
    assert found.pay_extend_minor == 0
    with pytest.raises(operator.OperatorError, match="pay_hold_minor"):
        operator.of({"pay_hold_minor": 0})


def test_a_used_code_says_so_before_the_form(house: House) -> None:
    address = house.address()
    house.pay(address)
    answer = house.browser.get(address)
    assert answer.status_code == 409 and 'data-key="code_used"' in answer.text
    assert "<form" not in answer.text


def test_genuine_events_are_heard_beside_any_number_of_forged_ones(house: House) -> None:
    house.pay()
    seen = {house.browser.post("/gateway/events", content=b"x").status_code for _ in range(80)}
    assert seen == {400, 429}
    assert event_of(house).status_code == 200


def test_a_driver_reads_his_own_language_everywhere(house: House) -> None:
    german = {"accept-language": "de"}
    page = house.browser.get(house.address(), headers=german).text
    assert "Zum Inhalt" in page and "To the content" not in page
    lost = house.browser.get("/pay/p/" + "x" * 43, headers=german)
    assert lost.status_code == 404 and 'lang="de"' in lost.text
    assert "Diese Zahlung gibt es nicht" in lost.text and "To the" not in lost.text
    english = house.browser.get("/pay/p/" + "x" * 43, headers={"accept-language": "en"})
    assert lost.text != english.text


def test_a_restart_makes_no_second_bill_of_a_month(tmp_path: Path) -> None:
    with billing.house(tmp_path) as house:
        billing.session(house, 300)
        may = house.ms
        billing.next_month(house)
        assert len(house.office.bills.listed(billing.ACCOUNT)) == 1
        june, house.ms = house.ms, may
        billing.session(house, 400)  # its records come after its month was billed
        house.ms = june
        house.restart()
        house.office.bills.work()
        assert len(house.office.bills.listed(billing.ACCOUNT)) == 1
        billing.next_month(house)
        billing.next_month(house)
        bills = house.office.bills.listed(billing.ACCOUNT)
        assert [bill["total_minor"] for bill in bills] == [400, 300]


# --- another gateway's page ----------------------------------------------------------------------


def test_a_refusal_at_a_page_of_the_gateways_is_final_and_another_card_is_offered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = till(house).hold

    def hold(order: Order, key: str) -> Payment:
        found = dataclasses.replace(
            real(dataclasses.replace(order, method="coin"), key), state=base.ACTION,
            confirm_url="https://pay.example/1",
        )  # fmt: skip
        till(house)._payments[found.reference] = found
        return found

    monkeypatch.setattr(till(house), "hold", hold)
    monkeypatch.setattr(till(house), "form", "page")
    monkeypatch.setattr(till(house), "test_methods", ())
    house.pay(method="none")
    assert house.now().state == "action" and "https://pay.example/1" in house.shown()
    reference = house.now().reference
    failed = dataclasses.replace(till(house)._payments[reference], state=base.FAILED)
    till(house)._payments[reference] = failed
    house.pass_s(10)
    assert house.now().state == "declined" and "Try another card" in house.shown()


def test_a_form_of_another_gateway_brings_its_script_and_its_hosts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold(order: Order, key: str) -> Payment:
        found = Payment("t-1", order.order, base.ACTION, order.currency, 0, secret="s3")
        till(house)._payments[found.reference] = found
        return found

    for name, value in {
        "hold": hold, "form": "element", "test_methods": (), "public_key": "p1",
        "script": "https://js.till.example/v1/", "form_script": "window.till();",
        "hosts": {"script-src": ("https://js.till.example",),
                  "frame-src": ("https://form.till.example",)},
    }.items():  # fmt: skip
        monkeypatch.setattr(till(house), name, value)
    house.pay(method="none")
    answer = house.browser.get(house.page)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self' https://js.till.example;" in policy
    assert "frame-src https://form.till.example" in policy and "stripe" not in policy
    assert 'src="https://js.till.example/v1/"' in answer.text and 'data-secret="s3"' in answer.text
    own = house.browser.get("/pay/form.js")
    assert own.text == "window.till();" and own.headers["content-type"].startswith("text/java")


def test_a_page_without_a_script_renews_itself_seldom(house: House) -> None:
    house.started()
    page = house.shown()
    assert '<noscript><meta http-equiv="refresh" content="20"></noscript>' in page
    assert 'data-renew="3"' in page and ">Refresh</a>" in page and "follow.js" in page
    script = house.browser.get("/static/follow.js")
    assert script.status_code == 200 and "innerHTML" in script.text

"""More is held while a session by phone runs, where the operator allows it: at the gateway first,
then the charger is told. What is refused, lost or not heard of ends at the hold there was.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice import operator
from hostsim.backoffice.gateways.base import Declined, Failed, Payment, Refused, Unanswered
from hostsim.gateway.faults import Fault
from hostsim.gateway.proxy import Proxy
from tests.backoffice import desk
from tests.gateway.pay import TILL, House, stripe_at

pytestmark = pytest.mark.timeout(120)
MORE: dict[str, Any] = {"pay_extend_minor": 3000, "pay_most_minor": 10_000}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, TILL, **MORE)
    yield found
    found.close()


def charging(house: House, price: int) -> None:
    """A session that has come to a price."""
    house.started()
    house.station.state = "charging"
    house.station.energising(house.station.sess, 1000 * house.station.sess)
    house.station.hand_over()
    at(house, price)


def at(house: House, price: int) -> None:
    house.station.figures(500, price)
    house.pass_s(15)


def held(house: House) -> tuple[int, int]:
    """At the gateway, and as the charger knows it."""
    there = house.phone.gateway.look_up(house.now().reference)
    return there.authorised_minor, house.station.amount


def ended(house: House, total: int) -> None:
    house.station.finish(total)
    house.turn()
    pay = house.now()
    assert (pay.state, pay.captured_minor) == ("captured", total)
    assert house.phone.gateway.look_up(pay.reference).released_minor == pay.amount_minor - total
    assert house.problems() == set() and house.differences() == []


def extensions(house: House) -> list[dict[str, Any]]:
    return [r for r in house.station.records if r["type"] == "extend_done"]


def test_a_price_that_nears_the_hold_gets_more_step_by_step_up_to_the_most(house: House) -> None:
    charging(house, 4799)
    assert held(house) == (6000, 6000)
    at(house, 4800)
    assert held(house) == (9000, 9000) and house.now().amount_minor == 9000
    house.pass_s(120)
    assert held(house) == (9000, 9000)
    at(house, 8000)
    assert held(house) == (10_000, 10_000)
    at(house, 9900)
    assert held(house) == (10_000, 10_000) and len(extensions(house)) == 2
    ended(house, 9950)


def test_without_the_operators_word_a_session_stops_at_its_hold(tmp_path: Path) -> None:
    house = House(tmp_path, TILL)
    try:
        charging(house, 5990)
        assert held(house) == (6000, 6000) and "At most" not in house.browser.get(
            house.address(), params={"lang": "en"}
        ).text
        ended(house, 5995)
    finally:
        house.close()


def test_the_most_is_on_the_page_before_anything_is_held(house: House) -> None:
    for language, word in (("en", "At most"), ("de", "Höchstens"), ("fr", "Au maximum")):
        page = house.browser.get(house.address(), params={"lang": language})
        assert word in page.text and "100" in desk.text_of(page.text)


@pytest.mark.parametrize("error", [Declined("no", "do_not_honor"), Refused("not eligible")])
def test_a_final_no_is_not_asked_again_and_the_session_stops_at_its_hold(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    asked: list[str] = []

    def no(reference: str, amount: int, key: str, currency: str) -> Payment:
        asked.append(key)
        raise error

    monkeypatch.setattr(house.phone.gateway, "extend", no)
    charging(house, 5000)
    house.pass_s(600, 20)
    assert len(asked) == 1 and held(house) == (6000, 6000) and extensions(house) == []
    assert house.now().state == "started" and str(error) in house.now().fault
    ended(house, 5995)


def test_a_lost_answer_is_asked_for_with_the_same_key_and_holds_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, keys = house.phone.gateway.extend, []

    def lost(reference: str, amount: int, key: str, currency: str) -> Payment:
        keys.append(key)
        found = real(reference, amount, key, currency)
        if len(keys) < 3:
            raise Unanswered("no answer", "connection")
        return found

    monkeypatch.setattr(house.phone.gateway, "extend", lost)
    charging(house, 5000)
    house.pass_s(30)
    assert len(keys) == 3 and len(set(keys)) == 1 and held(house) == (9000, 9000)
    ended(house, 7000)


def test_a_gateway_that_keeps_its_failure_for_a_key_is_asked_with_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, keys = house.phone.gateway.extend, []

    def fails(reference: str, amount: int, key: str, currency: str) -> Payment:
        keys.append(key)
        if len(keys) == 1:
            real(reference, amount, key, currency)  # done all the same
            raise Failed("500", "http_500")
        raise Refused("must be more than is held")

    monkeypatch.setattr(house.phone.gateway, "extend", fails)
    charging(house, 5000)
    house.pass_s(30)
    assert len(set(keys)) == len(keys) == 2 and held(house) == (9000, 9000)
    ended(house, 7000)


def test_a_charger_that_does_not_answer_is_told_again_until_it_knows(house: House) -> None:
    charging(house, 100)
    obey = house.station.obey
    house.station.obey = lambda answer=True: None  # type: ignore[method-assign]
    at(house, 5000)
    assert held(house) == (9000, 6000)
    house.pass_s(300)
    assert house.phone.gateway.look_up(house.now().reference).authorised_minor == 9000
    house.station.obey = obey  # type: ignore[method-assign]
    house.pass_s(60)
    assert held(house) == (9000, 9000) and len(extensions(house)) == 1
    ended(house, 7000)


def test_what_the_charger_never_heard_of_is_released_and_the_books_agree(house: House) -> None:
    charging(house, 100)
    house.station.obey = lambda answer=True: None  # type: ignore[method-assign]
    at(house, 5000)
    assert held(house) == (9000, 6000)
    ended(house, 5995)
    assert extensions(house) == []


def test_a_charger_that_refuses_is_not_told_again(house: House) -> None:
    charging(house, 100)
    said = []

    def refuses(args: dict[str, Any]) -> str:
        said.append(args)
        return "name: must be one of start, stop"

    house.station._do_extend = refuses  # type: ignore[method-assign]
    at(house, 5000)
    house.pass_s(600, 20)
    assert len(said) == 1 and held(house) == (9000, 6000)
    ended(house, 5995)


def test_a_session_that_ends_while_more_is_asked_for_is_captured_and_released_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = house.phone.gateway.extend

    def meanwhile(reference: str, amount: int, key: str, currency: str) -> Payment:
        house.station.finish(5500)
        return real(reference, amount, key, currency)

    monkeypatch.setattr(house.phone.gateway, "extend", meanwhile)
    charging(house, 5000)
    house.turn()
    pay = house.now()
    assert (pay.state, pay.captured_minor, pay.released_minor) == ("captured", 5500, 3500)
    assert house.differences() == []


def test_stripe_is_asked_for_holds_that_can_grow_and_extends_them(
    tmp_path: Path, proxy: Proxy
) -> None:
    house = House(tmp_path, stripe_at(proxy), **MORE)
    try:
        proxy.faults.add(Fault("lost", "extend", 1))
        charging(house, 5000)
        house.pass_s(30)
        assert held(house) == (9000, 9000)
        ended(house, 8900)
    finally:
        proxy.faults.clear()
        house.close()


def test_the_most_must_be_above_the_hold() -> None:
    with pytest.raises(operator.OperatorError, match="^pay_most_minor: must be above"):
        operator.of({"pay_extend_minor": 1000, "pay_most_minor": 6000})
    assert operator.of({"pay_extend_minor": 1000, "pay_most_minor": 6001}).pay_most_minor == 6001

"""When it breaks on the way of a payment by phone: the charger away, a process that ends, the
gateway slow, down or without an answer, a capture that fails; each ends with the books.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import payments, troubles
from hostsim.backoffice.gateways.base import Refused
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.phone import pays
from hostsim.gateway.faults import Fault
from hostsim.gateway.proxy import Proxy
from hostsim.phone import DECLINED, GOOD
from tests.backoffice.desk import needs_micropython
from tests.gateway.pay import CHARGER, CRC, House

FORM = {"method": GOOD, "tariff": str(CRC)}

pytestmark = [pytest.mark.timeout(120), needs_micropython]


@pytest.fixture
def house(at_stripe: House) -> House:
    return at_stripe


def test_a_charger_that_is_offline_after_the_hold_costs_nothing(house: House) -> None:
    house.pay()
    house.station.away()
    house.turn()
    assert house.now().state == "held"
    house.pass_s(125)
    assert (house.now().state, house.now().why) == ("cancelled", "charger_offline")
    house.station.back()
    house.station.obey()
    assert house.station.starts == [] and house.differences() == []


def test_a_start_whose_answer_is_lost_is_waited_for_and_its_records_count(house: House) -> None:
    house.pay()
    house.turn()
    house.station.obey(answer=False)
    house.station.away()
    house.pass_s(300, 20)  # longer than the command is valid, shorter than the patience
    assert house.now().state == "starting"
    house.station.charge(250)  # meanwhile, offline
    house.station.back()
    house.turn()
    assert house.now().state == "captured" and house.now().captured_minor == 250
    assert house.differences() == []


def test_a_charger_that_lost_power_before_its_answer_keeps_its_hold(house: House) -> None:
    house.pay()
    house.turn()
    house.station.obey(answer=False)  # started, in flash; then power is lost
    start = next(c for c in house.office.commands() if c["name"] == "start")
    house.station.say(
        "result", about="command", id=start["id"], ok=False, code="replayed",
        reason="counter: must be above 7",
    )  # fmt: skip
    house.ms += 5000
    house.turn()
    assert house.now().state == "starting"  # its records are not here yet
    house.station.charge(250)
    house.turn()
    assert house.now().state == "captured" and house.now().captured_minor == 250
    assert house.differences() == []


def test_what_was_delivered_after_the_hold_went_back_is_an_alarm_and_not_forgotten(
    house: House,
) -> None:
    house.pay()
    house.turn()
    house.station.obey(answer=False)
    house.station.away()
    house.station.charge(250)
    house.pass_s(1100, 60)
    assert house.now().state == "cancelled"
    house.station.back()
    house.turn()
    assert house.now().state == "lost"
    assert {"gateway_uncovered", "gateway_lost"} <= house.problems()
    assert "ask for help" in house.shown()
    assert house.differences() != []  # the books say so as well


def test_a_back_office_that_restarts_at_any_moment_goes_on(house: House) -> None:
    house.pay()
    house.restart()
    house.turn(1)
    house.restart()
    house.turn(1)
    house.station.obey()
    house.restart()
    house.turn()
    house.station.charge(180)
    house.restart()
    house.turn()
    assert house.now().state == "captured" and len(house.station.records) > 4
    assert len({s["session"] for s in house.station.starts}) == 1
    assert house.differences() == []


def test_a_crash_between_the_commands_sending_and_its_noting_starts_one_session(
    house: House,
) -> None:
    house.pay()
    house.turn()
    house.station.obey()
    with house.office.engine.begin() as db:
        db.exec_driver_sql("UPDATE pays SET command = '', state = 'starting'")
        db.exec_driver_sql("UPDATE sessions SET remote = 'not yet here'")
    house.turn(2)
    house.station.obey()
    assert len([r for r in house.station.records if r["type"] == "hold_asked"]) == 1


# --- the gateway breaks --------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["down", "lost", "error", "slow"])
def test_a_gateway_in_trouble_while_the_hold_is_asked_costs_time_and_no_money(
    house: House, proxy: Proxy, fault: str
) -> None:
    proxy.faults.add(Fault(fault, "hold", 3, seconds=0.2))  # more than the SDK tries by itself
    text = house.pay().text
    assert "Asking your bank" in text or 'data-state="held"' in text
    house.pass_s(30, 2)
    house.station.obey()
    house.station.charge(321)
    house.turn()
    assert house.now().state == "captured"
    mine = [p for p in house.phone.gateway.listed(0) if p.order == house.now().id]
    assert [p.captured_minor for p in mine] == [321] and house.differences() == []


@pytest.mark.parametrize("status", [500, 402])
def test_an_answer_that_the_gateway_keeps_for_the_key_is_got_over(
    house: House, proxy: Proxy, status: int
) -> None:
    proxy.faults.add(Fault("stuck", "capture", 1, status))  # this key is answered so for ever
    house.started(321)
    assert house.now().state == "capturing"
    house.pass_s(60)
    assert house.now().state == "captured" and house.differences() == []


@pytest.mark.parametrize("step", ["capture", "cancel"])
def test_a_refusal_that_the_gateway_keeps_for_the_key_is_got_over(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    gateway = house.phone.gateway
    real = getattr(gateway, step)

    def asked(reference: str, *rest: int | str) -> object:
        if any(str(one).endswith("-0") for one in rest):  # the first key's answer
            raise Refused("another request is at work on this payment")
        return real(reference, *rest)

    monkeypatch.setattr(gateway, step, asked)
    house.started()
    if step == "capture":
        house.station.charge(321)
    else:
        house.station.give_up()
    house.turn()
    assert house.now().state in ("capturing", "cancelling")
    house.pass_s(30)
    assert house.now().state == ("captured" if step == "capture" else "cancelled")
    assert house.differences() == []


def test_the_button_pressed_twice_at_one_moment_is_one_payment_and_no_used_code(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {
        "code": "c" * 20, "charger": CHARGER, "gateway": "stripe", "amount_minor": 6000,
        "currency": "EUR",
    }  # fmt: skip
    first: list[str] = []
    real = pays.writing

    @contextlib.contextmanager
    def late(engine: Engine) -> Iterator[Db]:
        """As in PostgreSQL, where the other one's row comes after this one has looked."""
        monkeypatch.setattr(pays, "writing", real)
        with Db(engine, autoflush=False) as db, db.begin():

            @event.listens_for(db, "before_flush", once=True)
            def _other(*_: object) -> None:
                first.append(pays.new(engine, "T" * 43, fields, house.ms))

            yield db

    monkeypatch.setattr(pays, "writing", late)
    assert [pays.new(house.office.engine, "T" * 43, fields, house.ms)] == first
    with pytest.raises(pays.CodeUsed):
        pays.new(house.office.engine, "U" * 43, fields, house.ms)


def test_a_hold_whose_key_is_stuck_is_given_up_and_nothing_is_held(
    house: House, proxy: Proxy
) -> None:
    proxy.faults.add(Fault("stuck", "hold", 1))
    house.pay()
    house.pass_s(260, 10)
    assert (house.now().state, house.now().why) == ("cancelled", "gateway_down")
    assert not [p for p in house.phone.gateway.listed(0) if p.order == house.now().id]
    assert house.differences() == []


def test_a_card_is_not_tried_again_when_the_driver_may_be_gone(house: House) -> None:
    house.pay(method=DECLINED)
    house.ms += 1_000_000
    again = house.browser.post(house.page + "/again", data={"method": GOOD})
    assert again.status_code == 410 and "too old" in again.text
    house.turn()
    assert house.station.starts == []


def test_a_session_that_says_it_was_paid_at_a_gateway_by_nobody_is_an_alarm(house: House) -> None:
    house.station.begin("gateway", "pi_unknown", 6000, "no such payment")
    house.station.charge(300)
    house.turn()
    assert "gateway_uncovered" in house.problems() and house.differences() != []


@pytest.mark.parametrize("fault", ["down", "lost"])
def test_a_gateway_that_stays_away_leaves_no_hold_behind(
    house: House, proxy: Proxy, fault: str
) -> None:
    proxy.faults.add(Fault(fault, "hold"))
    house.pay()
    house.pass_s(80, 4)
    assert house.now().state in ("cancelling", "cancelled")
    assert "does not answer" in house.shown()
    proxy.faults.clear()
    house.pass_s(120, 10)
    assert house.now().state == "cancelled"
    mine = [p for p in house.phone.gateway.listed(0) if p.order == house.now().id]
    assert all(p.state == "cancelled" for p in mine) and len(mine) == (fault == "lost")
    assert house.station.starts == [] and house.differences() == []


def test_429_is_not_asked_again_at_once(house: House, proxy: Proxy) -> None:
    proxy.faults.add(Fault("error", "capture", status=429))
    house.started(119)
    before = proxy.faults.seen["capture"]
    house.turn(10)  # the clock stands
    assert proxy.faults.seen["capture"] == before
    proxy.faults.clear()
    house.pass_s(10)
    assert house.now().state == "captured" and house.differences() == []


def test_a_capture_that_fails_is_retried_with_growing_pauses_and_alarms(
    house: House, proxy: Proxy
) -> None:
    proxy.faults.add(Fault("error", "capture", status=500))
    house.started(444)
    assert house.now().state == "capturing" and "gateway_capturing" not in house.problems()
    asked = proxy.faults.seen["capture"]
    house.pass_s(3600, 30)
    assert house.now().state == "capturing" and "gateway_capturing" in house.problems()
    shown = [w["code"] for w in payments.wrong(house.office.engine, Operator(), house.ms)]
    assert "gateway: capturing fails" in shown
    assert proxy.faults.seen["capture"] - asked < 60  # up to ten minutes apart, three tries each
    assert house.differences() != []  # the fourth book says what is missing
    proxy.faults.clear()
    house.pass_s(700, 30)
    assert house.now().state == "captured" and house.differences() == []


def test_a_capture_whose_answer_is_lost_for_good_is_found_and_taken_once(
    house: House, proxy: Proxy
) -> None:
    proxy.faults.add(Fault("lost", "capture"))
    house.started(444)
    assert house.now().state == "capturing"
    proxy.faults.clear()
    house.pass_s(30)
    assert house.now().state == "captured" and house.differences() == []


def test_a_hold_that_expired_before_the_capture_is_an_alarm(house: House, proxy: Proxy) -> None:
    house.started()
    proxy.like.expire(house.now().reference)
    house.station.charge(500)
    house.turn()
    assert house.now().state == "lost" and "gateway_lost" in house.problems()


def test_a_payment_that_is_lost_is_shown_though_its_failing_was_closed(
    house: House, proxy: Proxy
) -> None:
    proxy.faults.add(Fault("error", "capture", status=500))
    house.started(444)
    house.pass_s(600, 30)
    engine, pay = house.office.engine, house.now()
    troubles.close(engine, "ann", "gateway", pay.id, 0, "they know", house.ms)
    assert payments.wrong(engine, Operator(), house.ms) == []
    proxy.like.expire(pay.reference)
    proxy.faults.clear()
    house.pass_s(1500, 30)
    assert house.now().state == "lost"
    shown = [w["code"] for w in payments.wrong(engine, Operator(), house.ms)]
    assert shown == ["gateway: lost", "gateway lost"]


def test_the_alarm_comes_before_the_hold_expires(house: House, proxy: Proxy) -> None:
    house.started()
    house.ms += 6 * 86_400_000 + 3_600_000  # a day before the end of seven
    house.station.charge(500)
    proxy.faults.add(Fault("down", "capture"))
    house.turn(1)
    assert "gateway_capturing" in house.problems()  # at the first failure
    proxy.faults.clear()
    house.pass_s(10)
    assert house.now().state == "captured" and house.differences() == []

"""Sessions with a payment that is not theirs, and chargers that fall silent with one. With a
gateway in memory; each ends with the money.
"""

from __future__ import annotations

import pytest

from hostsim.backoffice import payments
from hostsim.backoffice.operator import Operator
from tests.gateway.pay import CHARGER, House, Station

pytestmark = pytest.mark.timeout(120)
COIN = {"method": "coin"}


# --- sessions that are not the payment's ---------------------------------------------------------


def test_another_chargers_record_does_not_touch_a_payment(house: House) -> None:
    pay = house.started()
    other = Station(house.office, "CP2", epoch=72)
    other.begin("gateway", pay.reference, 6000, pay.id)
    other.hand_over()
    house.turn()
    other.obey()
    assert "gateway_foreign" in house.problems() and other.state == "free"  # it was stopped
    assert house.now().state == "started" and house.now().session_id == pay.session_id
    house.station.charge(250)
    house.turn()
    assert house.now().captured_minor == 250


def test_a_second_session_with_one_payment_is_an_alarm_and_the_first_one_counts(
    house: House,
) -> None:
    pay = house.started(250)
    swapped = Station(house.office, CHARGER, epoch=99)  # the same charger with another flash
    swapped.begin("gateway", pay.reference, 6000, pay.id)
    swapped.charge(900)
    house.turn()
    found = house.now()
    assert "gateway_twice" in house.problems()
    assert (found.capture_minor, found.captured_minor) == (250, 250)
    assert found.session_id == pay.session_id
    wrong = [w["code"] for w in payments.wrong(house.office.engine, Operator(), house.ms)]
    assert "gateway twice" in wrong


def test_a_session_that_shows_up_after_its_hold_went_back_is_stopped(house: House) -> None:
    house.pay()
    house.turn()
    house.station.obey(answer=False)
    house.station.away()
    house.station.state = "charging"
    house.station.energising(1, 1000)
    house.pass_s(1100, 60)
    assert house.now().state == "cancelled"
    house.station.back()
    house.turn()
    assert "gateway_uncovered" in house.problems()  # at its first record, not at its end
    stops = [c for c in house.office.commands() if c["name"] == "stop"]
    assert len(stops) == 1
    house.station.obey()
    house.turn()
    assert house.station.state == "free"


# --- the charger falls silent --------------------------------------------------------------------


def test_a_charger_that_falls_silent_in_a_session_is_an_alarm_long_before_the_hold_ends(
    house: House,
) -> None:
    pay = house.started()
    house.station.away()
    house.pass_s(1700, 100)
    assert "gateway_started" not in house.problems()
    house.pass_s(300, 100)
    assert "gateway_started" in house.problems()
    wrong = [w["code"] for w in payments.wrong(house.office.engine, Operator(), house.ms)]
    assert "gateway started" in wrong
    assert house.ms < pay.hold_until - 6 * 86_400_000
    house.station.charge(300)
    house.station.back()  # nothing was lost by it
    house.turn()
    assert house.now().state == "captured" and house.differences() == []


def test_a_session_without_end_is_an_alarm_before_its_hold_ends(house: House) -> None:
    pay = house.started()
    house.ms = pay.hold_until - 25 * 3_600_000
    house.turn()
    assert "gateway_started" not in house.problems()
    house.ms += 2 * 3_600_000
    house.turn()
    assert "gateway_started" in house.problems()

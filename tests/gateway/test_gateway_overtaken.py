"""A command that a network lost, and that a later one overtook, is dead for good: the charger
calls it replayed. What matters is said once more, and works once. In memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.house_gateway import Till
from tests.gateway.pay import TILL, House

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, TILL, pay_extend_minor=3000, pay_most_minor=10_000)
    yield found
    found.close()


def overtaken(house: House, name: str) -> None:
    """The one that is on its way does not come; the charger has a later counter."""
    newest = next(c for c in house.office.commands() if c["name"] == name)
    assert newest["state"] == "sent"
    house.station.done.add(newest["id"])
    house.station.say(
        "result", about="command", id=newest["id"], ok=False, code="replayed", field="counter",
        reason="must be above 9", given="8",
    )  # fmt: skip


def states(house: House, name: str) -> list[str]:
    """Oldest first."""
    return [c["state"] for c in reversed(house.office.commands()) if c["name"] == name]


def test_a_start_is_said_again_at_once(house: House) -> None:
    house.pay()
    house.turn()
    overtaken(house, "start")
    house.ms += 1000
    house.turn()
    assert states(house, "start") == ["replayed", "sent"] and house.now().state == "starting"
    house.station.obey()
    house.turn()
    assert house.now().state == "started"
    house.station.charge(250)
    house.turn()
    assert house.now().captured_minor == 250 and house.differences() == []


def test_a_start_that_was_done_before_the_power_went_begins_no_second_session(
    house: House,
) -> None:
    house.pay()
    house.turn()
    house.station.obey(answer=False)
    house.station.done.clear()
    overtaken(house, "start")
    house.ms += 1000
    house.turn()
    house.station.obey()
    house.turn()
    assert house.now().state == "started" and house.station.sess == 1
    house.station.charge(250)
    house.turn()
    assert house.now().captured_minor == 250 and house.differences() == []


def test_a_start_nobody_can_be_told_again_is_given_back_in_the_end(house: House) -> None:
    house.pay()
    house.turn()
    overtaken(house, "start")
    house.station.away()
    house.pass_s(300, 20)
    assert house.now().state == "starting" and states(house, "start") == ["replayed"]
    house.pass_s(900, 60)
    assert (house.now().state, house.now().why) == ("cancelled", "charger_offline")
    assert house.differences() == []


def test_more_is_told_again_until_the_charger_knows(house: House) -> None:
    house.started()
    house.station.state = "charging"
    house.station.energising(1, 1000)
    house.station.hand_over()
    house.station.figures(500, 4800)
    house.ms += 61_000
    house.turn()
    overtaken(house, "extend")
    assert house.station.amount == 6000
    house.pass_s(30)
    assert house.station.amount == 9000 and states(house, "extend") == ["replayed", "ok"]


def test_a_session_without_a_hold_is_stopped_though_the_first_stop_was_lost(house: House) -> None:
    house.started()
    house.station.state = "charging"
    house.station.energising(1, 1000)
    house.station.hand_over()
    found = house.phone.gateway
    assert isinstance(found, Till)
    found.cancel(house.now().reference, "by hand")
    house.ms += 3_700_000
    house.turn()
    overtaken(house, "stop")
    assert house.station.state == "charging"
    house.pass_s(30)
    assert house.station.state == "free" and states(house, "stop") == ["replayed", "ok"]


def full(house: House) -> None:
    """A charger that has no room for the command's own record says so, whatever it has begun."""
    newest = next(c for c in house.office.commands() if c["name"] == "start")
    assert newest["state"] == "sent"
    house.station.done.add(newest["id"])
    house.station.say(
        "result", about="command", id=newest["id"], ok=False, code="full", reason="command"
    )


def test_a_session_that_began_is_not_given_back_because_flash_is_full_when_it_is_asked_again(
    house: House,
) -> None:
    house.pay()
    house.turn()
    house.station.obey(answer=False)  # it has begun, and loses power
    overtaken(house, "start")
    house.ms += 1000
    house.turn()
    full(house)
    for _ in range(3):
        house.ms += 1000
        house.turn()
        assert house.now().state == "starting", house.now().why
    house.station.hand_over()
    house.pass_s(1)
    assert house.now().state == "started"
    house.station.charge(250)
    house.turn()
    assert house.now().captured_minor == 250 and house.differences() == []


def test_a_start_for_which_flash_is_full_is_said_again_and_given_back_in_the_end(
    house: House,
) -> None:
    house.pay()
    house.turn()
    full(house)
    house.ms += 5000
    house.turn()
    assert states(house, "start") == ["full", "sent"]
    full(house)
    for _ in range(120):
        house.ms += 10_000
        house.turn()
        if states(house, "start")[-1] == "sent":
            full(house)
    assert (house.now().state, house.now().why) == ("cancelled", "out_of_service")
    assert house.station.sess == 0 and house.differences() == []

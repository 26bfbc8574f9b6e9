"""The simulated vehicle: pilot, ramp, taper, full, pause, energy to the last millijoule."""

import pytest

from hostsim.clock import WorldClock
from hostsim.meter.device import MJ_PER_WH, MeterDevice
from hostsim.meter.models import model
from hostsim.vehicle import Vehicle


class HandClock(WorldClock):
    """A clock the test turns."""

    def __init__(self) -> None:
        super().__init__(0)
        self.at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms


def plugged(**kwargs: int) -> tuple[HandClock, Vehicle]:
    clock = HandClock()
    vehicle = Vehicle(clock, **kwargs)
    vehicle.plug()
    return clock, vehicle


def test_pilot_states() -> None:
    clock = HandClock()
    vehicle = Vehicle(clock, wanted_wh=1)
    assert vehicle.pilot(16000) == "A"
    vehicle.plug()
    assert vehicle.pilot(0) == "B"
    assert vehicle.pilot(16000) == "C"
    vehicle.pause(True)
    assert vehicle.pilot(16000) == "B"
    vehicle.pause(False)
    vehicle.fault = "E"
    assert vehicle.pilot(16000) == "E"
    vehicle.fault = ""
    vehicle.unplug()
    assert vehicle.pilot(16000) == "A"


def test_power_ramps_up_and_follows_offer_and_contactor() -> None:
    clock, vehicle = plugged()
    assert vehicle.power_w(False, 16000) == 0
    assert vehicle.power_w(True, 16000) < 100
    clock.at_ms += 3000
    assert 5000 < vehicle.power_w(True, 16000) < 6000
    clock.at_ms += 4000
    assert vehicle.power_w(True, 16000) == 11000
    assert vehicle.power_w(True, 6000) == 230 * 3 * 6
    assert vehicle.power_w(True, 32000) == 11000
    assert vehicle.power_w(False, 16000) == 0


def test_it_tapers_and_stops_when_full() -> None:
    clock, vehicle = plugged(battery_wh=10_000, stored_wh=8_000)
    powers = []
    while vehicle.wants_energy and clock.at_ms < 3_600_000:
        powers.append(vehicle.power_w(True, 16000))
        clock.at_ms += 1000
    assert vehicle.full and vehicle.pilot(16000) == "B"
    assert max(powers) == 11000 and powers[-1] < 2200
    assert 2000 <= vehicle.delivered_wh <= 2001
    assert vehicle.power_w(True, 16000) == 0


def test_it_stops_when_it_has_what_it_wanted() -> None:
    clock, vehicle = plugged(wanted_wh=500)
    while vehicle.wants_energy:
        vehicle.power_w(True, 16000)
        clock.at_ms += 500
    assert 500 <= vehicle.delivered_wh <= 502


def test_unplugging_ends_the_current() -> None:
    clock, vehicle = plugged()
    vehicle.power_w(True, 16000)
    clock.at_ms += 10_000
    vehicle.power_w(True, 16000)
    vehicle.unplug()
    clock.at_ms += 10_000
    assert vehicle.power_w(True, 16000) == 0


def test_the_meter_counts_what_the_vehicle_took() -> None:
    clock, vehicle = plugged(battery_wh=20_000, stored_wh=17_500)
    closed = True
    meter = MeterDevice(
        clock, lambda: vehicle.power_w(closed, 16000), model("SDM630"), "1", 4321, 1
    )
    for turn in range(20_000):
        clock.at_ms += 37 + turn % 11 * 13
        closed = turn % 1000 > 50
        if turn == 7000:
            vehicle.pause(True)
        if turn == 9000:
            vehicle.pause(False)
        meter.step()
    assert meter.counted_mj - 4321 * MJ_PER_WH == vehicle.delivered_mj
    assert vehicle.delivered_wh > 1000
    assert meter.register_wh - 4321 in (vehicle.delivered_wh - 1, vehicle.delivered_wh)


def test_a_battery_cannot_hold_more_than_it_can() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Vehicle(HandClock(), battery_wh=10, stored_wh=11)


def test_a_vehicle_that_was_away_comes_back_with_less() -> None:
    clock = HandClock()
    car = Vehicle(clock, battery_wh=1000, stored_wh=1000)
    assert car.full
    car.drive(200)
    assert (car.full, car.stored_percent) == (False, 20)
    with pytest.raises(ValueError, match="cannot hold"):
        car.drive(1001)

"""The session's machine with its meter and contactor: what is billed when one of them fails. On
CPython and both MicroPython builds.
"""

from firmware.session import decisions as do
from tests.pure.session_bench import (
    PARKING,
    Answer,
    Bench,
    Card,
    Hold,
    PatientMeter,
    Reading,
    Silent,
)


def test_silent_meter_lets_no_energy_pass_the_hold():
    """2 kWh fit the hold; full power is 22 kW, the contactor needs 1.5 s."""
    for failing in (True, False):  # reads that fail, and a read that never comes back
        b = Bench()
        b.m._cfg = Silent()
        b.charge(Hold(100))
        flowed = 0  # Wh, as if the vehicle took full power all the time
        while flowed < 1800:
            b.now += 5000
            flowed += 22000 * 5 // 3600
            b.meter(1000 + flowed, 22000)
        assert b.m.state == "charging"
        silent = 0
        while b.m.state == "charging" and silent < 600:
            silent += 1
            b.later(1)
            if failing:
                b.do(b.m.on_meter_failed(b.now))
        assert b.did(do.CONTACTOR)[-1] == (do.CONTACTOR, False)
        assert 1 < silent and flowed + (silent + 1.5) * 22000 / 3600 <= 2000
        b.power_off(2999)
        assert b.record("priced")["total_minor"] == 100


def test_contactor_that_does_not_close_bills_nothing_and_gives_the_hold_back():
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_authorised(b.now, Hold()))
    b.do(b.m.on_pilot(b.now, "B"))
    for _ in range(60):
        b.now += 20
        b.do(b.m.on_feedback(b.now, False))
    assert b.record("alarm")["code"] == "contactor_not_closing"
    b.power_off(1000)
    assert b.record("priced")["total_minor"] == 0
    assert b.did(do.CANCEL) == [(do.CANCEL, 231)] and not b.did(do.CAPTURE)


def test_feedback_that_contradicts_the_open_contactor_at_start_sells_nothing_until_it_agrees():
    """Welded, a wire off, or a contact of the other kind than the board's data says."""
    b = Bench()
    assert b.m.state == "free"
    for _ in range(50):
        b.now += 20
        b.do(b.m.on_feedback(b.now, True))
    assert b.record("alarm")["code"] == "contactor_welded"
    assert b.m.state == "out_of_service"
    assert not b.m.wants("card")
    assert not [d for d in b.all if d[0] == do.CONTACTOR and d[1]]
    b.do(b.m.on_feedback(b.now, False))
    assert b.m.state == "free"


def test_welded_contactor_bills_up_to_the_stop_and_takes_the_charger_out_of_service():
    b = Bench()
    b.deliver()
    b.do(b.m.on_stop(b.now, "button"))
    for _ in range(60):
        b.now += 20
        b.do(b.m.on_feedback(b.now, True))
    assert b.record("alarm")["code"] == "contactor_welded"
    assert b.record("power_off")["register_wh"] == 1100
    b.do(b.m.on_outcome(b.now, Answer()))
    b.later(61)
    assert b.m.state == "out_of_service"
    b.do(b.m.on_feedback(b.now, False))
    assert b.m.state == "plugged"


def test_lost_meter_stops_power_and_waits_for_the_register():
    b = Bench()
    b.deliver()
    for _ in range(12):
        b.now += 1000
        b.do(b.m.on_meter_failed(b.now))
    assert b.m.session.reason == "meter_lost" and b.record("alarm")["code"] == "meter_lost"
    assert "priced" not in b.kinds()
    b.power_off(1140)
    assert b.record("priced")["billed_wh"] == 140


def test_meter_that_never_comes_back_bills_what_was_known_after_the_limit():
    b = Bench()
    b.deliver()
    for _ in range(12):
        b.now += 1000
        b.do(b.m.on_meter_failed(b.now))
    b.later(601)
    assert b.record("alarm")["code"] == "billed_without_final_reading"
    assert b.record("priced")["billed_wh"] == 100


def test_a_register_that_cannot_be_true_is_waited_for_ten_minutes_a_silent_one_a_day():
    for wrong, minutes in ((True, 10), (False, 1440)):
        b = Bench()
        b.m._cfg = PatientMeter()
        b.deliver()
        for _ in range(12):
            b.now += 1000
            b.do(b.m.on_meter_failed(b.now, "", wrong))
        b.later(minutes * 60 - 60)
        assert "priced" not in b.kinds()
        b.later(120)
        alarms = [d[2]["code"] for d in b.all if d[0] == do.RECORD and d[1] == "alarm"]
        assert "billed_without_final_reading" in alarms
        assert b.record("priced")["billed_wh"] == 100


def test_a_register_that_stood_still_has_ten_minutes_to_count_what_flowed():
    for moves in (True, False):
        b = Bench()
        b.deliver()
        b.do(b.m.on_stop(b.now, "button"))
        b.do(b.m.on_feedback(b.now, False))
        for _ in range(9):
            b.now += 60000
            r = Reading(b.now, 1100)
            r.behind = True
            b.do(b.m.on_reading(b.now, r))
        assert "priced" not in b.kinds()
        if moves:
            b.now += 1000
            b.meter(1150)
            b.now += 1000
            b.meter(1150)
        else:
            for _ in range(3):
                b.now += 30000
                r = Reading(b.now, 1100)
                r.behind = True
                b.do(b.m.on_reading(b.now, r))
        assert b.record("priced")["billed_wh"] == (150 if moves else 100)


def test_checkpoints_come_every_minute_and_periods_with_the_vehicle():
    b = Bench(PARKING)
    b.charge()
    for i in range(1, 131):
        b.now += 1000
        b.meter(1000 + i * 3, 11000)
    assert b.kinds().count("checkpoint") == 2
    b.do(b.m.on_pilot(b.now, "B"))
    assert b.m.state == "paused"
    for _ in range(5):
        b.now += 1000
        b.meter(1390)
    assert b.kinds().count("period") == 1
    assert b.record("period")["energy_mwh"] == 390000


def test_a_period_is_followed_by_a_checkpoint_so_that_no_recovery_writes_it_twice():
    b = Bench(PARKING)
    b.deliver(1003)
    b.do(b.m.on_pilot(b.now, "B"))
    b.now += 1000
    b.meter(1003)
    kinds = b.kinds()
    assert kinds[kinds.index("period") + 1] == "checkpoint"


def test_a_welded_contactor_starts_no_session():
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_authorised(b.now, Hold()))
    for _ in range(60):
        b.now += 20
        b.do(b.m.on_feedback(b.now, True))
    b.do(b.m.on_pilot(b.now, "B"))
    assert not b.did(do.CONTACTOR) and b.did(do.CANCEL) == [(do.CANCEL, 231)]


def test_power_while_the_contactor_is_open_is_an_alarm_and_no_session_begins():
    b = Bench()
    for wh in range(1000, 1003):
        b.meter(wh, 2300)
    assert "alarm" not in b.kinds()
    b.meter(1003, 2300)
    assert b.record("alarm")["code"] == "power_without_contactor"
    assert b.record("alarm")["detail"] == "2300 W" and b.m.contactor.leaking
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_authorised(b.now, Hold()))
    b.do(b.m.on_pilot(b.now, "B"))
    assert "energising" not in b.kinds() and b.did(do.CANCEL)
    for wh in range(1004, 1008):
        b.meter(wh, 90)
    assert not b.m.contactor.leaking and b.kinds().count("alarm") == 1


def test_what_flows_after_the_final_register_is_not_billed():
    b = Bench()
    b.deliver()
    b.do(b.m.on_stop(b.now, "button"))
    b.do(b.m.on_feedback(b.now, False))
    for wh in range(1101, 1110):
        b.now += 1000
        b.meter(wh, 2300)
    assert b.record("alarm")["code"] == "power_without_contactor"
    assert b.record("priced")["billed_wh"] == 102  # the second reading after it was open


def test_another_meter_stops_the_power_at_once_with_both_numbers():
    b = Bench()
    b.deliver()
    b.do(b.m.on_meter_failed(b.now, "meter 7 answers instead of 5"))
    assert b.m.session.reason == "meter_lost" and not b.m.meter_known
    assert b.record("alarm")["code"] == "meter_swapped"
    assert b.record("alarm")["detail"] == "meter 7 answers instead of 5"


def test_a_meter_swapped_while_the_card_is_asked_delivers_nothing():
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_meter_failed(b.now, "meter 7 answers instead of 5"))
    b.do(b.m.on_pilot(b.now, "B"))
    b.do(b.m.on_authorised(b.now, Hold()))
    assert "energising" not in b.kinds() and b.did(do.CANCEL)

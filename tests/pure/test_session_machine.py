"""The session's machine: events in, decisions out. On CPython and both MicroPython builds."""

from firmware.session import decisions as do
from firmware.session.data import Session
from tests.pure.session_bench import PARKING, Answer, Bench, Card, Hold


def test_every_decision_is_recorded_before_it_is_acted_on():
    b = Bench()
    asked = b.do(b.m.on_card(b.now, Card()))
    assert [d[0] for d in asked] == [do.RECORD, do.AUTHORISE]
    b.do(b.m.on_authorised(b.now, Hold()))
    powered = b.do(b.m.on_pilot(b.now, "B"))
    assert [d[0] for d in powered] == [do.RECORD, do.CONTACTOR, do.OFFER]
    assert powered[0][1] == "energising" and powered[0][2]["register_wh"] == 1000


def test_whole_session_bills_the_register_difference_and_captures_it():
    b = Bench()
    b.charge()
    assert b.m.state == "charging"
    for i in range(1, 11):
        b.now += 1000
        b.meter(1000 + i * 3, 11000)
    b.do(b.m.on_pilot(b.now, "A"))
    assert b.did(do.CONTACTOR)[-1] == (do.CONTACTOR, False)
    b.power_off(1031)
    priced = b.record("priced")
    assert priced["billed_wh"] == 31 and priced["start_wh"] == 1000 and priced["end_wh"] == 1031
    assert priced["total_minor"] == 2 and priced["reason"] == "unplug"
    assert b.did(do.CAPTURE) == [(do.CAPTURE, 231, 2000, 2)]
    b.do(b.m.on_outcome(b.now, Answer()))
    captured = b.record("captured")
    assert (captured["captured_minor"], captured["released_minor"]) == (2, 1998)
    assert b.m.state == "receipt"
    b.later(61)
    assert b.m.state == "free" and b.m.session is None


def test_plug_first_then_tap_starts_at_once():
    b = Bench()
    b.do(b.m.on_pilot(b.now, "B"))
    assert b.m.state == "plugged"
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_authorised(b.now, Hold()))
    assert b.m.state == "starting"


def test_nobody_plugs_in_and_the_hold_goes_back():
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_authorised(b.now, Hold()))
    b.later(121)
    assert b.did(do.CANCEL) == [(do.CANCEL, 231)]
    b.do(b.m.on_outcome(b.now, Answer()))
    assert b.record("cancelled") == {
        "sess": 1,
        "released_minor": 2000,
        "receipt": 231,
        "reason": "plug_timeout",
    }
    assert "priced" not in b.kinds()


def test_declined_card_leaves_the_charger_free_with_the_reason():
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_declined(b.now, Answer(False, True, 5, "try_another_card")))
    assert b.m.state == "free" and b.m.message == "try_another_card"
    assert b.record("declined")["code"] == 5
    b.later(9)
    assert b.m.message == ""


def test_price_never_passes_the_hold_and_energy_stops_before_it():
    b = Bench()
    b.charge()
    wh = 1000
    while b.m.state == "charging" and wh < 60000:
        b.now += 10000
        wh += 22000 * 10 // 3600
        b.meter(wh, 22000)
    assert b.m.state == "finished" and b.m.session.reason == "hold_reached"
    assert 38000 < wh - 1000 < 40000
    b.power_off(wh + 40)
    assert b.record("priced")["total_minor"] <= 2000


def test_price_that_froze_at_the_hold_ends_the_power_at_once():
    b = Bench()
    b.charge(Hold(100))
    b.now += 1000
    b.meter(1001, 22000)
    b.now += 1000
    b.meter(4000, 22000)  # far more than the charger can give: the next look was not due yet
    assert b.m.state == "finished" and b.m.session.reason == "hold_reached"


def test_same_card_stops_and_another_does_not():
    b = Bench()
    b.charge()
    b.now += 1000
    b.do(b.m.on_card(b.now, Card("other")))
    assert b.m.state == "charging" and b.m.message == "other_card"
    b.do(b.m.on_card(b.now, Card("u1")))
    assert b.m.state == "finished" and b.m.session.reason == "tap"


def test_the_card_that_pays_stops_the_session_not_the_one_that_was_read():
    paying = Card("u2")
    for read_pan, paid_pan, paid_uid, stops, stops_not in (
        # a number at both: the one of the payment
        ("411111******1111", "555555******4444", "u2", (paying,), (Card(),)),
        # the terminal hides more at one time than at another
        ("411111******1111", "************1111", "u3", (Card(),), (paying,)),
        # nothing told at the payment: the card that was read
        ("411111******1111", "", "", (Card(),), (paying,)),
        # UIDs only: the one of the payment
        ("", "", "u2", (bare("u2"),), (bare("u1"),)),
        # a UID at the tap, a number at the payment, as captured: both
        ("", "411111******1111", "u3", (bare("u1"), Card()), (bare("u2"), paying)),
        # nothing but stars names nobody
        ("", "****************", "u3", (bare("u1"),), (Card(), paying, stars())),
    ):
        for card, stopped in [(c, True) for c in stops] + [(c, False) for c in stops_not]:
            b = Bench()
            first = Card()
            first.pan = read_pan
            b.do(b.m.on_card(b.now, first))
            hold = Hold(2000, paid_uid)
            hold.pan = paid_pan
            b.do(b.m.on_authorised(b.now, hold))
            b.do(b.m.on_pilot(b.now, "B"))
            b.do(b.m.on_card(b.now, card))
            said = (read_pan, paid_pan, card.uid_hash, card.pan)
            assert (b.m.state == "finished") is stopped, said


def bare(uid):
    """A card that tells no number."""
    card = Card(uid)
    card.pan = ""
    return card


def stars():
    card = Card("u3")
    card.pan = "****************"
    return card


def test_button_emergency_and_vehicle_fault_stop_power():
    for event, reason in (
        (lambda m, t: m.on_stop(t, "button"), "button"),
        (lambda m, t: m.on_stop(t, "remote"), "remote"),
        (lambda m, t: m.on_emergency(t), "emergency"),
        (lambda m, t: m.on_pilot(t, "F"), "fault"),
    ):
        b = Bench()
        b.charge()
        b.now += 1000
        b.do(event(b.m, b.now))
        assert b.did(do.CONTACTOR)[-1] == (do.CONTACTOR, False), reason
        assert b.m.session.reason == reason


def test_nothing_starts_from_the_moment_the_emergency_stop_is_pressed():
    """Also before the next look at what blocks, once a second."""
    b = Bench()
    b.do(b.m.on_pilot(b.now, "B"))
    b.do(b.m.on_emergency(b.now))
    b.do(b.m.on_card(b.now, Card()))
    assert b.m.state == "plugged" and not b.did(do.AUTHORISE)
    member = Session(1, 2000, "rfid", "M1")
    b.do(b.m.begin(b.now, member))  # a member's tap that was on its way
    assert not b.did(do.CONTACTOR) and b.record("cancelled")["reason"] == "emergency"
    b = Bench()
    b.do(b.m.on_pilot(b.now, "B"))
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_emergency(b.now))
    b.m.blocked = ""
    b.do(b.m.on_authorised(b.now, Hold()))
    assert not b.did(do.CONTACTOR) and b.did(do.CANCEL)


def test_standing_costs_only_while_plugged_and_freezes_at_the_hold():
    b = Bench(PARKING)
    b.deliver()
    b.do(b.m.on_stop(b.now, "button"))
    b.power_off(1100)
    assert b.m.state == "finished"
    b.later(600)
    b.do(b.m.on_pilot(b.now, "A"))
    assert b.record("priced")["total_minor"] == 5 + 100
    b = Bench(PARKING)
    b.deliver()
    b.do(b.m.on_stop(b.now, "button"))
    b.power_off(1100)
    for _ in range(300):
        b.later(60)
    assert b.record("priced")["total_minor"] == 2000
    assert b.did(do.CAPTURE) == [(do.CAPTURE, 231, 2000, 2000)]


def test_own_fault_costs_no_standing_time():
    b = Bench(PARKING)
    b.deliver()
    b.do(b.m.on_emergency(b.now))
    b.power_off(1100)
    assert b.record("priced")["total_minor"] == 5


def test_blocked_charger_takes_no_card():
    b = Bench()
    b.m.blocked = "ledger_full"
    assert not b.m.wants("card")
    assert b.do(b.m.on_card(b.now, Card())) == []


def test_a_word_about_a_foreign_card_passes_while_charging():
    b = Bench()
    b.charge()
    b.do(b.m.on_card(b.now, Card("u2")))
    assert b.m.message == "other_card" and b.m.state == "charging"
    b.now += 8000
    b.do(b.m.on_tick(b.now))
    assert b.m.message == "other_card"
    b.now += 1000
    b.do(b.m.on_tick(b.now))
    assert b.m.message == ""


def test_a_charger_that_gave_up_stays_out_of_service():
    b = Bench()
    b.charge()
    b.m.give_up(b.now, "ledger_fault")
    decided = len(b.all)
    b.do(b.m.on_feedback(b.now, False))
    for _ in range(3):
        b.later(100)
        b.meter(2000)
    b.do(b.m.on_pilot(b.now, "A"))
    b.do(b.m.on_stop(b.now, "button"))
    assert (b.m.state, b.m.message) == ("out_of_service", "ledger_fault")
    assert len(b.all) == decided and b.m.busy and not b.m.wants("card")

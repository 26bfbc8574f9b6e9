"""The session's machine and the money: holds, captures, answers that are lost. On CPython and both
MicroPython builds.
"""

from firmware.session import decisions as do
from firmware.session import recovery
from tests.pure.session_bench import Answer, Bench, Card, Hold


def test_lost_capture_answer_is_settled_by_the_pending_list_and_never_repeated_blindly():
    for pending, captures, how in (((231,), 2, "direct"), ((), 1, "pending_query")):
        b = Bench()
        b.deliver()
        b.do(b.m.on_stop(b.now, "button"))
        b.power_off(1100)
        b.do(b.m.on_outcome(b.now, Answer(False, False)))
        assert len(b.did(do.CAPTURE)) == 1 and len(b.did(do.PENDING)) == 1
        b.do(b.m.on_pending(b.now, pending))
        assert len(b.did(do.CAPTURE)) == captures
        if b.m.state != "receipt":
            b.do(b.m.on_outcome(b.now, Answer()))
        assert b.record("captured")["captured_minor"] == 5
        assert b.record("captured")["how"] == how


def test_an_approval_nobody_saw_is_asked_for_ten_minutes_a_hold_that_was_seen_for_ever():
    for seen in (False, True):
        b = Bench()
        b.do(b.m.on_card(b.now, Card()))
        b.do(b.m.on_hold_unknown(b.now, Hold() if seen else None))
        assert (b.m.state, b.m.message) == ("settling", "terminal_off")
        for _ in range(10):
            b.later(60)
            b.do(b.m.on_pending(b.now, None))  # switched off
        assert b.m.state == "settling" and "cancelled" not in b.kinds()
        b.later(70)
        if seen:
            b.later(3600)
            assert b.m.state == "settling" and "cancelled" not in b.kinds()
            continue
        alarm = b.record("alarm")
        assert (alarm["code"], alarm["detail"]) == ("hold_unseen", "2000")
        assert b.record("cancelled")["reason"] == "terminal_off"
        assert b.m.state == "free" and not b.m.busy  # the next driver's, who may pay by phone
        b.do(b.m.on_pending(b.now, (7,)))  # late: of no session any more
        assert b.kinds().count("cancelled") == 1 and b.m.state == "free"


def asked_about(first, cost=True):
    """A settlement whose first answer was `first`, up to a list with somebody else's hold only."""
    b = Bench()
    if cost:
        b.deliver()
        b.do(b.m.on_stop(b.now, "button"))
        b.power_off(1100)
    else:
        b.do(b.m.on_card(b.now, Card()))
        b.do(b.m.on_authorised(b.now, Hold()))
        b.do(b.m.on_stop(b.now, "button"))
    b.do(b.m.on_outcome(b.now, first))
    if first.certain:
        b.later(6)
    b.do(b.m.on_pending(b.now, (17,)))
    return b


def test_a_list_that_names_one_hold_of_others_says_nothing_of_ours_and_a_try_does():
    b = asked_about(Answer(False, False))
    assert len(b.did(do.CAPTURE)) == 2 and "captured" not in b.kinds()
    b.do(b.m.on_outcome(b.now, Answer()))  # it was open still, and is captured now
    assert b.record("captured")["how"] == "direct" and b.kinds().count("captured") == 1
    for code in (0xB4, 0xB5, 0xB8):  # it is not: the try that was lost had captured it
        b = asked_about(Answer(False, False))
        b.do(b.m.on_outcome(b.now, Answer(False, True, code, "amount_refused")))
        assert b.record("captured")["how"] == "pending_query" and b.m.state == "receipt"
    # refused for certain before, and gone: nobody here took it
    b = asked_about(Answer(False, True, 0xB4, "already_reversed"))
    b.do(b.m.on_outcome(b.now, Answer(False, True, 0xB5, "not_possible")))
    assert "captured" not in b.kinds() and b.record("alarm")["code"] == "hold_lost"
    # the same of a hold that goes back whole
    b = asked_about(Answer(False, False), False)
    assert len(b.did(do.CANCEL)) == 2
    b.do(b.m.on_outcome(b.now, Answer(False, True, 0xB4, "already_reversed")))
    assert b.record("cancelled")["reason"] == "button" and b.m.state == "receipt"


def test_a_try_that_tells_nothing_is_asked_about_again_and_one_without_a_bank_waits():
    b = asked_about(Answer(False, False))
    b.do(b.m.on_outcome(b.now, Answer(False, False)))
    assert len(b.did(do.PENDING)) == 2 and "captured" not in b.kinds()
    b.do(b.m.on_pending(b.now, (17,)))
    b.do(b.m.on_outcome(b.now, Answer(False, True, 0xA0, "no_network")))
    assert "captured" not in b.kinds() and b.record("settle_failed")["code"] == 0xA0
    b.later(6)
    b.do(b.m.on_pending(b.now, (17, 18)))  # several: then ours would be among them
    assert b.record("alarm")["code"] == "hold_lost"


def test_refused_capture_is_retried_with_backoff_and_flash_is_spared():
    b = Bench()
    b.deliver()
    b.do(b.m.on_stop(b.now, "button"))
    b.power_off(1100)
    b.do(b.m.on_outcome(b.now, Answer(False, True, 0xB5, "not_possible")))
    for _ in range(40):
        b.later(301)
        if b.m.settlement.state == "asking":
            b.do(b.m.on_pending(b.now, (231,)))
            b.do(b.m.on_outcome(b.now, Answer(False, True, 0xB5, "not_possible")))
    failed = b.kinds().count("settle_failed")
    assert 4 <= failed <= 7 and len(b.did(do.CAPTURE)) > 30
    b.later(301)
    b.do(b.m.on_pending(b.now, (231,)))
    b.do(b.m.on_outcome(b.now, Answer()))
    assert b.m.state == "receipt"


def test_stop_during_authorisation_gives_the_hold_back():
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_stop(b.now, "button"))
    assert b.did(do.ABORT)
    b.do(b.m.on_authorised(b.now, Hold()))
    assert b.did(do.CANCEL) == [(do.CANCEL, 231)] and not b.did(do.CONTACTOR)


def test_partial_approval_is_the_hold_and_too_little_is_given_back():
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_authorised(b.now, Hold(500)))
    b.do(b.m.on_pilot(b.now, "B"))
    b.do(b.m.on_feedback(b.now, True))
    b.do(b.m.on_pilot(b.now, "C"))
    wh = 1000
    while b.m.state == "charging":
        b.now += 10000
        wh += 60
        b.meter(wh, 21600)
    b.power_off(wh)
    assert b.record("priced")["total_minor"] <= 500
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_authorised(b.now, Hold(50)))
    assert b.did(do.CANCEL)


def test_terminal_lost_while_a_hold_is_asked_is_asked_about_later():
    b = Bench()
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_hold_unknown(b.now))
    assert b.did(do.PENDING)
    b.do(b.m.on_pending(b.now, (231,)))
    assert b.kinds()[-1] == "authorised" and b.did(do.CANCEL) == [(do.CANCEL, 231)]
    b.do(b.m.on_outcome(b.now, Answer()))
    assert b.record("cancelled")["released_minor"] == 2000


def test_a_capture_refused_for_certain_whose_hold_is_gone_is_never_booked_as_paid():
    b = Bench()
    b.deliver()
    b.do(b.m.on_stop(b.now, "button"))
    b.power_off(1100)
    b.do(b.m.on_outcome(b.now, Answer(False, True, 0xB4, "already_reversed")))
    b.later(6)
    b.do(b.m.on_pending(b.now, ()))
    assert "captured" not in b.kinds()
    assert b.record("alarm")["code"] == "hold_lost" and b.record("alarm")["detail"] == "5"
    cancelled = b.record("cancelled")
    assert (cancelled["released_minor"], cancelled["reason"]) == (2000, "hold_lost")


def test_a_capture_told_above_the_price_is_said_and_booked_as_told_only_where_that_is_known():
    for told, proven, booked in ((5, True, 5), (6, False, 5), (2000, False, 5), (6, True, 6),
                                 (2000, True, 2000)):  # fmt: skip
        b = Bench()
        b.deliver()
        b.do(b.m.on_stop(b.now, "button"))
        b.power_off(1100)
        answer = Answer()
        answer.amount_minor = told
        answer.proven = proven
        b.do(b.m.on_outcome(b.now, answer))
        f = b.record("captured")
        assert (f["captured_minor"], f["released_minor"]) == (booked, 2000 - booked), told
        assert b.kinds().count("alarm") == (told > 5), told
        if told > 5:
            f = b.record("alarm")
            assert f["code"] == "capture_above_price"
            assert f["detail"] == "session 1: told %d, price 5" % told


def test_a_cancellation_refused_at_its_first_try_is_an_alarm_when_the_hold_is_gone():
    for lost, alarms in ((False, 1), (True, 0)):
        b = Bench()
        b.do(b.m.on_card(b.now, Card()))
        b.do(b.m.on_authorised(b.now, Hold()))
        b.do(b.m.on_stop(b.now, "button"))
        if lost:  # an earlier try may have done it
            b.do(b.m.on_outcome(b.now, Answer(False, False)))
        else:
            b.do(b.m.on_outcome(b.now, Answer(False, True, 0xB4, "already_reversed")))
            b.later(6)
        b.do(b.m.on_pending(b.now, ()))
        assert b.kinds().count("alarm") == alarms
        assert not alarms or b.record("alarm")["code"] == "hold_lost"
        assert b.record("cancelled")["reason"] == "button"


def test_a_hold_taken_back_after_its_commit_delivers_nothing():
    b = Bench()
    b.do(b.m.on_pilot(b.now, "B"))
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_hold_unknown(b.now, Hold()))
    assert b.did(do.PENDING) and not b.did(do.CONTACTOR)
    b.do(b.m.on_pending(b.now, ()))
    assert b.record("cancelled")["released_minor"] == 2000
    assert b.m.state == "receipt"


def test_holds_that_were_there_before_are_left_and_said_once():
    b = Bench()
    b.do(b.m.on_open_holds((17, 18)))
    b.do(b.m.on_open_holds((17, 18)))
    assert b.kinds() == ["alarm"]
    assert (b.record("alarm")["code"], b.record("alarm")["detail"]) == ("foreign_hold", "17 18")
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_hold_unknown(b.now))
    b.do(b.m.on_pending(b.now, (17, 18)))
    assert not b.did(do.CANCEL) and b.record("cancelled")["released_minor"] == 0
    b.later(61)
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_hold_unknown(b.now))
    b.do(b.m.on_pending(b.now, (17, 18, 231)))
    assert b.did(do.CANCEL) == [(do.CANCEL, 231)]
    assert b.record("authorised")["receipt"] == 231


def test_every_hold_that_is_ours_goes_back_whatever_gets_lost():
    b = Bench()
    b.m.on_open_holds((17,))
    b.do(b.m.on_card(b.now, Card()))
    b.do(b.m.on_hold_unknown(b.now))
    b.do(b.m.on_pending(b.now, (17, 231, 232)))
    assert b.did(do.CANCEL) == [(do.CANCEL, 232)] and b.record("alarm")["detail"] == "232"
    b.do(b.m.on_outcome(b.now, Answer(False, True, 0x9B, "no_network")))
    b.later(6)
    b.do(b.m.on_pending(b.now, (17, 231, 232)))
    b.do(b.m.on_outcome(b.now, Answer(False, False)))
    b.do(b.m.on_pending(b.now, (17, 231)))
    assert b.did(do.CANCEL)[-1] == (do.CANCEL, 231)
    b.do(b.m.on_outcome(b.now, Answer()))
    assert b.m.state == "receipt" and b.kinds().count("cancelled") == 1
    assert b.did(do.CANCEL).count((do.CANCEL, 17)) == 0


class Opened:
    """The ledger's open session, of which the first record is gone."""

    sess = 9
    seq = 3
    hold = power_off = checkpoint = energising = priced = None
    authorised = {"receipt": 231, "pan": "", "card": "", "auth_code": ""}
    amount_minor = 1500
    energised_at = extend_minor = owed_at = periods = 0


def test_recovery_without_the_first_record_gives_the_hold_back():
    b = Bench()
    b.do(recovery.begin(b.m, Opened(), b.m._prices, b.now))
    b.do(b.m.on_pending(b.now, (231,)))
    assert b.did(do.CANCEL) == [(do.CANCEL, 231)]
    assert b.record("alarm")["detail"] == "lost: hold_asked; given back"

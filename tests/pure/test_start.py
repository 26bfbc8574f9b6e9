"""Which version starts: board/start.py."""

from board.start import TRIES, choose

NEW = "b 0"


def starts(slot="a", whole="ab", trial="", count=0, jumper=False, power_on=False):
    return choose(slot, whole, trial, count, jumper, power_on)


def test_proven_version_starts_and_the_start_is_counted():
    assert starts() == ("a", "", -1, 1, "")
    assert starts(count=2) == ("a", "", -1, 3, "")


def test_three_failed_starts_lead_to_safe_mode():
    count = 0
    for _ in range(TRIES):
        slot, safe, trial, count, back = starts(count=count)
        assert (slot, safe, trial, back) == ("a", "", -1, "")
    assert starts(count=count) == ("a", "starts", -1, TRIES, "")


def test_power_cut_is_no_failed_start():
    assert starts(count=TRIES, power_on=True) == ("a", "", -1, 1, "")


def test_new_version_has_three_starts_whatever_ended_them():
    for n in range(TRIES):
        assert starts("b", trial="b %d" % n, power_on=n == 1) == ("b", "", n + 1, 0, "")


def test_version_before_is_taken_back():
    slot, safe, trial, count, back = starts("b", trial="b %d" % TRIES)
    assert (slot, safe, trial, count) == ("a", "", -1, 1)
    assert back == "slot b did not come up in 3 starts"
    # and it has starts of its own
    assert starts("a", trial="", count=1) == ("a", "", -1, 2, "")


def test_first_version_on_a_board_has_none_to_give_way_to():
    assert starts("a", "a", "a 3")[:2] == ("a", "starts")
    # the power switch gives it three more starts
    assert starts("a", "a", "a 3", power_on=True) == ("a", "", 1, 0, "")


def test_trial_of_the_other_slot_is_old_and_means_nothing():
    assert starts("a", trial="b 2") == ("a", "", -1, 1, "")
    for torn in ("b", "b x", "b 1 2", ""):
        assert starts("b", trial=torn) == ("b", "", -1, 1, "")


def test_slot_that_is_not_whole_is_never_started():
    assert starts("b", "a") == ("a", "", -1, 1, "slot b holds no whole version")
    assert starts("", "b") == ("b", "", -1, 1, "")
    assert starts("x", "ab")[0] == "a"


def test_no_whole_version_is_safe_mode():
    for slot in ("", "a", "b"):
        assert starts(slot, "")[:2] == ("", "no_version")


def test_jumper_is_safe_mode_and_counts_nothing():
    assert starts(count=2, jumper=True) == ("a", "jumper", -1, 2, "")
    assert starts("b", trial="b 1", jumper=True) == ("b", "jumper", 1, 0, "")
    assert starts("", "", jumper=True)[:2] == ("", "jumper")

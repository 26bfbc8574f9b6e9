"""What a register may do and what not: pure, in charger time. 22 kW supply, register in whole Wh
unless said.
"""

from firmware.meter.plausible import Plausibility


def begun(limit_w=22000, resolution_wh=1, energy_wh=1000000):
    check = Plausibility(limit_w, resolution_wh)
    assert check.accept(energy_wh, 0, 0, 100)
    return check


def test_first_reading_is_taken_as_it_is():
    assert begun().last_wh == 1000000


def test_a_step_back_is_refused_and_the_old_value_kept():
    check = begun()
    assert not check.accept(999999, 0, 1000, 1100)
    assert (check.refused, check.last_wh) == ("back", 1000000)
    assert check.accept(1000000, 0, 2000, 2100)
    assert check.refused == ""


def test_full_power_for_the_whole_time_is_reachable_and_more_is_not():
    check = begun()
    assert not check.accept(1000000 + 26400 + 30, 22000, 3599000, 3600000)
    assert check.refused == "beyond"
    assert check.accept(1000000 + 22000, 22000, 3599000, 3600000)


def test_a_jump_stays_refused_however_long_one_waits():
    check = begun()
    for hour in range(1, 40):
        assert not check.accept(1100000, 0, hour * 3600000, hour * 3600000 + 100)
    assert check.refused == "beyond"
    assert check.accept(1000010, 0, 144000000, 144000100)


def test_charger_time_counts_so_sixty_fold_speed_changes_nothing():
    check = begun()
    energy = 1000000
    for minute in range(1, 120):
        energy += 366 if minute % 3 else 368
        assert check.accept(energy, 22000, minute * 60000, minute * 60000 + 12000), minute


def test_power_far_beyond_the_supply_is_refused():
    check = begun()
    assert not check.accept(1000000, 44001, 1000, 1100)
    assert check.refused == "power"
    assert not check.accept(1000000, -44001, 1000, 1100)


def test_a_register_that_stands_still_while_power_flows_is_found():
    check = begun()
    refused_at = 0
    for second in range(1, 200):
        if not check.accept(1000000, 11000, second * 1000, second * 1000 + 100):
            refused_at = second
            break
    assert check.refused == "still"
    assert 30 < refused_at < 60, refused_at


def test_a_coarse_register_may_stand_still_for_some_steps():
    check = begun(resolution_wh=100, energy_wh=1000000)
    energy_mwh = 0
    for second in range(1, 1000):
        energy_mwh += 11000 * 1000 // 3600
        shown = 1000000 + energy_mwh // 100000 * 100
        assert check.accept(shown, 11000, second * 1000, second * 1000 + 100), second


def test_a_register_at_half_the_pace_is_found():
    check = begun()
    energy_mwh = 0
    for second in range(1, 400):
        energy_mwh += 5500 * 1000 // 3600
        if not check.accept(
            1000000 + energy_mwh // 1000, 11000, second * 1000, second * 1000 + 50
        ):
            break
    assert check.refused == "pace"
    assert second < 200


def test_ramps_pauses_and_sparse_polls_agree_with_the_register():
    for every in (1, 7, 60):
        check = begun()
        energy_mws = 0
        for second in range(1, 7200):
            phase = second % 900
            power = 0 if phase < 60 else (phase - 60) * 500 if phase < 82 else 11000
            energy_mws += power
            if second % every == 0:
                shown = 1000000 + energy_mws // 3600
                assert check.accept(shown, power, second * 1000, second * 1000), (every, second)


def test_after_a_power_cut_more_is_taken_and_less_refused():
    check = begun()
    check.expect(1000500)
    assert not check.accept(1000400, 0, 0, 100)
    assert check.refused == "back"
    assert check.accept(1009000, 0, 1000, 1100)
    check.forget()
    assert check.accept(5, 0, 2000, 2100)


def test_a_register_that_disagreed_has_the_last_word_once_no_power_is_shown():
    check = begun()
    for second in range(1, 400):
        if not check.accept(1000000 + second, 11000, second * 1000, second * 1000):
            break
    assert check.refused == "pace"
    assert not check.accept(1000000 + second, 11000, 400000, 400000)
    assert check.accept(1000000 + second, 0, 401000, 401000)
    assert not check.accept(1000000, 0, 402000, 402000)
    assert check.refused == "back"


def test_a_register_that_caught_up_without_power_is_not_held_against_the_next_session():
    for caught_up in (300, 489, 501):
        check = begun()
        at = 0
        while not check.refused:  # 11 kW through a register that stands still
            at += 12000
            check.accept(1000000, 11000, at, at)
        for seconds in range(60, 600, 60):  # power off, more than it needs to count it
            assert check.accept(1000000, 0, at + seconds * 1000, at + seconds * 1000)
        at += 600000
        energy = 1000000 + caught_up
        assert check.accept(energy, 0, at, at), (caught_up, check.refused)
        for _ in range(100):
            at += 12000
            energy += 37
            assert check.accept(energy, 11000, at, at), (caught_up, check.refused)


def test_after_a_power_cut_the_register_gained_no_more_than_the_span_at_full_power():
    for gained, taken in ((0, True), (880, True), (882, True), (883, False), (100000, False)):
        check = begun()
        check.expect(1000500, 120)
        assert check.accept(1000500 + gained, 0, 0, 100) == taken, gained
        assert check.refused == ("" if taken else "beyond")
    for hour in range(1, 40):  # and does not become true by waiting
        assert not check.accept(1100500, 0, hour * 3600000, hour * 3600000 + 100)
    assert check.accept(1000600, 0, 144000000, 144000100)


def test_a_register_that_stood_still_while_power_flowed_may_catch_up_and_says_so():
    check = begun()
    at = 1000
    for _ in range(8):  # 11 kW for seven seconds are 21 Wh
        assert check.accept(1000000, 11000, at, at + 100)
        at += 1000
    assert check.behind
    assert check.accept(1000000, 0, at, at + 100) and check.behind  # power went off
    at += 1000
    assert not check.accept(1000000 + 100, 0, at, at + 100)  # not in seven seconds
    assert check.accept(1000000 + 24, 0, at + 1000, at + 1100)
    assert not check.behind


def test_a_register_that_counts_is_never_behind_however_coarse_its_steps():
    for step in (1, 10, 100):
        check = begun(resolution_wh=step)
        mwh = 0
        for second in range(1, 600):
            mwh += 11000 * 1000 // 3600
            energy = 1000000 + mwh // 1000 // step * step
            assert check.accept(energy, 11000, second * 1000, second * 1000 + 100), (step, second)
            assert not check.behind, (step, second)
        for second in range(600, 700):  # and none is where no power flows
            assert check.accept(energy, 0, second * 1000, second * 1000 + 100)
            assert not check.behind

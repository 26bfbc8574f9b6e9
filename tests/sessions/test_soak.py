"""The soak: a short one on all real parts, and a judge that sees what is wrong."""

import copy
import json
import random

import pytest

from hostsim.powercut.plan import TARIFF
from hostsim.soak import judge
from hostsim.soak.faults import FAULTS, KINDS, FaultNameError, chosen
from hostsim.soak.job import Job
from hostsim.soak.visit import Plan
from tests.command import here, own_process
from tests.pricing.test_pricing_bills import BILL

KEYS = {
    "sessions", "faults", "books_agree", "captured_minor", "refunded_minor", "backoffice_minor",
    "terminal_minor", "lost", "duplicated", "heap_growth_bytes",
}  # fmt: skip


@pytest.mark.timeout(300)
def test_a_short_soak_by_card_and_phone_with_every_fault_ends_with_books_that_agree():
    options = ("--sessions", "4", "--chargers", "2", "--seed", "29", "--faults", "all", "--json")
    done = own_process("soak", *options, timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found.keys() >= KEYS
    assert found["sessions"] == 4 and found["faults"] >= 2 and found["books_agree"]
    assert found["captured_minor"] > 0 and found["lost"] == found["duplicated"] == 0
    by_phone = [one["books"]["gateway"]["captured_minor"] for one in found["chargers"]]
    assert sum(by_phone) > 0
    net = found["captured_minor"] - found["refunded_minor"]
    assert net == found["backoffice_minor"] == found["terminal_minor"]
    assert "4/4 sessions" in done.stderr


def test_a_fault_nobody_knows_is_refused_with_those_there_are():
    done = here("soak", "--faults", "power,earthquake")
    assert done.returncode == 2 and not done.stdout
    assert "earthquake" in done.stderr
    for name in (*KINDS, *FAULTS, "all", "none"):
        assert name in done.stderr


def test_faults_are_chosen_by_kind_and_by_name():
    assert {f.name for f in chosen("all")} == set(FAULTS) and chosen("none") == ()
    assert {f.kind for f in chosen("power")} == {"power"}
    assert [f.name for f in chosen(" meter-nan , power-cut")] == ["power-cut", "meter-nan"]
    with pytest.raises(FaultNameError, match="no fault 'all'; .*all and none stand alone"):
        chosen("all,power")
    with pytest.raises(FaultNameError):
        chosen("")


def test_the_same_seed_gives_the_same_visits_and_every_fault_has_its_turn():
    def plans(seed):
        return [
            Plan.draw(n, random.Random(f"{seed}/FC-0001/{n}"), chosen("all")) for n in range(2000)
        ]

    assert plans(1) == plans(1) != plans(2)
    assert {blow.fault.name for plan in plans(1) for blow in plan.blows} == set(FAULTS)
    assert not any(plan.blows for plan in [Plan.draw(1, random.Random(n), ()) for n in range(50)])


def test_the_replay_names_everything_that_was_given():
    assert Job(7, 2, 9, chosen("power"), "power").replay() == (
        "python -m hostsim soak --sessions 7 --chargers 2 --seed 9 --faults power"
    )


# --- the judge -----------------------------------------------------------------------------------

MINE = [
    {"epoch": 1, "seq": 1, "kind": "priced", "version": 1, "at": 5, "sess": 1, "receipt_no": 1},
    {"epoch": 1, "seq": 2, "kind": "captured", "version": 1, "at": 6, "sess": 1},
]
TERMINAL = {"receipts": [{"captured_minor": 59, "reference": "S1"}]}


def office_of(mine):
    there = copy.deepcopy(mine)
    for record in there:
        record["type"] = record.pop("kind")
    return there


def test_the_judge_is_content_with_equal_books():
    assert not judge._lost(MINE, office_of(MINE))
    assert not judge._twice(MINE, office_of(MINE), TERMINAL)


def test_the_judge_finds_what_was_lost_or_changed():
    assert judge._lost(MINE, office_of(MINE)[:1]) == ["record 2 is not in the back office"]
    assert judge._lost(MINE[1:], office_of(MINE)[1:]) == ["record 1 is not in the back office"]
    other = office_of(MINE)
    other[0]["receipt_no"] = 2
    assert judge._lost(MINE, other) == ["record 1 says something else in the back office"]
    lost = [*office_of(MINE), {"epoch": 1, "seq": 3, "type": "lost", "version": 0, "at": 0}]
    assert judge._lost(MINE, lost) == ["record 3 was lost in flash"]


def test_the_judge_finds_what_came_twice():
    office = office_of(MINE)
    assert len(judge._twice(MINE, [*office, office[1]], TERMINAL)) == 1
    again = [*MINE, MINE[1] | {"seq": 3}]
    assert judge._twice(again, office, TERMINAL) == ["captured of session 1: 2 times"]
    numbers = [*MINE, MINE[0] | {"seq": 3, "sess": 2}]
    assert judge._twice(numbers, office, TERMINAL) == ["receipt number 1: 2 times"]
    paid = {"receipts": TERMINAL["receipts"] * 2}
    assert judge._twice(MINE, office, paid) == ["capture of S1 at the terminal: 2 times"]


def test_the_judge_recomputes_the_bills_whose_tariff_it_knows():
    asked = {"seq": 1, "kind": "hold_asked", "sess": 1, "tariff": TARIFF["id"]}
    hold = {"seq": 2, "kind": "authorised", "sess": 1, "amount_minor": 6000}
    tariffs = {TARIFF["id"]: TARIFF}
    assert judge._bills([asked, hold, BILL], tariffs) == []
    assert judge._bills([asked, hold, BILL | {"total_minor": 43}], {}) == []
    wrong = judge._bills([asked, hold, BILL | {"total_minor": 43}], tariffs)
    assert "session 1: the total is 43, by the tariff it is 42" in wrong

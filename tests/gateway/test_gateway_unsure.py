"""What the terminal may have given back already is not paid once more by a program; and whose a
card terminal is, when it was moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backoffice.desk import Visitor, fill, needs_micropython, text_of
from tests.backoffice.records import Ledger
from tests.gateway.pay import TILL, House
from tests.gateway.test_gateway_foreign import STRANGER, TERMINAL, cards, refunded

pytestmark = needs_micropython
DAY_MS = 86_400_000


@pytest.fixture
def acquired(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, TILL, gateway_acquires=TERMINAL)
    yield house
    house.close()


def sold(epoch: int = 4242, days: int = 0, terminal: str = TERMINAL) -> Ledger:
    """A session paid at the terminal, so many days later than others."""
    ledger = Ledger(epoch).session(1)
    ledger.records[0]["method"] = "card"
    ledger.records[1] |= {"terminal_id": terminal, "trace": 1}
    ledger.records[-1] |= {"how": "direct", "trace": 1}
    for record in ledger.records:
        record["at"] += days * DAY_MS
    return ledger


def ordered(house: House, ledger: Ledger) -> str:
    fill(house.office, ledger, charger=STRANGER)
    refund = house.office.refunds.request(
        STRANGER, receipt=1, reason="fault", operator="anna", card=True
    )
    house.office.refunds.approve(refund, "bert")
    return refund


def lost(ledger: Ledger) -> None:
    ledger.put("lost")
    ledger.records[-1]["version"] = 0


def handed_over(house: House, ledger: Ledger, refund: str, *told: str) -> None:
    """`told`: what the charger writes between its decision and the acquirer."""
    same = {"refund": refund, "sess": 1, "amount_minor": 119}
    ledger.put("refund_asked", **same, way="card", reason="fault", command="c")
    for word in told:
        if word == "card":
            ledger.put("refund_sent", **same, way="card", receipt=77, trace=5)
        elif word == "lost":
            lost(ledger)
        else:
            ledger.put("alarm", code=word, sess=1, detail=refund)
    ledger.put("refund_sent", **same, way="acquirer", receipt=0, trace=0)
    fill(house.office, ledger, charger=STRANGER)
    house.turn(6)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (("card", "lost", "refund_unsure"), "cannot say (receipt 77, trace 5): ask the acquirer"),
        (("lost", "refund_unsure"), "cannot say: ask the acquirer"),
        (("lost",), "cannot say: ask the acquirer"),
        (("card",), "to the card before (receipt 77, trace 5): see in its journal"),
    ],
    ids=["approved, then unsure", "unsure", "a record lost", "approved"],
)
def test_what_the_terminal_may_have_given_back_is_paid_by_no_program(
    acquired: House, monkeypatch: pytest.MonkeyPatch, told: tuple[str, ...], said: str
) -> None:
    sale = cards(acquired, monkeypatch, 119)
    ledger = sold()
    refund = ordered(acquired, ledger)
    handed_over(acquired, ledger, refund, *told)
    assert refunded(acquired, sale) == 0 and acquired.payback(refund).state == "hand"
    [why] = [p["detail"] for p in acquired.office.problems() if p["code"] == "gateway_refund"]
    assert refund in why and said in why and "by hand, if at all" in why
    finance = Visitor(acquired.office).log_in("finance", "bert")
    shown = text_of(finance.get(f"/refunds/{refund}").text)
    assert ("receipt 77, trace 5" in shown) == ("card" in told)
    acquired.office.refunds.confirm(refund, accepted=False, operator="bert")
    assert refunded(acquired, sale) == 0


@pytest.mark.parametrize("told", [(), ("hold_lost",)], ids=str)
def test_a_refund_that_no_terminal_was_told_of_is_paid_by_itself(
    acquired: House, monkeypatch: pytest.MonkeyPatch, told: tuple[str, ...]
) -> None:
    sale = cards(acquired, monkeypatch, 119)
    ledger = sold()
    lost(ledger)
    refund = ordered(acquired, ledger)
    handed_over(acquired, ledger, refund, *told)
    lost(ledger)
    fill(acquired.office, ledger, charger=STRANGER)
    assert refunded(acquired, sale) == 119


def test_another_refund_in_doubt_holds_up_its_own_only(
    acquired: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = cards(acquired, monkeypatch, 119)
    theirs = sold(77, terminal="52500042")
    theirs.put("alarm", code="refund_unsure", sess=1, detail="R-1")
    ledger = sold()
    ledger.put("alarm", code="refund_unsure", sess=1, detail="R-2")
    fill(acquired.office, theirs, charger="CP3")
    refund = ordered(acquired, ledger)
    handed_over(acquired, ledger, refund)
    assert refunded(acquired, sale) == 119


@pytest.mark.parametrize(
    ("days", "paid"), [(0, 0), (30, 0), (31, 119), (400, 119), (-31, 119)], ids=str
)
def test_a_terminal_that_was_moved_is_its_new_chargers_after_a_month(
    acquired: House, monkeypatch: pytest.MonkeyPatch, days: int, paid: int
) -> None:
    sale = cards(acquired, monkeypatch, 119)
    fill(acquired.office, sold(77), charger="CP0")
    ledger = sold(days=days)
    refund = ordered(acquired, ledger)
    handed_over(acquired, ledger, refund)
    assert refunded(acquired, sale) == paid
    if not paid:
        assert acquired.payback(refund).state == "hand"


@pytest.mark.parametrize("whose", ["its own", "the other's"])
def test_a_session_whose_time_nobody_knows_counts_always(
    acquired: House, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    sale = cards(acquired, monkeypatch, 119)
    other, ledger = sold(77), sold(days=400)
    (ledger if whose == "its own" else other).records[1]["at"] = 0
    fill(acquired.office, other, charger="CP0")
    refund = ordered(acquired, ledger)
    handed_over(acquired, ledger, refund)
    assert refunded(acquired, sale) == 0 and acquired.payback(refund).state == "hand"

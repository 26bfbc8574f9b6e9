"""Orders that nobody gave: a charger's own, for what was above the price."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from hostsim.backoffice.models import Problem, writing
from hostsim.backoffice.refunds import RefundError
from tests.backoffice.desk import fill
from tests.backoffice.records import Ledger


def over(epoch: int, amount: int = 81, sess: int = 1) -> Ledger:
    """A session of which the terminal took more than the price."""
    ledger = Ledger(epoch).session(sess)
    ledger.records[-1] |= {"captured_minor": 119 + amount, "released_minor": 5881 - amount,
                           "how": "direct"}  # fmt: skip
    return ledger


def handed(ledger: Ledger, amount: int = 81, sess: int = 1) -> Ledger:
    """And its refund is with the acquirer."""
    same = {"refund": f"above_price-{ledger.epoch}-{sess}", "sess": sess, "amount_minor": amount,
            "way": "acquirer"}  # fmt: skip
    ledger.put("refund_asked", **same, reason="above_price", command="")
    ledger.put("refund_sent", **same, receipt=0, trace=0)
    return ledger


def listed(office: Any) -> list[tuple[str, str, str]]:
    found = office.refunds.listed()
    return sorted((one["charger"], one["refund"], one["state"]) for one in found)


def test_two_chargers_with_one_flash_image_each_give_back_what_was_above_the_price(
    make: Any,
) -> None:
    office = make()
    for name in ("CP1", "CP2"):
        fill(office, handed(over(71)), charger=name)
    assert listed(office) == [
        ("CP1", "above_price-CP1-71-1", "sent"), ("CP2", "above_price-CP2-71-1", "sent"),
    ]  # fmt: skip
    assert [office.books(name)["captured_minor"] for name in ("CP1", "CP2")] == [200, 200]
    office.refunds.confirm("above_price-CP2-71-1", accepted=True, operator="bert")
    told = [(c["charger"], c["name"]) for c in office.commands("CP2")]
    assert told == [("CP2", "refund_done")] and office.commands("CP1") == []
    codes = [(p["charger"], p["code"]) for p in office.problems()]
    assert codes == [("CP2", "epoch_twice")]


def test_one_chargers_flash_has_no_namesake(make: Any) -> None:
    office = make()
    fill(office, Ledger(71).session(1), Ledger(72).session(1))
    fill(office, Ledger(73).session(1), charger="CP2")
    assert "epoch_twice" not in {p["code"] for p in office.problems()}


def test_an_order_of_before_goes_on_under_its_old_id(make: Any) -> None:
    office = make()
    ledger = over(71)
    fill(office, ledger)
    with writing(office.engine) as db:  # as version 0012 wrote it
        old = {"old": "above_price-71-1"}
        db.execute(text("UPDATE refund_orders SET refund = :old"), old)
        db.execute(text("UPDATE refunds SET order_id = :old"), old)
    fill(office, handed(ledger))
    assert listed(office) == [("CP1", "above_price-71-1", "sent")]
    fill(office, handed(over(71)), charger="CP2")
    assert listed(office)[1] == ("CP2", "above_price-CP2-71-1", "sent")
    office.refunds.confirm("above_price-71-1", accepted=True, operator="bert")
    ledger.put("refunded", refund="above_price-71-1", sess=1, amount_minor=81, way="acquirer",
               receipt=0, trace=0, credit_no=1, receipt_no=1, net_minor=81, vat_minor=0,
               lines=[])  # fmt: skip
    fill(office, ledger)
    assert listed(office)[0] == ("CP1", "above_price-71-1", "done")
    codes = {p["code"] for p in office.problems()}
    assert codes == {"epoch_twice"}


def test_above_the_price_is_nothing_but_what_a_terminal_took(make: Any) -> None:
    office = make()
    for sess, method in enumerate(("app", "account", "rfid", "card"), 1):
        ledger = over(70 + sess)
        ledger.records[0]["method"] = method
        if method != "card":
            ledger.records[-1]["how"] = "account" if method == "rfid" else method
        fill(office, ledger, charger=f"CP{sess}")
    assert listed(office) == [("CP4", "above_price-CP4-74-1", "approved")]
    refused = {p["charger"] for p in office.problems() if p["code"] == "impossible"}
    assert refused == {"CP1", "CP2", "CP3"}


def test_small_orders_of_a_session_count_together(make: Any) -> None:
    office = make(approve_above_minor=100)
    ledger = handed(over(71))
    same = {"sess": 1, "amount_minor": 30, "way": "acquirer"}
    for name in ("R-1", "R-2"):
        ledger.put("refund_asked", refund=name, **same, reason="fault", command="c")
    fill(office, ledger)
    assert listed(office) == [
        ("CP1", "R-1", "requested"), ("CP1", "R-2", "requested"),
        ("CP1", "above_price-CP1-71-1", "sent"),
    ]  # fmt: skip
    assert [p["code"] for p in office.problems()] == ["refund_unknown"] * 2


def test_a_name_of_the_chargers_own_is_of_its_own_session(make: Any) -> None:
    office = make()
    ledger = over(71)
    ledger.session(2)
    ledger.put("refund_asked", refund="above_price-71-1", sess=2, amount_minor=10,
               way="acquirer", reason="above_price", command="")  # fmt: skip
    ledger.put("refund_asked", refund="above_price-72-2", sess=2, amount_minor=10,
               way="acquirer", reason="above_price", command="")  # fmt: skip
    ledger.put("refund_requested", refund="above_price-71-2", receipt_no=2, amount_minor=10,
               reason="above_price", operator="x", command="", card=0)  # fmt: skip
    ledger.put("refund_asked", refund="x" * 37, sess=2, amount_minor=10,
               way="acquirer", reason="fault", command="")  # fmt: skip
    fill(office, ledger)
    with writing(office.engine) as db:
        codes = [one.code for one in db.query(Problem)]
    assert codes == ["impossible"] * 4
    assert listed(office) == [("CP1", "above_price-CP1-71-1", "approved")]


def asks(ledger: Ledger, name: str, amount: int, *kinds: str, sess: int = 1) -> None:
    """`kinds`: what the charger writes of a refund; of the first it knows no amount yet."""
    more: dict[str, dict[str, Any]] = {
        "refund_requested": {"receipt_no": sess, "amount_minor": 0, "reason": "fault",
                             "operator": "anna", "command": "c", "card": 0},
        "refund_asked": {"sess": sess, "amount_minor": amount, "way": "acquirer",
                         "reason": "fault", "command": "c"},
        "refund_sent": {"sess": sess, "amount_minor": amount, "way": "acquirer", "receipt": 0,
                        "trace": 0},
    }  # fmt: skip
    for kind in kinds:
        ledger.put(kind, refund=name, **more[kind])


def test_a_refund_of_nothing_or_of_another_amount_is_not_handed_over(make: Any) -> None:
    office = make()
    cases = ((119, 0), (119, 50), (0, 0), (0, 119), (50, 119))
    for number, (allowed, amount) in enumerate(cases):
        ledger = Ledger(71).session(1)
        asks(ledger, f"R-{number}", 0, "refund_requested")
        if allowed:
            asks(ledger, f"R-{number}", allowed, "refund_asked")
        asks(ledger, f"R-{number}", amount, "refund_sent")
        fill(office, ledger, charger=f"CP{number}")
    said = [p["detail"] for p in office.problems() if p["code"] == "impossible"]
    assert sorted(said) == [
        "refund_sent: handed over 0, asked were 0",
        "refund_sent: handed over 0, asked were 119",
        "refund_sent: handed over 119, asked were 0",
        "refund_sent: handed over 119, asked were 50",
        "refund_sent: handed over 50, asked were 119",
    ]
    states = [office.books(f"CP{n}")["sessions"][0]["refunds"][0]["state"] for n in range(5)]
    assert states == ["approved", "approved", "requested", "requested", "approved"]


def test_an_order_of_all_that_is_left_is_looked_at_again_when_its_amount_is_known(
    make: Any,
) -> None:
    """Asked for at the desk meanwhile: what was left is little, what the charger allows is not."""
    office = make(approve_above_minor=80)
    for name in ("CP1", "CP2"):
        ledger = Ledger(71).session(1)
        fill(office, ledger, charger=name)
        if name == "CP1":
            order = office.refunds.request(name, receipt=1, amount_minor=90, reason="goodwill",
                                           operator="anna")  # fmt: skip
            asks(ledger, "R-1", 119, "refund_requested")
            fill(office, ledger, charger=name)
            assert office.refunds.follow("R-1")["state"] == "approved"
            assert office.refunds.left(1) == 0, "all that is left is asked for"
            asks(ledger, "R-1", 119, "refund_asked", "refund_sent")
        else:
            asks(ledger, "R-2", 70, "refund_requested", "refund_asked", "refund_sent")
            asks(ledger, "R-3", 20, "refund_requested", "refund_asked", "refund_sent")
        fill(office, ledger, charger=name)
    assert [p for p in office.problems() if p["code"] == "impossible"] == []
    found = office.refunds.listed()
    states = {one["refund"]: (one["state"], one["amount_minor"]) for one in found}
    assert states == {order: ("requested", 90), "R-1": ("requested", 119),
                      "R-2": ("requested", 70), "R-3": ("sent", 20)}  # fmt: skip
    office.refunds.approve("R-1", "bert")
    assert office.refunds.follow("R-1")["state"] == "sent"
    with pytest.raises(RefundError, match="less is left"):
        office.refunds.approve(order, "bert")

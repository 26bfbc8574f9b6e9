"""Orders that nobody gave: a charger's own, for what was above the price."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from hostsim.backoffice.models import Problem, writing
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

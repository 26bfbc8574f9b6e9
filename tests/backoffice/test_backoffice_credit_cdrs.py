"""CDRs of refunds, as they are read page by page: they add up, and what was read stays."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hostsim.backoffice import cdrs
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from tests.backoffice.desk import fill, paid
from tests.backoffice.records import Ledger


def read(office: BackOffice) -> list[dict[str, Any]]:
    found = cdrs.page(office.engine, Operator(), 0, 0, 0, 100)
    assert len(found) == cdrs.count(office.engine, 0, 0)
    return found


def total(office: BackOffice) -> Decimal:
    return sum((one["total_cost"]["incl_vat"] for one in read(office)), Decimal())


def refund(
    ledger: Ledger, name: str, amount: int, credit_no: int, reason: str = "goodwill", **more: Any
) -> None:
    """Asked for and paid by the charger."""
    ledger.put("refund_asked", refund=name, sess=1, amount_minor=amount, way="reversal",
               reason=reason, command="")  # fmt: skip
    ledger.put("refunded", refund=name, sess=1, amount_minor=amount, way="reversal", receipt=0,
               trace=0, credit_no=credit_no, **more)  # fmt: skip


def taken(captured: int) -> Ledger:
    """A session of 1.19 for which the terminal took that."""
    ledger = Ledger()
    ledger.hold(1).authorised(1).energising(1).priced(1)
    ledger.put("captured", sess=1, captured_minor=captured, released_minor=6000 - captured,
               receipt=1, trace=9, how="direct")  # fmt: skip
    return ledger


def test_what_was_taken_above_the_price_is_in_no_cdr(office: BackOffice) -> None:
    ledger = taken(150)
    refund(ledger, f"above_price-{ledger.epoch}-1", 31, 1, "above_price")
    fill(office, ledger)
    assert [one["id"] for one in read(office)] == [f"CP1-{ledger.epoch}-1"]
    assert total(office) == Decimal("1.19")
    refund(ledger, "R2", 100, 2)
    fill(office, ledger)
    assert total(office) == Decimal("0.19") and len(read(office)) == 3
    refund(ledger, "R3", 19, 3)
    fill(office, ledger)
    assert total(office) == 0 and read(office)[-1]["credit"]
    assert office.problems() == []


def test_what_is_refunded_beyond_the_bill_credits_nothing_twice(office: BackOffice) -> None:
    ledger = taken(150)
    refund(ledger, "R1", 119, 1)
    refund(ledger, "R2", 31, 2)
    fill(office, ledger)
    assert total(office) == 0 and len(read(office)) == 2


def test_refunds_after_a_flash_was_replaced_change_no_cdr_of_before(office: BackOffice) -> None:
    old = paid()
    refund(old, "R1", 50, 1)
    fill(office, old, Ledger(72))
    fill(office, Ledger(72).session(1))
    known = read(office)
    for name, amount in (("zz", 30), ("aa", 20), ("mm", 10)):  # in one and the same millisecond
        office.refunds.request(
            session_id=1, amount_minor=amount, reason="goodwill", operator="ann", refund=name
        )
        office.refunds.approve(name, "bert")
        office.refunds.confirm(name, accepted=True, operator="bert")
        assert office.refunds.follow(name)["state"] == "done"
        found = read(office)
        assert [one for one in found if one in known] == known, "what was read stays"
        assert len(found) == len(known) + 2
        known = found
    times = {one["id"]: one["last_updated"] for one in known}
    for one in known:
        if one.get("credit"):
            assert times[one["credit_reference_id"]] < one["last_updated"]

"""The desk's refunds: asked for, approved, sent, filed and followed to their end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk
from tests.backoffice.desk import Visitor, command_of, fill, paid, text_of
from tests.backoffice.test_backoffice_web import with_periods


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path, Operator(approve_above_minor=50))
    yield found
    found.close()


def ask(visitor: Visitor, **fields: Any) -> str:
    given = {"what": "all", "reason": "goodwill", "amount": "", "once": "order-1"} | fields
    return text_of(visitor.submit("/sessions/1/refund", "/sessions/1/refund", **given))


def test_a_small_refund_goes_out_at_once_and_is_followed_to_its_end(office: BackOffice) -> None:
    fill(office, ledger := paid())
    support = Visitor(office).log_in("support")
    shown = ask(support, what="part", amount="0,50")
    assert "approved and on its way" in shown
    sent = command_of(office, "refund")
    assert (sent["receipt"], sent["amount_minor"], sent["refund"]) == (1, 50, "order-1")
    receipt = Visitor(office).get("/r/CP1/1/119?lang=de")
    assert "in Arbeit" in receipt.text, "the driver's page tells it"
    already = len(ledger.records)
    ledger.refund_asked("order-1", 1, 50)
    ledger.refunded("order-1", 1, 50)
    office.ingest.take(
        [("CP1", json.dumps(record).encode()) for record in ledger.records[already:]]
    )
    page = text_of(support.get("/refunds/order-1").text)
    assert "done" in page and "refund asked" in page and "refund approved" in page
    receipt = Visitor(office).get("/r/CP1/1/119?lang=de")
    assert "erstattet" in receipt.text and "CP1-C000001" in receipt.text
    assert office.problems() == []


def test_above_the_limit_somebody_else_must_approve(office: BackOffice) -> None:
    fill(office, paid())
    asker = Visitor(office).log_in("finance", "ann")
    assert "waits for somebody else" in ask(asker)
    assert "You asked for it" in asker.get("/refunds/order-1").text
    said = asker.submit("/sessions/1", "/refunds/order-1/approve")
    assert "somebody else must approve" in said
    support = Visitor(office).log_in("support")
    support.submit("/sessions/1/refund", "/refunds/order-1/approve")
    assert support.status == 403
    other = Visitor(office).log_in("finance", "bert")
    assert "Waiting for approval (1)" in text_of(other.get("/refunds").text)
    other.submit("/refunds/order-1", "/refunds/order-1/approve")
    assert command_of(office, "refund")["amount_minor"] == 119
    log = text_of(other.get("/audit?subject=order-1").text)
    assert "refund asked" in log and "ann" in log and "bert" in log


def test_a_used_form_approves_nothing_whatever_it_says_now(office: BackOffice) -> None:
    fill(office, paid(2))
    support = Visitor(office).log_in("support")
    assert "waits for somebody else" in ask(support, what="part", amount="1.00")
    assert "waits for somebody else" in ask(support, what="part", amount="0.01")
    fields = {"what": "part", "amount": "0.01", "reason": "goodwill", "once": "order-1"}
    shown = support.submit("/sessions/2/refund", "/sessions/2/refund", **fields)
    assert "used for another order" in shown and support.status == 422
    other = Visitor(office).log_in("support", "eve")
    assert "used for another order" in ask(other, what="part", amount="0.01")
    assert office.refunds.follow("order-1")["state"] == "requested"
    assert office.commands("CP1") == []
    assert (
        len(text_of(Visitor(office).log_in("finance").get("/audit").text).split("refund ask")) == 2
    )


def test_parts_below_the_limit_count_together(office: BackOffice) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    assert "approved and on its way" in ask(support, what="part", amount="0.50")
    assert "waits" in ask(support, what="part", amount="0.01", once="order-2")
    finance = Visitor(office).log_in("finance")
    finance.submit("/refunds/order-2", "/refunds/order-2/approve")
    assert office.refunds.follow("order-2")["state"] == "approved"


@pytest.mark.parametrize(("method", "by_hand"), [("app", True), ("gateway", False)])
def test_a_refund_that_no_program_pays_is_filed_and_answered_by_a_person(
    office: BackOffice, method: str, by_hand: bool
) -> None:
    ledger = paid()
    by_type = {record["type"]: record for record in ledger.records}
    by_type["hold_asked"] |= {"method": method, "reference": "APP-77"}
    by_type["captured"]["how"] = method
    fill(office, ledger)
    finance = Visitor(office).log_in("finance")
    ask(finance, what="part", amount="0.40")
    ledger.refund_asked("order-1", 1, 40)
    ledger.records[-1]["way"] = "gateway"
    ledger.put("refund_sent", refund="order-1", sess=1, amount_minor=40, way="gateway",
               receipt=0, trace=0)  # fmt: skip
    fill(office, ledger)
    page = text_of(finance.get("/refunds/order-1").text)
    assert ("payment APP-77" in page and "It was paid back" in page) == by_hand
    if by_hand:
        finance.submit("/refunds/order-1", "/refunds/order-1/accepted", note="APP-R1")
        assert command_of(office, "refund_done")["ok"] is True
        assert "acquirer accepted" in text_of(finance.get("/audit?subject=order-1").text)


def test_a_refusal_sends_nothing(office: BackOffice) -> None:
    fill(office, paid())
    ask(Visitor(office).log_in("finance", "ann"))
    other = Visitor(office).log_in("finance", "bert")
    other.submit("/refunds/order-1", "/refunds/order-1/refuse", note="paid in cash")
    assert office.refunds.follow("order-1")["state"] == "refused"
    assert office.commands("CP1") == []


def test_a_form_sent_twice_asks_once(office: BackOffice) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    ask(support, what="part", amount="0.40")
    ask(support, what="part", amount="0.40")
    assert len(office.refunds.listed()) == 1


def test_lines_of_the_bill_can_be_refunded(office: BackOffice) -> None:
    ledger = with_periods()
    ledger.records = [r for r in ledger.records if not r["type"].startswith("refund")]
    fill(office, ledger)
    ask(Visitor(office).log_in("support"), what="lines", line=["1"])
    assert office.refunds.follow("order-1")["amount_minor"] == 70


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"what": "part", "amount": "1.20"}, "must be above 0 and at most 1.19"),
        ({"what": "part", "amount": "x"}, "must be above 0"),
        ({"what": "part", "amount": "0"}, "must be above 0"),
        ({"what": "lines"}, "choose at least one line"),
        ({"what": "lines", "line": ["7"]}, "choose at least one line"),
        ({"what": "nonsense"}, "must be one of all"),
        ({"reason": "nonsense"}, "must be one of goodwill"),
    ],
)
def test_an_impossible_order_names_the_field(
    office: BackOffice, fields: dict[str, Any], says: str
) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    assert says in ask(support, **fields) and support.status == 422
    assert office.refunds.listed() == []


def test_nothing_is_refunded_beyond_what_was_captured(office: BackOffice) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    ask(support, what="part", amount="1.00")
    assert "at most 0.19" in ask(support, what="part", amount="0.20", once="order-2")
    ask(support, once="order-3")
    assert office.refunds.follow("order-3")["amount_minor"] == 19
    assert "Nothing is left" in text_of(support.get("/sessions/1/refund").text)


def test_an_old_payment_is_not_refunded(tmp_path: Path) -> None:
    office = desk.office(tmp_path, Operator(refund_days=1))
    ledger = paid()
    for record in ledger.records:
        record["at"] -= 5 * 86_400_000
    fill(office, ledger)
    assert "older than 1 days" in ask(Visitor(office).log_in("support"))
    office.close()

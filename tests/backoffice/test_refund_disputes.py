"""What the bank asks back, beside refunds."""

from __future__ import annotations

from typing import Any

import pytest

from hostsim.backoffice import disputes
from tests.backoffice.desk import Visitor, fill, text_of
from tests.backoffice.refunding import ask, mixed

# -- disputes


def dispute(visitor: Visitor, amount: str, reference: str, once: str = "") -> str:
    return text_of(visitor.submit("/sessions/1", "/sessions/1/disputes", amount=amount,
                                  reference=reference, note="by mail", once=once))  # fmt: skip


def test_what_the_bank_asks_back_is_not_refunded_as_well(make: Any) -> None:
    office = make(approve_above_minor=100)
    fill(office, mixed())
    finance = Visitor(office).log_in("finance", "ann")
    ask(finance, what="part", amount="20.00", once="R1")
    assert "The dispute is noted" in dispute(finance, "15.00", "CB1", "form-1")
    assert "The dispute is noted" in dispute(finance, "15.00", "CB1", "form-1")
    assert len(disputes.of_session(office.engine, 1)) == 1, "a form sent twice is one dispute"
    other = Visitor(office).log_in("finance", "bert")
    assert "less is left by now" in other.submit("/refunds/R1", "/refunds/R1/approve")
    other.submit("/refunds/R1", "/refunds/R1/refuse")
    assert office.refunds.left(1) == 1500
    said = ask(finance, what="part", amount="15.01")
    assert "at most 15.00 €" in said
    finance.submit("/sessions/1", "/disputes/1/close", outcome="lost")
    assert office.refunds.left(1) == 1500, "lost: the bank has it"
    dispute(finance, "15", "CB2")
    assert "Nothing is left" in text_of(finance.get("/sessions/1/refund").text)
    finance.submit("/sessions/1", "/disputes/2/close", outcome="won")
    assert office.refunds.left(1) == 1500


@pytest.mark.parametrize(
    ("amount", "reference", "says"),
    [
        ("abc", "CB2", "must be above 0 and at most 20.00 €"),
        ("20.01", "CB2", "must be above 0 and at most 20.00 €"),
        ("1.00", "CB1", "is noted already"),
        ("1.00", "", "must have 1 to 64 characters"),
    ],
)
def test_a_dispute_that_cannot_be_names_its_field_and_keeps_what_was_typed(
    make: Any, amount: str, reference: str, says: str
) -> None:
    office = make()
    fill(office, mixed())
    finance = Visitor(office).log_in("finance")
    dispute(finance, "10", "CB1")
    html = finance.submit("/sessions/1", "/sessions/1/disputes", amount=amount,
                          reference=reference, note="keep me")  # fmt: skip
    assert finance.status == 422 and says in text_of(html) and 'value="keep me"' in html
    assert 'aria-invalid="true"' in html
    assert len(disputes.of_session(office.engine, 1)) == 1


def test_disputed_is_a_state_of_payments_with_a_badge(make: Any) -> None:
    office = make()
    fill(office, mixed().session(2))
    finance = Visitor(office).log_in("finance")
    dispute(finance, "10", "CB1")
    page = finance.get("/payments?state=disputed").text
    assert ">disputed</option>" in page and "CP1-1<" in page and "CP1-2<" not in page
    assert 'badge bad">disputed' in finance.get("/payments").text
    finance.submit("/sessions/1", "/disputes/1/close", outcome="won")
    assert "No payment" in finance.get("/payments?state=disputed").text


def test_disputes_have_their_own_line_in_the_report(make: Any) -> None:
    office = make()
    fill(office, mixed())
    finance = Visitor(office).log_in("finance")
    for n, (amount, outcome) in enumerate((("10", "won"), ("2.50", "lost"), ("1", "")), 1):
        dispute(finance, amount, f"CB{n}")
        if outcome:
            finance.submit("/sessions/1", f"/disputes/{n}/close", outcome=outcome)
    day = "first=2026-01-01&last=2026-01-01"
    page = text_of(finance.get(f"/reports?{day}").text)
    assert "3.50 € asked back in 2 disputes that are open or lost" in page
    rows = finance.get(f"/reports/disputes.csv?{day}").text
    assert [rows.count(word) for word in ("won,", "lost,", "open,")] == [1, 1, 1]
    assert "disputes.csv" not in finance.get("/reports?first=2026-02-01&last=2026-02-01").text

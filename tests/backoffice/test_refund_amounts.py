"""What a refund may be of: an amount in its currency, lines at their own VAT."""

from __future__ import annotations

from typing import Any

import pytest

from hostsim.backoffice import refund_vat
from hostsim.backoffice.amounts import parse
from hostsim.backoffice.invoices import find, verify
from hostsim.backoffice.operator import Operator, OperatorError
from hostsim.backoffice.operator import of as operator_of
from tests.backoffice.desk import Visitor, fill, text_of
from tests.backoffice.records import Ledger
from tests.backoffice.refunding import ask, mixed, orders, sale

# -- currencies


@pytest.mark.parametrize(
    ("given", "currency", "minor"),
    [
        ("12.30", "EUR", 1230), ("12,3", "EUR", 1230), ("12", "EUR", 1200), ("0.10", "EUR", 10),
        ("1.234,50", "EUR", 123450), ("1,234.50 EUR", "EUR", 123450), ("€ 5", "EUR", 500),
        ("1\u00a0234,50", "EUR", 123450), ("1.000.000", "EUR", 100000000),
        ("1500", "JPY", 1500), ("1,500", "JPY", 1500), ("1.234", "KWD", 1234),
        ("0.001", "KWD", 1), ("1,234.567", "KWD", 1234567),
    ],
)  # fmt: skip
def test_amounts_are_read_in_their_currency(given: str, currency: str, minor: int) -> None:
    assert parse(given, currency) == minor


@pytest.mark.parametrize(
    ("given", "currency"),
    [
        ("0.001", "EUR"), ("1.234", "EUR"), ("12.345,6", "JPY"), ("15.00", "JPY"),
        ("12 CHF", "EUR"), ("$5", "EUR"), ("1.00.000", "EUR"), ("1,23,456.00", "EUR"),
        ("1,2345", "KWD"), ("\u0661", "EUR"), ("\uff11\uff12", "EUR"), ("", "EUR"),
        ("-5", "EUR"), ("1e5", "EUR"), (".5", "EUR"), ("5.", "EUR"),
        ("9999999999", "EUR"), ("12 34", "EUR"), ("1.234,567", "EUR"), ("0.123.456", "JPY"),
    ],
)  # fmt: skip
def test_what_is_no_amount_or_could_be_two_is_refused(given: str, currency: str) -> None:
    assert parse(given, currency) is None


def test_a_refund_is_asked_for_in_the_sessions_currency(make: Any) -> None:
    office = make(approve_above_minor=5000, approve_above={"JPY": 1000})
    fill(office, sale(Ledger(), 1, 1500, [0, 1, 1, 100_000, 1500], 1364, "JPY"))
    support = Visitor(office).log_in("support")
    assert "must be above 0 and at most 1,500 JPY" in ask(support, what="part", amount="15.00")
    assert "approved and on its way" in ask(support, what="part", amount="900")
    assert "waits for somebody else" in ask(support, what="part", amount="101")
    assert sorted(orders(office)) == [(1, 101, "requested"), (1, 900, "approved")]
    assert "900 JPY" in text_of(support.get("/refunds").text)


def test_a_currency_without_a_limit_always_needs_a_second_person(make: Any) -> None:
    office = make(approve_above_minor=5000)
    fill(office, sale(Ledger(), 1, 900, [0, 1, 1, 190_000, 900], 756, "CHF"))
    assert "waits for somebody else" in ask(Visitor(office).log_in("support"), amount="0.01")
    assert Operator(currency="CHF", approve_above_minor=7).alone_minor("CHF") == 7


@pytest.mark.parametrize("table", [{"eur": 1}, {"EUR": -1}, {"EUR": 1.5}, {"EUR": True}, 5])
def test_a_limit_that_is_none_is_named(table: Any) -> None:
    with pytest.raises(OperatorError, match="approve_above: must have whole numbers"):
        operator_of({"approve_above": table})


# -- lines and their VAT


def test_lines_are_given_back_once_and_at_their_own_vat(make: Any) -> None:
    office = make(approve_above_minor=100_000)
    ledger = mixed()
    fill(office, ledger)
    support = Visitor(office).log_in("support")
    ask(support, what="lines", line=["1"], once="R1")
    assert "line 2 was given back already" in ask(support, what="lines", line=["0", "1"])
    assert "given back" in support.get("/sessions/1/refund").text
    assert len(orders(office)) == 1
    ledger.refund_asked("R1", 1, 1000)
    ledger.refunded("R1", 1, 1000)
    ledger.records[-1] |= {"net_minor": 903, "vat_minor": 97,  # as the charger spreads it
                           "lines": [70_000, 623, 44, 667, 190_000, 280, 53, 333]}  # fmt: skip
    fill(office, ledger)
    note = find.by_session(office.engine, 1)[1]["document"]
    assert note["vat"] == [[190_000, -840, -160, -1000]]
    assert office.refunds.credit_note("R1")["vat_minor"] == 160
    ask(support, once="R2")
    ledger.refund_asked("R2", 1, 2000)
    ledger.refunded("R2", 1, 2000)
    ledger.records[-1] |= {"credit_no": 2, "net_minor": 1806, "vat_minor": 194,
                           "lines": [70_000, 1246, 87, 1333, 190_000, 560, 107, 667]}  # fmt: skip
    fill(office, ledger)
    rest = find.by_session(office.engine, 1)[2]["document"]
    assert rest["vat"] == [[70_000, -1869, -131, -2000]], "what is left, not a share of the bill"
    assert verify.verify(office.engine).good and office.problems() == []


@pytest.mark.parametrize("parts", [[1000, 2000], [1, 999, 1500, 500], [333, 333, 333, 2001]])
def test_credit_notes_of_a_bill_add_up_to_it_rate_by_rate(parts: list[int]) -> None:
    groups = [[70_000, 1869, 131, 2000], [190_000, 840, 160, 1000]]
    before: dict[int, int] = {}
    sums = {70_000: [0, 0, 0], 190_000: [0, 0, 0]}
    for n, amount in enumerate(parts):
        found = refund_vat.split(groups, before, amount, {190_000: 300} if n == 1 else {})
        assert sum(found[3::4]) == amount
        for at in range(0, len(found), 4):
            rate, *three = found[at : at + 4]
            sums[rate] = [a + b for a, b in zip(sums[rate], three, strict=True)]
            before[rate] = before.get(rate, 0) + three[2]
    assert sums == {row[0]: row[1:] for row in groups}


def test_lines_that_cost_nothing_are_not_everything(make: Any) -> None:
    office = make(approve_above_minor=100_000)
    lines = [0, 1, 1, 190_000, 1000, 3, 1, 1, 190_000, 0, 8, 0, -1, 190_000, -100]
    fill(office, sale(Ledger(), 1, 900, lines, 756))
    support = Visitor(office).log_in("support")
    for line in ("1", "2"):
        assert "these lines cost nothing" in ask(support, what="lines", line=[line])
    assert "less is left" in ask(support, what="lines", line=["0"]), "the cap is in the price"
    ask(support, what="lines", line=["0", "2"])
    assert orders(office) == [(1, 900, "approved")]


def test_lines_of_a_rate_that_a_part_has_used_up_are_refused(make: Any) -> None:
    office = make(approve_above_minor=100_000)
    ledger = mixed()
    fill(office, ledger)
    support = Visitor(office).log_in("support")
    ask(support, what="part", amount="1.50", once="R1")
    ledger.refund_asked("R1", 1, 150)
    ledger.refunded("R1", 1, 150)
    fill(office, ledger)
    assert "less is left of these lines" in ask(support, what="lines", line=["1"])

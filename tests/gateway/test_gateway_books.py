"""The fourth book: the gateway's own list beside the back office's, to the cent; each difference
is named with its reference, whoever else pays into the same account is named and not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hostsim.__main__ import app
from hostsim.backoffice.fourth.found import (
    DIFFERS,
    MISSING_HERE,
    MISSING_THERE,
    TWICE,
)
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Order, Payment, Unanswered
from hostsim.books import Book
from hostsim.books import compare as three_books
from hostsim.gateway import book
from tests.backoffice import billing, desk
from tests.backoffice.billing import next_month, paid, session
from tests.gateway.fourth import (
    DAY_MS,
    TERMINAL,
    by_card,
    by_phone,
    change,
    compared,
    everything,
    lose,
    only,
    row,
    till,
)
from tests.gateway.pay import House

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with billing.house(tmp_path, gateway_acquires=TERMINAL) as found:
        yield found


def test_sessions_bills_credits_and_cards_agree_to_the_cent(house: House) -> None:
    everything(house)
    house.ms += DAY_MS
    found = compared(house)
    assert found.differences == [] and found.foreign == [] and found.under_way == 0
    side = {"payments": 3, "captured_minor": 1000, "refunds": 3, "refunded_minor": 200}
    assert found.totals == {"EUR": {"here": side, "there": side}}
    assert house.problems() == set()


def test_a_payment_the_gateway_does_not_list_is_missing_there(house: House) -> None:
    pay = by_phone(house)
    lose(house, pay.reference)
    found = compared(house)
    one = only(found)
    assert (one.what, one.kind, one.reference, one.ours) == (
        MISSING_THERE, "session", pay.reference, pay.id,
    )  # fmt: skip
    assert "119" in one.detail and not found.agree
    assert [p["detail"] for p in house.office.problems()] == [str(one)]
    assert compared(house) and len(house.office.problems()) == 1  # once until it is closed


def test_a_bill_the_gateway_does_not_list_is_missing_there(house: House) -> None:
    session(house, 500)
    next_month(house)
    paid(house)
    pay = house.now()
    lose(house, pay.reference)
    one = only(compared(house))
    assert (one.what, one.kind, one.ours) == (MISSING_THERE, "bill", "bill-A-000001-1")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"captured_minor": 118, "released_minor": 5882}, "captured is 119 here, 118 there"),
        ({"currency": "SEK"}, "currency is EUR here, SEK there"),
        ({"state": base.CANCELLED}, "state is captured here, cancelled there"),
    ],
)
def test_an_amount_that_is_another_one_there_is_named(
    house: House, fields: dict[str, Any], says: str
) -> None:
    pay = by_phone(house)
    change(house, pay.reference, **fields)
    found = compared(house).differences
    assert {one.what for one in found} == {DIFFERS}
    assert {one.reference for one in found} == {pay.reference}
    assert says in [one.detail for one in found]


def test_a_payment_with_our_order_that_nobody_here_knows_is_missing_here(house: House) -> None:
    held = till(house).hold(Order("lost-order", 700, "EUR", "coin", about="CP1/1"), "k")
    one = only(compared(house))
    assert (one.what, one.kind) == (MISSING_HERE, "session")
    assert (one.reference, one.ours, one.detail) == (
        held.reference, "lost-order", "held 7.00 € for CP1/1",
    )  # fmt: skip
    till(house).cancel(held.reference, "k2")
    assert compared(house).agree  # no money


def test_one_order_that_was_paid_twice_is_named(house: House) -> None:
    pay = by_phone(house)
    other = till(house).hold(Order(pay.id, 6000, "EUR", "coin"), "again")
    one = only(compared(house))
    assert (one.what, one.reference, one.ours) == (TWICE, pay.reference, pay.id)
    assert other.reference in one.detail and "60.00 €" in one.detail


def test_a_bill_that_was_paid_by_two_payments_is_named(house: House) -> None:
    session(house, 500)
    next_month(house)
    paid(house)
    first = house.now()
    row(house, "UPDATE bills SET state = 'open'")
    row(house, "UPDATE pays SET code = 'bill-A-000001-0'")  # what one code a bill prevents
    paid(house, "Q")
    second = next(p for p in house._pays() if p.id != first.id)
    assert second.state == "captured"
    one = only(compared(house))
    assert (one.what, one.kind, one.ours) == (TWICE, "bill", "A-000001")
    assert {one.reference, one.detail.split()[2]} == {first.reference, second.reference}


def test_a_hold_that_went_back_here_and_is_open_there_is_named(house: House) -> None:
    assert house.pay().status_code == 200
    house.phone.stop(house.now())
    house.turn()
    pay = house.now()
    assert pay.state == "cancelled" and compared(house).agree
    change(house, pay.reference, state=base.HELD)
    one = only(compared(house))
    assert (one.what, one.reference) == (DIFFERS, pay.reference)
    assert one.detail == "given back here, held 60.00 € there"


def test_what_is_under_way_is_no_difference_unless_its_hold_is_gone(house: House) -> None:
    pay = house.started()
    found = compared(house)
    assert found.agree and found.under_way == 1
    change(house, pay.reference, state=base.CANCELLED)
    assert only(compared(house)).detail == "started here, cancelled there"


def test_what_is_taken_between_the_list_and_our_books_is_no_difference(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.started()
    real = till(house).listed

    def then_captured(since: int) -> Iterator[Payment]:
        found = list(real(since))
        house.station.charge(119)
        house.turn()
        return iter(found)

    monkeypatch.setattr(till(house), "listed", then_captured)
    assert compared(house).agree and house.now().state == "captured"


def test_what_is_owed_and_can_not_be_taken_is_a_difference(house: House) -> None:
    pay = house.started()
    change(house, pay.reference, state=base.CANCELLED)
    house.station.charge(119)
    house.turn()
    assert house.now().state == "lost"
    details = {one.detail for one in compared(house).differences}
    assert details == {"119 are owed here, 0 were taken there"}


# -- cards


def test_card_payments_are_compared_by_terminal_trace_amount_and_time(house: House) -> None:
    first = by_card(house)
    house.ms += 30 * DAY_MS
    second = by_card(house, 310)
    row(house, "UPDATE payments SET trace = 1")  # it comes again
    change(house, second, trace=1)
    house.ms += 2 * DAY_MS
    assert compared(house).agree
    change(house, second, captured_minor=311)
    one = only(compared(house))
    assert (one.what, one.kind, one.reference, one.ours) == (
        DIFFERS, "card", second, f"{TERMINAL}/1",
    )  # fmt: skip
    change(house, second, captured_minor=310)
    lose(house, first)
    assert only(compared(house)).what == MISSING_THERE
    change(house, second, trace=99)
    assert {d.what for d in compared(house).differences} == {MISSING_THERE, MISSING_HERE}


def test_a_card_payment_of_today_may_still_come_to_the_acquirer(house: House) -> None:
    house.station.begin("card", "S1", 6000)
    house.station.charge(300)
    found = compared(house)
    assert found.agree and found.under_way == 1
    house.ms += DAY_MS + 1000
    assert only(compared(house)).detail == "captured 3.00 € here"


# -- others


def test_payments_of_others_in_the_same_account_are_named_and_not_counted(house: House) -> None:
    by_phone(house)
    before = compared(house).totals
    shop = till(house).hold(Order("", 999, "EUR", "coin"), "shop")
    till(house).capture(shop.reference, 999, "shop-c", "EUR")
    till(house).refund(shop.reference, 9, "their-own", "shop-r", "EUR")
    other = till(house).hold(Order("", 5, "EUR", "coin"), "shop2")
    change(house, other.reference, terminal_id="99999999", trace=1)
    found = compared(house)
    assert found.agree and found.totals == before
    assert [(f.reference, f.what, f.amount_minor) for f in found.foreign] == [
        (shop.reference, "captured", 999), (other.reference, "held", 5),
        ("re-shop-r", "refund done", 9),
    ]  # fmt: skip


def test_what_was_made_before_the_time_is_left_out_and_found_when_it_is_near(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = by_phone(house)
    house.ms += 40 * DAY_MS
    house.station.sess = 1
    new = by_phone(house)
    listed = till(house).listed
    # the gateway's clock is a little behind: its list begins after our newest payment was made
    monkeypatch.setattr(till(house), "listed", lambda since: iter(()))
    found = house.phone.fourth.work(35)
    assert found.agree and found.since == house.ms // 1000 - 35 * 86_400
    lose(house, old.reference)
    assert house.phone.fourth.work(35).agree
    monkeypatch.setattr(till(house), "listed", listed)
    lose(house, new.reference)
    assert only(house.phone.fourth.work(35)).reference == new.reference


# -- where it is read


def test_the_desk_compares_and_names_differences_for_finance_only(house: House) -> None:
    everything(house)
    house.ms += DAY_MS
    visitor = desk.Visitor(house.office).log_in("finance")
    assert "/payments/gateway" in visitor.get("/payments").text
    text = desk.text_of(visitor.submit("/payments/gateway", "/payments/gateway", days="0"))
    assert "They agree to the cent" in text and "10.00 €" in text and "2.00 €" in text
    pay = next(p for p in house._pays() if p.kind == "session")
    lose(house, pay.reference)
    text = desk.text_of(visitor.submit("/payments/gateway", "/payments/gateway", days="0"))
    assert f"{pay.reference} {pay.id} missing there" in text
    assert "gateway books" in desk.text_of(visitor.get("/").text)
    assert "whole number" in visitor.submit("/payments/gateway", "/payments/gateway", days="x")
    viewer = desk.Visitor(house.office).log_in("viewer")
    assert viewer.get("/payments/gateway").status_code == 403
    assert "/payments/gateway" not in viewer.get("/payments").text


def test_a_gateway_that_shows_no_list_is_no_agreement(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(since: int) -> Iterator[Payment]:
        raise Unanswered("no answer from the gateway", "connection")

    monkeypatch.setattr(till(house), "listed", down)
    visitor = desk.Visitor(house.office).log_in("finance")
    text = visitor.submit("/payments/gateway", "/payments/gateway", days="0")
    assert "shows no book: no answer" in text and "agree" not in text


def test_the_command_says_it_by_exit_code_and_json(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(house)
    house.ms += DAY_MS
    config = tmp_path / "operator.toml"
    house_gateway = 'gateway = "tests.gateway.house_gateway"'
    config.write_text(f'{house_gateway}\ngateway_acquires = "{TERMINAL}"\n')
    monkeypatch.setattr(base, "opened", lambda settings: till(house))
    command = ["gateway", "reconcile", "--config", str(config), "--db", house.url]
    command += ["--days", "0"]

    def run(*more: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*command, *more])
        return done.exit_code, done.output

    code, text = run("--json")
    assert code == 0 and json.loads(text) == compared(house).as_dict()
    assert run()[1].endswith("they agree to the cent\n")
    lose(house, house.now().reference)
    code, text = run("--json")
    found = json.loads(text)["differences"]
    assert code == 1 and [one["what"] for one in found] == [MISSING_THERE]
    assert run()[0] == 1

    def down(since: int) -> Iterator[Payment]:
        raise Unanswered("no answer from the gateway", "connection")

    monkeypatch.setattr(till(house), "listed", down)
    assert run("--json")[0] == 2


def test_reconcile_of_a_world_names_what_only_the_whole_account_shows(house: House) -> None:
    everything(house)
    house.ms += DAY_MS
    office = house.office.engine, house.office.operator

    def reconciled() -> dict[str, Any]:
        books = three_books(Book("charger"), Book("terminal"), Book("back office"))
        records = house.station.records, house.office.records("CP1")
        book.join(books, till(house), "CP1", *records, office)
        return books

    found = reconciled()
    assert found["agree"] and found["gateway"]["captured_minor"] == 200
    assert found["gateway"]["account"]["totals"]["EUR"]["there"]["captured_minor"] == 1000
    bill = next(p for p in house._pays() if p.kind == "bill")
    change(house, bill.reference, captured_minor=499, released_minor=1)
    found = reconciled()
    assert not found["agree"] and bill.reference in found["differences"][0]

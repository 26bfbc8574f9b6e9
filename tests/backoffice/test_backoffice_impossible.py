"""A record that cannot be true is kept and shown, and changes no book."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hostsim.backoffice import views
from hostsim.backoffice.ingest import Ack
from tests.backoffice.records import EPOCH, Inbox, Ledger


def session_up_to_the_price(ledger: Ledger, authorised: int = 6000, **changes: Any) -> None:
    ledger.hold(1)
    ledger.authorised(1, authorised)
    ledger.energising(1)
    ledger.priced(1, **changes)


def settled_with(ledger: Ledger, captured: int, released: int) -> None:
    session_up_to_the_price(ledger)
    ledger.captured(1, captured, released)


def refunded_twice(ledger: Ledger) -> None:
    ledger.session(1)
    ledger.refund_asked("R1", 1, 60)
    ledger.refunded("R1", 1, 60)
    ledger.refunded("R1", 1, 60)


def refunded_too_much(ledger: Ledger) -> None:
    ledger.session(1)
    ledger.refund_asked("R1", 1, 60)
    ledger.refund_asked("R2", 1, 60)


def meter_going_back(ledger: Ledger) -> None:
    ledger.hold(1)
    ledger.authorised(1)
    ledger.energising(1)
    ledger.put("power_off", sess=1, register_wh=999, elapsed_ms=1, reason="x")


IMPOSSIBLE: dict[str, Callable[[Ledger], Any]] = {
    "captured twice": lambda book: book.session(1).captured(1),
    "authorised above the hold": lambda book: book.hold(1, 100).authorised(1, 101),
    "a session nobody opened": lambda book: book.authorised(3),
    "energy that is not the register's": lambda book: session_up_to_the_price(book, billed_wh=1),
    "a price above the authorised": lambda book: session_up_to_the_price(book, authorised=100),
    "captured is not the price": lambda book: settled_with(book, 118, 5882),
    "money from nowhere": lambda book: settled_with(book, 119, 5882),
    "refunds above the captured": refunded_too_much,
    "a refund twice": refunded_twice,
    "power without money": lambda book: book.hold(1).energising(1),
    "opened twice": lambda book: book.hold(1).hold(1),
    "a meter going back": meter_going_back,
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_record_is_kept_shown_and_left_out_of_the_books(
    inbox: Inbox, name: str
) -> None:
    ledger = Ledger()
    IMPOSSIBLE[name](ledger)
    inbox.take(*ledger.records[:-1])
    before = inbox.books()
    assert inbox.problems() == []
    acks = inbox.take(ledger.records[-1])
    assert acks == [Ack("CP1", EPOCH, len(ledger.records))]
    assert inbox.problems() == ["impossible"], inbox.problems()
    assert inbox.books() == before
    assert len(views.records(inbox.engine, "CP1")) == len(ledger.records)

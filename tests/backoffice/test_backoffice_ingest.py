"""Taking records: once, in order, nothing silently; whatever order and number of times they come
in."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostsim import books as three_books
from hostsim.backoffice import views
from hostsim.backoffice.ingest import MAX_AHEAD, Ack
from hostsim.backoffice.models import Payment, open_database, writing
from tests.backoffice.records import EPOCH, Inbox, Ledger


def test_the_highest_gapless_number_is_acknowledged(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.session(1)
    r = ledger.records
    assert inbox.take(r[0]) == [Ack("CP1", EPOCH, 1)]
    assert inbox.take(r[1], r[2]) == [Ack("CP1", EPOCH, 3)]
    assert inbox.take(r[4]) == [Ack("CP1", EPOCH, 3, again=True)]
    assert inbox.take(r[3]) == [Ack("CP1", EPOCH, 5)]
    assert inbox.take(r[5]) == [Ack("CP1", EPOCH, 6)]
    assert [record["seq"] for record in views.records(inbox.engine, "CP1")] == [1, 2, 3, 4, 5, 6]
    assert inbox.problems() == []


def test_a_finished_session_is_in_the_books(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.session(1)
    ledger.refund_asked("R1", 1, 100)
    ledger.refunded("R1", 1, 100)
    inbox.take(*ledger.records)
    books = inbox.books()
    figures = (
        "authorised_minor",
        "captured_minor",
        "released_minor",
        "refunded_minor",
        "billed_wh",
        "open",
    )
    assert [books[name] for name in figures] == [6000, 119, 5881, 100, 1000, []]
    session = books["sessions"][0]
    assert (session["state"], session["payment_state"], session["card"]) == (
        "captured",
        "captured",
        "Visa",
    )
    assert session["refunds"][0]["credit_no"] == 1
    assert inbox.problems() == []


def test_repetitions_are_acknowledged_and_change_nothing(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.session(1)
    inbox.take(*ledger.records)
    before = inbox.books()
    assert inbox.take(*ledger.records, *ledger.records[2:4]) == [Ack("CP1", EPOCH, 6)]
    assert inbox.ingest.duplicates == 8
    assert inbox.books() == before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 9))
def test_any_order_any_repetition_any_batches_make_the_same_books(seed: int, most: int) -> None:
    ledger = Ledger()
    for sess in range(1, 5):
        ledger.session(sess)
    ledger.refund_asked("R1", 2, 50)
    ledger.refunded("R1", 2, 50)
    dice = random.Random(seed)
    stream = ledger.records + dice.choices(ledger.records, k=15)
    dice.shuffle(stream)
    engine = open_database("sqlite://")
    inbox = Inbox(engine)
    last = len(ledger.records)
    sent: set[int] = set()
    while stream:
        batch = [stream.pop() for _ in range(min(most, len(stream)))]
        sent |= {record["seq"] for record in batch}
        for ack in inbox.take(*batch):
            assert set(range(1, ack.seq + 1)) <= sent
    assert inbox.ingest.position("CP1", EPOCH) == last
    books = inbox.books()
    assert (books["captured_minor"], books["refunded_minor"], books["billed_wh"]) == (
        4 * 119,
        50,
        4000,
    )
    assert [record["seq"] for record in views.records(engine, "CP1")] == list(range(1, last + 1))
    assert inbox.problems() == []
    engine.dispose()


def test_a_record_far_ahead_is_refused_and_shown(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.session(1)
    inbox.take(ledger.records[0])
    far = ledger.records[1] | {"seq": MAX_AHEAD + 2}
    assert inbox.take(far) == [Ack("CP1", EPOCH, 1)]
    assert inbox.problems() == ["gap"] and "2 is missing" in inbox.detail()


def test_another_record_under_the_same_name_is_a_conflict_and_not_acknowledged(
    inbox: Inbox,
) -> None:
    ledger = Ledger()
    ledger.session(1)
    inbox.take(*ledger.records)
    clone = ledger.records[1] | {"amount_minor": 5000}
    assert inbox.take(clone) == []
    assert inbox.problems() == ["conflict"]
    assert inbox.books()["authorised_minor"] == 6000
    shown = views.problems(inbox.engine)[0]
    assert shown["seq"] == 2 and json.loads(shown["payload"])["amount_minor"] == 5000


def test_a_new_epoch_is_a_replaced_flash_and_its_open_sessions_are_named(inbox: Inbox) -> None:
    old = Ledger()
    old.hold(1)
    old.authorised(1)
    inbox.take(*old.records)
    new = Ledger(epoch=EPOCH + 2)
    new.session(1)
    assert inbox.take(*new.records) == [Ack("CP1", EPOCH + 2, 6)]
    assert inbox.problems() == ["new_epoch"] and "left open in the old one: 1" in inbox.detail()
    assert inbox.books()["captured_minor"] == 119
    inbox.take(old.records[0])
    assert inbox.problems() == ["old_epoch", "new_epoch"]


def test_several_chargers_do_not_touch_each_other(inbox: Inbox) -> None:
    a, b = Ledger(), Ledger()
    a.session(1)
    b.session(1)
    batch = []
    for one, other in zip(a.records, b.records, strict=True):
        batch += [("CP1", json.dumps(one).encode()), ("CP2", json.dumps(other).encode())]
    assert inbox.ingest.take(batch) == [Ack("CP1", EPOCH, 6), Ack("CP2", EPOCH, 6)]
    assert inbox.books("CP1")["captured_minor"] == inbox.books("CP2")["captured_minor"] == 119


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"epoch":71,"seq":1}',
        b'{"epoch":71,"seq":NaN}',
        b"null",
        b'{"a":' * 5000,
    ],
)
def test_what_is_no_record_is_shown_and_not_acknowledged(inbox: Inbox, payload: bytes) -> None:
    ledger = Ledger()
    ledger.session(1)
    assert inbox.take(payload, *ledger.records) == [Ack("CP1", EPOCH, 6)]
    assert inbox.problems() == ["malformed"]
    assert inbox.take(payload) == []
    assert views.problems(inbox.engine)[0]["count"] == 2


def test_records_of_the_future_are_kept_and_shown(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.put("quantum", flux=5)
    ledger.session(1)
    ledger.put("unknown", payload="00ff")
    ledger.put("lost")
    ledger.records[1] |= {"version": 7, "remote": "", "new_field": "kept"}
    ledger.records[-2]["version"] = 0
    assert inbox.take(*ledger.records) == [Ack("CP1", EPOCH, 9)]
    assert inbox.problems() == [
        "lost_record",
        "unknown_record",
        "later_record",
        "unknown_record",
    ]
    kept = views.records(inbox.engine, "CP1")
    assert kept[0]["flux"] == 5 and kept[1]["new_field"] == "kept"
    assert inbox.books()["captured_minor"] == 119


def test_a_failed_refund_may_be_asked_again(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.session(1)
    ledger.refund_asked("R1", 1, 119)
    ledger.put("refund_failed", refund="R1", sess=1, code=5, text="no")
    ledger.refund_asked("R1", 1, 119)
    ledger.refunded("R1", 1, 119)
    inbox.take(*ledger.records)
    assert inbox.problems() == [] and inbox.books()["refunded_minor"] == 119


def test_a_cancelled_session_gives_its_whole_hold_back(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)
    ledger.put("cancelled", sess=1, released_minor=6000, receipt=1, reason="no_plug")
    ledger.hold(2)
    ledger.put("declined", sess=2, code=5, text="declined")
    ledger.hold(3)
    ledger.put("cancelled", sess=3, released_minor=0, receipt=0, reason="power")
    inbox.take(*ledger.records)
    books = inbox.books()
    assert (books["authorised_minor"], books["released_minor"], books["open"]) == (6000, 6000, [])
    assert [s["state"] for s in books["sessions"]] == ["cancelled", "declined", "cancelled"]
    assert inbox.problems() == []


def test_an_extended_hold_counts_in_all(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)
    ledger.energising(1)
    ledger.put("extend_asked", sess=1, add_minor=1000)
    ledger.put("extended", sess=1, amount_minor=7000, receipt=1, trace=2)
    ledger.priced(1, total=6500)
    ledger.captured(1, 6500, 500)
    inbox.take(*ledger.records)
    assert inbox.problems() == [] and inbox.books()["authorised_minor"] == 7000


def test_alarms_and_security_events_are_shown(inbox: Inbox) -> None:
    ledger = Ledger()
    ledger.put("alarm", code="contactor_welded", sess=0, detail="x")
    ledger.put("security", code="command_forged", detail="mac")
    inbox.take(*ledger.records)
    assert inbox.problems() == ["security", "alarm"]


def test_a_database_that_was_closed_goes_on_where_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    ledger = Ledger()
    ledger.session(1)
    engine = open_database(url)
    Inbox(engine).take(*ledger.records[:3], ledger.records[4])
    engine.dispose()
    again = Inbox(open_database(url))
    assert again.take(ledger.records[3]) == [Ack("CP1", EPOCH, 5)]
    assert again.take(ledger.records[5]) == [Ack("CP1", EPOCH, 6)]
    assert again.books()["captured_minor"] == 119


def test_the_book_that_is_compared_is_what_the_pages_show_not_the_records_again(
    inbox: Inbox,
) -> None:
    ledger = Ledger()
    ledger.session(1)
    ledger.hold(2).authorised(2)
    ledger.refund_asked("R1", 1, 60)
    ledger.refunded("R1", 1, 60)
    ledger.hold(3).put("declined", sess=3, code=5, text="declined")
    for record in ledger.records:
        if "method" in record:
            record["method"] = "card"
    inbox.take(*ledger.records)
    told = three_books.from_records("charger", ledger.records)
    kept = three_books.of_back_office(inbox.engine, "CP1")
    assert (kept.entries, kept.elsewhere) == (told.entries, {})
    assert kept.totals()["open"] == [2] and kept.totals()["refunded_minor"] == 60
    with writing(inbox.engine) as db:
        db.get_one(Payment, 1).captured_minor = 120
    kept = three_books.of_back_office(inbox.engine, "CP1")
    assert three_books.differences([told, kept]) == [
        "receipt 1: captured_minor is 119 for the charger, 120 for the back office",
        "back office, receipt 1: captured and released is not authorised",
    ]

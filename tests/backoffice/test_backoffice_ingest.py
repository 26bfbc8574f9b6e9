"""Taking records: once, in order, nothing silently; whatever order and number of times they come
in."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select

from hostsim.backoffice import views
from hostsim.backoffice.ingest import MAX_AHEAD, Ack, Ingest
from hostsim.backoffice.models import Base, Problem, open_database, writing

EPOCH = 71


class Ledger:
    """Writes the records a charger would."""

    def __init__(self, epoch: int = EPOCH) -> None:
        self.epoch = epoch
        self.records: list[dict[str, Any]] = []

    def put(self, kind: str, **fields: Any) -> int:
        seq = len(self.records) + 1
        head = {
            "epoch": self.epoch,
            "seq": seq,
            "type": kind,
            "version": 1,
            "at": 1767225600000 + seq,
        }
        self.records.append(head | fields)
        return seq

    def hold(self, sess: int, hold: int = 6000) -> Ledger:
        self.put(
            "hold_asked",
            sess=sess,
            hold_minor=hold,
            currency="EUR",
            tariff="T1",
            tariff_crc=5,
            method="bank",
            connector=1,
            reference=f"r{sess}",
            uid_hash="",
        )
        return self

    def authorised(self, sess: int, amount: int = 6000) -> Ledger:
        self.put(
            "authorised",
            sess=sess,
            amount_minor=amount,
            receipt=sess,
            trace=9,
            terminal_id="T",
            vu="V",
            auth_code="A1",
            pan="####1234",
            card="Visa",
        )
        return self

    def energising(self, sess: int, wh: int = 1000) -> Ledger:
        self.put("energising", sess=sess, register_wh=wh, serial="M1")
        return self

    def priced(
        self, sess: int, total: int = 119, start: int = 1000, end: int = 2000, **changes: Any
    ) -> None:
        fields = {
            "sess": sess,
            "receipt_no": sess,
            "start_at": 1767225600000,
            "end_at": 1767229200000,
            "start_wh": start,
            "end_wh": end,
            "billed_wh": end - start,
            "elapsed_ms": 3600000,
            "total_minor": total,
            "net_minor": total - 19,
            "vat_minor": 19,
            "currency": "EUR",
            "lines": [0, (end - start) * 1000, 1000, 190000, total],
            "reason": "unplugged",
        }
        self.put("priced", **(fields | changes))

    def captured(self, sess: int, captured: int = 119, released: int = 5881) -> Ledger:
        self.put(
            "captured",
            sess=sess,
            captured_minor=captured,
            released_minor=released,
            receipt=sess,
            trace=9,
            how="",
        )
        return self

    def session(self, sess: int) -> Ledger:
        self.hold(sess)
        self.authorised(sess)
        self.energising(sess)
        self.put("power_off", sess=sess, register_wh=2000, elapsed_ms=3600000, reason="unplugged")
        self.priced(sess)
        self.captured(sess)
        return self

    def refund_asked(self, name: str, sess: int, amount: int) -> None:
        self.put(
            "refund_asked",
            refund=name,
            sess=sess,
            amount_minor=amount,
            way="terminal",
            reason="x",
            command="c",
        )

    def refunded(self, name: str, sess: int, amount: int) -> None:
        self.put(
            "refunded",
            refund=name,
            sess=sess,
            amount_minor=amount,
            way="terminal",
            receipt=1,
            trace=1,
            credit_no=1,
            receipt_no=1,
            net_minor=amount,
            vat_minor=0,
            lines=[],
        )


class Office:
    """Ingest over a database of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ingest = Ingest(engine, lambda: 1767300000000)

    def take(self, *records: dict[str, Any] | bytes, charger: str = "CP1") -> list[Ack]:
        return self.ingest.take(
            [(charger, r if isinstance(r, bytes) else json.dumps(r).encode()) for r in records]
        )

    def problems(self) -> list[str]:
        return [problem["code"] for problem in views.problems(self.engine)]

    def detail(self) -> str:
        return str(views.problems(self.engine)[0]["detail"])

    def books(self, charger: str = "CP1") -> dict[str, Any]:
        return views.books(self.engine, charger)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    engine = open_database(f"sqlite:///{tmp_path / 'office.db'}")
    yield Office(engine)
    engine.dispose()


def test_the_highest_gapless_number_is_acknowledged(office: Office) -> None:
    ledger = Ledger()
    ledger.session(1)
    r = ledger.records
    assert office.take(r[0]) == [Ack("CP1", EPOCH, 1)]
    assert office.take(r[1], r[2]) == [Ack("CP1", EPOCH, 3)]
    assert office.take(r[4]) == [Ack("CP1", EPOCH, 3, again=True)]
    assert office.take(r[3]) == [Ack("CP1", EPOCH, 5)]
    assert office.take(r[5]) == [Ack("CP1", EPOCH, 6)]
    assert [record["seq"] for record in views.records(office.engine, "CP1")] == [1, 2, 3, 4, 5, 6]
    assert office.problems() == []


def test_a_finished_session_is_in_the_books(office: Office) -> None:
    ledger = Ledger()
    ledger.session(1)
    ledger.refund_asked("R1", 1, 100)
    ledger.refunded("R1", 1, 100)
    office.take(*ledger.records)
    books = office.books()
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
    assert office.problems() == []


def test_repetitions_are_acknowledged_and_change_nothing(office: Office) -> None:
    ledger = Ledger()
    ledger.session(1)
    office.take(*ledger.records)
    before = office.books()
    assert office.take(*ledger.records, *ledger.records[2:4]) == [Ack("CP1", EPOCH, 6)]
    assert office.ingest.duplicates == 8
    assert office.books() == before


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
    office = Office(engine)
    last = len(ledger.records)
    sent: set[int] = set()
    while stream:
        batch = [stream.pop() for _ in range(min(most, len(stream)))]
        sent |= {record["seq"] for record in batch}
        for ack in office.take(*batch):
            assert set(range(1, ack.seq + 1)) <= sent
    assert office.ingest.position("CP1", EPOCH) == last
    books = office.books()
    assert (books["captured_minor"], books["refunded_minor"], books["billed_wh"]) == (
        4 * 119,
        50,
        4000,
    )
    assert [record["seq"] for record in views.records(engine, "CP1")] == list(range(1, last + 1))
    assert office.problems() == []
    engine.dispose()


def test_a_record_far_ahead_is_refused_and_shown(office: Office) -> None:
    ledger = Ledger()
    ledger.session(1)
    office.take(ledger.records[0])
    far = ledger.records[1] | {"seq": MAX_AHEAD + 2}
    assert office.take(far) == [Ack("CP1", EPOCH, 1)]
    assert office.problems() == ["gap"] and "2 is missing" in office.detail()


def test_another_record_under_the_same_name_is_a_conflict_and_not_acknowledged(
    office: Office,
) -> None:
    ledger = Ledger()
    ledger.session(1)
    office.take(*ledger.records)
    clone = ledger.records[1] | {"amount_minor": 5000}
    assert office.take(clone) == []
    assert office.problems() == ["conflict"]
    assert office.books()["authorised_minor"] == 6000
    shown = views.problems(office.engine)[0]
    assert shown["seq"] == 2 and json.loads(shown["payload"])["amount_minor"] == 5000


def test_a_new_epoch_is_a_replaced_flash_and_its_open_sessions_are_named(office: Office) -> None:
    old = Ledger()
    old.hold(1)
    old.authorised(1)
    office.take(*old.records)
    new = Ledger(epoch=EPOCH + 2)
    new.session(1)
    assert office.take(*new.records) == [Ack("CP1", EPOCH + 2, 6)]
    assert office.problems() == ["new_epoch"] and "left open in the old one: 1" in office.detail()
    assert office.books()["captured_minor"] == 119
    office.take(old.records[0])
    assert office.problems() == ["old_epoch", "new_epoch"]


def test_several_chargers_do_not_touch_each_other(office: Office) -> None:
    a, b = Ledger(), Ledger()
    a.session(1)
    b.session(1)
    batch = []
    for one, other in zip(a.records, b.records, strict=True):
        batch += [("CP1", json.dumps(one).encode()), ("CP2", json.dumps(other).encode())]
    assert office.ingest.take(batch) == [Ack("CP1", EPOCH, 6), Ack("CP2", EPOCH, 6)]
    assert office.books("CP1")["captured_minor"] == office.books("CP2")["captured_minor"] == 119


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
def test_what_is_no_record_is_shown_and_not_acknowledged(office: Office, payload: bytes) -> None:
    ledger = Ledger()
    ledger.session(1)
    assert office.take(payload, *ledger.records) == [Ack("CP1", EPOCH, 6)]
    assert office.problems() == ["malformed"]
    assert office.take(payload) == []
    assert views.problems(office.engine)[0]["count"] == 2


def test_records_of_the_future_are_kept_and_shown(office: Office) -> None:
    ledger = Ledger()
    ledger.put("quantum", flux=5)
    ledger.session(1)
    ledger.put("unknown", payload="00ff")
    ledger.put("lost")
    ledger.records[1] |= {"version": 7, "remote": "", "new_field": "kept"}
    ledger.records[-2]["version"] = 0
    assert office.take(*ledger.records) == [Ack("CP1", EPOCH, 9)]
    assert office.problems() == [
        "lost_record",
        "unknown_record",
        "unknown_record",
        "later_record",
        "unknown_record",
    ]
    kept = views.records(office.engine, "CP1")
    assert kept[0]["flux"] == 5 and kept[1]["new_field"] == "kept"
    assert office.books()["captured_minor"] == 119


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
    office: Office, name: str
) -> None:
    ledger = Ledger()
    IMPOSSIBLE[name](ledger)
    office.take(*ledger.records[:-1])
    before = office.books()
    assert office.problems() == []
    acks = office.take(ledger.records[-1])
    assert acks == [Ack("CP1", EPOCH, len(ledger.records))]
    assert office.problems() == ["impossible"], office.problems()
    assert office.books() == before
    assert len(views.records(office.engine, "CP1")) == len(ledger.records)


def test_a_failed_refund_may_be_asked_again(office: Office) -> None:
    ledger = Ledger()
    ledger.session(1)
    ledger.refund_asked("R1", 1, 119)
    ledger.put("refund_failed", refund="R1", sess=1, code=5, text="no")
    ledger.refund_asked("R1", 1, 119)
    ledger.refunded("R1", 1, 119)
    office.take(*ledger.records)
    assert office.problems() == [] and office.books()["refunded_minor"] == 119


def test_a_cancelled_session_gives_its_whole_hold_back(office: Office) -> None:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)
    ledger.put("cancelled", sess=1, released_minor=6000, receipt=1, reason="no_plug")
    ledger.hold(2)
    ledger.put("declined", sess=2, code=5, text="declined")
    ledger.hold(3)
    ledger.put("cancelled", sess=3, released_minor=0, receipt=0, reason="power")
    office.take(*ledger.records)
    books = office.books()
    assert (books["authorised_minor"], books["released_minor"], books["open"]) == (6000, 6000, [])
    assert [s["state"] for s in books["sessions"]] == ["cancelled", "declined", "cancelled"]
    assert office.problems() == []


def test_an_extended_hold_counts_in_all(office: Office) -> None:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)
    ledger.energising(1)
    ledger.put("extend_asked", sess=1, add_minor=1000)
    ledger.put("extended", sess=1, amount_minor=7000, receipt=1, trace=2)
    ledger.priced(1, total=6500)
    ledger.captured(1, 6500, 500)
    office.take(*ledger.records)
    assert office.problems() == [] and office.books()["authorised_minor"] == 7000


def test_alarms_and_security_events_are_shown(office: Office) -> None:
    ledger = Ledger()
    ledger.put("alarm", code="contactor_welded", sess=0, detail="x")
    ledger.put("security", code="command_forged", detail="mac")
    office.take(*ledger.records)
    assert office.problems() == ["security", "alarm"]


def test_a_database_that_was_closed_goes_on_where_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'office.db'}"
    ledger = Ledger()
    ledger.session(1)
    engine = open_database(url)
    Office(engine).take(*ledger.records[:3], ledger.records[4])
    engine.dispose()
    again = Office(open_database(url))
    assert again.take(ledger.records[3]) == [Ack("CP1", EPOCH, 5)]
    assert again.take(ledger.records[5]) == [Ack("CP1", EPOCH, 6)]
    assert again.books()["captured_minor"] == 119


# --- a charger with any number of flashes --------------------------------------------------------


def flashes(count: int, first: int = 1000) -> list[tuple[str, bytes]]:
    """A record of each of so many flashes, all of one charger."""
    record = Ledger().hold(1).records[0]
    return [
        ("CP2", json.dumps(record | {"epoch": first + number}).encode()) for number in range(count)
    ]


def effort(engine: Engine, office: Office, batch: list[tuple[str, bytes]]) -> int:
    """Steps of SQLite's machine, in hundreds, and rows read into memory."""
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    def loaded(_target: object, _context: object) -> None:
        steps[0] += 1

    with engine.connect() as held:
        held.connection.dbapi_connection.set_progress_handler(step, 100)  # type: ignore[union-attr]
    event.listen(Base, "load", loaded, propagate=True)
    try:
        office.ingest.take(batch)
    finally:
        event.remove(Base, "load", loaded)
    return steps[0]


def test_a_charger_with_a_thousand_flashes_makes_no_batch_slower() -> None:
    engine = open_database("sqlite://")
    office = Office(engine)
    office.ingest.take(flashes(2))
    own = [("CP1", json.dumps(record).encode()) for record in Ledger().session(1).records]
    before = effort(engine, office, [*own, *flashes(2, 2000)])
    for first in range(3000, 4000, 250):
        office.ingest.take(flashes(250, first))
    again = [("CP3", payload) for _, payload in own]
    assert effort(engine, office, [*again, *flashes(2, 5000)]) < 1.5 * before
    engine.dispose()


def test_a_chargers_flashes_are_one_open_problem_that_names_the_newest(office: Office) -> None:
    office.ingest.take(flashes(3))
    office.ingest.take(flashes(40, 2000))
    office.ingest.take(flashes(3, 1000))
    shown = {row["code"]: row for row in views.problems(office.engine, "CP2")}
    assert shown["new_epoch"]["count"] == 42 and shown["new_epoch"]["epoch"] == 2039
    assert shown["new_epoch"]["detail"].startswith(
        "42 times, the newest first: the flash was replaced (it was 2038); sessions left open in "
        "the old one: 1; before that: the flash was replaced (it was 2037)"
    )
    assert shown["old_epoch"]["count"] == 3 and len(shown) == 2
    assert office.ingest.stored == 43 and office.ingest.refused == 0, "none of them is lost"


def test_a_flash_after_the_problem_was_closed_is_a_new_one(office: Office) -> None:
    office.ingest.take(flashes(3))
    with writing(office.engine) as db:
        for problem in db.scalars(select(Problem)):
            problem.open = False
    office.ingest.take(flashes(1, 2000))
    (shown,) = views.problems(office.engine, "CP2")
    assert (shown["count"], shown["epoch"]) == (1, 2000)
    assert shown["detail"].startswith("the flash was replaced (it was 1002)")
    office.ingest.take(flashes(1, 1000))
    assert office.problems()[0] == "old_epoch"

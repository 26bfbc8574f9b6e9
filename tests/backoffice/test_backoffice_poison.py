"""Records that a database cannot take: each is shown, and holds up nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, String, select, text

from hostsim.backoffice import contract, members
from hostsim.backoffice.ingest import Ack
from hostsim.backoffice.member_sync import MemberSync
from hostsim.backoffice.models import (
    Base,
    Charger,
    Problem,
    Record,
    Refund,
    RefundOrder,
    Session,
    open_database,
    writing,
)
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.rules import ABOVE
from hostsim.backoffice.tables import EndOfDay, LogLine
from tests.backoffice import postgres
from tests.backoffice.records import EPOCH, Inbox, Ledger
from tests.backoffice.test_backoffice_attacks import Reception

KINDS = sorted(path.stem for path in (contract.SCHEMAS / "records").glob("*.json"))
PAID = "p" * 32
HUGE = 2**62


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


def emptied(url: str) -> Engine:
    engine = open_database(url)
    with writing(engine) as db:
        for table in reversed(Base.metadata.sorted_tables):
            db.execute(table.delete())
    return engine


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Of a database that is empty."""
    if request.param == "sqlite":
        found = open_database(f"sqlite:///{tmp_path / 'o.db'}")
    else:
        found = emptied(request.getfixturevalue("server"))
    yield found
    found.dispose()


@pytest.fixture
def inbox(engine: Engine) -> Inbox:
    return Inbox(engine)


def longest(ledger: Ledger, kind: str, **known: Any) -> None:
    """A record of the kind with every text as long as its schema lets it be; `known`: fields that
    must fit those before."""
    schema = json.loads((contract.SCHEMAS / "records" / f"{kind}.json").read_text())["properties"]
    fields: dict[str, Any] = {
        name: {"string": "x" * what.get("maxLength", 0), "array": [], "integer": 0}[what["type"]]
        for name, what in schema.items()
        if name not in ("epoch", "seq", "type", "version", "at")
    }
    ledger.put(kind, **(fields | known))
    ledger.records[-1]["version"] = schema["version"]["maximum"]


def everything() -> Ledger:
    """Each kind of record, so that the books take it."""
    ledger = Ledger()
    fits = {"hold_minor": 6000, "currency": "EUR", "tariff": "t" * 36, "remote": ""}
    priced = {"receipt_no": 1, "start_wh": 1000, "end_wh": 2000, "billed_wh": 1000,
              "total_minor": 119, "net_minor": 100, "vat_minor": 19, "currency": "EUR",
              "lines": [0, 1000000, 11900, 190000, 119]}  # fmt: skip
    longest(ledger, "boot")
    longest(ledger, "hold_asked", sess=1, **fits)
    longest(ledger, "authorised", sess=1, amount_minor=5000)
    longest(ledger, "extend_asked", sess=1)
    longest(ledger, "extended", sess=1, amount_minor=6000)
    longest(ledger, "extend_done", sess=1, amount_minor=6000)
    longest(ledger, "energising", sess=1, register_wh=1000)
    longest(ledger, "checkpoint", sess=1, register_wh=1500)
    longest(ledger, "period", sess=1)
    longest(ledger, "power_off", sess=1, register_wh=2000)
    longest(ledger, "priced", sess=1, **priced)
    longest(ledger, "settle_failed", sess=1)
    longest(ledger, "captured", sess=1, captured_minor=119, released_minor=5881)
    for refund in ("r" * 36, "q" * 36):
        longest(ledger, "refund_requested", refund=refund, receipt_no=1)
        longest(ledger, "refund_asked", refund=refund, sess=1, amount_minor=10)
        longest(ledger, "refund_sent", refund=refund, sess=1, amount_minor=10)
    longest(ledger, "refunded", refund="r" * 36, sess=1, amount_minor=10)
    longest(ledger, "refund_failed", refund="q" * 36, sess=1, state="failed")
    longest(ledger, "hold_asked", sess=2, **fits)
    longest(ledger, "declined", sess=2)
    longest(ledger, "hold_asked", sess=3, **(fits | {"method": "gateway", "remote": PAID}))
    longest(ledger, "authorised", sess=3, amount_minor=6000)
    longest(ledger, "cancelled", sess=3, released_minor=6000)
    for kind in "end_of_day day_asked day_closed tariff command alarm security".split():
        longest(ledger, kind)
    return ledger


def paid(engine: Engine) -> None:
    with writing(engine) as db:
        db.add(
            Pay(id=PAID, page="p", code="c", charger="CP1", gateway="till", currency="EUR",
                amount_minor=6000, state="starting", reference="pi_1")
        )  # fmt: skip


def too_long(engine: Engine) -> list[str]:
    """Columns that hold more than they are declared for (SQLite does not mind)."""
    found = []
    with engine.connect() as db:
        for table in Base.metadata.sorted_tables:
            for row in db.execute(table.select()).mappings():
                found += [
                    f"{table.name}.{column.name}"
                    for column in table.columns
                    if isinstance(column.type, String)
                    and column.type.length
                    and len(row[column.name] or "") > column.type.length
                ]
    return found


def problems(engine: Engine) -> list[tuple[str, str, int, str]]:
    with writing(engine) as db:
        return [
            (one.charger, one.code, one.seq, one.detail)
            for one in db.scalars(select(Problem).order_by(Problem.id))
        ]


def test_every_text_at_its_longest_fits_its_columns(inbox: Inbox) -> None:
    ledger = everything()
    assert sorted({record["type"] for record in ledger.records}) == KINDS
    paid(inbox.engine)
    assert inbox.take(*ledger.records) == [Ack("CP1", EPOCH, len(ledger.records))]
    assert too_long(inbox.engine) == []
    assert {code for _, code, *_ in problems(inbox.engine)} == {
        "alarm", "odd_record", "security", "refund_unknown"
    }  # fmt: skip
    with writing(inbox.engine) as db:
        pay = db.get_one(Pay, PAID)
        assert (pay.state, pay.why) == ("cancelling", "x" * 24)
        assert {one.state for one in db.scalars(select(Refund))} == {"done", "failed"}


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        ("hold_asked", "currency", "EURO", "currency 'EURO' is none"),
        ("hold_asked", "currency", "", "currency '' is none"),
        ("hold_asked", "remote", "r" * 33, "no back office gave this id"),
        ("hold_asked", "tariff", "t" * 37, "has at most 36 characters"),
        ("hold_asked", "hold_minor", HUGE, "is too large"),
        ("hold_asked", "at", HUGE, "is no time"),
        ("priced", "start_at", HUGE, "is too large"),
        ("priced", "lines", [0, HUGE, 1000, 190000, 119], "is too large"),
        ("refund_failed", "state", "x" * 255, "did not come about"),
        ("end_of_day", "terminal_minor", HUGE, "is too large"),
    ],
)
def test_what_no_charger_writes_is_impossible_and_holds_nobody_up(
    inbox: Inbox, kind: str, field: str, value: Any, said: str
) -> None:
    bad, good = everything(), Ledger().session(1)
    spoilt = next(record for record in bad.records if record["type"] == kind)
    spoilt[field] = value
    batch = [("CP1", one) for one in bad.records] + [("CP2", one) for one in good.records]
    acks = inbox.ingest.take((name, json.dumps(one).encode()) for name, one in batch)
    assert acks == [Ack("CP1", EPOCH, len(bad.records)), Ack("CP2", EPOCH, 6)]
    shown = [one for one in problems(inbox.engine) if one[1:3] == ("impossible", spoilt["seq"])]
    assert len(shown) == 1 and said in shown[0][3], shown
    assert inbox.books("CP2")["captured_minor"] == 119
    assert too_long(inbox.engine) == []


def collision(engine: Engine) -> Ledger:
    """A capture above the price, whose refund has an id that another charger's order took: the
    database refuses it, and no rule foresees it."""
    with writing(engine) as db:
        db.add(
            RefundOrder(refund=f"{ABOVE}-CP1-{EPOCH}-1", charger="CP0", session_id=1, receipt_no=1,
                        amount_minor=1, reason=ABOVE, operator="charger")
        )  # fmt: skip
    ledger = Ledger().session(1)
    ledger.records.pop()
    ledger.put("captured", sess=1, captured_minor=200, released_minor=5800, receipt=1, trace=9,
               how="direct")  # fmt: skip
    return ledger.session(2)


@pytest.mark.parametrize("order", ["as they come", "backwards", "one by one"])
def test_a_record_the_database_refuses_is_shown_and_everything_else_is_taken(
    tmp_path: Path, order: str
) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'o.db'}")
    inbox = Inbox(engine)
    inbox.take(*Ledger(5).session(1).records, charger="CP0")
    bad, good = collision(engine), Ledger(6).session(1)
    batch = [(name, json.dumps(one).encode()) for name, ledger in (("CP1", bad), ("CP2", good))
             for one in ledger.records]  # fmt: skip
    if order == "one by one":
        acks = [ack for one in batch for ack in inbox.ingest.take([one])]
        assert acks[11] == Ack("CP1", EPOCH, 12) and acks[-1] == Ack("CP2", 6, 6)
    else:
        acks = inbox.ingest.take(batch if order == "as they come" else batch[::-1])
        assert {(ack.charger, ack.seq) for ack in acks} == {("CP1", 12), ("CP2", 6)}
    shown = problems(engine)
    assert [(name, code, seq) for name, code, seq, _ in shown] == [("CP1", "impossible", 6)]
    assert "captured: cannot be taken: UNIQUE constraint failed" in shown[0][3]
    assert inbox.ingest.received == 6 + 12 + 6 == inbox.ingest.stored
    with writing(engine) as db:
        mine = select(Session).where(Session.charger == "CP1").order_by(Session.sess)
        one, two = db.scalars(mine)
        assert (one.state, two.state) == ("priced", "captured")
        assert db.scalars(select(Refund)).all() == []
        assert all(record.applied for record in db.scalars(select(Record)))
    again = inbox.ingest.take(batch)
    assert [ack.seq for ack in again] == [12, 6] and len(problems(engine)) == 1
    engine.dispose()


def test_a_record_that_cannot_even_be_kept_is_shown(server: str) -> None:
    """SQLite keeps a name of any length."""
    inbox = Inbox(emptied(server))
    long, good = Ledger().session(1), Ledger().session(1)
    batch = [("C" * 70, json.dumps(long.records[0]).encode())]
    batch += [("CP2", json.dumps(one).encode()) for one in good.records]
    assert inbox.ingest.take(batch) == [Ack("CP2", EPOCH, 6)]
    (shown,) = problems(inbox.engine)
    assert shown[:2] == ("C" * 64, "malformed") and "value too long" in shown[3]
    assert inbox.ingest.refused == 1
    inbox.engine.dispose()


def test_sums_that_no_database_holds_are_never_reached(inbox: Inbox) -> None:
    ledger = Ledger()
    for sess in (1, 2, 3):
        ledger.hold(sess, HUGE).authorised(sess, HUGE).energising(sess)
        ledger.priced(sess, total=HUGE, lines=[0, 1_000_000, 1000, 190_000, HUGE])
        ledger.captured(sess, HUGE, 0)
    ledger.put("end_of_day", count=3, terminal_minor=0, ledger_minor=0, result="agree")
    assert inbox.take(*ledger.records) == [Ack("CP1", EPOCH, 16)]
    with writing(inbox.engine) as db:
        day = db.scalars(select(EndOfDay)).one()
        assert db.scalars(select(Session)).all() == []
        assert (day.books_minor, day.books_count) == (0, 0)
    assert len(problems(inbox.engine)) == 15


def test_an_end_of_day_has_the_currency_of_the_sessions_before_it(inbox: Inbox) -> None:
    ledger = Ledger().session(1)
    ledger.put("end_of_day", count=1, terminal_minor=119, ledger_minor=119, result="agree")
    ledger.hold(2)
    ledger.records[-1]["currency"] = "CHF"
    inbox.take(*ledger.records)
    with writing(inbox.engine) as db:
        assert db.scalars(select(EndOfDay.currency)).one() == "EUR"


@pytest.mark.parametrize("new_epoch", [EPOCH + 2, EPOCH - 2])
def test_sessions_left_open_are_counted_when_both_flashes_come_at_once(
    inbox: Inbox, new_epoch: int
) -> None:
    old, new = Ledger().session(1).hold(2).authorised(2), Ledger(new_epoch).session(1)
    inbox.take(*old.records, *new.records)
    (shown,) = problems(inbox.engine)
    assert shown[1] == "new_epoch"
    assert shown[3] == f"the flash was replaced (it was {EPOCH}); " \
        "sessions left open in the old one: 2"


DEEP = b'{"a":' + b"[" * 600 + b"]" * 600 + b"}"


@pytest.mark.parametrize("name", ["records", "status", "session", "result", "log"])
def test_a_deep_payload_is_malformed_and_the_others_of_the_batch_are_taken(
    inbox: Inbox, name: str
) -> None:
    reception = Reception(inbox.engine)
    record = json.dumps(Ledger().session(1).records[0]).encode()
    reception.desk.handle([
        (f"forecourt/v1/CP2/{name}", DEEP, False), ("forecourt/v1/CP1/records", record, False),
    ])  # fmt: skip
    (shown,) = problems(inbox.engine)
    assert shown[1] == "malformed" and "nested deeper than 16" in shown[3]
    assert reception.ingest.position("CP1", EPOCH) == 1


@pytest.mark.parametrize(
    "data", [{"next": None}, {"next": "2"}, {"version": [], "next": 1}, {"version": {}}]
)
def test_an_answer_about_members_that_says_nonsense_is_left_out(
    inbox: Inbox, data: dict[str, Any]
) -> None:
    reception = Reception(inbox.engine)
    members.Members(inbox.engine, lambda: 5).add("A1", by="ada")
    sync = MemberSync(
        inbox.engine, lambda _: bytes(32), lambda *_: None, reception.ingest.report
    )
    reception.desk.hearers.append(sync.heard)
    reception.hear("result", {"about": "members", "ok": True, "at": 1,
                              "data": {"version": 1} | data})  # fmt: skip
    (shown,) = problems(inbox.engine)
    assert shown[1] == "malformed" and "must be whole numbers" in shown[3]


def test_a_chore_that_falls_holds_up_no_other_and_is_counted(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    reception = Reception(inbox.engine)
    done: list[int] = []
    reception.desk.chores += [lambda: 1 // len(done[5:]), lambda: done.append(1)]
    assert reception.desk.reminders() == [] and reception.desk.reminders() == []
    assert done == [1, 1] and reception.desk.faults == 2
    assert "ZeroDivisionError" in caplog.text


def test_what_is_no_record_and_cannot_be_taken_holds_up_nothing_either(engine: Engine) -> None:
    inbox = Reception(engine)
    with writing(engine) as db:
        db.execute(text("CREATE UNIQUE INDEX no_line_twice ON log_lines (text)"))
    status = {"online": True, "epoch": EPOCH, "next_seq": 1, "acked_seq": 0, "at": 0}
    lines = [{"at": 1, "level": "info", "text": said} for said in ("a", "b", "a", "c")]
    told = [*(("log", line) for line in lines), ("status", status)]
    told += [("records", record) for record in Ledger().session(1).records]
    inbox.desk.handle(
        [(f"forecourt/v1/CP1/{name}", json.dumps(said).encode(), False) for name, said in told]
    )
    with writing(engine) as db:
        assert sorted(db.scalars(select(LogLine.text))) == ["a", "b", "c"]
        assert db.scalars(select(Charger.online)).all() == [True]
    (shown,) = problems(engine)
    assert shown[1] == "malformed"
    assert shown[3].startswith("log: cannot be taken: ")
    assert inbox.ingest.position("CP1", EPOCH) == len(Ledger().session(1).records)
    with writing(engine) as db:
        db.execute(text("DROP INDEX no_line_twice"))

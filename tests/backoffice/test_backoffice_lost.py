"""A charger's flash lost a record before it came here: what the charger bills all the same is in
the books, or is one problem that says what to do. The records are a real recovery's.
"""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session as Db

from board.host_flash import FileFlash
from firmware.session.data import Session
from hostsim.backoffice import todo, views
from hostsim.backoffice.models import Charger, Payment, Problem, Stream, writing
from hostsim.backoffice.reports import roll
from hostsim.backoffice.tables import StatDay
from tests.backoffice.records import Inbox, Ledger
from tests.pure.test_ledger_lost import Approving, OnFlash, charged, recovered, without

KINDS = ("authorised", "energising", "checkpoint")


def stream(b: OnFlash) -> list[dict[str, Any]]:
    """All that is in a charger's flash, as it is published."""
    found, seq = [], 0
    while (record := b.ledger.read_after(seq)) is not None:
        found.append(json.loads(record.to_json(b.ledger.epoch)))
        seq = record.seq
    return found


def elsewhere(method: str) -> FileFlash:
    """The flash of a session that is paid elsewhere, power on, 500 Wh at the checkpoint."""
    flash = FileFlash(sectors=12)
    b = Approving(flash)
    b.meter(1000)
    b.do(b.m.begin(b.now, Session(1, 2000, method, "A1")))
    b.do(b.m.on_pilot(b.now, "B"))
    b.do(b.m.on_feedback(b.now, True))
    b.do(b.m.on_pilot(b.now, "C"))
    b.now += 60000
    b.meter(1500, 11000)
    return flash


def told(inbox: Inbox) -> dict[str, list[str]]:
    """Codes of the problems and what they say."""
    found: dict[str, list[str]] = {}
    for one in views.problems(inbox.engine, "CP1"):
        found.setdefault(one["code"], []).append(one["detail"])
    return found


def taken(inbox: Inbox, records: list[dict[str, Any]]) -> dict[str, Any]:
    inbox.take(*records)
    [session] = inbox.books()["sessions"]
    return dict(session)


@pytest.mark.parametrize("off", ["", "priced", "captured"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_lost_record_of_a_card_session_leaves_its_money_in_the_books(
    inbox: Inbox, kind: str, off: str
) -> None:
    """`off`: where the power failed; a bill may be in flash already."""
    records = stream(recovered(without(charged(off), kind)))
    assert [r["type"] for r in records].count("lost") == 1
    session = taken(inbox, records)
    assert (session["state"], session["total_minor"], session["captured_minor"]) == (
        "captured", 27, 27,
    )  # fmt: skip
    assert set(told(inbox)) - {"alarm"} == {"lost_record"}
    assert inbox.books()["authorised_minor"] == 2000


@pytest.mark.parametrize("off", ["", "captured"])
def test_two_lost_records_side_by_side_are_proven_by_the_third(inbox: Inbox, off: str) -> None:
    flash = without(without(charged(off), "authorised"), "energising")
    session = taken(inbox, stream(recovered(flash)))
    assert (session["state"], session["captured_minor"]) == ("captured", 27)
    assert "impossible" not in told(inbox)


def test_the_terminals_receipt_of_a_proven_hold_is_kept(inbox: Inbox) -> None:
    taken(inbox, stream(recovered(without(charged(), "authorised"))))
    with Db(inbox.engine) as db:
        payment = db.query(Payment).one()
    assert (payment.receipt, payment.authorised_minor, payment.hold_minor) == (231, 2000, 2000)


@pytest.mark.parametrize("method", ["gateway", "rfid"])
def test_a_session_paid_elsewhere_is_handed_over_though_its_approval_was_lost(
    inbox: Inbox, method: str
) -> None:
    session = taken(inbox, stream(recovered(without(elsewhere(method), "authorised"))))
    assert (session["state"], session["captured_minor"]) == ("captured", 27)
    assert "impossible" not in told(inbox)


@pytest.mark.parametrize("off", ["", "priced", "captured"])
def test_money_of_a_session_whose_beginning_is_lost_is_one_problem(
    inbox: Inbox, off: str
) -> None:
    records = stream(recovered(without(charged(off), "hold_asked")))
    inbox.take(*records[:-1])
    [said] = told(inbox)["unbooked"]
    assert "its beginning was lost; its end is still to come, or lost as well" in said
    inbox.take(records[-1])
    [said] = told(inbox)["unbooked"]
    assert said.startswith("session 1: 0.27 € captured and no invoice, the driver")
    assert said.endswith("it is not in the books, for its beginning was lost")
    number = 1 if off == "captured" else 2  # the lost record may have given number 1
    assert f"no invoice, the driver has receipt {number}; the terminal's receipt 231" in said
    assert "impossible" not in told(inbox) and inbox.books()["sessions"] == []
    assert "write the invoice by hand" in todo.of("unbooked", said)


def test_a_session_given_back_whose_beginning_is_lost_says_so(inbox: Inbox) -> None:
    inbox.take(*stream(recovered(without(elsewhere("gateway"), "hold_asked"))))
    [said] = told(inbox)["unbooked"]
    assert said.startswith("session 1: nothing was taken; it is not in the books")
    assert "impossible" not in told(inbox)


def test_handed_over_without_a_beginning_names_who_takes_it(inbox: Inbox) -> None:
    ledger = Ledger().session(1)
    ledger.records[-1] |= {"how": "account", "receipt": 0, "trace": 0}
    ledger.records[0] = {name: ledger.records[0][name] for name in ("epoch", "seq", "at")} | {
        "type": "lost", "version": 0,
    }  # fmt: skip
    inbox.take(*ledger.records)
    [said] = told(inbox)["unbooked"]
    assert said.startswith("session 1: 1.19 € captured") and "to be taken by: account" in said


def test_what_was_given_up_with_a_database_is_one_problem_too(inbox: Inbox) -> None:
    ledger = Ledger().session(1)
    with writing(inbox.engine) as db:
        db.add(Charger(name="CP1", epoch=71))
        db.flush()
        db.add(Stream(charger="CP1", epoch=71, committed_seq=2, first_at=1))
        db.add(Problem(charger="CP1", epoch=71, seq=2, code="gap_accepted", detail="", at=1))
    inbox.take(*ledger.records[2:])
    found = told(inbox)
    assert len(found["unbooked"]) == 1 and "impossible" not in found


def test_nothing_is_proven_where_nothing_was_lost(inbox: Inbox) -> None:
    """A charger that leaves records out of its own accord."""
    ledger = Ledger().session(1)
    whole = ledger.records
    lost = Ledger()
    lost.put("lost")
    lost.records[0]["version"] = 0
    lost.records += [one | {"seq": n + 2} for n, one in enumerate(whole[:1] + whole[2:])]
    inbox.take(*lost.records, charger="CP1")
    [session] = inbox.books()["sessions"]
    assert (session["state"], session["captured_minor"]) == ("asked", 0)
    assert len(told(inbox)["impossible"]) == 3
    other = [one | {"seq": n + 1} for n, one in enumerate(whole[1:])]
    inbox.take(*other, charger="CP2")
    codes = [p["code"] for p in views.problems(inbox.engine, "CP2")]
    assert codes.count("impossible") == 5 and "unbooked" not in codes


def test_a_second_approval_is_impossible_unless_the_first_was_only_proven(inbox: Inbox) -> None:
    ledger = Ledger().hold(1).authorised(1).authorised(1)
    inbox.take(*ledger.records)
    assert told(inbox) == {"impossible": ["authorised: payment is authorised already"]}


def test_a_damaged_ledger_is_one_row_however_often_the_charger_starts(inbox: Inbox) -> None:
    said = ("1 lost, 0 do not fit: ", "1 lost, 0 do not fit: ", "2 lost, 0 do not fit: ")
    ledger = Ledger()
    for text in said:
        ledger.put("boot", firmware="0.1.0", reason="power", safe=0)
        ledger.put("alarm", code="ledger_damaged", sess=0, detail=text)
        ledger.put("alarm", code="emergency_stop", sess=0, detail="")
    inbox.take(*ledger.records)
    rows = views.problems(inbox.engine, "CP1")
    damaged = [(p["detail"], p["count"], p["seq"]) for p in rows if "damaged" in p["detail"]]
    assert sorted(damaged) == [
        ("ledger_damaged: 1 lost, 0 do not fit: ", 2, 5),
        ("ledger_damaged: 2 lost, 0 do not fit: ", 1, 8),
    ]
    assert len(rows) == 5, "every other alarm has its own row"
    with writing(inbox.engine) as db:  # somebody has seen to it
        db.query(Problem).filter(Problem.detail.contains("2 lost")).update({"open": False})
    ledger.put("alarm", code="ledger_damaged", sess=0, detail=said[-1])
    inbox.take(ledger.records[-1])
    shown = [p["detail"] for p in views.problems(inbox.engine, "CP1") if p["open"]]
    assert shown.count("ledger_damaged: 2 lost, 0 do not fit: ") == 1, "closed, it is a new row"


def test_a_session_whose_hold_is_gone_ends_unpaid(inbox: Inbox) -> None:
    session = taken(inbox, stream(recovered(without(charged(), "authorised"), ())))
    assert (session["state"], session["total_minor"], session["captured_minor"]) == (
        "cancelled", 27, 0,
    )  # fmt: skip
    found = told(inbox)
    assert "hold_lost: 27" in found["alarm"] and "impossible" not in found
    roll.rebuild(inbox.engine, ZoneInfo("UTC"))
    with Db(inbox.engine) as db:
        day = db.query(StatDay).filter(StatDay.charger == "CP1", StatDay.day % 100 > 0).one()
    assert (day.cancelled, day.sessions, day.gross_minor) == (1, 0, 0), "no turnover"


@pytest.mark.parametrize(("method", "reason"), [("gateway", "hold_lost"), ("card", "vehicle")])
def test_what_has_a_price_is_not_given_back_by_a_chargers_word(
    inbox: Inbox, method: str, reason: str
) -> None:
    ledger = Ledger().session(1)
    ledger.records[0]["method"] = method
    ledger.records.pop()
    ledger.put("cancelled", sess=1, released_minor=6000, receipt=0, reason=reason)
    inbox.take(*ledger.records)
    assert told(inbox)["impossible"] == ["cancelled: cancelled although 119 was the price"]

"""A charger's flash lost one record of a finished session before it came here: every kind of them.
By hand, through the real ingest; nothing gets looser where nothing was lost.
"""

from __future__ import annotations

from typing import Any

import pytest

from hostsim.backoffice import todo, views
from hostsim.backoffice.models import Problem, writing
from tests.backoffice.records import Inbox, Ledger

Records = list[dict[str, Any]]


def lose(records: Records, *which: str) -> Records:
    """These kinds are lost."""
    head = ("epoch", "seq", "at")
    return [
        {name: one[name] for name in head} | {"type": "lost", "version": 0}
        if one["type"] in which else one
        for one in records
    ]  # fmt: skip


def without(records: Records, *which: str) -> Records:
    """A charger leaves these kinds out of its own accord."""
    left = [one for one in records if one["type"] not in which]
    return [one | {"seq": n + 1} for n, one in enumerate(left)]


def begun(approved: int = 6000) -> Ledger:
    ledger = Ledger().hold(1).authorised(1, approved).energising(1)
    ledger.records[0]["method"] = "card"
    ledger.put("checkpoint", sess=1, register_wh=1500, elapsed_ms=100, state=[1])
    return ledger


def ended(ledger: Ledger, total: int = 119, held: int = 6000) -> Records:
    power = {"sess": 1, "register_wh": 2000, "elapsed_ms": 3_600_000, "reason": "unplugged"}
    ledger.put("power_off", **power)
    ledger.priced(1, total=total)
    ledger.captured(1, total, held - total)
    ledger.records[-1]["how"] = "direct"
    return ledger.records


def extended(answer: str = "extended") -> Records:
    """70 EUR of 60 and 40; or the 40 were declined."""
    ledger = begun()
    ledger.put("extend_asked", sess=1, add_minor=4000)
    if answer == "declined":
        ledger.put("declined", sess=1, code=5, text="no")
        return ended(ledger)
    ledger.put("extended", sess=1, amount_minor=10_000, receipt=1, trace=9)
    return ended(ledger, 7000, 10_000)


def gone(price_lost: bool = False) -> Records:
    """The hold is gone; the alarm is left out."""
    ledger = begun()
    del ended(ledger)[-1]
    if price_lost:
        ledger.records = lose(ledger.records, "priced")
    ledger.put("cancelled", sess=1, released_minor=6000, receipt=1, reason="hold_lost")
    return ledger.records


def rows(inbox: Inbox) -> list[tuple[str, str]]:
    """Problems (code, what it says) but for the lost records themselves."""
    found = views.problems(inbox.engine, "CP1")
    return [(p["code"], p["detail"]) for p in found if p["code"] != "lost_record"]


def state(inbox: Inbox) -> tuple[str, int, int]:
    [session] = inbox.books()["sessions"]
    return session["state"], session["total_minor"], session["captured_minor"]


@pytest.mark.parametrize(
    ("which", "records", "total", "held"),
    [
        (("authorised",), ended(begun(4000), held=4000), 119, 4000),
        (("extended",), extended(), 7000, 10_000),
        (("extend_asked",), extended(), 7000, 10_000),
        (("authorised",), extended(), 7000, 10_000),
        (("authorised", "energising", "checkpoint"), extended(), 7000, 10_000),
        (("authorised", "energising", "checkpoint"), extended("declined"), 119, 6000),
    ],
    ids=["approved less", "extended", "extend_asked", "extended, authorised lost",
         "extended, all before lost", "not extended, all before lost"],
)  # fmt: skip
def test_what_was_held_is_what_the_capture_says_where_a_record_is_lost(
    inbox: Inbox, which: tuple[str, ...], records: Records, total: int, held: int
) -> None:
    inbox.take(*lose(records, *which))
    assert state(inbox) == ("captured", total, total) and rows(inbox) == []
    assert inbox.books()["authorised_minor"] == held


@pytest.mark.parametrize(
    ("which", "records"),
    [
        (("authorised", "energising", "checkpoint"), extended()),
        (("authorised", "energising", "checkpoint"), extended("declined")),
        (("extended",), extended()),
        (("priced",), ended(begun())),
        (("energising", "authorised"), gone()),
    ],
    ids=str,
)
def test_what_a_charger_leaves_out_proves_nothing(
    inbox: Inbox, which: tuple[str, ...], records: Records
) -> None:
    inbox.take(*without(records, *which))
    codes = [code for code, _ in rows(inbox)]
    assert codes.count("impossible") >= 1 and set(codes) == {"impossible"}
    [session] = inbox.books()["sessions"]
    assert session["captured_minor"] == 0 and session["state"] not in ("captured", "cancelled")


def test_a_hold_that_was_approved_and_given_back_is_over(inbox: Inbox) -> None:
    ledger = Ledger().hold(1).authorised(1)
    ledger.put("cancelled", sess=1, released_minor=6000, receipt=1, reason="timeout")
    inbox.take(*lose(ledger.records, "authorised"))
    assert state(inbox) == ("cancelled", 0, 0) and rows(inbox) == []
    inbox.take(*without(ledger.records, "authorised"), charger="CP2")
    assert "impossible" in inbox.problems()


def test_a_card_that_was_declined_without_a_beginning_is_nothing(inbox: Inbox) -> None:
    ledger = Ledger().hold(1)
    ledger.put("declined", sess=1, code=5, text="no")
    inbox.take(*lose(ledger.records, "hold_asked"))
    assert rows(inbox) == []


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (("priced",), "1.19 € captured and no invoice; the terminal's receipt 1, trace 9"),
        (("authorised", "energising", "checkpoint", "power_off", "priced"), "1.19 € captured"),
    ],
)
def test_an_end_the_books_cannot_take_is_one_row_and_closes_the_session(
    inbox: Inbox, which: tuple[str, ...], said: str
) -> None:
    inbox.take(*lose(ended(begun()), *which))
    assert state(inbox) == ("cancelled", 0, 0)
    [(code, text)] = rows(inbox)
    assert code == "unbooked" and text.startswith(f"session 1: {said}")
    assert "its end is not in the books, for something was lost since it began" in text
    assert "write the invoice by hand" in todo.of(code, text)


def test_all_that_is_refused_of_one_session_is_one_row(inbox: Inbox) -> None:
    """The approval, power and the extension that was asked for are lost: its refusal ends the
    session in the books, and four records do not fit any more."""
    records = extended("declined")
    inbox.take(*lose(records, "authorised", "energising", "checkpoint", "extend_asked"))
    [(code, text)] = rows(inbox)
    assert code == "unbooked" and text.startswith("session 1: 1.19 € captured and no invoice")
    assert "the driver has receipt 1;" in text
    [row] = [p for p in views.problems(inbox.engine, "CP1") if p["code"] == "unbooked"]
    assert (row["count"], row["seq"]) == (3, records[-1]["seq"])


def test_one_record_that_does_not_fit_is_said_though_the_end_is_booked(inbox: Inbox) -> None:
    ledger = begun()
    ledger.put("checkpoint", sess=1, register_wh=1200, elapsed_ms=200, state=[1])
    inbox.take(*lose(ended(ledger), "authorised"))
    assert state(inbox) == ("captured", 119, 119)
    [(code, text)] = rows(inbox)
    assert code == "unbooked" and "`checkpoint` does not fit" in text


def test_a_settlement_written_twice_is_one_row(inbox: Inbox) -> None:
    ledger = begun()
    ended(ledger)
    ledger.captured(1)
    inbox.take(*lose(ledger.records, "hold_asked"))
    assert [code for code, _ in rows(inbox)] == ["unbooked"]


def test_what_was_taken_above_the_price_is_in_the_one_row(inbox: Inbox) -> None:
    ledger = begun()
    ended(ledger)[-1] |= {"captured_minor": 200, "released_minor": 5800}
    same = {"refund": "above_price-71-1", "sess": 1, "amount_minor": 81, "way": "acquirer"}
    ledger.put("refund_asked", **same, reason="above_price", command="")
    ledger.put("refund_sent", **same, receipt=0, trace=0)
    inbox.take(*lose(ledger.records, "hold_asked"))
    [(code, text)] = rows(inbox)
    assert code == "unbooked" and text.startswith("session 1: 2.00 € captured")
    assert "0.81 € of it are above the price and to be given back: no program does" in text
    inbox.take(*without(ledger.records, "hold_asked"), charger="CP2")
    refused = [p["detail"] for p in views.problems(inbox.engine, "CP2")]
    assert len([one for one in refused if one.startswith("refund_")]) == 2


def test_a_session_without_beginning_that_never_ends_is_said(inbox: Inbox) -> None:
    records = lose(begun().records, "hold_asked")
    inbox.take(*records)
    inbox.take(*Ledger(72).hold(1).records)
    said = [text for code, text in rows(inbox) if code == "unbooked"]
    assert said == [
        "session 1: it is not in the books, for its beginning was lost; its end is still to"
        " come, or lost as well"
    ]


def test_a_row_that_somebody_closed_comes_again_with_the_end(inbox: Inbox) -> None:
    records = lose(ended(begun()), "hold_asked")
    inbox.take(*records[:-1])
    with writing(inbox.engine) as db:
        db.query(Problem).filter(Problem.code == "unbooked").update({"open": False})
    inbox.take(records[-1])
    [(code, text)] = rows(inbox)
    assert code == "unbooked" and text.startswith("session 1: 1.19 € captured")
    with writing(inbox.engine) as db:
        assert db.query(Problem).filter(Problem.code == "unbooked").count() == 2


@pytest.mark.parametrize("alarm", [False, True])
def test_a_price_that_is_let_go_is_said_though_its_alarm_is_not_here(
    inbox: Inbox, alarm: bool
) -> None:
    records = gone()
    if alarm:
        ledger = Ledger()
        ledger.records = records[:-1]
        ledger.put("alarm", code="hold_lost", sess=1, detail="119")
        records = [*ledger.records, records[-1] | {"seq": len(ledger.records) + 1}]
    inbox.take(*records)
    assert state(inbox) == ("cancelled", 119, 0)
    [(code, text)] = rows(inbox)
    if alarm:
        assert (code, text) == ("alarm", "hold_lost: 119")
    else:
        assert code == "odd_record"
        assert text == "cancelled: cancelled though 119 was the price: hold_lost"
        assert "Look it up at the acquirer" in todo.of(code, text)


def test_power_that_nobody_priced_and_nobody_pays_is_said(inbox: Inbox) -> None:
    inbox.take(*gone(price_lost=True))
    [(code, text)] = rows(inbox)
    assert code == "odd_record" and "1000 Wh flowed, whose price is not here: hold_lost" in text

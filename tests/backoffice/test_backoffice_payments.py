"""The desk's payments: what is wrong first, a payment's life, disputes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostsim.backoffice import disputes, payments
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk
from tests.backoffice.desk import NOW_MS, Visitor, fill, paid, text_of
from tests.backoffice.records import Ledger
from tests.backoffice.test_backoffice_web import with_periods


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path, Operator(approve_above_minor=50))
    yield found
    found.close()


def test_what_is_wrong_comes_first(office: BackOffice) -> None:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)  # 2026-01-01, midnight: open for twenty hours
    ledger.session(2)
    ledger.hold(3)
    ledger.authorised(3)
    ledger.energising(3)
    ledger.priced(3)
    ledger.put("settle_failed", sess=3, attempt=1, code=98, text="")
    ledger.put("end_of_day", count=1, terminal_minor=119, ledger_minor=118, result="differs")
    fill(office, ledger)
    patient = Operator(hold_open_h=30)
    found = {row["code"] for row in payments.wrong(office.engine, patient, NOW_MS)}
    assert found == {"capture failing", "end of day differs"}
    strict = Operator(hold_open_h=10)
    rows = payments.wrong(office.engine, strict, NOW_MS)
    assert [row["code"] for row in rows] == [
        "capture failing", "end of day differs", "hold open too long",
    ]  # fmt: skip
    page = text_of(Visitor(office).log_in("viewer").get("/payments").text)
    assert "To look at first (2)" in page and "the terminal refused 1 times" in page


def many_troubles() -> Ledger:
    """Sixty ends of day that differ, then a capture that fails."""
    ledger = Ledger()
    for _ in range(60):
        ledger.put("end_of_day", count=0, terminal_minor=5, ledger_minor=4, result="differs")
    ledger.hold(1)
    ledger.authorised(1)
    ledger.energising(1)
    ledger.priced(1)
    ledger.put("settle_failed", sess=1, attempt=1, code=98, text="")
    return ledger


def test_old_trouble_hides_no_new_and_all_of_it_is_reached(office: BackOffice) -> None:
    fill(office, many_troubles())
    viewer = Visitor(office).log_in("viewer")
    page = text_of(viewer.get("/payments").text)
    assert "To look at first (61)" in page
    assert page.index("capture failing") < page.index("end of day differs")
    seen: list[str] = []
    path = "/payments/troubles/days"
    while path:
        html = viewer.get(path).text
        seen += re.findall("end of day differs", text_of(html))
        older = re.search(r'href="([^"]+)">Older', html)
        path = older[1] if older else ""
    assert len(seen) == 60
    assert viewer.get("/payments/troubles/nothing").status_code == 404


def test_finance_closes_what_is_wrong_with_a_note(office: BackOffice) -> None:
    ledger = many_troubles()
    fill(office, ledger)
    finance = Visitor(office).log_in("finance", "ann")
    page = "/payments/troubles/days"
    assert "end of day differs" in finance.get(page).text
    fields = {"ref": "60", "mark": "0", "note": "a test sale of the technician's"}
    assert "Closed." in finance.submit(page, f"{page}/close", **fields)
    assert "it is closed already" in finance.submit(page, f"{page}/close", **fields)
    empty = finance.submit(page, f"{page}/close", **(fields | {"note": " "}))
    assert "the note must have" in empty
    assert "To look at first (60)" in text_of(finance.get("/payments").text)
    log = text_of(finance.get("/audit").text)
    assert "closed: ends of day that differ" in log and "a test sale of the technician's" in log
    failing = {"ref": "1", "mark": "1", "note": "seen"}
    finance.submit(page, "/payments/troubles/captures/close", **failing)
    assert "capture failing" not in finance.get("/payments").text
    ledger.put("settle_failed", sess=1, attempt=2, code=98, text="")
    fill(office, ledger)
    assert "capture failing" in finance.get("/payments").text, "it came again"
    support = Visitor(office).log_in("support")
    support.submit("/", f"{page}/close", **fields)
    assert support.status == 403


def test_a_failed_refund_and_a_refused_record_are_closed_too(office: BackOffice) -> None:
    ledger = paid()
    ledger.refund_asked("R1", 1, 19)
    ledger.put("refund_failed", refund="R1", sess=1, code=5, text="no", amount_minor=19,
               way="card", state="failed")  # fmt: skip
    ledger.captured(1)
    fill(office, ledger)
    finance = Visitor(office).log_in("finance")
    page = text_of(finance.get("/payments").text)
    assert "refund failed" in page and "totals differ" in page
    problem = str(office.problems()[0]["id"])
    for kind, ref in (("refunds", "1"), ("totals", problem)):
        path = f"/payments/troubles/{kind}"
        finance.submit("/payments", f"{path}/close", ref=ref, mark="0", note="paid in cash")
    assert "Nothing is wrong" in finance.get("/payments").text and office.problems() == []


@pytest.mark.parametrize("ref", ["9" * 30, "x", "\u0663"])
def test_a_refused_record_that_cannot_be_is_not_found(office: BackOffice, ref: str) -> None:
    fill(office, paid())
    finance = Visitor(office).log_in("finance")
    path = "/payments/troubles/totals/close"
    finance.submit("/sessions/1", path, ref=ref, mark="0", note="n")
    assert finance.status == 404


def test_money_of_a_session_that_is_not_in_the_books_is_among_them(office: BackOffice) -> None:
    ledger = paid()
    first = ledger.records[0]
    place = {name: first[name] for name in ("epoch", "seq", "at")}
    ledger.records[0] = place | {"type": "lost", "version": 0}
    fill(office, ledger)
    finance = Visitor(office).log_in("finance")
    page = text_of(finance.get("/payments").text)
    assert "sessions that are not in the books" in page and "it is not in the books" in page
    [problem] = [one["id"] for one in office.problems() if one["code"] == "unbooked"]
    path = "/payments/troubles/unbooked"
    finance.submit(path, f"{path}/close", ref=str(problem), mark="0", note="an invoice by hand")
    assert "unbooked" not in [one["code"] for one in office.problems()]


def test_nothing_wrong_is_said_too(office: BackOffice) -> None:
    fill(office, paid(2))
    assert "Nothing is wrong" in Visitor(office).log_in("viewer").get("/payments").text


def test_a_payment_has_its_whole_life(office: BackOffice) -> None:
    ledger = with_periods()
    ledger.put("end_of_day", count=1, terminal_minor=100, ledger_minor=100, result="agree")
    fill(office, ledger)
    page = text_of(Visitor(office).log_in("viewer").get("/sessions/1").text)
    steps = ("Hold asked", "Authorised", "Charging began", "Priced", "Captured",
             "Settled by end of day")  # fmt: skip
    positions = [page.index(step, page.index("Its life")) for step in steps]
    assert positions == sorted(positions)
    assert "receipt 1, trace 9, A1" in page and "register 1000 Wh" in page


@pytest.mark.parametrize("how", ["gateway", "app", "account"])
def test_what_is_paid_elsewhere_is_not_settled_by_the_terminals_day(
    office: BackOffice, how: str
) -> None:
    ledger = paid(2)
    next(r for r in ledger.records if r["type"] == "captured")["how"] = how
    ledger.records[0]["method"] = how
    ledger.put("end_of_day", count=1, terminal_minor=119, ledger_minor=119, result="agree")
    fill(office, ledger)
    viewer = Visitor(office).log_in("viewer")
    assert "Settled by end of day" not in viewer.get("/sessions/1").text
    assert "Settled by end of day" in viewer.get("/sessions/2").text
    unknown = how == "gateway"  # no payment here is of that session
    assert ("Nothing is wrong" in viewer.get("/payments").text) is not unknown


@pytest.mark.parametrize(
    ("result", "terminal", "word", "wrong"),
    [
        ("", 0, "Not proven until the end of day", 0),
        ("agree", 238, "Settled by end of day", 0),
        ("late", 300, "Settled by end of day", 0),
        ("differs", 119, "Not proven by the end of day", 1),
        ("unseen", 0, "Not proven by the end of day", 1),
    ],
)
def test_a_capture_whose_answer_was_lost_is_proven_by_the_end_of_day_only(
    office: BackOffice, result: str, terminal: int, word: str, wrong: int
) -> None:
    ledger = paid(2)
    lost = next(r for r in ledger.records if r["type"] == "captured")
    lost["how"] = "pending_query"
    if result:
        ledger.put("end_of_day", count=2, terminal_minor=terminal, ledger_minor=238, result=result)
        ledger.session(3)  # of the next day
        ledger.put("end_of_day", count=1, terminal_minor=9, ledger_minor=119, result="differs")
    fill(office, ledger)
    viewer = Visitor(office).log_in("viewer")
    assert word in viewer.get("/sessions/1").text
    other = viewer.get("/sessions/2").text
    assert "Not proven" not in other and ("Settled by end of day" in other) is bool(result)
    found = [
        (row["session"], row["amount_minor"])
        for row in payments.wrong(office.engine, Operator(), NOW_MS)
        if row["code"] == "capture not proven"
    ]
    assert found == [(1, 119)] * wrong
    assert ("capture not proven" in viewer.get("/payments").text) is bool(wrong)


@pytest.mark.parametrize("find", ["A1", "1234", "9", "CP1-2"])
def test_payments_are_found_by_what_a_caller_can_say(office: BackOffice, find: str) -> None:
    fill(office, paid(2))
    found = payments.listed(office.engine, 10, find=find)
    assert found and (find != "CP1-2" or [row["receipt_no"] for row in found] == [2])
    assert payments.listed(office.engine, 10, find="nothing like it") == []
    assert payments.listed(office.engine, 10, find="%") == []


def test_a_dispute_is_noted_shown_and_closed_by_finance(office: BackOffice) -> None:
    fill(office, paid())
    finance = Visitor(office).log_in("finance")
    finance.submit("/sessions/1", "/sessions/1/disputes", amount="2,00", reference="ARN1")
    assert disputes.of_session(office.engine, 1) == [], "more than was captured"
    shown = finance.submit("/sessions/1", "/sessions/1/disputes", amount="1,00", reference="ARN1")
    assert "dispute open" in text_of(shown) and "Disputed" in shown
    assert "disputed" in finance.get("/payments").text
    for outcome in ({}, {"outcome": ""}, {"outcome": "Won"}):
        finance.submit("/sessions/1", "/disputes/1/close", **outcome)
        assert finance.status == 422
        assert disputes.of_session(office.engine, 1)[0]["state"] == "open"
    finance.submit("/sessions/1", "/disputes/1/close", outcome="won")
    assert disputes.of_session(office.engine, 1)[0]["state"] == "won"
    support = Visitor(office).log_in("support")
    support.submit("/sessions/1", "/sessions/1/disputes", amount="1", reference="x")
    assert support.status == 403

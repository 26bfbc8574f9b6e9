"""The desk's work: payments with what is wrong first, refunds with a second pair of eyes, chargers
and their logs, tariffs from the editor to the charger."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hostsim.backoffice import disputes, fleet_view, payments, tariffs
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from hostsim.setup import MICROPYTHON, MICROPYTHON32
from hostsim.world import DEFAULT_TARIFF
from tests import desk
from tests.desk import NOW_MS, Visitor, fill, text_of
from tests.test_backoffice_ingest import EPOCH, Ledger
from tests.test_backoffice_web import with_periods

needs_micropython = pytest.mark.skipif(
    not (MICROPYTHON.exists() or MICROPYTHON32.exists()), reason="no MicroPython: make setup"
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path, Operator(approve_above_minor=50))
    yield found
    found.close()


def paid(count: int = 1) -> Ledger:
    ledger = Ledger()
    for sess in range(1, count + 1):
        ledger.session(sess)
    return ledger


def say(office: BackOffice, name: str, charger: str = "CP1", **message: Any) -> None:
    """A message of the charger, as the connection hands it over."""
    payload = json.dumps({"at": NOW_MS} | message).encode()
    office._desk.handle([(f"forecourt/v1/{charger}/{name}", payload, False)])


def command_of(office: BackOffice, name: str) -> dict[str, Any]:
    """The newest command of that name with its arguments."""
    with office.engine.connect() as connection:
        query = text("SELECT message FROM commands WHERE name = :name ORDER BY counter DESC")
        message = json.loads(str(connection.execute(query, {"name": name}).scalar()))
    return json.loads(message["args"]) | {"id": message["id"]}


# -- payments


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
    ledger.put("end_of_day", count=1, terminal_minor=119, ledger_minor=119, result="agree")
    fill(office, ledger)
    viewer = Visitor(office).log_in("viewer")
    assert "Settled by end of day" not in viewer.get("/sessions/1").text
    assert "Settled by end of day" in viewer.get("/sessions/2").text
    assert "Nothing is wrong" in viewer.get("/payments").text


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
    finance.submit("/sessions/1", "/disputes/1/close", outcome="won")
    assert disputes.of_session(office.engine, 1)[0]["state"] == "won"
    support = Visitor(office).log_in("support")
    support.submit("/sessions/1", "/sessions/1/disputes", amount="1", reference="x")
    assert support.status == 403


# -- refunds


def ask(visitor: Visitor, **fields: Any) -> str:
    given = {"what": "all", "reason": "goodwill", "amount": "", "once": "order-1"} | fields
    return text_of(visitor.submit("/sessions/1/refund", "/sessions/1/refund", **given))


def test_a_small_refund_goes_out_at_once_and_is_followed_to_its_end(office: BackOffice) -> None:
    fill(office, ledger := paid())
    support = Visitor(office).log_in("support")
    shown = ask(support, what="part", amount="0,50")
    assert "approved and on its way" in shown
    sent = command_of(office, "refund")
    assert (sent["receipt"], sent["amount_minor"], sent["refund"]) == (1, 50, "order-1")
    receipt = Visitor(office).get("/r/CP1/1/119?lang=de")
    assert "in Arbeit" in receipt.text, "the driver's page tells it"
    already = len(ledger.records)
    ledger.refund_asked("order-1", 1, 50)
    ledger.refunded("order-1", 1, 50)
    office.ingest.take(
        [("CP1", json.dumps(record).encode()) for record in ledger.records[already:]]
    )
    page = text_of(support.get("/refunds/order-1").text)
    assert "done" in page and "refund asked" in page and "refund approved" in page
    receipt = Visitor(office).get("/r/CP1/1/119?lang=de")
    assert "erstattet" in receipt.text and "CP1-C000001" in receipt.text
    assert office.problems() == []


def test_above_the_limit_somebody_else_must_approve(office: BackOffice) -> None:
    fill(office, paid())
    asker = Visitor(office).log_in("finance", "ann")
    assert "waits for somebody else" in ask(asker)
    assert "You asked for it" in asker.get("/refunds/order-1").text
    said = asker.submit("/sessions/1", "/refunds/order-1/approve")
    assert "somebody else must approve" in said
    support = Visitor(office).log_in("support")
    support.submit("/sessions/1/refund", "/refunds/order-1/approve")
    assert support.status == 403
    other = Visitor(office).log_in("finance", "bert")
    assert "Waiting for approval (1)" in text_of(other.get("/refunds").text)
    other.submit("/refunds/order-1", "/refunds/order-1/approve")
    assert command_of(office, "refund")["amount_minor"] == 119
    log = text_of(other.get("/audit?subject=order-1").text)
    assert "refund asked" in log and "ann" in log and "bert" in log


def test_a_used_form_approves_nothing_whatever_it_says_now(office: BackOffice) -> None:
    fill(office, paid(2))
    support = Visitor(office).log_in("support")
    assert "waits for somebody else" in ask(support, what="part", amount="1.00")
    assert "waits for somebody else" in ask(support, what="part", amount="0.01")
    fields = {"what": "part", "amount": "0.01", "reason": "goodwill", "once": "order-1"}
    shown = support.submit("/sessions/2/refund", "/sessions/2/refund", **fields)
    assert "used for another order" in shown and support.status == 422
    other = Visitor(office).log_in("support", "eve")
    assert "used for another order" in ask(other, what="part", amount="0.01")
    assert office.refunds.follow("order-1")["state"] == "requested"
    assert office.commands("CP1") == []
    assert (
        len(text_of(Visitor(office).log_in("finance").get("/audit").text).split("refund ask")) == 2
    )


def test_parts_below_the_limit_count_together(office: BackOffice) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    assert "approved and on its way" in ask(support, what="part", amount="0.50")
    assert "waits" in ask(support, what="part", amount="0.01", once="order-2")
    finance = Visitor(office).log_in("finance")
    finance.submit("/refunds/order-2", "/refunds/order-2/approve")
    assert office.refunds.follow("order-2")["state"] == "approved"


@pytest.mark.parametrize(("method", "by_hand"), [("app", True), ("gateway", False)])
def test_a_refund_that_no_program_pays_is_filed_and_answered_by_a_person(
    office: BackOffice, method: str, by_hand: bool
) -> None:
    ledger = paid()
    by_type = {record["type"]: record for record in ledger.records}
    by_type["hold_asked"] |= {"method": method, "reference": "APP-77"}
    by_type["captured"]["how"] = method
    fill(office, ledger)
    finance = Visitor(office).log_in("finance")
    ask(finance, what="part", amount="0.40")
    ledger.refund_asked("order-1", 1, 40)
    ledger.records[-1]["way"] = "gateway"
    ledger.put("refund_sent", refund="order-1", sess=1, amount_minor=40, way="gateway",
               receipt=0, trace=0)  # fmt: skip
    fill(office, ledger)
    page = text_of(finance.get("/refunds/order-1").text)
    assert ("payment APP-77" in page and "It was paid back" in page) == by_hand
    if by_hand:
        finance.submit("/refunds/order-1", "/refunds/order-1/accepted", note="APP-R1")
        assert command_of(office, "refund_done")["ok"] is True
        assert "acquirer accepted" in text_of(finance.get("/audit?subject=order-1").text)


def test_a_refusal_sends_nothing(office: BackOffice) -> None:
    fill(office, paid())
    ask(Visitor(office).log_in("finance", "ann"))
    other = Visitor(office).log_in("finance", "bert")
    other.submit("/refunds/order-1", "/refunds/order-1/refuse", note="paid in cash")
    assert office.refunds.follow("order-1")["state"] == "refused"
    assert office.commands("CP1") == []


def test_a_form_sent_twice_asks_once(office: BackOffice) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    ask(support, what="part", amount="0.40")
    ask(support, what="part", amount="0.40")
    assert len(office.refunds.listed()) == 1


def test_lines_of_the_bill_can_be_refunded(office: BackOffice) -> None:
    ledger = with_periods()
    ledger.records = [r for r in ledger.records if not r["type"].startswith("refund")]
    fill(office, ledger)
    ask(Visitor(office).log_in("support"), what="lines", line=["1"])
    assert office.refunds.follow("order-1")["amount_minor"] == 70


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"what": "part", "amount": "1.20"}, "must be above 0 and at most 1.19"),
        ({"what": "part", "amount": "x"}, "must be above 0"),
        ({"what": "part", "amount": "0"}, "must be above 0"),
        ({"what": "lines"}, "choose at least one line"),
        ({"what": "lines", "line": ["7"]}, "choose at least one line"),
        ({"what": "nonsense"}, "must be one of all"),
        ({"reason": "nonsense"}, "must be one of goodwill"),
    ],
)
def test_an_impossible_order_names_the_field(
    office: BackOffice, fields: dict[str, Any], says: str
) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    assert says in ask(support, **fields) and support.status == 422
    assert office.refunds.listed() == []


def test_nothing_is_refunded_beyond_what_was_captured(office: BackOffice) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    ask(support, what="part", amount="1.00")
    assert "at most 0.19" in ask(support, what="part", amount="0.20", once="order-2")
    ask(support, once="order-3")
    assert office.refunds.follow("order-3")["amount_minor"] == 19
    assert "Nothing is left" in text_of(support.get("/sessions/1/refund").text)


def test_an_old_payment_is_not_refunded(tmp_path: Path) -> None:
    office = desk.office(tmp_path, Operator(refund_days=1))
    ledger = paid()
    for record in ledger.records:
        record["at"] -= 5 * 86_400_000
    fill(office, ledger)
    assert "older than 1 days" in ask(Visitor(office).log_in("support"))
    office.close()


# -- chargers


def test_the_fleet_shows_each_charger_as_it_is(office: BackOffice) -> None:
    fill(office, paid())
    say(office, "status", online=True, state="charging", version="1.2.3", tariff="T1",
        epoch=EPOCH, next_seq=9, acked_seq=6)  # fmt: skip
    say(office, "session", session=2, state="charging", power_w=11_000, energy_wh=5500,
        price_minor=325, currency="EUR")  # fmt: skip
    say(office, "log", at=NOW_MS, level="warning", text="<the meter> was silent")
    say(office, "status", charger="CP2", online=False, reason="lost")
    viewer = Visitor(office).log_in("viewer")
    page = text_of(viewer.get("/fleet").text)
    for wanted in ("CP1", "charging", "11.0 kW", "5.500 kWh", "3.25 €", "1.2.3", "offline"):
        assert wanted in page, wanted
    assert "CP1" not in text_of(viewer.get("/fleet?only=offline").text)
    one = viewer.get("/fleet/CP1").text
    assert "&lt;the meter&gt; was silent" in one and "records not here yet" in one
    assert viewer.get("/fleet/CP9").status_code == 404
    say(office, "status", online=True, state="free", epoch=EPOCH, next_seq=9, acked_seq=6)
    free = text_of(viewer.get("/fleet").text)
    assert "free" in free and "11.0 kW" not in free and "0 charging, 0.0 kW" in free


def test_old_log_lines_go(office: BackOffice) -> None:
    for number in range(450):
        say(office, "log", at=NOW_MS, level="info", text=f"line {number}")
    found = fleet_view.one(office.engine, "CP1")
    assert found and found["log"][0]["text"] == "line 449"
    with office.engine.connect() as connection:
        assert (
            300
            <= int(str(connection.execute(text("SELECT count(*) FROM log_lines")).scalar()))
            < 360
        )


def test_a_doctors_report_is_asked_for_and_shown(office: BackOffice) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    support.submit("/fleet/CP1", "/fleet/CP1/report")
    identity = command_of(office, "report")["id"]
    say(office, "result", about="command", id=identity, ok=True, detail="done",
        data={"meter": "ok", "restarts": {"sync": 2}})  # fmt: skip
    page = text_of(support.get("/fleet/CP1").text)
    assert "Doctor's reports" in page and "meter ok" in page
    viewer = Visitor(office).log_in("viewer")
    viewer.submit("/", "/fleet/CP1/restart")
    assert viewer.status == 403


def test_the_doctors_findings_are_read_at_the_desk(office: BackOffice) -> None:
    fill(office, ledger := paid())
    support = Visitor(office).log_in("support")
    assert "The doctor was asked for" in support.submit("/fleet/CP1", "/fleet/CP1/doctor")
    answer = {"about": "command", "id": command_of(office, "doctor")["id"], "ok": True}
    power = {"name": "power", "ok": True, "reason": "5.02 V", "todo": ""}
    meter = {"name": "meter", "ok": False, "reason": "no answer <b>", "todo": "A and B"}
    clock = {"name": "clock", "ok": True, "reason": "network", "todo": ""}
    say(office, "result", **answer, code="part", data={"checks": [power, meter]})
    assert "doctor: arriving" in text_of(support.get("/fleet/CP1").text)
    ledger.put("command", command=answer["id"], counter=1, name="doctor", result="ok", detail="")
    fill(office, ledger)  # the ledger's word is here before the last part
    say(office, "result", **answer, data={"checks": [clock]})
    html = support.get("/fleet/CP1").text
    page = text_of(html)
    assert "doctor: ok, 1 to do" in page and "no answer <b>" not in html
    assert "meter: bad no answer <b> To do: A and B power: good 5.02 V clock: good" in page
    viewer = Visitor(office).log_in("viewer")
    viewer.submit("/", "/fleet/CP1/doctor")
    assert viewer.status == 403


@pytest.mark.parametrize("checks", ["x", 5, [5, "x", None], {"a": 1}, [{"ok": 1, "name": [1]}]])
def test_findings_of_no_shape_end_nothing(office: BackOffice, checks: Any) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    support.submit("/fleet/CP1", "/fleet/CP1/doctor")
    identity = command_of(office, "doctor")["id"]
    good = {"name": "power", "ok": True, "reason": "", "todo": ""}
    for code, said in (("part", [good]), ("part", checks), ("", [good]), ("", checks)):
        say(office, "result", about="command", id=identity, ok=True, code=code,
            data={"checks": said})  # fmt: skip
    assert support.get("/fleet/CP1").status_code == 200


@pytest.mark.parametrize(
    "address",
    ["/sessions/{n}", "/sessions?before={n}", "/payments?before={n}", "/tariffs/{n}",
     "/r/CP1/{n}/1", "/r/CP1/1/{n}", "/sessions/{n}/refund", "/invoices?before={n}",
     "/audit?before={n}"],
)  # fmt: skip
def test_a_number_no_database_holds_is_refused(office: BackOffice, address: str) -> None:
    admin = Visitor(office).log_in("admin")
    assert admin.get(address.format(n=2**63)).status_code == 422
    assert admin.get(address.format(n=2**63 - 1)).status_code in (200, 404)


# -- tariffs


@needs_micropython
def test_a_tariff_is_read_tried_kept_rolled_out_and_answered(office: BackOffice) -> None:
    fill(office, with_periods())
    admin = Visitor(office).log_in("admin")
    written = DEFAULT_TARIFF.read_text()
    shown = text_of(admin.submit("/tariffs/new", "/tariffs/new", text=written, do="words"))
    assert "0.59 €/kWh" in shown and "0,59 €/kWh" in shown
    tried = text_of(admin.submit("/tariffs/new", "/tariffs/new", text=written, do="try"))
    assert "1.19 €" in tried and "it would have been" in tried and "CP1-1" in tried
    admin.submit("/tariffs/new", "/tariffs/new", text=written, do="keep", note="spring")
    admin.submit("/tariffs/1", "/tariffs/1/roll-out", charger=["CP1", "CP9"])
    assert tariffs.in_force(office.engine)["CP1"]["state"] == "sent"
    assert tariffs.retained(office.engine, "CP1") == written.strip()
    version = tariffs.version(office.engine, 1)
    assert version
    ledger = with_periods()
    ledger.put("tariff", tariff="ADHOC-1", tariff_crc=version["crc"], result="accepted", detail="")
    fill(office, ledger)
    page = text_of(admin.get("/tariffs").text)
    assert "1 accepted" in page and "spring" in page
    again = ledger.put("tariff", tariff="X", tariff_crc=1, result="refused", detail="")
    office.ingest.take([("CP1", json.dumps(ledger.records[again - 1]).encode())])
    assert tariffs.in_force(office.engine)["CP1"]["state"] == "accepted"


@needs_micropython
@pytest.mark.parametrize(
    ("tariff", "says"),
    [
        ("nonsense", "must be JSON"),
        ('{"id": "X", "currency": "EUR", "elements": []}', "elements"),
        (DEFAULT_TARIFF.read_text().replace('"price": 0.59', '"price": -1'), "price"),
        ("x" * 20_000, "at most"),
    ],
)
def test_a_tariff_the_charger_would_refuse_is_not_kept(
    office: BackOffice, tariff: str, says: str
) -> None:
    admin = Visitor(office).log_in("admin")
    shown = admin.submit("/tariffs/new", "/tariffs/new", text=tariff, do="keep")
    assert admin.status == 422 and "The charger would refuse it" in shown and says in shown
    assert tariffs.versions(office.engine) == []

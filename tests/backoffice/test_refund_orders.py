"""Refunds as the desk orders them: of which session, in which currency, by whose approval, of
which lines; together with disputes, and when two people decide at the same moment."""

from __future__ import annotations

import datetime
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session as Db
from typer.testing import CliRunner

from hostsim.__main__ import app as command_line
from hostsim.backoffice import audit, disputes, refund_vat
from hostsim.backoffice.accounts.logins import Caller
from hostsim.backoffice.amounts import parse
from hostsim.backoffice.invoices import find, texts, verify
from hostsim.backoffice.models import open_database
from hostsim.backoffice.operator import Operator, OperatorError
from hostsim.backoffice.operator import of as operator_of
from hostsim.backoffice.refund_desk import DeskError, RefundDesk
from hostsim.backoffice.refunds import RefundError
from hostsim.backoffice.rules import REASONS
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.tables import Invoice
from tests.backoffice import desk, postgres
from tests.backoffice.desk import Visitor, command_of, fill, say, text_of
from tests.backoffice.test_backoffice_ingest import Ledger

MIXED = [0, 1_000_000, 20_000, 70_000, 2000, 2, 3_600_000, 10_000, 190_000, 1000]


def sale(
    ledger: Ledger, sess: int, total: int, lines: list[int], net: int, currency: str = "EUR",
    how: str = "",
) -> Ledger:  # fmt: skip
    """A paid session; its number is the receipt's."""
    ledger.hold(sess)
    ledger.records[-1]["currency"] = currency
    ledger.authorised(sess)
    ledger.energising(sess)
    ledger.put("power_off", sess=sess, register_wh=2000, elapsed_ms=3600000, reason="unplugged")
    ledger.priced(sess, total=total, net_minor=net, vat_minor=total - net, lines=lines,
                  currency=currency)  # fmt: skip
    ledger.captured(sess, captured=total, released=6000 - total)
    ledger.records[-1]["how"] = how
    return ledger


def mixed() -> Ledger:
    """20.00 at 7 % and 10.00 at 19 %."""
    return sale(Ledger(), 1, 3000, MIXED, 1869 + 840)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., BackOffice]]:
    made: list[BackOffice] = []

    def one(**fields: Any) -> BackOffice:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(desk.office(directory, Operator(**fields)))
        return made[-1]

    yield one
    for office in made:
        office.close()


def ask(visitor: Visitor, session: int = 1, **fields: Any) -> str:
    page = f"/sessions/{session}/refund"
    return text_of(visitor.submit(page, page, **({"what": "all", "reason": "goodwill"} | fields)))


def orders(office: BackOffice) -> list[tuple[int, int, str]]:
    found = office.refunds.listed()[::-1]
    return [(order["session_id"], order["amount_minor"], order["state"]) for order in found]


# -- of which session


def test_a_session_of_before_a_flash_was_replaced_is_refunded_itself_or_not(make: Any) -> None:
    office = make(approve_above_minor=2000)
    fill(office, sale(Ledger(71), 1, 900, [0, 1, 1, 190_000, 900], 756))
    fill(office, sale(Ledger(72), 1, 3000, [0, 1, 1, 190_000, 3000], 2521))
    finance = Visitor(office).log_in("finance", "ann")
    assert "approved and on its way" in ask(finance, 1)
    assert orders(office) == [(1, 900, "sent")], "of the one that was asked for"
    assert office.commands("CP1") == [], "the flash of now has another sale of that number"
    order = office.refunds.listed()[0]
    assert (order["way"], order["receipt_no"]) == ("acquirer", 1)
    request = office.refunds.acquirer_request(order["refund"])
    wanted = {"amount_minor": 900, "auth_code": "A1", "pan": "####1234"}
    assert wanted.items() <= request.items()
    assert "waits for somebody else" in ask(finance, 2), "the limit is of its own amount"
    finance.submit("/sessions/1", f"/refunds/{order['refund']}/accepted", note="ARN 1")
    note = office.refunds.credit_note(order["refund"])
    assert (note["amount_minor"], note["net_minor"], note["vat_minor"]) == (900, 756, 144)
    kinds = [one["kind"] for one in find.by_session(office.engine, 1)]
    assert kinds == ["invoice", "credit_note"] and verify.verify(office.engine).good
    office.refunds.tend()
    assert office.commands("CP1") == [], "and the charger is not told of what it cannot know"
    assert office.refunds.left(1) == 0 and office.refunds.left(2) == 0


def test_what_the_acquirer_refuses_of_a_session_of_before_can_be_asked_again(make: Any) -> None:
    office = make()
    fill(office, sale(Ledger(71), 1, 900, [0, 1, 1, 190_000, 900], 756))
    fill(office, Ledger(72).session(1))
    finance = Visitor(office).log_in("finance", "ann")
    ask(finance, 1)
    refund = office.refunds.listed()[0]["refund"]
    finance.submit("/sessions/1", f"/refunds/{refund}/declined")
    assert orders(office) == [(1, 900, "failed")] and office.refunds.left(1) == 900


def test_an_account_session_of_before_is_credited_on_the_account(make: Any) -> None:
    office = make()
    ledger = sale(Ledger(71), 1, 900, [0, 1, 1, 190_000, 900], 756, how="account")
    ledger.records[0]["method"] = "account"
    fill(office, ledger)
    fill(office, Ledger(72).session(1))
    ask(Visitor(office).log_in("support"), 1)
    office.refunds.tend()
    assert orders(office) == [(1, 900, "done")]
    assert [d["kind"] for d in find.by_session(office.engine, 1)] == ["statement", "adjustment"]


def test_an_order_that_the_new_flash_refuses_goes_to_the_acquirer(make: Any) -> None:
    office = make()
    fill(office, sale(Ledger(71), 1, 900, [0, 1, 1, 190_000, 900], 756))
    ask(Visitor(office).log_in("support"), 1)
    command = command_of(office, "refund")
    assert (command["epoch"], command["receipt"]) == (71, 1)
    fill(office, Ledger(72).session(1))
    office.refunds.tend()
    assert orders(office) == [(1, 900, "approved")], "while the old flash may still have it"
    say(office, "result", about="command", id=command["id"], ok=False, code="refused",
        reason="epoch: must be of this flash")  # fmt: skip
    office.refunds.tend()
    assert orders(office) == [(1, 900, "sent")]


def test_a_receipt_that_two_sessions_have_is_not_chosen_by_its_number(make: Any) -> None:
    office = make()
    fill(office, Ledger(71).session(1))
    fill(office, Ledger(72).session(1))
    with pytest.raises(RefundError, match="two receipts 1"):
        office.refunds.request("CP1", receipt=1, amount_minor=0, reason="goodwill", operator="a")


def test_an_id_that_begins_as_the_chargers_own_is_refused(make: Any) -> None:
    office = make()
    fill(office, Ledger(71).session(1))
    with pytest.raises(RefundError, match="refund: must not begin with above_price"):
        office.refunds.request("CP1", receipt=1, amount_minor=0, reason="goodwill", operator="a",
                               refund="above_price-71-1")  # fmt: skip
    assert orders(office) == []


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


# -- disputes


def dispute(visitor: Visitor, amount: str, reference: str, once: str = "") -> str:
    return text_of(visitor.submit("/sessions/1", "/sessions/1/disputes", amount=amount,
                                  reference=reference, note="by mail", once=once))  # fmt: skip


def test_what_the_bank_asks_back_is_not_refunded_as_well(make: Any) -> None:
    office = make(approve_above_minor=100)
    fill(office, mixed())
    finance = Visitor(office).log_in("finance", "ann")
    ask(finance, what="part", amount="20.00", once="R1")
    assert "The dispute is noted" in dispute(finance, "15.00", "CB1", "form-1")
    assert "The dispute is noted" in dispute(finance, "15.00", "CB1", "form-1")
    assert len(disputes.of_session(office.engine, 1)) == 1, "a form sent twice is one dispute"
    other = Visitor(office).log_in("finance", "bert")
    assert "less is left by now" in other.submit("/refunds/R1", "/refunds/R1/approve")
    other.submit("/refunds/R1", "/refunds/R1/refuse")
    assert office.refunds.left(1) == 1500
    said = ask(finance, what="part", amount="15.01")
    assert "at most 15.00 €" in said
    finance.submit("/sessions/1", "/disputes/1/close", outcome="lost")
    assert office.refunds.left(1) == 1500, "lost: the bank has it"
    dispute(finance, "15", "CB2")
    assert "Nothing is left" in text_of(finance.get("/sessions/1/refund").text)
    finance.submit("/sessions/1", "/disputes/2/close", outcome="won")
    assert office.refunds.left(1) == 1500


@pytest.mark.parametrize(
    ("amount", "reference", "says"),
    [
        ("abc", "CB2", "must be above 0 and at most 20.00 €"),
        ("20.01", "CB2", "must be above 0 and at most 20.00 €"),
        ("1.00", "CB1", "is noted already"),
        ("1.00", "", "must have 1 to 64 characters"),
    ],
)
def test_a_dispute_that_cannot_be_names_its_field_and_keeps_what_was_typed(
    make: Any, amount: str, reference: str, says: str
) -> None:
    office = make()
    fill(office, mixed())
    finance = Visitor(office).log_in("finance")
    dispute(finance, "10", "CB1")
    html = finance.submit("/sessions/1", "/sessions/1/disputes", amount=amount,
                          reference=reference, note="keep me")  # fmt: skip
    assert finance.status == 422 and says in text_of(html) and 'value="keep me"' in html
    assert 'aria-invalid="true"' in html
    assert len(disputes.of_session(office.engine, 1)) == 1


def test_disputed_is_a_state_of_payments_with_a_badge(make: Any) -> None:
    office = make()
    fill(office, mixed().session(2))
    finance = Visitor(office).log_in("finance")
    dispute(finance, "10", "CB1")
    page = finance.get("/payments?state=disputed").text
    assert ">disputed</option>" in page and "CP1-1<" in page and "CP1-2<" not in page
    assert 'badge bad">disputed' in finance.get("/payments").text
    finance.submit("/sessions/1", "/disputes/1/close", outcome="won")
    assert "No payment" in finance.get("/payments?state=disputed").text


def test_disputes_have_their_own_line_in_the_report(make: Any) -> None:
    office = make()
    fill(office, mixed())
    finance = Visitor(office).log_in("finance")
    for n, (amount, outcome) in enumerate((("10", "won"), ("2.50", "lost"), ("1", "")), 1):
        dispute(finance, amount, f"CB{n}")
        if outcome:
            finance.submit("/sessions/1", f"/disputes/{n}/close", outcome=outcome)
    day = "first=2026-01-01&last=2026-01-01"
    page = text_of(finance.get(f"/reports?{day}").text)
    assert "3.50 € asked back in 2 disputes that are open or lost" in page
    rows = finance.get(f"/reports/disputes.csv?{day}").text
    assert [rows.count(word) for word in ("won,", "lost,", "open,")] == [1, 1, 1]
    assert "disputes.csv" not in finance.get("/reports?first=2026-02-01&last=2026-02-01").text


# -- the log, the command line


def test_every_step_of_a_refund_is_in_the_audit_log(make: Any) -> None:
    office = make(approve_above_minor=100_000)
    ledger = mixed()
    fill(office, ledger)
    ask(Visitor(office).log_in("finance", "ann"), what="part", amount="3.00", once="R1")
    ledger.refund_asked("R1", 1, 300)
    ledger.refunded("R1", 1, 300)
    fill(office, ledger, ledger)
    steps = [(e["person"], e["action"]) for e in audit.entries(office.engine, subject="R1")]
    assert steps[::-1] == [
        ("ann", "refund asked"), ("ann", "refund approved"), ("CP1", "refund allowed"),
        ("CP1", "refund done"),
    ]  # fmt: skip
    visitor = Visitor(office).log_in("viewer", "eve")
    visitor.submit("/", "/logout")
    assert [e["action"] for e in audit.entries(office.engine, subject="eve")][0] == "logged out"


def test_an_order_without_its_line_in_the_log_does_not_exist(make: Any) -> None:
    office = make()
    fill(office, mixed())
    with office.engine.begin() as connection:
        connection.execute(text("DROP TABLE audit"))
    with pytest.raises(Exception, match="audit"):
        office.refunds.request("CP1", receipt=1, amount_minor=1, reason="goodwill", operator="a")
    assert office.refunds.listed() == []


def test_a_refused_order_says_when(make: Any) -> None:
    office = make(approve_above_minor=1)
    fill(office, mixed())
    ask(Visitor(office).log_in("finance", "ann"), once="R1")
    finance = Visitor(office).log_in("finance", "bert")
    finance.submit("/refunds/R1", "/refunds/R1/refuse", note="no")
    life = text_of(finance.get("/sessions/1").text).split("Its life")[1]
    assert "unknown" not in life.split("Documents")[0]
    assert life.index("Refund asked for") < life.index("Refund refused")


@pytest.mark.parametrize("once", ["a/b?x#y", "../..", "x" * 37, "-"])
def test_a_forms_id_is_one_of_ours(make: Any, once: str) -> None:
    office = make()
    fill(office, mixed())
    support = Visitor(office).log_in("support")
    assert "not our form" in ask(support, once=once) and support.status == 422
    assert orders(office) == []


def test_the_command_line_orders_through_the_desk(tmp_path: Path) -> None:
    office = desk.office(tmp_path)
    fill(office, mixed())
    office.close()
    (tmp_path / "o.db").rename(tmp_path / "backoffice.db")
    (tmp_path / "operator.toml").write_text("approve_above_minor = 500\nrefund_days = 30000\n")
    run = ["refund", "--dir", str(tmp_path), "--charger", "CP1", "--receipt", "1", "--wait", "0",
           "--config", str(tmp_path / "operator.toml"), "--json"]  # fmt: skip
    done = CliRunner().invoke(command_line, [*run, "--amount", "400", "--by", "anna"])
    assert json.loads(done.stdout)["state"] == "approved" and done.exit_code == 1
    done = CliRunner().invoke(command_line, [*run, "--amount", "101"])
    waiting = json.loads(done.stdout)
    assert waiting["state"] == "requested" and done.exit_code == 1
    done = CliRunner().invoke(command_line, [*run, "--amount", "2500"])
    assert done.exit_code == 2 and "at most 24.99" in done.output
    engine = open_database(f"sqlite:///{tmp_path / 'backoffice.db'}")
    assert [e["action"] for e in audit.entries(engine, subject=waiting["refund"])] == [
        "refund asked"
    ]
    engine.dispose()


# -- documents


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_a_credit_note_has_words_for_its_codes(make: Any, language: str) -> None:
    for code in REASONS:
        assert f"reason_{code}" in texts.WORDS
    for code in ("reversal", "card", "acquirer", "gateway", "account"):
        assert f"way_{code}" in texts.WORDS
    office = make()
    ledger = mixed()
    ledger.refund_asked("R1", 1, 300)
    ledger.records[-1]["reason"] = "not_delivered"
    ledger.refunded("R1", 1, 300)
    ledger.records[-1]["way"] = "acquirer"
    fill(office, ledger)
    page = text_of(Visitor(office).get(f"/r/CP1/1/3000?lang={language}").text)
    assert texts.word("reason_not_delivered", language) in page and "not_delivered" not in page
    assert texts.word("way_acquirer", language) in page and "acquirer" not in page


def test_a_credit_note_cut_off_with_the_chains_end_is_missed(make: Any) -> None:
    office = make()
    ledger = mixed()
    ledger.refund_asked("R1", 1, 300)
    ledger.refunded("R1", 1, 300)
    fill(office, ledger)
    assert verify.verify(office.engine).good
    with office.engine.begin() as db:
        db.execute(text("DELETE FROM invoices WHERE kind = 'credit_note'"))
        head = db.execute(select(Invoice.hash)).scalar()
        db.execute(text("UPDATE invoice_chains SET position = 1, head = :h, credit_notes = 0"),
                   {"h": head})  # fmt: skip
    faults = verify.verify(office.engine).faults
    assert faults == ["CP1: refund R1 of receipt 1 has no credit note"]


# -- whose invoice


def at_hour(hour: int) -> int:
    return int(datetime.datetime(2026, 1, 1, hour, tzinfo=datetime.UTC).timestamp() * 1000)


def twins(office: BackOffice) -> None:
    """Two sessions with one receipt's number and total, of two drivers."""
    for flash, hour, pan in ((71, 10, "####1111"), (72, 15, "####2222")):
        ledger = sale(Ledger(flash), 1, 900, [0, 1, 1, 190_000, 900], 756)
        by_type = {record["type"]: record for record in ledger.records}
        by_type["authorised"]["pan"] = pan
        by_type["priced"] |= {"start_at": at_hour(hour), "end_at": at_hour(hour + 1)}
        fill(office, ledger)


def test_of_two_with_one_number_and_total_nobody_sees_the_others(make: Any) -> None:
    office = make()
    twins(office)
    driver = Visitor(office)
    for path in ("/r/CP1/1/900?lang=en", "/r/CP1/1/900?lang=en&day=2026-01-01&time=13:00"):
        page = driver.get(path).text
        assert "When did you charge?" in page and "####" not in page
    assert "None of them was then" in page
    for time, pan in (("11:30", "####1111"), ("16:00", "####2222")):  # Berlin
        page = driver.get(f"/r/CP1/1/900?lang=en&day=2026-01-01&time={time}").text
        assert re.findall("####[0-9]+", text_of(page)) == [pan]
        pdf = re.search(r'href="([^"]+[.]pdf[^"]+)"', page)
        assert pdf and driver.get(pdf[1].replace("&amp;", "&")).status_code == 200
    found = driver.post("/find", data={"number": "cp1-1", "amount": "9,00", "lang": "en"})
    assert "When did you charge?" in found.text
    staff = Visitor(office).log_in("viewer")
    assert "####1111" in staff.get("/invoices/CP1-I000001").text
    family = find.by_session(office.engine, 1)
    assert find.link(family) == "r/CP1/1/900?flash=71"
    page = driver.get("/" + find.link(family)).text
    assert "####1111" in page and "flash=71" in page
    assert driver.get("/r/CP1/1/900?flash=73").status_code == 404
    assert driver.get("/r/CP1/1/900/CP1-I000001.pdf").status_code == 404


@pytest.mark.parametrize("number", ["CP1-1", "cp1-1", " Cp1-001 ", "cp1-i000001"])
def test_a_receipt_is_found_however_its_number_is_written(make: Any, number: str) -> None:
    office = make()
    fill(office, Ledger().session(1))
    found = Visitor(office).post("/find", data={"number": number, "amount": "1,19 €"})
    assert found.status_code == 200 and "CP1-I000001" in found.text


def test_an_amount_is_looked_for_in_the_chargers_currency(make: Any) -> None:
    office = make()
    fill(office, sale(Ledger(), 1, 1500, [0, 1, 1, 100_000, 1500], 1364, "JPY"))
    driver = Visitor(office)
    assert driver.post("/find", data={"number": "CP1-1", "amount": "1.500"}).status_code == 200
    assert driver.post("/find", data={"number": "CP1-1", "amount": "15.00"}).status_code == 404
    assert driver.post("/find", data={"number": "CP1-1", "amount": "x"}).status_code == 422


# -- at the same moment


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackOffice]:
    """A back office on either database with one paid session."""
    url = request.getfixturevalue("server") if request.param == "postgresql" else ""
    office = desk.office(tmp_path, Operator(approve_above_minor=1600), url)
    if url:
        with office.engine.begin() as db:
            for table in ("refund_orders", "disputes", "audit"):
                db.execute(text(f"DELETE FROM {table}"))
    fill(office, mixed())
    yield office
    office.close()


def together(*work: Callable[[], object]) -> list[str]:
    """What each said, begun at the same moment."""
    gate = threading.Barrier(len(work))
    said = [""] * len(work)

    def run(n: int) -> None:
        gate.wait()
        try:
            work[n]()
        except (RefundError, DeskError, disputes.PaymentError) as exc:
            said[n] = exc.why

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return said


def test_two_refunds_of_the_whole_are_one(shared: BackOffice) -> None:
    def order(name: str) -> Callable[[], object]:
        return lambda: shared.refunds.request(
            "CP1", receipt=1, amount_minor=3000, reason="goodwill", operator=name
        )

    for n in range(8):
        said = together(*(order(f"p{k}") for k in range(3)))
        standing = [o for o in shared.refunds.listed() if o["state"] == "requested"]
        assert len(standing) == 1 and said.count("") == 1, (n, said)
        shared.refunds.refuse(standing[0]["refund"], "bert")


def test_an_order_is_approved_or_refused_not_both(shared: BackOffice) -> None:
    for n in range(8):
        refund = shared.refunds.request(
            "CP1", receipt=1, amount_minor=1, reason="goodwill", operator="ann", refund=f"R{n}"
        )
        said = together(
            lambda r=refund: shared.refunds.approve(r, "bert"),  # type: ignore[misc]
            lambda r=refund: shared.refunds.refuse(r, "carl"),  # type: ignore[misc]
        )
        assert said.count("") == 1, said
        with Db(shared.engine) as db:
            query = text("SELECT count(*) FROM audit WHERE subject = :r")
            assert db.execute(query, {"r": refund}).scalar() == 2


def test_two_halves_at_once_do_not_go_under_the_limit(shared: BackOffice) -> None:
    counter = RefundDesk(shared)

    def half(name: str) -> Callable[[], object]:
        caller = Caller(name, "support", "")
        return lambda: counter.ask(caller, 1, "part", 1000, [], "goodwill", False, "")

    assert together(half("ann"), half("bert")) == ["", ""]
    assert sorted(o["state"] for o in shared.refunds.listed()) == ["approved", "requested"]


def test_a_dispute_and_a_refund_at_once_do_not_both_take_it(shared: BackOffice) -> None:
    for n in range(4):
        said = together(
            lambda: shared.refunds.request(
                "CP1", receipt=1, amount_minor=3000, reason="goodwill", operator="ann"
            ),
            lambda n=n: disputes.note(shared.engine, "carl", 1, 3000, f"CB{n}", "", 1),  # type: ignore[misc]
        )
        for order in shared.refunds.listed():
            if order["state"] == "requested":
                with pytest.raises(RefundError, match="less is left"):
                    shared.refunds.approve(order["refund"], "bert")
                shared.refunds.refuse(order["refund"], "bert")
        assert said[1] == "", said
        identity = disputes.of_session(shared.engine, 1)[-1]["id"]
        disputes.close(shared.engine, "carl", identity, True, 1)

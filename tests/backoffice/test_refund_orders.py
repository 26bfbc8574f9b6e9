"""Refunds as the desk orders them: of which session, what is noted of it, and the credit note."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner

from hostsim.__main__ import app as command_line
from hostsim.backoffice import audit
from hostsim.backoffice.invoices import find, texts, verify
from hostsim.backoffice.models import open_database
from hostsim.backoffice.refunds import RefundError
from hostsim.backoffice.rules import REASONS
from hostsim.backoffice.tables import Invoice
from tests.backoffice import desk
from tests.backoffice.desk import Visitor, command_of, fill, say, text_of
from tests.backoffice.records import Ledger
from tests.backoffice.refunding import ask, mixed, orders, sale

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

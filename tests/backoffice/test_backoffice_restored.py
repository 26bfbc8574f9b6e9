"""A database that was put back: what is given up, by whom, what stays to be seen of it, and that
no number of a document comes twice. Records made by hand; the firmware's own: tests/sync.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Db
from typer.testing import CliRunner

from hostsim.__main__ import app
from hostsim.backoffice import audit, backup, fleet_view, gaps, refund_gone, views
from hostsim.backoffice.invoices import verify
from hostsim.backoffice.models import Charger, Problem, Record, Session, Stream, writing
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.tables import Invoice
from tests.backoffice import desk
from tests.backoffice.desk import Visitor, fill, say, text_of
from tests.backoffice.records import EPOCH, Ledger

NOTE = "the disk burnt"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path)
    yield found
    found.close()


def sold(count: int, epoch: int = EPOCH) -> Ledger:
    ledger = Ledger(epoch)
    for sess in range(1, count + 1):
        ledger.session(sess)
    return ledger


def some(office: BackOffice, ledger: Ledger, first: int, last: int) -> None:
    """Records of these numbers come in."""
    part = Ledger(ledger.epoch)
    part.records = ledger.records[first - 1 : last]
    fill(office, part)


def status(office: BackOffice, acked: int, epoch: int = EPOCH, **more: Any) -> None:
    numbers: dict[str, Any] = {"epoch": epoch, "next_seq": acked + 1, "acked_seq": acked}
    say(office, "status", online=True, **numbers, **more)


def streams(office: BackOffice) -> dict[int, int]:
    with Db(office.engine) as db:
        return {row.epoch: row.committed_seq for row in db.scalars(select(Stream))}


def numbers(office: BackOffice) -> dict[int, str]:
    """Session -> number of its invoice."""
    with Db(office.engine) as db:
        query = select(Session.sess, Invoice.number)
        query = query.join(Invoice, Invoice.session_id == Session.id)
        return {sess: number for sess, number in db.execute(query)}


def captured(office: BackOffice) -> list[int]:
    rows = views.sessions(office.engine, "CP1")
    return sorted(row["sess"] for row in rows if row["state"] == "captured")


def test_the_flash_of_the_status_is_meant_not_the_one_known_before(office: BackOffice) -> None:
    old, new = sold(7), sold(9, epoch=88)
    some(office, old, 1, 30)  # the backup is of this moment; the flash was replaced since
    status(office, 50, epoch=88, oldest_seq=37)
    office.give_up("CP1", 36, "anna", NOTE)
    assert streams(office) == {EPOCH: 30, 88: 36}
    some(office, new, 37, 54)
    assert streams(office) == {EPOCH: 30, 88: 54} and captured(office)[-3:] == [7, 8, 9]
    codes = [row["code"] for row in office.problems()]
    assert codes.count("new_epoch") == 1 and "gap" not in codes and "old_epoch" not in codes
    some(office, old, 31, 42)
    assert streams(office)[EPOCH] == 42, "nothing of the flash before was given up"


def test_records_that_came_early_are_told_to_the_books(office: BackOffice) -> None:
    ledger = sold(9)
    some(office, ledger, 1, 6)
    some(office, ledger, 8, 18)  # 7 is missing
    status(office, 36, oldest_seq=13)
    office.give_up("CP1", 12, "anna", NOTE)
    assert streams(office) == {EPOCH: 18}, "on to the end of what waited"
    assert captured(office) == [1, 3], "the second has no beginning"
    with Db(office.engine) as db:
        assert not db.scalars(select(Record).where(Record.applied.is_(False))).all()
    (row,) = [row for row in office.problems() if row["code"] == gaps.GIVEN_UP]
    assert "5 of them that had come early" in row["detail"]
    some(office, ledger, 19, 54)
    assert captured(office) == [1, 3, 4, 5, 6, 7, 8, 9]


def test_what_was_given_up_stays_on_the_chargers_page(office: BackOffice) -> None:
    ledger = sold(9)
    some(office, ledger, 1, 9)  # the second session is open
    status(office, 54, oldest_seq=34)
    finance = Visitor(office).log_in("finance", "anna")
    page = text_of(finance.get("/fleet/CP1").text)
    says = "records 10 to 33 are lost, 34 to 54 are still in the charger"
    assert says.capitalize() in page and "45 records not here yet" in page
    assert says in text_of(finance.get("/fleet").text)
    support = Visitor(office).log_in("support")
    assert "Give up" not in support.get("/fleet/CP1").text
    token = {"through": "33", "note": NOTE}
    assert support.submit("/fleet/CP1", "/fleet/CP1/give-up", **token) and support.status == 403
    said = finance.submit("/fleet/CP1", "/fleet/CP1/give-up", through="33", note=" ")
    assert "Nothing was given up" in said
    said = finance.submit("/fleet/CP1", "/fleet/CP1/give-up", through="34", note=NOTE)
    assert "it has changed meanwhile" in said and streams(office) == {EPOCH: 9}
    finance.submit("/fleet/CP1", "/fleet/CP1/give-up", through="33", note=NOTE)
    assert streams(office) == {EPOCH: 33}
    some(office, ledger, 34, 54)
    for row in office.problems():
        office.close_problem(row["id"], "support")
    page = text_of(finance.get("/fleet/CP1").text)
    assert "records 10 to 33 are given up; left open before it: session 2" in page
    assert f"(anna: {NOTE})" in page and "0 records not here yet" in page
    assert "sessions 3 to 6 are not in the books, or not whole" in page
    (entry,) = [row for row in audit.entries(office.engine) if row["action"] == "records given up"]
    assert (entry["person"], entry["subject"]) == ("anna", "CP1") and NOTE in entry["detail"]
    finance.submit("/fleet/CP1", "/fleet/CP9/give-up", **token)
    assert finance.status == 404


def test_earlier_firmware_does_not_say_what_it_has(office: BackOffice) -> None:
    ledger = sold(3)
    some(office, ledger, 1, 6)
    status(office, 12)
    found = fleet_view.one(office.engine, "CP1")
    assert found and "does not say which of them it still has" in found["gap"].text
    office.give_up("CP1", 12, "anna", NOTE)
    some(office, ledger, 13, 18)
    assert captured(office) == [1, 3]


def test_what_a_charger_says_cannot_be_given_up_at_any_length(office: BackOffice) -> None:
    some(office, sold(1), 1, 6)
    status(office, 2**62, oldest_seq=2**62)
    with pytest.raises(gaps.GapError, match="does not write"):
        office.give_up("CP1", 2**62 - 1, "anna", NOTE)
    with pytest.raises(gaps.NoCharger):
        office.give_up("CP2", 1, "anna", NOTE)
    assert streams(office) == {EPOCH: 6}


def test_records_in_conflict_are_not_given_up(office: BackOffice) -> None:
    ledger = sold(3)
    some(office, ledger, 1, 6)
    office.ingest.take([("CP1", json.dumps(ledger.records[2] | {"register_wh": 9}).encode())])
    status(office, 2)
    status(office, 12, epoch=EPOCH, oldest_seq=10)
    with writing(office.engine) as db:
        row = db.get_one(Charger, "CP1")
        row.status = row.status | {"conflict": [EPOCH, 3]}
    with pytest.raises(gaps.GapError, match="conflict"):
        office.give_up("CP1", 9, "anna", NOTE)


def test_no_number_of_a_document_is_given_twice(office: BackOffice, tmp_path: Path) -> None:
    ledger = sold(9)
    some(office, ledger, 1, 12)
    backup.backup(office.engine, tmp_path / "books.gz")
    some(office, ledger, 13, 48)
    given = numbers(office)
    again = desk.office(tmp_path / "again")
    backup.restore(again.engine, tmp_path / "books.gz")
    status(again, 48, oldest_seq=25)
    again.give_up("CP1", 24, "anna", NOTE)
    some(again, ledger, 25, 54)
    now = numbers(again)
    assert sorted(now) == [1, 2, 5, 6, 7, 8, 9] and now[1] == given[1] and now[2] == given[2]
    fresh = {now[sess] for sess in (5, 6, 7, 8, 9)}
    assert not fresh & set(given.values())
    assert min(fresh) == "CP1-I000039", "2, and 36 records of which each may have been one"
    verdict = verify.verify(again.engine)
    assert verdict.good, verdict.faults
    with writing(again.engine) as db:
        row = db.scalars(select(Problem).where(Problem.code == gaps.GIVEN_UP)).one()
        row.payload = ""
    assert any("should be CP1-I000003" in fault for fault in verify.verify(again.engine).faults)
    again.close()


def test_the_command_line_gives_up_and_the_charger_is_told(
    office: BackOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(office, sold(9), 1, 6)
    sent: list[tuple[str, bytes]] = []
    monkeypatch.setattr(office._desk, "_send", lambda topic, data, _: sent.append((topic, data)))
    status(office, 54, oldest_seq=31)
    sent.clear()
    run, base = CliRunner(), str(tmp_path / "o.db")
    shown = run.invoke(app, ["database", "lost", "--db", base])
    assert shown.exit_code == 1
    assert "CP1: records 7 to 30 are lost, 31 to 54 are still in the charger" in shown.stdout
    wrong = run.invoke(app, ["database", "give-up", "CP1", "31", "--note", NOTE, "--db", base])
    assert wrong.exit_code == 1 and streams(office) == {EPOCH: 6}
    office._desk.reminders()
    assert sent == []
    done = run.invoke(app, ["database", "give-up", "CP1", "30", "--note", NOTE, "--db", base])
    assert done.exit_code == 0, done.output
    office._desk.reminders()
    ((topic, data),) = sent
    assert topic == "forecourt/v1/CP1/ack"
    assert json.loads(data) == {"epoch": EPOCH, "seq": 30, "again": True}
    office._desk.reminders()
    assert len(sent) == 1, "once"
    assert audit.entries(office.engine)[0]["person"] == "command line"
    assert run.invoke(app, ["database", "lost", "--db", base]).exit_code == 0


def test_a_restore_says_what_is_still_to_be_done(office: BackOffice, tmp_path: Path) -> None:
    some(office, sold(1), 1, 6)
    backup.backup(office.engine, tmp_path / "books.gz")
    done = CliRunner().invoke(
        app, ["database", "restore", str(tmp_path / "books.gz"), "--db", str(tmp_path / "n.db")]
    )
    assert done.exit_code == 0 and "rows restored" in done.stdout
    for word in ("database lost", "give-up", "invoices verify --against", "operator.md"):
        assert word in done.stdout


def test_a_flash_that_was_put_in_again_is_the_one_in_use(office: BackOffice) -> None:
    first, second = sold(4), sold(1, epoch=88)
    some(office, first, 1, 6)
    some(office, second, 1, 1)
    some(office, first, 7, 24)  # it is put in again
    say(office, "status", online=True, epoch=EPOCH, next_seq=25, acked_seq=24)
    with Db(office.engine) as db:
        assert db.get_one(Charger, "CP1").epoch == EPOCH
        query = select(Session).where(Session.epoch == EPOCH, Session.sess == 4)
        session = db.scalars(query).one()
        assert not refund_gone.gone(db, session)
    assert [row["committed_seq"] for row in views.chargers(office.engine)] == [24]
    greeted = [json.loads(data) for topic, data, _ in office._desk.greetings() if "ack" in topic]
    assert [(ack["epoch"], ack["seq"]) for ack in greeted] == [(EPOCH, 24)]
    assert "old_epoch" in [row["code"] for row in office.problems()]


def test_what_the_broker_kept_of_a_flash_moves_nothing(office: BackOffice) -> None:
    some(office, sold(1), 1, 6)
    some(office, sold(1, epoch=88), 1, 6)
    kept = {"online": True, "at": 5, "epoch": EPOCH, "next_seq": 7, "acked_seq": 6}
    office._desk.handle([("forecourt/v1/CP1/status", json.dumps(kept).encode(), True)])
    with Db(office.engine) as db:
        assert db.get_one(Charger, "CP1").epoch == 88

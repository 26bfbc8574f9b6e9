"""What needs a look: one open row a problem, a new one after it was closed, none buried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hostsim.backoffice import views
from hostsim.backoffice.models import Problem, open_database, writing
from tests.backoffice.records import EPOCH, Ledger
from tests.backoffice.test_backoffice_attacks import Reception

ELSEWHERE = 5555  # Wh at which another device's register stands


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Reception]:
    engine = open_database(f"sqlite:///{tmp_path / 'office.db'}")
    yield Reception(engine)
    engine.dispose()


def shown(office: Reception) -> list[tuple[str, int, int]]:
    """Of the open problems, the newest first: code, record, how often."""
    return [(p["code"], p["seq"], p["count"]) for p in views.problems(office.engine)]


def lasts(office: Reception) -> list[bool]:
    return [p["lasts"] for p in views.problems(office.engine)]


def done(office: Reception) -> None:
    """Somebody presses Done at every row."""
    with writing(office.engine) as db:
        for problem in db.scalars(select(Problem)):
            problem.open = False


def status(acked: int, epoch: int = EPOCH) -> dict[str, Any]:
    return {"online": True, "at": 0, "epoch": epoch, "next_seq": acked + 1, "acked_seq": acked}


def many(sessions: int) -> Ledger:
    ledger = Ledger()
    for sess in range(1, sessions + 1):
        ledger.session(sess)
    return ledger


# --- closed, and it goes on ----------------------------------------------------------------------


def test_a_conflict_that_goes_on_after_done_is_shown_again(office: Reception) -> None:
    ledger = many(1)
    office.take(*ledger.records[:3])
    other = ledger.records[2] | {"register_wh": ELSEWHERE}
    office.take(other)
    done(office)
    assert office.take(*ledger.records[3:]) == [] and shown(office) == [("conflict", 6, 3)]
    assert "record 3 is here with other contents" in office_detail(office)
    assert lasts(office) == [True]
    done(office)
    office.take(other)
    assert shown(office) == [("conflict", 3, 1)] and lasts(office) == [True]
    office.take(*ledger.records)
    assert shown(office) == [("conflict", 3, 1)], "it is over, and still to be looked at"
    assert lasts(office) == [False] and office.books()["captured_minor"] == 119


def office_detail(office: Reception) -> str:
    return str(views.problems(office.engine)[0]["detail"])


def test_a_gap_that_goes_on_after_done_is_shown_again(office: Reception) -> None:
    ledger = many(60)
    office.take(*ledger.records[:3], ledger.records[302])
    assert shown(office) == [("gap", 4, 1)] and lasts(office) == [True]
    done(office)
    office.take(ledger.records[303])
    assert shown(office) == [("gap", 4, 1)] and "record 304 came" in office_detail(office)
    office.take(*ledger.records[3:5])
    assert lasts(office) == [False]
    office.hear("status", status(5))
    assert shown(office) == []


def test_a_gap_a_status_tells_of_lasts_until_the_records_are_here(office: Reception) -> None:
    """Also of a flash this database has never had a record of."""
    office.hear("status", status(6))
    assert shown(office) == [("gap", 1, 1)] and lasts(office) == [True]
    done(office)
    office.hear("status", status(6))
    assert shown(office) == [("gap", 1, 1)]
    office.take(*many(1).records)
    assert lasts(office) == [False]
    office.hear("status", status(6))
    assert shown(office) == []


def test_another_malformed_record_after_done_is_shown(office: Reception) -> None:
    office.take(b"{garbage")
    done(office)
    office.take(b"{garbage2")
    assert shown(office) == [("malformed", 0, 1)]
    office.hear("status", b"{garbage3")
    assert len(shown(office)) == 2, "another topic"


def test_an_old_flash_that_comes_again_after_done_is_shown(office: Reception) -> None:
    old, new = many(1), Ledger(EPOCH + 2).session(1)
    office.take(*old.records)
    office.take(*new.records)
    office.take(old.records[0])
    done(office)
    office.take(old.records[0])
    assert shown(office) == [("old_epoch", 0, 1)]


# --- one charger buries nobody -------------------------------------------------------------------


def test_hundreds_of_malformed_messages_are_a_row_a_field_with_the_newest_values(
    office: Reception,
) -> None:
    record = many(1).records[5]
    office.take(*[record | {"captured_minor": -number} for number in range(1, 301)])
    office.take(*[record | {f"extra{number}": 1} for number in range(100)])
    lines = many(1).records[4]
    office.take(*[lines | {"lines": [0] * at + ["x"]} for at in range(100)])
    for number in range(100):
        office.hear("status", {"online": True, "epoch": -1 - number})
    office.take(record | {"captured_minor": -7}, charger="CP2")
    rows = views.problems(office.engine)
    assert sorted((p["charger"], p["detail"].partition(":")[0][:7], p["count"]) for p in rows) == [
        ("CP1", "capture", 300), ("CP1", "lines.9", 100), ("CP1", "message", 100),
        ("CP1", "status", 100), ("CP2", "capture", 1),
    ]  # fmt: skip
    captured = next(p for p in rows if p["count"] == 300)
    assert "-300" in captured["detail"] and '"captured_minor": -300' in captured["payload"]


def test_a_copied_flash_is_one_conflict_however_many_of_its_records_come(
    office: Reception,
) -> None:
    ledger = many(10)
    office.take(*ledger.records)
    copy = [record | {"at": record["at"] + 1} for record in ledger.records]
    office.take(*copy[10:26])
    office.take(*copy[26:40])
    assert shown(office) == [("conflict", 40, 30)]
    office.take(ledger.records[0], *copy[40:45])
    assert shown(office) == [("conflict", 45, 35)]


def test_a_field_whose_name_begins_like_another_is_not_counted_with_it(office: Reception) -> None:
    hold = many(1).records[0]
    office.take(hold | {"tariff": 5})
    office.take(hold | {"tariff_crc": "x"})
    assert [p["count"] for p in views.problems(office.engine)] == [1, 1]

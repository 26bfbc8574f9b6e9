"""A database that refuses or is away: every reader is told so, nobody gets a bare 500."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from hostsim.backoffice.models import writing
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk
from tests.backoffice.desk import Visitor, fill, paid, text_of


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path)
    fill(found, paid())
    yield found
    found.close()


def renamed(office: BackOffice, table: str, name: str) -> None:
    with writing(office.engine) as db:
        db.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_a_page_says_that_the_database_refused_and_the_log_why(
    office: BackOffice, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = Visitor(office).log_in("viewer")
    assert viewer.get("/sessions").status_code == 200
    renamed(office, "sessions", "mislaid")
    refused = viewer.get("/sessions")
    assert refused.status_code == 503
    assert "database did not take this" in text_of(refused.text) and "mislaid" not in refused.text
    assert "GET /sessions: cannot be taken: no such table: sessions" in caplog.text
    renamed(office, "mislaid", "sessions")
    assert viewer.get("/sessions").status_code == 200


def test_a_driver_is_asked_to_try_again_in_their_language(office: BackOffice) -> None:
    driver = Visitor(office)
    bill = "/r/CP1/1/119"
    assert driver.get(bill).status_code == 200
    renamed(office, "invoices", "mislaid")
    refused = driver.get(bill, headers={"accept-language": "de"})
    assert refused.status_code == 503
    assert 'lang="de"' in refused.text and "Das hat nicht geklappt" in refused.text
    assert "Bitte gleich noch einmal versuchen." in text_of(refused.text)
    assert "database" not in refused.text.lower()
    missing = text_of(driver.get("/r/CP1/9/119?lang=fr").text)
    assert "Cela n'a pas fonctionné" in missing and "To the start" not in missing


def test_who_watches_by_machine_sees_that_the_database_is_away(office: BackOffice) -> None:
    watcher = Visitor(office)
    assert watcher.get("/health").json()["database"] is True
    renamed(office, "chargers", "mislaid")
    answer = watcher.get("/health")
    assert answer.status_code == 503 and answer.json()["database"] is False

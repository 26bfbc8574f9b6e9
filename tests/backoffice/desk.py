"""A back office with its desk, without a broker, and somebody who is logged in."""

from __future__ import annotations

import functools
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from hostsim.backoffice.accounts import passwords
from hostsim.backoffice.models import writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice, sqlite_url
from hostsim.backoffice.tables import Person
from hostsim.backoffice.web import create_app
from hostsim.pki import Pki
from hostsim.setup import MICROPYTHON, MICROPYTHON32
from tests.backoffice.records import Ledger

PASSWORD = "correct horse 42"
NOW_MS = 1_767_300_000_000  # 2026-01-01, 20:40 UTC


class Nowhere:
    """A broker's address where none is."""

    host = "127.0.0.1"
    office_port = 1


def office(
    directory: Path, operator: Operator | None = None, url: str = "", now_ms: int = NOW_MS
) -> BackOffice:
    """A back office that is not connected."""
    return BackOffice(
        url or sqlite_url(directory / "o.db"),
        Nowhere(),
        Pki(directory / "pki"),
        now_ms=lambda: now_ms,
        operator=operator,
    )


def fill(office: BackOffice, *ledgers: Ledger, charger: str = "CP1") -> None:
    """The records of these ledgers come in."""
    for ledger in ledgers:
        batch = [(charger, json.dumps(record).encode()) for record in ledger.records]
        office.ingest.take(batch)


@functools.cache
def stored() -> str:
    """PASSWORD as the database has it, at a cost that does not make every log-in wait."""
    return passwords.hashed(PASSWORD, n=16)


def somebody(office: BackOffice, name: str, role: str) -> None:
    """A person with PASSWORD."""
    with writing(office.engine) as db:
        db.merge(Person(name=name, role=role, password=stored(), active=True, created_at=1))


class Visitor(TestClient):
    """A browser without script: forms are sent with what the page's own forms hold."""

    def __init__(self, office: BackOffice) -> None:
        super().__init__(create_app(office), base_url="http://localhost")
        self.office = office

    def log_in(self, role: str = "admin", name: str = "") -> Visitor:
        name = name or role
        somebody(self.office, name, role)
        answer = self.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 200 and "Log out" in answer.text, answer.text[:500]
        return self

    def submit(self, page: str, path: str, **fields: str | list[str]) -> str:
        """Posts a form with the CSRF token `page` gave; the text that came, after redirects."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert token, f"no form on {page}"
        answer = self.post(path, data={"csrf": token[1], **fields})
        self.status = answer.status_code
        return answer.text


def text_of(html: str) -> str:
    """What a page says, on one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))

needs_micropython = pytest.mark.skipif(
    not (MICROPYTHON.exists() or MICROPYTHON32.exists()), reason="no MicroPython: make setup"
)


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

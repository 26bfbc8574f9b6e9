"""How long the desk's pages take over a database with a long past (`fleet-pages`), so that the
numbers in docs/operator.md can be had again."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

_PAGES = (
    "/", "/fleet", "/payments", "/payments?find=FH-00001-5", "/sessions", "/sessions/1",
    "/invoices",
    "/refunds", "/reports?preset=today", "/reports?preset=month", "/reports?preset=quarter",
    "/reports?preset=year", "/reports?preset=year&charger=FH-00001",
    "/reports?preset=year&tariff=ADHOC-1", "/reports/report.pdf?preset=year",
    "/reports/chargers.csv?preset=year", "/ocpi/2.2.1/cdrs?limit=100",
    "/ocpi/2.2.1/cdrs?limit=100&offset=900000",
)  # fmt: skip


def pages(
    sessions: Annotated[int, typer.Option(help="How many are in the past.", min=1)] = 1_000_000,
    chargers: Annotated[int, typer.Option(help="Of how many chargers.", min=1)] = 1000,
    database: Annotated[
        str, typer.Option(help="SQLAlchemy URL or SQLite file; none: one that is thrown away.")
    ] = "",
    cpu: Annotated[
        bool, typer.Option("--cpu", help="The process's own time: for a machine that is busy.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Seconds each page of the desk takes over so many stored sessions (best of three)."""
    with tempfile.TemporaryDirectory(prefix="forecourt-pages-") as name:
        found = _measure(Path(name), sessions, chargers, database, cpu)
    if as_json:
        print(json.dumps(found))
        return
    for page, seconds in found.items():
        print(f"{seconds:>9}  {page}")


def _measure(
    folder: Path, sessions: int, chargers: int, database: str, cpu: bool
) -> dict[str, float]:
    from fastapi.testclient import TestClient

    from hostsim.backoffice.accounts import people, tokens
    from hostsim.backoffice.cli import database_url
    from hostsim.backoffice.service import BackOffice
    from hostsim.backoffice.web import create_app
    from hostsim.backoffice.workers import Address
    from hostsim.fleet.history import fill
    from hostsim.pki import Pki

    clock = time.process_time if cpu else time.monotonic
    url = database_url(database or str(folder / "pages.db"))
    now = time.time_ns() // 1_000_000
    office = BackOffice(url, Address("127.0.0.1", 1), Pki(folder / "pki"), now_ms=lambda: now)
    began = time.monotonic()
    fill(office.engine, sessions, chargers, now, office.operator.zone)
    found = {"filling": round(time.monotonic() - began, 1)}
    password = "measured password"
    people.put(office.engine, "measure", "admin", password, now)
    token = tokens.add(office.engine, "measure", "measure", now)
    with TestClient(create_app(office), base_url="http://localhost") as visitor:
        visitor.post("/login", data={"name": "measure", "password": password})
        headers = {"Authorization": f"Token {token}"}
        for page in _PAGES:
            times = []
            for _ in range(3):
                began = clock()
                answer = visitor.get(page, headers=headers)
                times.append(clock() - began)
                assert answer.status_code == 200, (page, answer.text[:300])
            found[page] = round(min(times), 3)
    office.close()
    return found

"""How long the desk's pages take over a database with a long past (`fleet-pages`), so that the
numbers in docs/operator.md can be had again."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

_PAGES = (
    "/", "/fleet", "/fleet/FH-00001", "/payments", "/payments?find=FH-00001-5",
    "/payments?find=1234", "/payments?state=disputed", "/payments/troubles/days",
    "/payments/troubles/hanging", "/payments/troubles/refunds", "/payments/troubles/unproven",
    "/sessions", "/sessions/{newest}", "/invoices", "/invoices?charger=FH-00001", "/refunds",
    "/refunds?state=failed", "/audit", "/reports?preset=today", "/reports?preset=month",
    "/reports?preset=quarter", "/reports?preset=year", "/reports?preset=year&charger=FH-00001",
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
    filled: Annotated[
        bool, typer.Option("--filled", help="The database has a past already: add none.")
    ] = False,
    times: Annotated[int, typer.Option(help="The best of so many.", min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Seconds each page of the desk takes over so many stored sessions: by the clock, of the
    processor in this process, and in PostgreSQL's where it runs on this machine.
    """

    def tell(page: str, seconds: list[float]) -> None:
        if not as_json:
            print("".join(f"{part:>9.3f}" for part in seconds), page, flush=True)

    if not as_json:
        print("    clock  program database  page")
    with tempfile.TemporaryDirectory(prefix="forecourt-pages-") as name:
        wanted = 0 if filled else sessions
        found = _measure(Path(name), wanted, chargers, database, times, tell)
    if as_json:
        print(json.dumps(found))
    else:
        print(f"load average {found['load']}, filled in {found['filling']} s")


def _measure(
    folder: Path, sessions: int, chargers: int, database: str, times: int,
    tell: Callable[[str, list[float]], None],
) -> dict[str, Any]:  # fmt: skip
    from fastapi.testclient import TestClient

    from hostsim.backoffice import views
    from hostsim.backoffice.accounts import people, tokens
    from hostsim.backoffice.cli import database_url
    from hostsim.backoffice.service import BackOffice
    from hostsim.backoffice.web import create_app
    from hostsim.backoffice.workers import Address
    from hostsim.fleet.history import fill
    from hostsim.pki import Pki

    url = database_url(database or str(folder / "pages.db"))
    now = time.time_ns() // 1_000_000
    office = BackOffice(url, Address("127.0.0.1", 1), Pki(folder / "pki"), now_ms=lambda: now)
    began = time.monotonic()
    if sessions:
        fill(office.engine, sessions, chargers, now, office.operator)
    found: dict[str, Any] = {"filling": round(time.monotonic() - began, 1)}
    password = "measured password"
    people.put(office.engine, "measure", "admin", password, now)
    token = tokens.add(office.engine, "measure", f"measure {now}", now)
    newest = views.sessions(office.engine, limit=1)[0]["id"]
    with TestClient(create_app(office), base_url="http://localhost") as visitor:
        visitor.post("/login", data={"name": "measure", "password": password})
        headers = {"Authorization": f"Token {token}"}
        for page in _PAGES:

            def get(path: str = page.format(newest=newest)) -> None:
                answer = visitor.get(path, headers=headers)
                assert answer.status_code == 200, (path, answer.text[:300])

            found[page] = _best(get, office.engine, times)
            tell(page, found[page])
    office.close()
    return found | {"load": " ".join(f"{part:.1f}" for part in os.getloadavg())}


def _best(get: Callable[[], None], engine: Any, times: int) -> list[float]:
    """Seconds by the clock, of this process, of the database's processes; the best of each."""
    clocks: tuple[Callable[[], float], ...] = (
        time.monotonic, time.process_time, lambda: _database_s(engine),
    )  # fmt: skip
    rounds = []
    for _ in range(times):
        began = [clock() for clock in clocks]
        get()
        rounds.append([clock() - start for clock, start in zip(clocks, began, strict=True)])
    return [round(min(column), 3) for column in zip(*rounds, strict=True)]


def _database_s(engine: Any) -> float:
    """Processor time of PostgreSQL's processes for this program; 0 where they are not here."""
    from sqlalchemy import text

    if engine.dialect.name != "postgresql":
        return 0.0
    with engine.connect() as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        pids = list(connection.scalars(text(query)))
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")

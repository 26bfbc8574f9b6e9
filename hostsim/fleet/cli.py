"""`python -m hostsim fleet`: many chargers at protocol level against a back office of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hostsim.fleet.pages import pages

_STEP_S = 0.1
_START_S = 60


def register(app: typer.Typer) -> None:
    """Add the command to hostsim's."""
    app.command("fleet")(fleet)
    app.command("fleet-pages")(pages)


def fleet(
    chargers: Annotated[int, typer.Option(help="How many.", min=1, max=5000)] = 10,
    rate: Annotated[
        float, typer.Option(help="Sessions a second, all together.", min=0.1, max=5000)
    ] = 10.0,
    seconds: Annotated[float, typer.Option(help="For how long.", min=1, max=86_400)] = 10.0,
    database: Annotated[
        str, typer.Option(help="SQLAlchemy URL or SQLite file; none: one that is thrown away.")
    ] = "",
    workers: Annotated[int, typer.Option(help="Processes that take records.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Simulated chargers at protocol level, by mutual TLS over a real broker, into a back office
    in processes of its own; then the books are compared. Exit code 0 only when every session is
    there exactly once.
    """
    with tempfile.TemporaryDirectory(prefix="forecourt-fleet-") as name:
        result = _run(Path(name), chargers, rate, seconds, database, workers, seed, as_json)
    if as_json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:>16}  {value}")
    if not result["exactly_once"]:
        raise typer.Exit(1)


def _run(
    folder: Path, chargers: int, rate: float, seconds: float, database: str, workers: int,
    seed: int, quiet: bool,
) -> dict[str, Any]:  # fmt: skip
    from hostsim.backoffice.cli import database_url
    from hostsim.backoffice.models import open_database
    from hostsim.broker import Broker, free_ports
    from hostsim.fleet.drive import drive
    from hostsim.pki import Pki

    said = [0.0]

    def tell(text: str) -> None:
        if not quiet and time.monotonic() - said[0] > 1:
            said[0] = time.monotonic()
            print(f"  {text}", file=sys.stderr)

    pki = Pki(folder / "pki")
    broker = Broker(folder / "broker", pki)
    broker.start()
    url = database_url(database or str(folder / "fleet.db"))
    engine = open_database(url)
    command = [
        sys.executable, "-m", "hostsim", "backoffice", "--database", url, "--broker",
        f"{broker.host}:{broker.office_port}", "--pki", str(folder / "pki"), "--port",
        str(free_ports(1)[0]), "--workers", str(workers),
    ]  # fmt: skip
    office = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert office.stdout is not None
        if "back office on" not in office.stdout.readline():
            raise typer.BadParameter("the back office did not start")
        pids = _processes(office.pid, workers)
        result = asyncio.run(
            drive(
                engine, pki, (broker.host, broker.port), chargers, rate, seconds, seed, pids, tell
            )
        )
    finally:
        office.send_signal(signal.SIGINT)
        try:
            office.wait(30)
        except subprocess.TimeoutExpired:
            office.kill()
            office.wait()
        broker.stop()
        engine.dispose()
    size = Path(engine.url.database or "").stat().st_size if url.startswith("sqlite") else 0
    return result.as_dict() | {"workers": workers, "database_mb": round(size / 2**20, 1)}


def _processes(first: int, workers: int) -> list[int]:
    """The back office's processes, once all of them are there."""
    end = time.monotonic() + _START_S
    found: list[int] = []
    while time.monotonic() < end:
        found = [first, *_children(first)]
        if len(found) >= workers:
            break
        time.sleep(_STEP_S)
    return found


def _children(parent: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                line = Path(f"/proc/{entry}/cmdline").read_text()
            except OSError:
                continue
            if int(fields[1]) == parent and "spawn_main" in line:
                found.append(int(entry))
    return found

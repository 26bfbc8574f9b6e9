"""`python -m hostsim soak`."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from hostsim import commands
from hostsim.soak.faults import FaultNameError, chosen
from hostsim.soak.job import METHODS, Job

_TELL_EVERY_S = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(soak)


def soak(
    sessions: Annotated[int, typer.Option(help="Visits of drivers in all.", min=1)] = 200,
    chargers: Annotated[int, typer.Option(help="Chargers they share.", min=1, max=16)] = 8,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 1,
    faults: Annotated[
        str,
        typer.Option(
            help="all, none, or kinds (power, network, meter, terminal, gateway, duplicates)"
            " and names with commas between."
        ),
    ] = "all",
    methods: Annotated[
        str, typer.Option(help="How drivers pay: card, qr (by phone), with commas between.")
    ] = ",".join(METHODS),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Plays random sessions with random faults on the real firmware, then compares the books.

    backoffice_minor, terminal_minor (of cards) and gateway_minor (by phone) are captured less
    refunded. Exit code 0 only when the books of every charger agree and nothing was lost or came
    twice; 1 when not, 2 for a bad option. A soak that failed keeps its files and prints the
    command that plays it again.
    """
    try:
        ways = tuple(word.strip() for word in methods.split(","))
        if not set(ways) <= set(METHODS):
            raise commands.fail(f"--methods {methods}: there are {', '.join(METHODS)}", 2)
        job = Job(sessions, chargers, seed, chosen(faults), faults, methods=ways)
    except FaultNameError as e:
        raise commands.fail(f"--faults: {e}", 2) from e
    from hostsim.broker import BrokerError
    from hostsim.charger import ChargerError
    from hostsim.errors import WorldError
    from hostsim.gateway.peer import PeerError
    from hostsim.soak.run import Soak

    directory = Path(tempfile.mkdtemp(prefix="forecourt-soak-"))
    right = False
    try:
        found = commands.run_to_end(Soak(job, directory, _teller(job)).play())
        right = found["books_agree"] and not (found["lost"] or found["duplicated"])
    except (WorldError, BrokerError, ChargerError, PeerError) as e:
        raise commands.fail(f"{e}\nplay it again: {job.replay()}") from e
    except KeyboardInterrupt:
        right = True  # nobody asked for the files
        raise typer.Exit(commands.INTERRUPTED) from None
    finally:
        sys.stderr.write("\n")
        if right:
            shutil.rmtree(directory, ignore_errors=True)
    if as_json:
        print(json.dumps(found))
    else:
        _show(found)
    if not right:
        for text in found["failures"]:
            sys.stderr.write(f"{text}\n")
        sys.stderr.write(f"files: {directory}\nplay it again: {job.replay()}\n")
        raise typer.Exit(1)


def _teller(job: Job) -> Callable[[int, int], None]:
    """One line that moves on a terminal, a line every ten seconds elsewhere."""
    began = time.monotonic()
    live = sys.stderr.isatty()
    told = [began]

    def tell(done: int, struck: int) -> None:
        now = time.monotonic()
        if not live and now - told[0] < _TELL_EVERY_S and done < job.sessions:
            return
        told[0] = now
        rate = 60 * done / (now - began)
        text = f"soak: {done}/{job.sessions} sessions, {struck} faults, {rate:.1f} a minute"
        sys.stderr.write(f"\r{text}  " if live else f"{text}\n")
        sys.stderr.flush()

    return tell


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found['sessions']} sessions, {found['faults']} faults (minor units)")
    names = ("captured_minor", "refunded_minor", "backoffice_minor", "terminal_minor",
             "gateway_minor", "lost", "duplicated", "records", "bills")  # fmt: skip
    table.add_column("charger")
    for title in ("captured", "refunded", "office", "terminal", "gateway", "lost", "twice",
                  "records", "bills"):  # fmt: skip
        table.add_column(title, justify="right")
    for one in found["chargers"]:
        table.add_row(one["charger"], *(str(one[name]) for name in names))
    console = Console()
    console.print(table)
    faults = ", ".join(f"{name} {n}" for name, n in found["faults_by_name"].items())
    console.print(f"faults: {faults or 'none'}", highlight=False, soft_wrap=True)
    console.print(f"refunds ordered: {found['refunds']}", highlight=False)
    console.print(
        f"heap: grew {found['heap_growth_bytes']} B, peak {found['peak_heap_bytes']} B;"
        f" unexpected resets {sum(one['resets'] for one in found['chargers'])};"
        f" took {found['took_s']} s",
        highlight=False,
    )
    if found["books_agree"]:
        console.print("[green]✔ the books of every charger agree to the cent[/]")

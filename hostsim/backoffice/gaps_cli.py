"""`python -m hostsim database lost` and `give-up`: what a restore has left to be done. The back
office that runs on the same database tells the charger within seconds.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hostsim.backoffice.cli import DEFAULT_DATABASE, Database, opened, read_operator

AFTER = (
    "What is still to be done (docs/operator.md, After a restore):\n"
    "- start the back office; each charger repeats by itself what came since and is in its flash\n"
    "- `hostsim database lost`: what is not; `hostsim database give-up` or the charger's page\n"
    "- `hostsim invoices verify --against` the ends you saved: documents that are gone\n"
    "- tariffs and configurations sent to chargers are those of the backup: roll out again what"
    " changed\n"
    "- people, tokens, members, refund orders, disputes and monthly bills since then are not here"
)
"""Printed by `database restore`."""


def register(databases: typer.Typer) -> None:
    """Add the commands to `database`."""
    databases.command("lost")(lost)
    databases.command("give-up")(give_up)


def lost(db: Database = DEFAULT_DATABASE) -> None:
    """Records that chargers were told are here and that are not, by their newest status.

    Exit code 1: some are lost, and the charger's queue stands until they are given up.
    """
    from hostsim.backoffice import gaps

    with opened(db) as engine:
        found = gaps.every(engine)
    for gap in found:
        typer.echo(f"{gap.charger}: {gap.text}")
        if gap.lost:
            typer.echo(f"  hostsim database give-up {gap.charger} {gap.last} --note WHY")
    if not found:
        typer.echo("no charger has records that are missing here")
    if any(gap.lost for gap in found):
        raise typer.Exit(1)


def give_up(
    charger: Annotated[str, typer.Argument(help="Name of the charger.")],
    through: Annotated[
        int, typer.Argument(help="The last record that is lost, as `database lost` shows it.")
    ],
    note: Annotated[str, typer.Option(help="Why they will not come; for the audit log.")],
    db: Database = DEFAULT_DATABASE,
    config: Annotated[
        Path | None, typer.Option(help="The operator as TOML, for invoices.")
    ] = None,
) -> None:
    """The lost records of a charger will not come: go on behind them. Nothing else is given up.

    Exit code 1: nothing was, and why.
    """
    from hostsim.backoffice import gaps
    from hostsim.backoffice.ingest import Ingest

    operator = read_operator(config)
    with opened(db) as engine:
        now = time.time_ns() // 1_000_000
        ingest = Ingest(engine, lambda: now, operator)
        try:
            ack = gaps.give_up(engine, ingest, charger, through, "command line", note, now)
        except gaps.GapError as exc:
            typer.echo(str(exc), err=True)
            raise typer.Exit(1) from exc
    typer.echo(f"{charger}: given up; it is to repeat what comes after record {ack.seq}")

"""`python -m hostsim gateway`: the gateway's own list beside the back office's books."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hostsim.backoffice.cli import (
    DEFAULT_DATABASE,
    Database,
    open_gateway,
    opened,
    read_operator,
)


def register(app: typer.Typer) -> None:
    """Add the command to hostsim's."""
    group = typer.Typer(help="The payment gateway.", no_args_is_help=True)
    group.callback()(_group)
    group.command("reconcile")(reconcile)
    app.add_typer(group, name="gateway")


def _group() -> None:
    """The payment gateway (docs/gateways.md)."""


def reconcile(
    config: Annotated[Path, typer.Option(help="The operator as TOML, which names the gateway.")],
    db: Database = DEFAULT_DATABASE,
    days: Annotated[
        int, typer.Option(help="What was made in so many days; 0 for everything.", min=0, max=9999)
    ] = 35,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Compares the gateway's list of payments and refunds with the back office's, to the cent.

    Exit code 0: they agree; 1: they differ; 2: a side could not be read. Keys: as `backoffice`.
    """
    import time

    from hostsim.backoffice.fourth import compare
    from hostsim.backoffice.gateways.base import GatewayError

    operator = read_operator(config)
    gateway = open_gateway(operator)
    if gateway is None:
        raise typer.BadParameter(f"--config {config}: names no gateway")
    with opened(db) as engine:
        try:
            since = compare.since_days(days, int(time.time() * 1000))
            found = compare.compare(engine, operator, gateway, since)
        except GatewayError as exc:
            typer.echo(f"the gateway shows no book: {exc}", err=True)
            raise typer.Exit(2) from exc
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        for line in found.lines():
            typer.echo(line)
    if not found.agree:
        raise typer.Exit(1)

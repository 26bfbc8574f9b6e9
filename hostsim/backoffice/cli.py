"""`python -m hostsim backoffice`: the back office alone, against any broker its certificate
opens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.web import create_app
from hostsim.pki import Pki, PkiError


@dataclass(frozen=True)
class _Address:
    host: str
    port: int


def register(app: typer.Typer) -> None:
    """Add the command to hostsim's."""
    app.command("backoffice")(run)


def run(
    db: Annotated[
        str,
        typer.Option(help="Database URL as SQLAlchemy writes it, or the path of a SQLite file."),
    ],
    broker: Annotated[str, typer.Option(help="The broker as HOST:PORT; mutual TLS.")],
    pki: Annotated[
        Path, typer.Option(help="Directory of the certificates (made by run, or by hand).")
    ],
    port: Annotated[
        int, typer.Option(help="Port of the pages, on this machine only.", min=1, max=65535)
    ] = 8090,
) -> None:
    """The back office alone: takes records, shows chargers, sessions and receipts."""
    address = _address(broker)
    url = db if "://" in db else f"sqlite:///{Path(db).absolute()}"
    try:
        office = BackOffice(url, address, Pki(pki))
    except (PkiError, SQLAlchemyError) as exc:
        raise typer.BadParameter(str(exc)) from exc
    office.begin()
    typer.echo(f"back office on http://127.0.0.1:{port}/ (Ctrl-C ends it)")
    try:
        uvicorn.run(create_app(office), host="127.0.0.1", port=port, log_level="warning")
    finally:
        office.close()


def _address(text: str) -> _Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise typer.BadParameter(f"--broker: must be HOST:PORT (given {text})")
    return _Address(host, int(port))

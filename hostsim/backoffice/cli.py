"""`python -m hostsim backoffice`: the back office alone, and the commands around its database.

What they need is imported when they run: other commands of hostsim start without it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hostsim.backoffice import operator as operators
from hostsim.backoffice.operator import Operator
from hostsim.setup import BUILD

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hostsim.backoffice.connection import BrokerAddress
    from hostsim.backoffice.gateways.base import Gateway
    from hostsim.pki import Pki

HOME = BUILD / "backoffice"

Database = Annotated[
    str,
    typer.Option(
        "--database",
        "--db",
        help="A SQLAlchemy URL (postgresql+psycopg://...), or the path of a SQLite file.",
    ),
]
DEFAULT_DATABASE = str(HOME / "backoffice.db")


@dataclass(frozen=True)
class _Address:
    host: str
    office_port: int


def register(app: typer.Typer) -> None:
    """Add the commands to hostsim's."""
    app.command("backoffice")(run)
    invoices = typer.Typer(help="Invoices and credit notes.", no_args_is_help=True)
    invoices.command("verify")(verify)
    app.add_typer(invoices, name="invoices")
    persons = typer.Typer(help="Who may log in at the desk.", no_args_is_help=True)
    persons.command("add")(add_person)
    persons.command("list")(list_people)
    app.add_typer(persons, name="people")
    databases = typer.Typer(help="The back office's database.", no_args_is_help=True)
    databases.command("migrate")(migrate)
    databases.command("backup")(backup_database)
    databases.command("restore")(restore_database)
    databases.command("rebuild")(rebuild)
    from hostsim.backoffice import gaps_cli

    gaps_cli.register(databases)
    app.add_typer(databases, name="database")


def run(
    db: Database = DEFAULT_DATABASE,
    broker: Annotated[
        str,
        typer.Option(help="The broker's port for back offices, HOST:PORT; none: one of its own."),
    ] = "",
    pki: Annotated[
        Path, typer.Option(help="Directory of the certificates; made when it is not there.")
    ] = HOME / "pki",
    port: Annotated[
        int, typer.Option(help="Port of the pages, on this machine only.", min=1, max=65535)
    ] = 8090,
    config: Annotated[
        Path | None, typer.Option(help="The operator as TOML (docs/operator.md).")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes that share the chargers' messages.", min=1, max=32)
    ] = 1,
) -> None:
    """The back office alone: takes records, keeps the books, shows the operator's desk.

    Nobody can log in before `people add NAME --role admin`. Behind a proxy give public_url in
    --config; it then speaks TLS, these pages answer on 127.0.0.1.
    """
    import uvicorn
    from sqlalchemy.exc import SQLAlchemyError

    from hostsim.backoffice.accounts import people
    from hostsim.backoffice.gateways.base import SettingsError
    from hostsim.backoffice.phone.desk import check_open
    from hostsim.backoffice.service import BackOffice
    from hostsim.backoffice.web import create_app
    from hostsim.broker import BrokerError
    from hostsim.pki import Pki, PkiError

    address = _address(broker) if broker else None
    operator = read_operator(config)
    with contextlib.ExitStack() as undo:
        try:
            keys = Pki(pki)
            at = address or _own_broker(keys, undo)
            group = keys.group if workers > 1 else ""
            gateway = open_gateway(operator)
            office = BackOffice(
                database_url(db), at, keys, operator=operator, group=group, gateway=gateway
            )
            if gateway is None:
                check_open(office.engine, "")
        except (PkiError, BrokerError, SQLAlchemyError, SettingsError, OSError) as exc:
            raise typer.BadParameter(str(exc)) from exc
        undo.callback(office.close)
        office.begin()
        if workers > 1:
            from hostsim.backoffice import workers as helpers

            keeping = helpers.begin(
                workers - 1, database_url(db), (at.host, at.office_port), pki, operator, group
            )
            undo.callback(helpers.end, keeping)
            office.helpers += keeping
        typer.echo(f"back office on http://127.0.0.1:{port}/ (Ctrl-C ends it)")
        if not people.everybody(office.engine):
            typer.echo("nobody may log in yet: python -m hostsim people add NAME --role admin")
        uvicorn.run(create_app(office), host="127.0.0.1", port=port, log_level="warning",
                    proxy_headers=False)  # fmt: skip


def verify(
    db: Database = DEFAULT_DATABASE,
    against: Annotated[
        Path | None, typer.Option(help="Ends of the chains as they were once saved.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save the ends of the chains here when all is good.")
    ] = None,
) -> None:
    """Every number there, every hash right, nothing changed, every settled session billed.

    Exit code 0: so it is; 1: it is not, a line for each fault; 2: nothing could be read.
    """
    from hostsim.backoffice.bills import make as bills
    from hostsim.backoffice.invoices import verify as verifying

    saved = _heads(against) if against else None
    with opened(db) as engine:
        verdict = verifying.verify(engine, saved)
        verdict.faults += bills.verify(engine, (saved or {}).get(verifying.BILLS))
        verdict.heads[verifying.BILLS] = bills.end(engine)
    for fault in verdict.faults:
        typer.echo(fault, err=True)
    chains = len(verdict.heads) - 1  # without the monthly invoices'
    typer.echo(f"{verdict.documents} documents of {chains} chargers, {len(verdict.faults)} faults")
    if not verdict.good:
        raise typer.Exit(1)
    if save is not None:
        save.write_text(json.dumps(verdict.heads, indent=1) + "\n")


def add_person(
    name: Annotated[str, typer.Argument(help="Small letters, digits, . _ @ -")],
    role: Annotated[str, typer.Option(help="viewer, support, finance or admin.")] = "viewer",
    db: Database = DEFAULT_DATABASE,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make a password and print it.")
    ] = False,
) -> None:
    """Somebody may log in at the desk. The password is asked for, or read from standard input."""
    from hostsim.backoffice.accounts import logins, passwords, people

    if generate:
        password = passwords.generated()
    elif sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    with opened(db, new=True) as engine:
        try:
            people.add(engine, "command line", name, role, password, logins.now_ms())
        except people.PersonError as exc:
            raise typer.BadParameter(str(exc)) from exc
    typer.echo(f"{name} may log in as {role}" + (f" with {password}" if generate else ""))


def list_people(db: Database = DEFAULT_DATABASE) -> None:
    """Who may log in."""
    from hostsim.backoffice.accounts import people

    with opened(db) as engine:
        for person in people.everybody(engine):
            typer.echo(f"{person.name:<20} {person.role:<8} {'' if person.active else 'inactive'}")


def migrate(db: Database = DEFAULT_DATABASE) -> None:
    """Bring the database to this program's version; the back office does so when it starts."""
    from hostsim.backoffice import schema

    with opened(db):
        typer.echo(f"the database has version {schema.NEWEST}")


def backup_database(
    file: Annotated[Path, typer.Argument(help="Written anew, gzip.")],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Every row into one file, from one snapshot, while the back office works."""
    from hostsim.backoffice import backup

    with opened(db) as engine:
        try:
            count = backup.backup(engine, file)
        except OSError as exc:
            raise typer.BadParameter(f"{file}: {exc.strerror}") from exc
    typer.echo(f"{count} rows in {file}")


def restore_database(
    file: Annotated[
        Path, typer.Argument(help="What `database backup` wrote.", exists=True, dir_okay=False)
    ],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Into an empty database, whole or not at all. Exit code 1 when the file is refused."""
    from hostsim.backoffice import backup, gaps_cli

    with opened(db, new=True) as engine:
        try:
            count = backup.restore(engine, file)
        except backup.BackupError as exc:
            typer.echo(str(exc), err=True)
            raise typer.Exit(1) from exc
    typer.echo(f"{count} rows restored")
    typer.echo(gaps_cli.AFTER)


def rebuild(
    db: Database = DEFAULT_DATABASE,
    config: Annotated[
        Path | None, typer.Option(help="The operator as TOML, for its time zone.")
    ] = None,
) -> None:
    """Make the sums of the reports again from the books (after a change of the time zone)."""
    from hostsim.backoffice.reports import roll

    operator = read_operator(config)
    with opened(db) as engine:
        typer.echo(f"{roll.rebuild(engine, operator.zone)} entries counted")


def read_operator(path: Path | None) -> Operator:
    """The operator in a file, or the demo's. Raises BadParameter."""
    if path is None:
        return Operator()
    try:
        return operators.read(path)
    except (operators.OperatorError, OSError) as exc:
        raise typer.BadParameter(f"--config {path}: {exc}") from exc


def open_gateway(operator: Operator) -> Gateway | None:
    """The operator's payment gateway with the keys of the environment, None without one. Raises
    BadParameter, which shows no key."""
    from hostsim.backoffice.gateways import base

    if not operator.gateway:
        return None
    settings = base.Settings(operator.gateway, operator.gateway_mode, operator.gateway_url)
    try:
        return base.opened(settings)
    except base.SettingsError as exc:
        raise typer.BadParameter(str(exc)) from exc


def database_url(db: str) -> str:
    """SQLAlchemy's URL; a path's directory is made."""
    if "://" in db:
        return db
    path = Path(db).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"


def _missing(db: str) -> str:
    """The SQLite file of a database when it is not there, "" when it is or there is none."""
    path: str | None = db
    if "://" in db:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(db)
        except ArgumentError as exc:
            raise typer.BadParameter(f"--database: {exc}") from exc
        path = url.database if url.get_backend_name() == "sqlite" else None
    if not path or path == ":memory:" or path.startswith("file:"):
        return ""
    return "" if Path(path).is_file() else path


@contextlib.contextmanager
def opened(db: str, *, new: bool = False) -> Iterator[Engine]:
    """The database of a command. A file that is not there is made only with `new`, which is said
    on stderr. Raises BadParameter."""
    from sqlalchemy.exc import SQLAlchemyError

    from hostsim.backoffice.models import open_database

    if missing := _missing(db):
        if not new:
            raise typer.BadParameter(f"--database {missing}: there is no such file")
        typer.echo(f"{missing} is a new database", err=True)
    try:
        engine = open_database(database_url(db))
    except (SQLAlchemyError, OSError) as exc:
        raise typer.BadParameter(f"--database: {exc}") from exc
    try:
        yield engine
    finally:
        engine.dispose()


def _heads(path: Path) -> dict[str, list[object]]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as exc:
        raise typer.BadParameter(f"--against {path}: {exc}") from exc
    if not isinstance(found, dict):
        raise typer.BadParameter(f"--against {path}: must be what --save wrote")
    return found


def _own_broker(keys: Pki, undo: contextlib.ExitStack) -> BrokerAddress:
    from hostsim.broker import Broker

    broker = Broker(HOME / "broker", keys)
    broker.start()
    undo.callback(broker.stop)
    typer.echo(f"broker on {broker.host}:{broker.port}, certificates in {keys.folder}")
    return broker


def _address(text: str) -> _Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise typer.BadParameter(f"--broker: must be HOST:PORT (given {text})")
    return _Address(host, int(port))

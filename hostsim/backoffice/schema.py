"""The database's schema and its versions (Alembic, migrations/).

A new database is made whole at the newest version; an older one is brought there, each version in
its own transaction. A database of a newer version than this program is refused.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

NEWEST = "0013"
FIRST = "0001"
_SCRIPTS = Path(__file__).with_name("migrations")
_VERSIONS = "alembic_version"


class SchemaError(SQLAlchemyError):
    """The database cannot be used; str() says why."""


def prepare(engine: Engine) -> None:
    """Bring the database to this program's version. Raises SchemaError."""
    there = set(inspect(engine).get_table_names())
    found = _version(engine) if _VERSIONS in there else ""
    if found == NEWEST:
        return
    if found > NEWEST:
        raise SchemaError(f"the database has version {found}, this program knows {NEWEST}")
    if there - {_VERSIONS}:
        _upgrade(engine, found or FIRST)
    else:
        _make(engine)


def _version(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(text(f"SELECT version_num FROM {_VERSIONS}")) or "")


def _make(engine: Engine) -> None:
    from hostsim.backoffice import models, tables  # noqa: F401 - theirs belong to the metadata

    try:
        with engine.begin() as connection:
            models.Base.metadata.create_all(connection)
            _stamp(connection, NEWEST)
    except DBAPIError:
        if _VERSIONS not in inspect(engine).get_table_names() or _version(engine) != NEWEST:
            raise  # else another process made it at this very moment


def _upgrade(engine: Engine, version: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    with engine.connect() as connection:
        if _VERSIONS not in inspect(connection).get_table_names():
            _stamp(connection, version)
            connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, NEWEST)
        connection.commit()


def _stamp(connection: Connection, version: str) -> None:
    """As Alembic notes it."""
    connection.execute(
        text(
            f"CREATE TABLE {_VERSIONS} (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(
        text(f"INSERT INTO {_VERSIONS} (version_num) VALUES (:version)"), {"version": version}
    )

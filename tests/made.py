"""The tests' SQLite databases are copies of one that was made: to make one takes 60 ms of the
processor and many commits to a disk, and a run of all tests needs hundreds.
"""

import functools
import sqlite3
import threading

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from hostsim.backoffice import schema

_make = schema._make
_copying = threading.Lock()


@functools.cache
def _template() -> sqlite3.Connection:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    _make(engine)
    made = engine.raw_connection().driver_connection
    assert isinstance(made, sqlite3.Connection)
    return made


def _copied(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return _make(engine)
    with engine.connect() as connection, _copying:
        there = connection.connection.driver_connection
        assert isinstance(there, sqlite3.Connection)
        _template().backup(there)


def by_copying() -> None:
    """From now on in this process."""
    schema._make = _copied

"""What many back-office tests stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice.accounts import passwords
from hostsim.backoffice.models import open_database
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk
from tests.backoffice.records import Inbox


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path)
    yield found
    found.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., BackOffice]]:
    made: list[BackOffice] = []

    def one(**fields: Any) -> BackOffice:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(desk.office(directory, Operator(**fields)))
        return made[-1]

    yield one
    for office in made:
        office.close()


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for somebody who does not exist costs no quarter of a second."""
    monkeypatch.setattr(passwords, "_N", 16)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    engine = open_database(f"sqlite:///{tmp_path / 'office.db'}")
    yield Inbox(engine)
    engine.dispose()

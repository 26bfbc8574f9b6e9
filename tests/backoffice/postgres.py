"""A PostgreSQL of its own for tests, where the server programs are found; skips, saying so, where
they are not. It dies with its directory; nothing but a socket in there is listened on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USER = "forecourt"
_MISSING = (
    "NO POSTGRESQL: not tested with it. Install the package postgresql: apt install postgresql"
)


def programs() -> Path:
    """The directory of initdb and postgres, or a loud skip that names the package."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    pytest.skip(_MISSING)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """SQLAlchemy URL of an empty database of a server of its own."""
    folder = programs()
    with tempfile.TemporaryDirectory(prefix="fcpg-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(home, "nobody")
            as_user = ["setpriv", "--reuid=nobody", "--clear-groups"]
        data = home / "data"
        run = {"cwd": name, "check": True, "capture_output": True, "text": True}
        subprocess.run(  # type: ignore[call-overload]
            [*as_user, str(folder / "initdb"), "-D", str(data), "-U", USER, "-A", "trust",
             "-E", "UTF8", "--no-sync"], **run,
        )  # fmt: skip
        options = f"-k {home} -c listen_addresses='' -c fsync=on -c shared_buffers=64MB"
        subprocess.run(  # type: ignore[call-overload]
            [*as_user, str(folder / "pg_ctl"), "-D", str(data), "-o", options, "-w", "-l",
             str(home / "log"), "start"], **run,
        )  # fmt: skip
        try:
            yield f"postgresql+psycopg://{USER}@/postgres?host={home}"
        finally:
            subprocess.run(  # type: ignore[call-overload]
                [*as_user, str(folder / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"],
                **run,
            )

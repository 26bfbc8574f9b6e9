"""The command line, `python -m hostsim ...`, as a test runs it."""

import os
import subprocess
import sys

from typer.testing import CliRunner

from hostsim.__main__ import app
from hostsim.setup import ROOT

_PLAIN = {"NO_COLOR": "1", "COLUMNS": "100"}


def own_process(*args: object, timeout_s: float = 200) -> "subprocess.CompletedProcess[str]":
    """As a user has it. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        [sys.executable, "-m", "hostsim", *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, **_PLAIN},
    )


def here(*args: object) -> "subprocess.CompletedProcess[str]":
    """The same in this process, which has imported it already (a second of work in one of its
    own); what the command does not catch is raised.
    """
    done = CliRunner().invoke(app, list(map(str, args)), env=_PLAIN)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess([], done.exit_code, done.stdout, done.stderr)

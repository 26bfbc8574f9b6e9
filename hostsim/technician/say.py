"""What a technician's command says, and how it ends when something cannot be done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from board.plan import PlanError
from hostsim.setup.progress import SetupError
from hostsim.technician.link import TechnicianError


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def ended() -> Iterator[None]:
    """A fault is told in words, without a traceback; what follows the block runs only then."""
    try:
        yield
    except (TechnicianError, SetupError) as error:
        sys.stderr.write("\n  ".join((f"error: {error}", *error.advice)) + "\n")
    except PlanError as error:
        sys.stderr.write(f"error: {error}\n")

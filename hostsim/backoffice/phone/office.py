"""What of the back office the work on payments needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from hostsim.backoffice.operator import Operator

Send = Callable[..., str]
"""BackOffice.send_command."""


@dataclass(frozen=True)
class Office:
    """`send`: signs and sends a command, answers its id."""

    engine: Engine
    operator: Operator
    now_ms: Callable[[], int]
    send: Send

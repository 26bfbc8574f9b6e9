"""The back office's signed commands in virtual time."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from hostsim.backoffice import signing
from hostsim.backoffice.at_hand import known_charger
from hostsim.backoffice.models import Command, writing
from hostsim.powercut.plan import COMMAND_KEY


class Commands:
    """`send_next([charger], id)`: the desk sends what stands in line. `newest`: the message that
    was sent last, in the charger's start `sent_in`.
    """

    def __init__(
        self,
        engine: Engine,
        now_ms: Callable[[], int],
        send_next: Callable[[list[str], str], object],
    ) -> None:
        self._engine = engine
        self._now_ms = now_ms
        self._send_next = send_next
        self.newest = b""
        self.sent_in = 0

    def send(self, charger: str, name: str, *, expires_in_s: float = 300, **args: Any) -> str:
        """As hostsim.backoffice.signing does it, with ids that are the same in every run, of the
        real ones' length."""
        now = self._now_ms()
        expires_at = now + int(expires_in_s * 1000)
        with writing(self._engine) as db:
            row = known_charger(db, charger)
            row.command_counter = counter = max(row.command_counter + 1, now)
            identity = str(uuid.UUID(int=counter))
            command = Command(id=identity, charger=charger, counter=counter, name=name)
            message = signing.sign(COMMAND_KEY, identity, charger, counter, expires_at, name, args)
            command.message, command.expires_at, command.sent_at = message, expires_at, now
            command.state, command.result = "sent", {}
            db.add(command)
        self._send_next([charger], identity)
        return identity

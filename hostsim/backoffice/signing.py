"""Signing commands, this side's own words for docs/mqtt/README.md, "Commands"."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import Any

from sqlalchemy import Engine

from hostsim.backoffice.at_hand import locked_chargers
from hostsim.backoffice.models import Command, writing


def issue(
    engine: Engine, key_hex: str, charger: str, name: str, args: dict[str, Any],
    expires_at: int, now_ms: int, sent: bool = True,
) -> tuple[str, str]:  # fmt: skip
    """A new command of a charger, signed and in the database: its id and message. It is sent again
    until it is answered or has expired; not `sent`: by the back office that runs, soon.

    Its counter is the time, so that a database that was put back gives none a second time.
    """
    identity = str(uuid.uuid4())
    with writing(engine) as db:
        row = locked_chargers(db, [charger])[charger]  # its counter is counted once
        row.command_counter = counter = max(row.command_counter + 1, now_ms)
        message = sign(key_hex, identity, charger, counter, expires_at, name, args)
        command = Command(id=identity, charger=charger, counter=counter, name=name)
        command.message, command.expires_at = message, expires_at
        command.sent_at = now_ms if sent else 0
        command.state, command.result = "sent", {}
        db.add(command)
    return identity, message


def canonical(
    identity: str, device: str, counter: int, expires_at: int, name: str, args: str
) -> bytes:
    """The bytes the mac covers. Raises ValueError for a line feed where none may be."""
    parts = ["forecourt-command-1", identity, device, str(counter), str(expires_at), name]
    for part in parts:
        if "\n" in part:
            raise ValueError(f"{part!r}: must be one line")
    return "\n".join([*parts, args]).encode()


def sign(
    key_hex: str,
    identity: str,
    device: str,
    counter: int,
    expires_at: int,
    name: str,
    args: dict[str, Any],
) -> str:
    """The command message as JSON text."""
    text = json.dumps(args, separators=(",", ":"), ensure_ascii=False)
    data = canonical(identity, device, counter, expires_at, name, text)
    mac = hmac.new(bytes.fromhex(key_hex), data, hashlib.sha256).hexdigest()
    message = {
        "id": identity,
        "device": device,
        "counter": counter,
        "expires_at": expires_at,
        "name": name,
        "args": text,
        "mac": mac,
    }
    return json.dumps(message, ensure_ascii=False)

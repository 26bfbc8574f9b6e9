"""Signing commands, this side's own words for docs/mqtt/README.md, "Commands"."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any


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

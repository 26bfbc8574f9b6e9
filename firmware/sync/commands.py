"""Commands from the back office: who sent it, for whom, once, and in time.

A command is a JSON object: id, device, counter, expires_at (epoch ms), name, args (an object as JSON text), mac. The
mac is HMAC-SHA-256 (RFC 2104) in hex with the charger's own key over the UTF-8 bytes of

    forecourt-command-1 LF id LF device LF counter LF expires_at LF name LF args

exactly as received; no field but args may hold a line feed, so no two commands have the same bytes. args stays text so
that nobody has to write JSON the same way twice. The counter rises with every command; the last one is kept in the
ledger together with the command's effect, so a command works at most once, whatever the power does.
"""

import hashlib

from firmware.errors import CommandError, FieldError
from firmware.sync import messages
from micropython import const

_BLOCK = const(64)
_MIN_KEY = const(16)  # a charger without a proper key takes no commands
_CODES = {"mac": "forged", "counter": "replayed", "expires_at": "expired", "device": "foreign"}


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """RFC 2104 with SHA-256."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    key = key + bytes(_BLOCK - len(key))
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key))
    inner.update(data)
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key))
    outer.update(inner.digest())
    return outer.digest()


def signed_bytes(identity: str, device: str, counter: int, expires_at: int, name: str, args: str) -> bytes:
    """What the mac covers."""
    return f"forecourt-command-1\n{identity}\n{device}\n{counter}\n{expires_at}\n{name}\n{args}".encode()


def code_of(error: FieldError) -> str:
    """forged, replayed, expired, foreign; malformed for everything else."""
    return _CODES.get(error.field, "malformed")


def verify(payload, device: str, key: bytes, last_counter: int, now_ms: int) -> dict:
    """The command: id, device, counter, expires_at, name, args (a dict). `now_ms` 0: the time is not known.

    CommandError names the field that was refused.
    """
    message = _parse(payload)
    identity = messages.text(message, "id", CommandError)
    target = messages.text(message, "device", CommandError)
    counter = messages.natural(message, "counter", CommandError)
    expires_at = messages.natural(message, "expires_at", CommandError)
    name = messages.text(message, "name", CommandError)
    args = message.get("args")
    if not isinstance(args, str):
        raise CommandError("args", "must be a JSON object as text", args)
    if target != device:
        raise CommandError("device", f"must be {device}", target)
    _check_mac(message.get("mac"), key, signed_bytes(identity, target, counter, expires_at, name, args))
    if counter <= last_counter:
        raise CommandError("counter", f"must be greater than {last_counter}", counter)
    if not now_ms:
        raise CommandError("", "the charger does not know the time yet")
    if expires_at <= now_ms:
        raise CommandError("expires_at", f"must be after {now_ms}", expires_at)
    try:
        arguments = messages.parse(args.encode())
    except FieldError as error:
        raise CommandError("args", error.reason, error.given)
    return {"id": identity, "device": target, "counter": counter, "expires_at": expires_at, "name": name,
            "args": arguments}


def _parse(payload) -> dict:
    try:
        return messages.parse(payload)
    except FieldError as error:
        raise CommandError(error.field, error.reason, error.given)


def _check_mac(mac, key: bytes, data: bytes) -> None:
    """Compares in a time that does not depend on where the two differ."""
    wanted = hmac_sha256(key, data)
    wrong = 0 if isinstance(mac, str) and len(mac) == 64 and len(key) >= _MIN_KEY else 1
    if not wrong:
        for i, byte in enumerate(wanted):
            wrong |= ord(mac[2 * i]) ^ _DIGITS[byte >> 4] | ord(mac[2 * i + 1]) ^ _DIGITS[byte & 15]
    if wrong:
        raise CommandError("mac", "is not this command's under this charger's key")


_DIGITS = b"0123456789abcdef"

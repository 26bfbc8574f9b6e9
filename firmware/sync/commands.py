"""Commands from the back office: who sent it, for whom, once, and in time.

A command is a JSON object: id, device, counter, expires_at (epoch ms), name, args (an object as
JSON text), mac. The mac is HMAC-SHA-256 (RFC 2104) in hex with the charger's own key over the
UTF-8 bytes of

    forecourt-command-1 LF id LF device LF counter LF expires_at LF name LF args

exactly as received; no field but args may hold a line feed, so no two commands have the same
bytes. args stays text so that nobody has to write JSON the same way twice. The counter rises with
every command; the last one is kept in the ledger together with the command's effect, so a command
works at most once, whatever the power does.
"""

import binascii
import hashlib

from micropython import const

from firmware.errors import CommandError, FieldError
from firmware.sync import messages

_BLOCK = const(64)
_MOST_ARGS = const(2048)  # what is signed is copied before it is proved
_MIN_KEY = const(16)  # a charger without a proper key takes no commands
_CODES = {"mac": "forged", "counter": "replayed", "expires_at": "expired", "device": "foreign",
          "at": "not_yet"}  # fmt: skip


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """RFC 2104 with SHA-256."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    for pad in (0x36, 0x5C):
        block = bytearray(_BLOCK)
        for i in range(_BLOCK):
            block[i] = pad ^ (key[i] if i < len(key) else 0)
        digest = hashlib.sha256(block)
        digest.update(data)
        data = digest.digest()
    return data


def signed_bytes(message: dict) -> bytes:
    """What the mac covers."""
    lines = ["forecourt-command-1"]
    for name in ("id", "device", "counter", "expires_at", "name", "args"):
        lines.append(str(message[name]))
    return "\n".join(lines).encode()


def code_of(error: FieldError) -> str:
    """forged, replayed, expired, foreign: the value was judged; not_yet: no attack, the charger
    has no time; malformed for everything else."""
    return isinstance(error, CommandError) and _CODES.get(error.field) or "malformed"


def verify(message: dict, device: str, key: bytes, last_counter: int, now_ms: int) -> dict:
    """The command in a message: id, device, counter, expires_at, name, args (a dict). `now_ms` 0:
    the time is not known.

    CommandError names the field that was refused, FieldError one that cannot be read.
    """
    for name in ("id", "device", "name"):
        messages.text(message, name)
    counter = messages.natural(message, "counter")
    expires_at = messages.natural(message, "expires_at")
    args = message.get("args")
    if not isinstance(args, str) or len(args) > _MOST_ARGS:
        raise FieldError("args", "must be text of at most 2048 characters")
    if message["device"] != device:
        raise CommandError("device", f"must be {device}", message["device"])
    check_mac(message.get("mac"), key, signed_bytes(message))
    if counter <= last_counter:
        raise CommandError("counter", f"must be above {last_counter}", counter)
    if not now_ms:
        raise CommandError("at", "the time is not known yet")
    if expires_at <= now_ms:
        raise CommandError("expires_at", f"must be after {now_ms}", expires_at)
    message["args"] = messages.parse(args.encode())
    return message


def check_mac(mac, key: bytes, data: bytes) -> None:
    """CommandError unless `mac` is that of the data. Compares in a time that does not depend on
    where the two differ.
    """
    wanted = binascii.hexlify(hmac_sha256(key, data)).decode()
    wrong: int = not isinstance(mac, str) or len(mac) != len(wanted) or len(key) < _MIN_KEY
    if not wrong:
        for i in range(len(wanted)):
            wrong |= ord(mac[i]) ^ ord(wanted[i])
    if wrong:
        raise CommandError("mac", "does not fit")

"""Passwords are kept as scrypt (RFC 7914) of the password and its own salt; what is stored says
how it was made, so that the cost can rise later.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading

LEAST = 10
MOST = 200
_N, _R, _P = 2**15, 8, 3  # 32 MiB; OWASP Password Storage Cheat Sheet, scrypt
_MAX_MEMORY = 2**26
_AT_ONCE = threading.BoundedSemaphore(2)  # each takes 32 MiB: the rest wait for their turn


class PasswordError(ValueError):
    """The password cannot be taken; str() says why."""


def check(password: str) -> None:
    """Raises PasswordError for one that is too short, too long, or one letter again and again."""
    if not LEAST <= len(password) <= MOST:
        raise PasswordError(f"must have {LEAST} to {MOST} characters")
    if len(set(password)) < 5:
        raise PasswordError("must have at least 5 different characters")


def hashed(password: str, n: int = _N) -> str:
    """What is stored; `n` is scrypt's cost, a power of two. Raises PasswordError."""
    check(password)
    salt = secrets.token_bytes(16)
    return f"scrypt${n}${_R}${_P}${_text(salt)}${_text(_derive(password, salt, n, _R, _P))}"


def matches(password: str, stored: str) -> bool:
    """Whether the password is the one; takes its time also for one that is not."""
    try:
        _, n, r, p, salt, wanted = stored.split("$")
        found = _derive(password[:MOST], _bytes(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, _bytes(wanted))
    except ValueError:
        return False


def nobody() -> str:
    """Of no password anybody knows: compared with when there is no such person, so that the time
    an answer takes does not say who exists."""
    salt, hash_of_none = _text(secrets.token_bytes(16)), _text(secrets.token_bytes(32))
    return f"scrypt${_N}${_R}${_P}${salt}${hash_of_none}"


def generated() -> str:
    """A password for somebody who is to have one now: 100 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    with _AT_ONCE:
        return hashlib.scrypt(
            password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=32
        )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)

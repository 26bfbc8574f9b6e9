"""Stamps: what was set up, from what, so that a second run does nothing and a changed input does
it again.

A stamp is written only after its step is whole and removed before the step begins; an interrupted
step therefore has none.
"""

import hashlib
from pathlib import Path

from hostsim.setup import BUILD

_FOLDER = BUILD / "stamps"


def fingerprint(*parts: str | Path) -> str:
    """SHA-256 over texts and file contents, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def read(name: str) -> str | None:
    """The fingerprint that was stamped, or None."""
    try:
        return (_FOLDER / name).read_text().strip()
    except FileNotFoundError:
        return None


def write(name: str, value: str) -> None:
    """Stamp `name`: the step is whole."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    temporary = _FOLDER / f"{name}.new"
    temporary.write_text(value + "\n")
    temporary.replace(_FOLDER / name)


def remove(name: str) -> None:
    """Forget a stamp: the step begins."""
    (_FOLDER / name).unlink(missing_ok=True)

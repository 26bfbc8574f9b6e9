"""What the problems of taking records say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Session, Stream

_MOST = 20  # sessions that are named
_NEWEST = ", those with open sessions before the others, the newest first: "
_ALSO = "; also: "
_OPEN = "; sessions left open in the old one: "
UNTAKEN = "cannot be taken"
"""What `fault` begins with."""


def fault(exc: Exception) -> str:
    """What the database said, without the statement."""
    said = str(getattr(exc, "orig", exc)).strip() or type(exc).__name__
    return f"{UNTAKEN}: {said.splitlines()[0]}"


def gap(stream: Stream, seq: int) -> str:
    return f"record {seq} came, but {stream.committed_seq + 1} is missing"


def conflict(doubt: int, seq: int) -> str:
    """`doubt`: the first record that came with other contents; `seq`: the newest that came."""
    text = (
        f"record {doubt} is here with other contents: "
        "is this charger's identity or flash used twice, or was its flash put back?"
    )
    return text if seq == doubt else f"{text} Nothing is taken since; the newest was record {seq}"


def unusual(message: dict[str, Any]) -> str:
    kind, version = message["type"], message["version"]
    return f"{kind} version {version} is newer than this back office; kept as it came"


def replaced(db: Db, charger: str, old: int) -> str:
    """To be asked for when the books have all of the batch."""
    db.flush()
    query = select(Session.sess).where(
        Session.charger == charger,
        Session.epoch == old,
        Session.state.not_in(("captured", "cancelled", "declined")),
    )
    still_open = [str(sess) for sess in db.scalars(query.order_by(Session.sess).limit(_MOST + 1))]
    text = f"the flash was replaced (it was {old})"
    if len(still_open) > _MOST:
        still_open[_MOST:] = ["..."]
    return text + (_OPEN + ", ".join(still_open) if still_open else "")


def flashes(count: int, newest_first: list[str], before: str) -> str:
    """Of several replaced flashes; `before`: what this said until now. What an operator has to see
    to stands first: the end may be cut."""
    earlier = before.partition(_NEWEST)[2] or before
    told = [*newest_first, *earlier.split(_ALSO)] if earlier else newest_first
    whole = _ALSO.join(sorted(told, key=lambda one: _OPEN not in one))
    return whole if count == 1 else f"{count} times{_NEWEST}{whole}"

"""Is a charger's clock right? It takes the time from a server that nobody vouches for (SNTP is not
authenticated), and tariffs by date and hour, receipts and the expiry of commands hang on it. The
back office knows when it hears a charger say what time it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Charger, Problem

CODE = "clock"
AHEAD_MS = 10 * 60_000  # nothing on the way makes a word newer than it is
BEHIND_MS = 24 * 3_600_000  # a word may have waited at the broker
_HOUR_MS = 3_600_000


def look(
    db: Db, row: Charger, message: dict[str, Any], now_ms: int, report: Callable[..., None]
) -> None:
    """Reports a status whose `at` cannot be now, and closes the problem when it can again; 0 is
    a clock that does not know the time and says so. Not for retained ones, they are old.
    """
    at = message.get("at", 0)
    if not at or not message["online"]:
        return
    off = at - now_ms
    if -BEHIND_MS <= off <= AHEAD_MS:
        db.execute(
            update(Problem)
            .where(Problem.charger == row.name, Problem.code == CODE, Problem.open)
            .values(open=False)
        )
        return
    hours, word = abs(off) // _HOUR_MS, "ahead" if off > 0 else "behind"
    amount = f"{hours // 24} days" if hours > 48 else f"{hours} h" if hours else "minutes"
    detail = f"its clock is {amount} {word}: bills by date or hour and receipts are wrong"
    report(db, row.name, CODE, detail, message.get("epoch", 0))


def dated(at: int, now_ms: int) -> int:
    """When a charger says something was, for a document: now when it did not know the time, or
    says one that has not come.
    """
    return at if 0 < at <= now_ms + AHEAD_MS else now_ms

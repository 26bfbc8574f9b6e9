"""The audit log: who did what to what. Rows are only ever added; no secret belongs into one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.tables import Audit


def note(db: Db, at: int, person: str, action: str, subject: str, detail: str = "") -> None:
    """Adds a row to the caller's transaction."""
    db.add(
        Audit(at=at, person=person[:40], action=action[:40], subject=subject[:80],
              detail=detail[:2000])
    )  # fmt: skip


def entries(
    engine: Engine, before: int = 0, subject: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Newest first: id, at, person, action, subject, detail."""
    query = select(Audit).order_by(Audit.id.desc()).limit(limit)
    if before:
        query = query.where(Audit.id < before)
    if subject:
        query = query.where(Audit.subject == subject)
    names = ("id", "at", "person", "action", "subject", "detail")
    with Db(engine) as db:
        return [{name: getattr(row, name) for name in names} for row in db.scalars(query)]

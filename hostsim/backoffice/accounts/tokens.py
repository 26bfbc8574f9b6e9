"""Tokens of partners who read CDRs; shown once, kept as SHA-256."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit
from hostsim.backoffice.models import writing
from hostsim.backoffice.tables import ApiToken


def add(engine: Engine, by: str, name: str, now_ms: int) -> str:
    """A new token; "" when the name has one already."""
    token = secrets.token_urlsafe(32)
    with writing(engine) as db:
        if db.scalar(select(ApiToken.id).where(ApiToken.name == name)) is not None:
            return ""
        digest = hashlib.sha256(token.encode()).hexdigest()
        db.add(ApiToken(name=name, token=digest, created_at=now_ms, created_by=by))
        audit.note(db, now_ms, by, "token made", name)
    return token


def end(engine: Engine, by: str, identity: int, now_ms: int) -> None:
    """Of no use any more."""
    with writing(engine) as db:
        row = db.get(ApiToken, identity)
        if row is not None and row.active:
            row.active = False
            audit.note(db, now_ms, by, "token ended", row.name)


def everyone(engine: Engine) -> list[tuple[int, str, bool, int]]:
    """id, name, active, made at."""
    with Db(engine) as db:
        rows = db.scalars(select(ApiToken).order_by(ApiToken.name))
        return [(row.id, row.name, row.active, row.created_at) for row in rows]

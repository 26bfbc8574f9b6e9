"""People and their roles. Each role may all the ones before it may."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit
from hostsim.backoffice.accounts import passwords
from hostsim.backoffice.models import writing
from hostsim.backoffice.tables import Login, Person

ROLES = {
    "viewer": "sees everything but people",
    "support": "asks for refunds, closes problems, sends a charger's report command",
    "finance": "approves refunds, keeps disputes",
    "admin": "keeps people, tariffs and tokens",
}
_RANK = {role: rank for rank, role in enumerate(ROLES)}
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{1,31}")


class PersonError(ValueError):
    """A field of a person is wrong: (field, why)."""

    def __init__(self, field: str, why: str) -> None:
        """The field and what is allowed."""
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True)
class Known:
    """A person as others see them."""

    name: str
    role: str
    active: bool
    created_at: int
    last_login_at: int


def may(role: str, least: str) -> bool:
    """Whether somebody of `role` may what `least` may."""
    return _RANK.get(role, -1) >= _RANK[least]


def add(engine: Engine, by: str, name: str, role: str, password: str, now_ms: int) -> None:
    """A new person, who has to choose another password at the first log-in. Raises
    PersonError."""
    _check(name, role)
    stored = hashed(password)
    with writing(engine) as db:
        if db.get(Person, name) is not None:
            raise PersonError("name", f"{name} is there already")
        db.add(Person(name=name, role=role, password=stored, active=True, created_at=now_ms,
                      must_change=True))  # fmt: skip
        audit.note(db, now_ms, by, "person added", name, role)


def change(
    engine: Engine, by: str, name: str, now_ms: int, role: str, active: bool, password: str = ""
) -> None:
    """Another role, password ("" for the same; a new one is
    changed at the next log-in), or none of it any more; ends their log-ins. Raises
    PersonError, also when nobody would be left who may keep people."""
    _check(name, role)
    stored = hashed(password) if password else ""
    with writing(engine) as db:
        person = db.get(Person, name)
        if person is None:
            raise PersonError("name", f"there is no {name}")
        person.role, person.active = role, active
        if stored:
            person.password, person.must_change = stored, True
        db.flush()
        admins = select(func.count()).where(Person.role == "admin", Person.active)
        if not db.scalar(admins):
            raise PersonError("role", "the last admin stays admin")
        db.execute(delete(Login).where(Login.person == name))
        what = f"{role}, {'active' if active else 'not active'}"
        audit.note(
            db, now_ms, by, "person changed", name, what + (", new password" if stored else "")
        )


def put(engine: Engine, name: str, role: str, password: str, now_ms: int) -> None:
    """Makes sure that there is this person with this password (the throw-away log-in of `run`)."""
    _check(name, role)
    stored = hashed(password)
    with writing(engine) as db:
        person = db.get(Person, name)
        if person is None:
            person = Person(name=name, created_at=now_ms)
            db.add(person)
        person.role, person.password, person.active = role, stored, True
        person.must_change = False


def everybody(engine: Engine) -> list[Known]:
    """All people, by name."""
    with Db(engine) as db:
        return [
            Known(p.name, p.role, p.active, p.created_at, p.last_login_at)
            for p in db.scalars(select(Person).order_by(Person.name))
        ]


def _check(name: str, role: str) -> None:
    if not _NAME.fullmatch(name):
        raise PersonError("name", "must be 2 to 32 of a-z 0-9 . _ @ -, a letter or digit first")
    if role not in ROLES:
        raise PersonError("role", f"must be one of {', '.join(ROLES)}")


def hashed(password: str, field: str = "password") -> str:
    """What is stored. Raises PersonError, of the field it came in."""
    try:
        return passwords.hashed(password)
    except passwords.PasswordError as exc:
        raise PersonError(field, str(exc)) from exc

"""Log-ins: begun with name and password, found again by what the browser holds, ended by time.

The browser holds 32 random bytes; the database only their SHA-256. Real time counts here, not the
simulated world's.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit
from hostsim.backoffice.accounts import passwords
from hostsim.backoffice.accounts.people import PersonError, hashed
from hostsim.backoffice.models import writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.tables import Login, Person

_TOUCH_MS = 60_000
_MINUTE_MS = 60_000


@dataclass(frozen=True)
class Caller:
    """Who is asking. `csrf` must come with everything that changes something. `must_change`: the
    password is one that somebody else knows; nothing but a new one is taken."""

    name: str
    role: str
    csrf: str
    must_change: bool = False


class Logins:
    """The log-ins of one database; they end after `operator`'s idle and whole time."""

    def __init__(self, engine: Engine, operator: Operator) -> None:
        """Nothing is done yet."""
        self._engine = engine
        self._idle_ms = operator.session_idle_min * _MINUTE_MS
        self._whole_ms = operator.session_hours * 60 * _MINUTE_MS

    def begin(self, name: str, password: str) -> str | None:
        """What the browser is to hold, None when name or password is wrong."""
        with Db(self._engine) as db:
            person = db.get(Person, name)
            stored = person.password if person is not None else passwords.nobody()
        right = passwords.matches(password, stored)
        if not right or person is None or not person.active:
            return None
        token = secrets.token_urlsafe(32)
        now = now_ms()
        with writing(self._engine) as db:
            person = db.get_one(Person, name)
            person.last_login_at = now
            db.execute(delete(Login).where(Login.created_at < now - self._whole_ms))
            db.add(
                Login(
                    token=_digest(token),
                    person=name,
                    csrf=secrets.token_urlsafe(24),
                    created_at=now,
                    seen_at=now,
                )
            )
            audit.note(db, now, name, "logged in", name)
        return token

    def find(self, token: str, used: bool = True) -> Caller | None:
        """Whose it is, None when it is nobody's any more. `used`: not by a page that renews
        itself, which must not keep a log-in whose person has left."""
        now = now_ms()
        with Db(self._engine) as db:
            login = db.get(Login, _digest(token))
            if login is None:
                return None
            person = db.get(Person, login.person)
            over = now - login.seen_at > self._idle_ms or now - login.created_at > self._whole_ms
            if person is None or not person.active or over:
                return None
            found = Caller(person.name, person.role, login.csrf, person.must_change)
            touch = used and now - login.seen_at > min(_TOUCH_MS, self._idle_ms // 4)
        if touch:
            with writing(self._engine) as db:
                seen = db.get(Login, _digest(token))
                if seen is not None:
                    seen.seen_at = now
        return found

    def change_password(self, caller: Caller, token: str, old: str, new: str) -> bool:
        """The caller's own, who has to know the old one (else False); their other log-ins end.
        Raises PersonError."""
        with Db(self._engine) as db:
            stored = db.get_one(Person, caller.name).password
        if not passwords.matches(old, stored):
            return False
        if old == new:
            raise PersonError("new", "must be another one")
        made = hashed(new, "new")
        with writing(self._engine) as db:
            person = db.get_one(Person, caller.name)
            person.password, person.must_change = made, False
            others = Login.token != _digest(token)
            db.execute(delete(Login).where(Login.person == caller.name, others))
            audit.note(db, now_ms(), caller.name, "own password changed", caller.name)
        return True

    def end(self, token: str) -> None:
        """Log out."""
        with writing(self._engine) as db:
            login = db.get(Login, _digest(token))
            if login is not None:
                db.delete(login)
                audit.note(db, now_ms(), login.person, "logged out", login.person)


def now_ms() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

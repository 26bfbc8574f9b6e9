"""Members at the back office: accounts, cards, own tariffs. Every change makes a new version of
the list that chargers get (member_sync.py).

    members = Members(engine, now_ms)
    members.add("ACME-7", name="Acme fleet", by="anna")
    members.add_card("ACME-7", "04A1B2C3D4E5F6", by="anna")
    members.revoke("04A1B2C3D4E5F6", by="anna")

A UID comes in and is kept as a hash only (SHA-256 of the list's salt and the UID, 16 hex digits,
as firmware/terminal/masking.py makes it). Each method raises MemberError, which names the field
and what is allowed.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
import zlib
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit
from hostsim.backoffice.bill_tables import BY, AccountTerms
from hostsim.backoffice.member_tables import Member, MemberCard, MemberList, MemberTariff
from hostsim.backoffice.models import writing

FACTS = {"name": 80, "email": 120, "address": 400, "vat_id": 32}
"""What invoices need of an account, and how long it may be."""

_UIDS = (4, 7, 10)
_MOST_TARIFF = 8000
MOST_TARIFFS = 8
"""Different tariffs of members' own at a time: each is a file on every charger."""


class MemberError(ValueError):
    """A member, card or tariff cannot be so; `field` says which."""

    def __init__(self, field: str, why: str) -> None:
        """The field and what is allowed."""
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


def uid_bytes(text: str) -> bytes:
    """A UID of 4, 7 or 10 bytes, written in hex with or without colons."""
    try:
        uid = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        uid = b""
    if len(uid) not in _UIDS:
        raise MemberError("uid", f"must be 4, 7 or 10 bytes in hex (given {text[:40]})")
    return uid


def last_moment(day: str) -> int:
    """The end of a card's last day, YYYY-MM-DD in UTC, as epoch ms."""
    try:
        after = datetime.date.fromisoformat(day) + datetime.timedelta(days=1)
    except (ValueError, OverflowError):
        raise MemberError("expires", f"must be YYYY-MM-DD (given {day[:20]})") from None
    midnight = datetime.datetime.combine(after, datetime.time(), datetime.UTC)
    return int(midnight.timestamp()) * 1000


def last_day(expires_at: int) -> str:
    """`last_moment` the other way round."""
    moment = datetime.datetime.fromtimestamp((expires_at - 1) / 1000, datetime.UTC)
    return moment.date().isoformat()


def uid_hash(salt_hex: str, uid: bytes) -> str:
    """What a card is known by."""
    return hashlib.sha256(bytes.fromhex(salt_hex) + uid).hexdigest()[:16]


def current(db: Db, change: bool = False) -> MemberList:
    """The list's row, made when there is none; one version on with `change`."""
    row = db.get(MemberList, 1, with_for_update=change)
    if row is None:
        row = MemberList(id=1, version=0, salt=secrets.token_hex(16))
        db.add(row)
        db.flush()
    if change:
        row.version += 1
    return row


class Members:
    """All members of a back office; every method may be called from any thread."""

    def __init__(self, engine: Engine, now_ms: Callable[[], int]) -> None:
        """`now_ms`: the clock of added_at and revoked_at."""
        self._engine = engine
        self._now_ms = now_ms

    # -- what operators do; `by` stands in the audit log

    def add(self, account: str, *, by: str, tariff: str = "", **facts: str) -> None:
        """A new account. `facts`: name, email, address, vat_id, for its invoices."""
        plain = account.isascii() and all(c.isalnum() or c in "-_.:/" for c in account)
        if not 0 < len(account) <= 32 or not plain:
            raise MemberError("account", "must be 1 to 32 of A-Z a-z 0-9 - _ . : /")
        for name, value in facts.items():
            if name not in FACTS or len(value) > FACTS[name]:
                raise MemberError(name, f"must have at most {FACTS.get(name, 0)} characters")
        with writing(self._engine) as db:
            if db.get(Member, account) is not None:
                raise MemberError("account", f"{account} is there already")
            _own_tariff(db, tariff)
            current(db)
            db.add(Member(account=account, tariff=tariff, created_at=self._now_ms(), **facts))
            self._note(db, by, "member added", account, tariff)

    def add_card(
        self, account: str, uid: str, *, by: str, expires_at: int = 0, label: str = ""
    ) -> str:
        """A card of an account; gives its hash. `expires_at`: epoch ms, 0: never. A card that was
        revoked works again.
        """
        identity = uid_bytes(uid)
        label = label or f"...{identity.hex()[-4:]}"
        if len(label) > 40 or not label.isprintable():
            raise MemberError("label", "must be at most 40 printable characters")
        if expires_at < 0:
            raise MemberError("expires_at", "must be 0 or later")
        with writing(self._engine) as db:
            if db.get(Member, account) is None:
                raise MemberError("account", f"there is no {account}")
            found = uid_hash(current(db, change=True).salt, identity)
            card = db.get(MemberCard, found)
            if card is None:
                card = MemberCard(uid_hash=found, account=account, added_at=self._now_ms())
                db.add(card)
            elif card.account != account:
                raise MemberError("uid", f"is a card of {card.account}")
            card.label, card.expires_at, card.revoked_at = label, expires_at, 0
            self._note(db, by, "card added", account, label)
        return found

    def revoke(self, card: str, *, by: str) -> str:
        """A card works no more, given by its UID or hash; gives its account."""
        with writing(self._engine) as db:
            row = _card(db, card)
            current(db, change=True)
            row.revoked_at = row.revoked_at or self._now_ms()
            self._note(db, by, "card revoked", row.account, row.label)
            return row.account

    def change(
        self, account: str, *, by: str, active: bool | None = None, tariff: str | None = None
    ) -> None:
        """An account's cards stop (`active` False) or work again; or it gets another tariff."""
        with writing(self._engine) as db:
            self.change_in(db, account, by=by, active=active, tariff=tariff)

    def change_in(
        self, db: Db, account: str, *, by: str, active: bool | None = None,
        tariff: str | None = None,
    ) -> None:  # fmt: skip
        """`change`, in the caller's transaction."""
        member = db.get(Member, account)
        if member is None:
            raise MemberError("account", f"there is no {account}")
        if tariff is not None:
            _own_tariff(db, tariff)
            member.tariff = tariff
        member.active = member.active if active is None else active
        terms = db.get(AccountTerms, account, with_for_update=True)
        if terms is not None and active is False and by != BY:
            terms.blocked = ""  # an operator's word: no payment undoes it
        current(db, change=True)
        state = "active" if member.active else "stopped"
        self._note(db, by, "member changed", account, f"{state} {member.tariff}".strip())

    def put_tariff(self, name: str, text: str, currency: str, *, by: str) -> None:
        """A tariff of members' own (OCPI JSON that the firmware's reader took), new or instead of
        the one with this name.
        """
        if not 0 < len(name) <= 36 or not name.isprintable():
            raise MemberError("tariff", "its name must be 1 to 36 printable characters")
        if len(text.encode()) > _MOST_TARIFF:
            raise MemberError("tariff", f"must have at most {_MOST_TARIFF} bytes")
        with writing(self._engine) as db:
            row = db.get(MemberTariff, name)
            if row is None:
                if len(db.scalars(select(MemberTariff.name)).all()) >= MOST_TARIFFS:
                    raise MemberError("tariff", f"there are {MOST_TARIFFS} already")
                row = MemberTariff(name=name)
                db.add(row)
            row.text, row.crc, row.currency = text, zlib.crc32(text.encode()), currency
            row.changed_at = self._now_ms()
            current(db, change=True)
            self._note(db, by, "member tariff", name, f"{row.crc:08x}")

    # -- what is known

    @property
    def version(self) -> int:
        """Of the list as it is now."""
        with Db(self._engine) as db:
            row = db.get(MemberList, 1)
            return row.version if row is not None else 0

    def listed(self) -> list[dict[str, Any]]:
        """Accounts by name, each with its `cards` (uid_hash, label, state: valid, expired or
        revoked, expires_at).
        """
        now = self._now_ms()
        names = "account name email address vat_id tariff active created_at".split()
        with Db(self._engine) as db:
            found = {
                row.account: {name: getattr(row, name) for name in names} | {"cards": []}
                for row in db.scalars(select(Member).order_by(Member.account))
            }
            for card in db.scalars(select(MemberCard).order_by(MemberCard.added_at)):
                late = 0 < card.expires_at <= now
                state = "revoked" if card.revoked_at else "expired" if late else "valid"
                found[card.account]["cards"].append(
                    {
                        "uid_hash": card.uid_hash,
                        "label": card.label,
                        "state": state,
                        "expires_at": card.expires_at,
                    }
                )
        return list(found.values())

    def tariffs(self) -> list[str]:
        """Names of members' own tariffs."""
        with Db(self._engine) as db:
            return list(db.scalars(select(MemberTariff.name).order_by(MemberTariff.name)))

    def _note(self, db: Db, by: str, action: str, subject: str, detail: str) -> None:
        audit.note(db, self._now_ms(), by, action, subject, detail)


def _own_tariff(db: Db, name: str) -> None:
    if name and db.get(MemberTariff, name) is None:
        raise MemberError("tariff", f"there is no tariff of members called {name[:40]}")


def _card(db: Db, text: str) -> MemberCard:
    row = db.get(MemberCard, text)
    if row is None:
        row = db.get(MemberCard, uid_hash(current(db).salt, uid_bytes(text)))
    if row is None:
        raise MemberError("uid", "is no member's card")
    return row

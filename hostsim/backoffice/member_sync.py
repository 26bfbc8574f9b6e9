"""Brings the members' list to chargers that have an older one (docs/mqtt/README.md, "Members").

A charger's status says which version it has. It gets the head, then page after page, each when it
asks for it: nothing is kept about it here but when it was last heard, so that any process on the
database may send the next page. What is lost is begun again by the next round.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import contract
from hostsim.backoffice.member_tables import Member, MemberCard, MemberList, MemberTariff
from hostsim.backoffice.members import current
from hostsim.backoffice.models import Charger, writing

_ROWS = 12
_SILENT_S = 8.0
_REFUSED_S = 600.0
_REVOKED = 1
_MOST = 1 << 30  # no list's number: not followed


@dataclass(frozen=True)
class Version:
    """A whole list, the same for all chargers but for the head's mac."""

    number: int
    salt: str
    count: int
    digest: str
    bodies: tuple[dict[str, Any], ...]

    def page(self, number: int, charger: str, key: bytes) -> dict[str, Any]:
        """A message of it."""
        head = {"version": self.number, "page": number}
        if number:
            return head | self.bodies[number - 1]
        pages = len(self.bodies) + 1
        signed = (
            "forecourt-members-1", charger, str(self.number), str(pages), str(self.count),
            self.salt, self.digest,
        )  # fmt: skip
        return head | {
            "pages": pages,
            "count": self.count,
            "salt": self.salt,
            "sha256": self.digest,
            "mac": hmac.new(key, "\n".join(signed).encode(), hashlib.sha256).hexdigest(),
        }


def compose(engine: Engine) -> Version | None:
    """The list as it is now; None before there ever was a member."""
    with Db(engine) as db:
        row = db.get(MemberList, 1)
        if row is None or not row.version:
            return None
        tariffs = {row.name: row for row in db.scalars(select(MemberTariff))}
        query = select(MemberCard, Member).join(Member, Member.account == MemberCard.account)
        used: dict[str, MemberTariff] = {}
        rows = []
        for card, member in db.execute(query.order_by(MemberCard.uid_hash)):
            own = tariffs.get(member.tariff)
            if own is not None:
                used[own.name] = own
            rows.append(_row(card, member, own.crc if own is not None else 0))
        texts = [used[name].text for name in sorted(used)]
        bodies: list[dict[str, Any]] = [{"tariff": text} for text in texts]
        for at in range(0, len(rows), _ROWS):
            part = b"".join(rows[at : at + _ROWS])
            bodies.append({"rows": base64.b64encode(part).decode()})
        digest = hashlib.sha256("".join(texts).encode() + b"".join(rows)).hexdigest()
        return Version(row.version, row.salt, len(rows), digest, tuple(bodies))


def _row(card: MemberCard, member: Member, crc: int) -> bytes:
    """One row of firmware/cards/members.py's file: what it says of a card, in 48 bytes."""
    expires = max(card.expires_at // 1000, 2) if card.expires_at else 0
    if card.revoked_at or not member.active:
        expires = _REVOKED
    account = member.account.encode()
    return bytes.fromhex(card.uid_hash) + struct.pack("<II32s", expires, crc, account)


class MemberSync:
    """Of one back office; `key(charger)` is the charger's command key, `send` may lose what it is
    given.
    """

    def __init__(
        self,
        engine: Engine,
        key: Callable[[str], bytes],
        send: Callable[[str, bytes, bool], None],
        report: Callable[[Db, str, str, str], None],
    ) -> None:
        """`report(db, charger, code, detail)` tells operators of a list that was refused."""
        self._engine = engine
        self._key = key
        self._send = send
        self._report = report
        self._made: Version | None = None
        self._heard: dict[str, float] = {}
        self._refused: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def tend(self) -> None:
        """Begins with chargers that are there and have another list; called every few seconds.

        A charger with a newer list than ours (the database was put back to an earlier state) would
        refuse ours: its number goes above.
        """
        with Db(self._engine) as db:
            row = db.get(MemberList, 1)
            wanted = row.version if row is not None else 0
            there = {
                charger.name: charger.status["members"]
                for charger in db.scalars(select(Charger).where(Charger.online))
                if "members" in charger.status
            }
        newest = max((had for had in there.values() if had < _MOST), default=wanted)
        if newest > wanted:
            with writing(self._engine) as db:
                list_now = current(db, change=True)
                wanted = list_now.version = max(list_now.version, newest + 1)
        late = [name for name, had in there.items() if had != wanted]
        now = time.monotonic()
        for charger in late:
            version, since = self._refused.get(charger, (0, 0.0))
            if version == wanted and now - since < _REFUSED_S:
                continue
            if now - self._heard.get(charger, -_SILENT_S) >= _SILENT_S:
                self._page(charger, 0)

    def heard(self, charger: str, message: dict[str, Any]) -> None:
        """A charger's result; others than about members are left alone."""
        if message["about"] != "members":
            return
        data = message.get("data") or {}
        version, following = data.get("version", 0), data.get("next", 0)
        if not isinstance(version, int) or not isinstance(following, int):
            raise contract.ContractError("data.version and data.next: must be whole numbers")
        self._heard[charger] = time.monotonic()
        if not message["ok"]:
            if message.get("code") != "not_yet":
                self._was_refused(charger, message)
            return
        made = self._current()
        if made is None or version != made.number:
            return  # another one is in the making: the next round begins with that
        if 0 < following <= len(made.bodies):
            self._page(charger, following)
            return
        with writing(self._engine) as db:
            row = db.get(Charger, charger)
            if row is not None:
                row.status = {**row.status, "members": version}

    def _was_refused(self, charger: str, message: dict[str, Any]) -> None:
        made = self._current()
        self._refused[charger] = (made.number if made else 0, time.monotonic())
        given = f"{message.get('field', '')}: {message.get('reason', '')}"
        with writing(self._engine) as db:
            self._report(db, charger, "members_refused", given)

    def _current(self) -> Version | None:
        """The list, made anew when it has changed."""
        with self._lock:
            with Db(self._engine) as db:
                row = db.get(MemberList, 1)
                number = row.version if row is not None else 0
            if self._made is None or self._made.number != number:
                self._made = compose(self._engine)
            return self._made

    def _page(self, charger: str, number: int) -> None:
        made = self._current()
        if made is None:
            return
        message = made.page(number, charger, self._key(charger))
        topic = contract.topic(charger, "members")
        self._send(topic, json.dumps(message, ensure_ascii=False).encode(), False)

"""Members: who charges on account, with which cards and by which tariff. Times are epoch ms (0:
never or unknown). A card is only known by the salted hash of its UID; the UID itself is nowhere.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from hostsim.backoffice.models import Base


class Member(Base):
    """An account that is billed for what its cards charge. `account` is what a session's
    `reference` says (method rfid, or account); `tariff`: of MemberTariff, "" for the public one.
    """

    __tablename__ = "members"
    account: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), default="")
    email: Mapped[str] = mapped_column(String(120), default="")
    address: Mapped[str] = mapped_column(Text, default="")
    vat_id: Mapped[str] = mapped_column(String(32), default="")
    tariff: Mapped[str] = mapped_column(String(36), default="")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[int] = mapped_column(default=0)


class MemberCard(Base):
    """An RFID card of an account; `uid_hash` as in the sessions' records."""

    __tablename__ = "member_cards"
    uid_hash: Mapped[str] = mapped_column(String(16), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("members.account"), index=True)
    label: Mapped[str] = mapped_column(String(40), default="")
    expires_at: Mapped[int] = mapped_column(default=0)
    revoked_at: Mapped[int] = mapped_column(default=0)
    added_at: Mapped[int] = mapped_column(default=0)


class MemberTariff(Base):
    """A tariff of members' own, as it is sent; `crc`: CRC-32 of its bytes, as chargers name it."""

    __tablename__ = "member_tariffs"
    name: Mapped[str] = mapped_column(String(36), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    crc: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    changed_at: Mapped[int] = mapped_column(default=0)


class MemberList(Base):
    """One row: the `version` of the list that chargers get, one more with every change, and the
    `salt` (hex) its hashes are made with.
    """

    __tablename__ = "member_list"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(default=0)
    salt: Mapped[str] = mapped_column(String(32))

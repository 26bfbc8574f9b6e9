"""What pay by phone stores beside the books: each payment at a gateway, its refunds, the events
that were heard. Amounts are minor units, times epoch ms (0 unknown).
"""

from __future__ import annotations

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from hostsim.backoffice.models import Base

WHY_LENGTH = 24


class Pay(Base):
    """One payment at a gateway, from the driver's first word to its end (docs/gateways.md).

    `id`: also the session's id in the command `start`; `page`: SHA-256 of what the driver's
    address has; `code`: what was scanned (works once). `state`: holding, action, declined, held,
    starting, started, capturing, captured, cancelling, cancelled, lost. `why`: a word for the
    driver, `fault`: one for the operator. `attempt` counts cards, `tries` the requests of the
    state it is in, `turn` the answers by which the gateway failed by its own fault (it may keep
    such an answer for a key); `next_at`: no request before. `tariff_crc`: of the tariff the page
    showed. `more`: whether the hold was asked for as one that may become greater. `looked_at`:
    when the gateway was last asked whether the hold of a session that runs is there; `odd_at`:
    since when its charger shows that the session cannot be running (0: it does not).
    """

    __tablename__ = "pays"
    __table_args__ = (Index("ix_pays_due", "state", "next_at"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    page: Mapped[str] = mapped_column(String(64), unique=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(8), default="session")
    charger: Mapped[str] = mapped_column(String(32), index=True)
    connector: Mapped[int] = mapped_column(default=1)
    gateway: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(64), default="", index=True)
    state: Mapped[str] = mapped_column(String(12))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    method: Mapped[str] = mapped_column(String(64), default="")
    language: Mapped[str] = mapped_column(String(2), default="en")
    email: Mapped[str] = mapped_column(String(120), default="")
    tariff_crc: Mapped[int] = mapped_column(default=0)
    why: Mapped[str] = mapped_column(String(WHY_LENGTH), default="")
    fault: Mapped[str] = mapped_column(String(200), default="")
    attempt: Mapped[int] = mapped_column(default=1)
    tries: Mapped[int] = mapped_column(default=0)
    turn: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[int] = mapped_column(default=0)
    more: Mapped[bool] = mapped_column(default=False)
    looked_at: Mapped[int] = mapped_column(default=0)
    odd_at: Mapped[int] = mapped_column(default=0)
    alarmed: Mapped[bool] = mapped_column(default=False)
    back: Mapped[str] = mapped_column(String(300), default="")
    command: Mapped[str] = mapped_column(String(36), default="")
    session_id: Mapped[int] = mapped_column(default=0, index=True)
    capture_minor: Mapped[int] = mapped_column(default=0)
    captured_minor: Mapped[int] = mapped_column(default=0)
    released_minor: Mapped[int] = mapped_column(default=0)
    refunded_minor: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int] = mapped_column(default=0, index=True)
    asked_at: Mapped[int] = mapped_column(default=0)
    held_at: Mapped[int] = mapped_column(default=0)
    hold_until: Mapped[int] = mapped_column(default=0)
    settled_at: Mapped[int] = mapped_column(default=0)


BY_HAND = "hand"


class PayRefund(Base):
    """A refund at the gateway, under the order's own id. `state`: asked, pending, done, failed,
    hand (not found there: left to an operator); `reference`: the gateway's; `payment`: the
    gateway's payment it is of ("": of a card at a terminal, not found yet); `told`: the charger
    was; `look`: an event says that something is new."""

    __tablename__ = "pay_refunds"
    refund: Mapped[str] = mapped_column(String(80), primary_key=True)
    session_id: Mapped[int] = mapped_column(index=True)
    payment: Mapped[str] = mapped_column(String(64), index=True)
    amount_minor: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default="asked", index=True)
    reference: Mapped[str] = mapped_column(String(64), default="")
    fault: Mapped[str] = mapped_column(String(200), default="")
    told: Mapped[bool] = mapped_column(default=False)
    look: Mapped[bool] = mapped_column(default=False)
    tries: Mapped[int] = mapped_column(default=0)
    turn: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[int] = mapped_column(default=0)


class PayEvent(Base):
    """An event that was heard, so that it is worked on once."""

    __tablename__ = "pay_events"
    identity: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    payment: Mapped[str] = mapped_column(String(64), default="")
    at: Mapped[int] = mapped_column(index=True)

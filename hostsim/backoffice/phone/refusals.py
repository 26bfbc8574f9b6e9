"""What a charger answers to `start` when it does not, as words for the driver."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Command
from hostsim.backoffice.pay_tables import Pay

UNCERTAIN = ("unanswered", "replayed", "expired", "full")
"""A charger that started and lost power before its answer calls the same command replayed, and is
asked once more by the session's id. `full` (of the command's own record, it may be) is asked again
as well: the session's records tell, or the answer that they are there."""


def command_of(db: Db, pay: Pay) -> Command | None:
    """The payment's `start`. After a crash between its sending and its noting it is found by the
    id in it; only when there is none is one sent: two of them might be answered differently."""
    if pay.command:
        return db.get(Command, pay.command)
    query = select(Command).where(Command.charger == pay.charger, Command.name == "start")
    return db.scalars(
        query.where(Command.message.contains(pay.id)).order_by(Command.counter)
    ).first()


def state_of(command: Command | None, now_ms: int) -> str:
    """Where a command stands, "" of none. What has expired is unanswered, also while nobody closes
    it for there is no connection to the broker."""
    if command is None:
        return ""
    over = command.state == "sent" and command.expires_at <= now_ms
    return "unanswered" if over else command.state


def said(result: dict[str, Any]) -> str:
    """The reason in a charger's answer, or in its record when that came first, after its field."""
    if "field" in result:
        return f"{result['field']}: {result.get('reason', '')} (given {result.get('given', '')})"
    return str(result.get("reason") or result.get("detail") or "")


def why_not(reason: str) -> str:
    """A charger's refusal of `start` (`field: what is allowed`) as a word for the driver."""
    if "out of service" in reason:
        return "out_of_service"
    if reason.startswith("state"):
        return "someone_else"
    if reason.startswith("tariff_crc"):
        return "price_moved"
    return "not_started"

"""Captures whose answer was lost (`how` pending_query): the terminal lists the hold no more, which
it does too when it dropped the hold by itself. Its end of day proves them where the totals agree.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from hostsim.backoffice import figures
from hostsim.backoffice.models import Record, Session
from hostsim.backoffice.tables import EndOfDay

_LOST = "pending_query"
NOT_PROVEN = ("differs", "unseen")
"""Results of an end of day that prove nothing of the single captures in it."""


def lost_answer(captured: Record) -> bool:
    """Whether this record `captured` says so without the terminal's word."""
    return bool(captured.payload["how"] == _LOST)


def query() -> Any:
    """(record, session or None, end of day) of those that an end of day did not prove, newest day
    first."""
    earlier = aliased(EndOfDay)
    before = (
        select(func.max(earlier.seq))
        .where(
            earlier.charger == EndOfDay.charger,
            earlier.epoch == EndOfDay.epoch,
            earlier.seq < EndOfDay.seq,
            earlier.result != "failed",
        )
        .scalar_subquery()
    )
    within = and_(
        Record.charger == EndOfDay.charger,
        Record.epoch == EndOfDay.epoch,
        Record.seq > func.coalesce(before, 0),
        Record.seq < EndOfDay.seq,
    )
    its_session = and_(
        Session.charger == Record.charger,
        Session.epoch == Record.epoch,
        Session.sess == Record.payload["sess"].as_integer(),
    )
    return (
        select(Record, Session, EndOfDay)
        .select_from(EndOfDay)
        .join(Record, within)
        .outerjoin(Session, its_session)
        .where(
            EndOfDay.result.in_(NOT_PROVEN),
            Record.type == "captured",
            Record.payload["how"].as_string() == _LOST,
        )
        .order_by(EndOfDay.id.desc(), Record.seq)
    )


def detail(day: EndOfDay, currency: str) -> str:
    """What is wrong, for finance."""
    terminal, ledger = (
        figures.money(minor, currency) for minor in (day.terminal_minor, day.ledger_minor)
    )
    return (
        f"the terminal's answer was lost, and its end of day has {terminal} for {ledger}"
        f" ({day.result}): see its journal"
    )

"""Captures whose answer was lost (`how` pending_query): the terminal lists the hold no more, which
it does too when it dropped the hold by itself. Its end of day proves them where the totals agree.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.models import Record, Session
from hostsim.backoffice.tables import EndOfDay

NOT_PROVEN = ("differs", "unseen")
"""Results of an end of day that prove nothing of the single captures in it."""


def lost_answer(captured: Record) -> bool:
    """Whether this record `captured` says so without the terminal's word."""
    return bool(captured.payload["how"] == "pending_query")


def wrong(db: Db) -> list[dict[str, Any]]:
    """Those that an end of day did not prove, newest first, as troubles.Row."""
    query = (
        select(EndOfDay).where(EndOfDay.result.in_(NOT_PROVEN)).order_by(EndOfDay.id.desc())
    )
    return [found for day in db.scalars(query) for found in _of_day(db, day)]


def _of_day(db: Db, day: EndOfDay) -> list[dict[str, Any]]:
    before = db.scalar(
        select(func.max(EndOfDay.seq)).where(
            EndOfDay.charger == day.charger,
            EndOfDay.epoch == day.epoch,
            EndOfDay.seq < day.seq,
            EndOfDay.result != "failed",
        )
    )
    query = select(Record).where(
        Record.charger == day.charger,
        Record.epoch == day.epoch,
        Record.seq > (before or 0),
        Record.seq < day.seq,
        Record.type == "captured",
    )
    found = []
    for record in db.scalars(query):
        if not lost_answer(record):
            continue
        session = db.scalars(
            select(Session).where(
                Session.charger == day.charger,
                Session.epoch == day.epoch,
                Session.sess == record.payload["sess"],
            )
        ).first()
        currency = session.currency if session else ""
        found.append(
            {
                "code": "capture not proven",
                "ref": str(record.id),
                "mark": 0,
                "session": session.id if session else 0,
                "charger": day.charger,
                "at": record.at,
                "amount_minor": record.payload["captured_minor"],
                "currency": currency,
                "detail": "the terminal's answer was lost, and its end of day has"
                f" {figures.money(day.terminal_minor, currency)} for"
                f" {figures.money(day.ledger_minor, currency)} ({day.result}): see its journal",
            }
        )
    return found

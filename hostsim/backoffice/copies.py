"""Whether the device that sends records is the one whose records are here, and what it is told.

A conflict is marked in the charger's status. The mark goes when the device repeats the very
record as it is here, or says that it accepted a position behind it, which it does only when the
check value is that of its own record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import contract
from hostsim.backoffice.models import Charger, Record, Stream


@dataclass(frozen=True)
class Ack:
    """To be sent after the commit. `again`: send what comes after `seq` once more; `check`: the
    check value of the record `seq`, None where there is none."""

    charger: str
    epoch: int
    seq: int
    again: bool = False
    check: int | None = field(default=None, compare=False)


def ack(
    db: Db, charger: str, epoch: int, seq: int, again: bool = False, record: Record | None = None
) -> Ack:
    """With the check value of the record `seq` (`record`, where it is at hand)."""
    if record is None:
        db.flush()
        record = db.scalars(
            select(Record).where(
                Record.charger == charger, Record.epoch == epoch, Record.seq == seq
            )
        ).first()
    check = contract.check_value(_message_of(record)) if record is not None else None
    return Ack(charger, epoch, seq, again, check)


_DOUBT = "conflict"
"""In a charger's status: [epoch, lowest number whose record came with other contents]."""


def doubt_of(db: Db, stream: Stream) -> int:
    epoch, seq = db.get_one(Charger, stream.charger).status.get(_DOUBT, (0, 0))
    return int(seq) if epoch == stream.epoch else 0


def set_doubt(db: Db, charger: str, epoch: int, seq: int) -> None:
    """Mark the conflict, or take the mark away (`seq` 0)."""
    row = db.get_one(Charger, charger)
    rest = {name: value for name, value in row.status.items() if name != _DOUBT}
    row.status = rest | ({_DOUBT: [epoch, seq]} if seq else {})


def status_after(row: Charger, message: dict[str, Any]) -> dict[str, Any]:
    """A charger's status with the mark of a conflict kept, until it has accepted a position
    behind it."""
    epoch, seq = row.status.get(_DOUBT, (0, 0))
    new = message if message["online"] else {**row.status, **message}
    new = {name: value for name, value in new.items() if name != _DOUBT}
    proven = message.get("epoch") == epoch and message.get("acked_seq", 0) >= seq
    return new | ({_DOUBT: [epoch, seq]} if seq and not proven else {})


def _message_of(record: Record) -> dict[str, Any]:
    head = {"epoch": record.epoch, "seq": record.seq, "type": record.type}
    return {**record.payload, **head, "version": record.version, "at": record.at}


def same(record: Record, fields: dict[str, Any]) -> bool:
    """Whether it is the same record, read by whatever version of the firmware: one that does not
    know its kind gives bytes, an earlier one some fields only, a later one more that are empty;
    and flash may have lost it since."""
    here = _message_of(record)
    if fields["type"] == "lost" or "unknown" in (here["type"], fields["type"]):
        return here["type"] != "lost" or fields["type"] == "lost"
    names = here.keys() | fields.keys()
    if "payload" in names:
        names = here.keys() & fields.keys()
    return all((here.get(name) or 0) == (fields.get(name) or 0) for name in names)

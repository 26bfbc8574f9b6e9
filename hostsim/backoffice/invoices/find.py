"""Finding documents: by what is on the driver's receipt, by session, by page."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.invoices.document import INVOICE, SETTLES, STATEMENT
from hostsim.backoffice.invoices.document import number as numbered
from hostsim.backoffice.models import Charger, Session
from hostsim.backoffice.tables import Invoice

_RECEIPT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})-([ISis]?)0*([0-9]{1,9})\s*")
_MINUTE_MS = 60_000


@dataclass(frozen=True)
class Bill:
    """An invoice or statement. A charger whose flash was replaced gives a receipt's number again,
    so only `flash` (its epoch) makes number and total somebody's."""

    charger: str
    receipt_no: int
    total_minor: int
    flash: int
    session_id: int
    currency: str
    start_at: int
    end_at: int

    def goes_on_at(self, at_ms: int) -> bool:
        """Whether the car was there in that minute."""
        if not self.start_at:
            return False
        return self.start_at // _MINUTE_MS <= at_ms // _MINUTE_MS <= self.end_at // _MINUTE_MS


def bills(
    engine: Engine, charger: str, number: int, total_minor: int | None = None, letter: str = ""
) -> list[Bill]:
    """Those with this receipt's number, newest first; `letter` I or S: with that number of an
    invoice or statement. The charger's name as anybody writes it."""
    names = select(Charger.name).where(func.lower(Charger.name) == charger.lower())
    query = (
        select(Invoice, Session)
        .join(Session, Session.id == Invoice.session_id)
        .where(Invoice.charger.in_(names), Invoice.kind.in_(SETTLES))
        .order_by(Invoice.id.desc())
    )
    if not letter:
        query = query.where(Invoice.receipt_no == number)
    if total_minor is not None:
        query = query.where(Invoice.total_minor == total_minor)
    with Db(engine) as db:
        if letter:
            kind = STATEMENT if letter.upper() == "S" else INVOICE
            numbers = [numbered(name, kind, number) for name in db.scalars(names)]
            query = query.where(Invoice.number.in_(numbers))
        return [
            Bill(
                row.charger, row.receipt_no, row.total_minor, session.epoch, session.id,
                row.currency, session.start_at, session.end_at,
            )
            for row, session in db.execute(query).unique()
        ]  # fmt: skip


def link(family: list[dict[str, Any]]) -> str:
    """Where the driver finds a session's documents, under the pages' address: for this session
    alone, whatever numbers its charger has given since."""
    first = family[0]
    flash = first["document"]["epoch"]
    return f"r/{first['charger']}/{first['receipt_no']}/{first['total_minor']}?flash={flash}"


def by_session(engine: Engine, session_id: int) -> list[dict[str, Any]]:
    """A session's invoice and credit notes; [] when there is none yet."""
    with Db(engine) as db:
        return _family(db, session_id)


def by_number(engine: Engine, number: str) -> dict[str, Any] | None:
    """One document."""
    with Db(engine) as db:
        found = db.scalars(select(Invoice).where(Invoice.number == number)).first()
        return _dict(found) if found is not None else None


def newest(
    engine: Engine, limit: int, before: int = 0, charger: str = "", number: str = ""
) -> list[dict[str, Any]]:
    """A page of documents, newest first; `number`: how numbers begin."""
    query = select(Invoice).order_by(Invoice.id.desc()).limit(limit)
    if before:
        query = query.where(Invoice.id < before)
    if charger:
        query = query.where(Invoice.charger == charger)
    if number:
        query = query.where(Invoice.number >= number, Invoice.number < number + "\uffff")
    with Db(engine) as db:
        return [_dict(row) for row in db.scalars(query)]


def parse_receipt(text: str) -> tuple[str, int, str] | None:
    """Charger, number and letter (I: an invoice's, S: a statement's, "": a receipt's) of
    FC-0001-12 or FC-0001-I000012; None when it is none of these."""
    match = _RECEIPT.fullmatch(text)
    return (match[1], int(match[3]), match[2].upper()) if match else None


def _family(db: Db, session_id: int) -> list[dict[str, Any]]:
    query = select(Invoice).where(Invoice.session_id == session_id).order_by(Invoice.position)
    return [_dict(row) for row in db.scalars(query)]


def _dict(row: Invoice) -> dict[str, Any]:
    names = (
        "id charger position kind number session_id receipt_no issued_at currency total_minor"
        " net_minor vat_minor hash"
    ).split()
    return {name: getattr(row, name) for name in names} | {"document": json.loads(row.document)}

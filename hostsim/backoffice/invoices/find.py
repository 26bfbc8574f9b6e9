"""Finding documents: by what is on the driver's receipt, by session, by page."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.invoices.document import SETTLES
from hostsim.backoffice.tables import Invoice

_AMOUNT = re.compile(r"\s*[A-Za-z€$£]{0,4}\s*(\d[\d.,]*)\s*[A-Za-z€$£]{0,4}\s*")
_RECEIPT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})-I?0*(\d{1,9})\s*")


def receipt(charger: str, receipt_no: int, total_minor: int) -> tuple[Any, ...]:
    """The condition for the invoice of a receipt."""
    return (
        Invoice.charger == charger,
        Invoice.receipt_no == receipt_no,
        Invoice.total_minor == total_minor,
        Invoice.kind.in_(SETTLES),
    )


def by_receipt(
    engine: Engine, charger: str, receipt_no: int, total_minor: int
) -> list[dict[str, Any]]:
    """The invoice and its credit notes; [] when number and amount are nobody's."""
    with Db(engine) as db:
        query = select(Invoice).where(*receipt(charger, receipt_no, total_minor))
        found = db.scalars(query.order_by(Invoice.id.desc())).first()
        return _family(db, found.session_id) if found is not None else []


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


def parse_receipt(text: str) -> tuple[str, int] | None:
    """Charger and number of FC-0001-12; None when it is not one."""
    match = _RECEIPT.fullmatch(text)
    return (match[1], int(match[2])) if match else None


def parse_amount(text: str, currency: str = "EUR") -> int | None:
    """Minor units of 12.30, 12,30, 1.234,50 or 12.30 EUR; None when it is not an amount."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return None
    digits = match[1]
    whole, part = digits, ""
    if point := re.search(r"[.,](\d{1,2})$", digits):
        whole, part = digits[: point.start()], point[1]
    whole = re.sub(r"[.,]", "", whole)
    if not whole or len(whole) > 9:
        return None
    return int(Decimal(f"{whole}.{part or 0}").scaleb(figures.exponent(currency)))


def _family(db: Db, session_id: int) -> list[dict[str, Any]]:
    query = select(Invoice).where(Invoice.session_id == session_id).order_by(Invoice.position)
    return [_dict(row) for row in db.scalars(query)]


def _dict(row: Invoice) -> dict[str, Any]:
    names = (
        "id charger position kind number session_id receipt_no issued_at currency total_minor"
        " net_minor vat_minor hash"
    ).split()
    return {name: getattr(row, name) for name in names} | {"document": json.loads(row.document)}

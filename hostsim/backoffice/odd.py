"""What is odd about a record though the books take it: where the money is and how much is sure,
and what explains it (the bill's lines, its times, its tariff) does not fit. An operator sees it.

Only what no charger writes is odd: amounts are let off by what rounding may do to a line (its
share of a sum that is rounded once a rate; a unit price that was made gross).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import figures
from hostsim.backoffice.likely import WHOLE
from hostsim.backoffice.models import Record, Session
from hostsim.backoffice.rules import ELSEWHERE, HOLD_LOST
from hostsim.backoffice.tables import Rollout, TariffVersion

CODE = "odd_record"

_ENERGY = 0
_UNITS = (10**6, 3_600_000, 3_600_000, 1)  # of figures.KINDS; reservations are in no session
_HOW = ("", "direct", "pending_query", "release", "use")  # the last two: early firmware's
_STEP_MWH = 10 * 10**6  # energy a tariff's step may add

Fields = dict[str, Any]


def faults(db: Db, record: Record, session: Session | None) -> list[str]:
    """`record` is in the books, `session` is the one it is about."""
    if record.type == "priced":
        return list(_bill(record.payload))
    if record.type == "captured" and session is not None:
        return list(_capture(record.payload, session))
    if record.type == "cancelled" and session is not None:
        return _given_away(db, record, session)
    if record.type == "hold_asked":
        return _tariff(db, record)
    return []


def _bill(f: Fields) -> Iterator[str]:
    if f["total_minor"] and not f["receipt_no"]:
        yield "receipt number 0: no refund can name it"
    if f["start_at"] and f["end_at"] < f["start_at"]:
        yield "it ends before it starts"
    rows = [f["lines"][at : at + 5] for at in range(0, len(f["lines"]), 5)]
    for kind, quantity, price, _, gross in rows:
        if not 0 <= kind < len(figures.KINDS):
            yield f"a line of kind {kind}, which is none"
        elif kind < len(_UNITS) and price >= 0:
            unit = _UNITS[kind]
            cost = price * quantity * 10 ** figures.exponent(f["currency"])
            spare = unit * 10_000 + quantity * 100  # a cent, and the unit price's last digit
            if abs(cost - gross * unit * 10_000) > spare:
                yield f"{figures.KINDS[kind]}: {quantity} at {price} are not {gross}"
    on_lines = sum(row[1] for row in rows if row[0] == _ENERGY)
    if on_lines > f["billed_wh"] * 1000 + _STEP_MWH:
        yield f"{on_lines} mWh are on the lines, {f['billed_wh']} Wh flowed"
    yield from _taxes(f)


def _taxes(f: Fields) -> Iterator[str]:
    """Net is rounded once a rate, from an exact sum that the lines do not have."""
    groups = figures.gross_by_rate(f["lines"])
    nets = sum(gross * WHOLE // (WHOLE + max(vat, 0)) for vat, gross in groups.items())
    if abs(nets - f["net_minor"]) > 2 * len(groups):
        yield f"net {f['net_minor']} and VAT {f['vat_minor']} do not fit the lines' rates"


def _capture(f: Fields, session: Session) -> Iterator[str]:
    """What the firmware says of a capture at the terminal; the hand-over of others is a rule of
    the books. The terminal may number the capture's receipt anew: it is not compared."""
    if f["how"] not in (*_HOW, *ELSEWHERE):
        yield f"how {f['how'][:40]!r} is none"


def _given_away(db: Db, record: Record, session: Session) -> list[str]:
    """A charger says that the hold is gone; its alarm, which has a row of its own, may be lost, or
    left out for want of room."""
    flowed = session.end_wh - session.start_wh if not session.lines else 0
    if record.payload["reason"] != HOLD_LOST or not (session.total_minor or flowed):
        return []
    said = Record.payload
    alarm = select(Record.id).where(
        Record.charger == record.charger, Record.epoch == record.epoch, Record.type == "alarm",
        said["code"].as_string() == HOLD_LOST, said["sess"].as_integer() == session.sess,
    )  # fmt: skip
    if db.scalar(alarm.limit(1)) is not None:
        return []
    if flowed:
        return [f"cancelled though {flowed} Wh flowed, whose price is not here: {HOLD_LOST}"]
    return [f"cancelled though {session.total_minor} was the price: {HOLD_LOST}"]


def _tariff(db: Db, record: Record) -> list[str]:
    """A charger may have had its first tariff from a technician; not another one once it took one
    from here. Members' tariffs are kept as their newest version only."""
    f = record.payload
    if f["method"] == "rfid":
        return []
    query = select(TariffVersion.crc, Rollout.state).join(Rollout)
    known = db.execute(query.where(Rollout.charger == record.charger)).all()
    if f["tariff_crc"] in [crc for crc, _ in known]:
        return []
    if not any(state == "accepted" for _, state in known):
        return []
    return [f"tariff {f['tariff'][:40]!r}, checksum {f['tariff_crc']}, was never sent from here"]

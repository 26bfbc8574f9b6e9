"""What leaves the database: plain dicts for pages, reconciliation and tests."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session as Db
from sqlalchemy.orm import selectinload

from hostsim.backoffice import problem_view
from hostsim.backoffice.models import (
    PERIOD_FIELDS,
    Charger,
    Command,
    Problem,
    Record,
    Refund,
    Session,
    Stream,
)

_SESSION = tuple(
    """
    id charger epoch sess state opened_at connector method reference uid_hash remote currency
    tariff tariff_crc meter_serial energised_at start_at end_at elapsed_ms start_wh end_wh
    billed_wh receipt_no total_minor net_minor vat_minor lines vat stop_reason
    """.split()
)
_PAYMENT = tuple(
    """
    hold_minor authorised_minor captured_minor released_minor receipt trace terminal_id vu
    auth_code pan card how failures code text authorised_at settled_at
    """.split()
)
_REFUND = tuple(
    """
    refund order_id state amount_minor receipt_no way reason operator command receipt trace
    credit_no net_minor vat_minor lines code text asked_at sent_at done_at
    """.split()
)
_SUMS = ("authorised_minor", "captured_minor", "released_minor", "refunded_minor", "billed_wh")


def _pick(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def session_dict(session: Session) -> dict[str, Any]:
    """One session with its payment (`payment_state` and the amounts) and refunds."""
    found = _pick(session, _SESSION) | _pick(session.payment, _PAYMENT)
    found["payment_state"] = session.payment.state
    found["refunds"] = [_pick(refund, _REFUND) for refund in session.refunds]
    found["refunded_minor"] = sum(r.amount_minor for r in session.refunds if r.state == "done")
    return found


def sessions(
    engine: Engine, charger: str | None = None, limit: int | None = None, before: int = 0
) -> list[dict[str, Any]]:
    """Newest first; `before`: only those with a smaller id."""
    query = (
        select(Session)
        .order_by(Session.id.desc())
        .limit(limit)
        .options(selectinload(Session.refunds))
    )
    if charger is not None:
        query = query.where(Session.charger == charger)
    if before:
        query = query.where(Session.id < before)
    with Db(engine) as db:
        return [session_dict(row) for row in db.scalars(query)]


def session(engine: Engine, identity: int) -> dict[str, Any] | None:
    """One session with its periods; None when there is none."""
    query = (
        select(Session)
        .where(Session.id == identity)
        .options(selectinload(Session.periods), selectinload(Session.refunds))
    )
    with Db(engine) as db:
        row = db.scalars(query).first()
        if row is None:
            return None
        return session_with_periods(row)


def session_with_periods(row: Session) -> dict[str, Any]:
    """session_dict and `periods`."""
    return session_dict(row) | {
        "periods": [_pick(period, PERIOD_FIELDS) for period in row.periods]
    }


def books(engine: Engine, charger: str) -> dict[str, Any]:
    """Sums and sessions of one charger, oldest first, over all its flashes: the third book of the
    reconciliation."""
    rows = sessions(engine, charger)[::-1]
    found: dict[str, Any] = {name: sum(row[name] for row in rows) for name in _SUMS}
    found["open"] = [
        row["sess"] for row in rows if row["state"] not in ("captured", "cancelled", "declined")
    ]
    found["sessions"] = rows
    return found


def records(engine: Engine, charger: str) -> list[dict[str, Any]]:
    """Every record in the books, in the order of flashes and numbers."""
    query = (
        select(Record)
        .join(Stream, (Stream.charger == Record.charger) & (Stream.epoch == Record.epoch))
        .where(Record.charger == charger, Record.applied)
        .order_by(Stream.first_at, Record.epoch, Record.seq)
    )
    with Db(engine) as db:
        names = ("epoch", "seq", "type", "version", "at")
        return [_pick(row, names) | row.payload for row in db.scalars(query)]


def chargers(engine: Engine) -> list[dict[str, Any]]:
    """Every charger heard of, with the position of its record stream."""
    with Db(engine) as db:
        current = (Stream.charger == Charger.name) & (Stream.epoch == Charger.epoch)
        query = select(Charger, Stream.committed_seq).outerjoin(Stream, current)
        names = ("name", "epoch", "online", "seen_at", "status", "figures")
        return [
            _pick(row, names) | {"committed_seq": reached or 0}
            for row, reached in db.execute(query.order_by(Charger.name))
        ]


def charger_names(engine: Engine) -> list[str]:
    """Every charger heard of."""
    with Db(engine) as db:
        return list(db.scalars(select(Charger.name).order_by(Charger.name)))


def problems(
    engine: Engine, charger: str | None = None, only_open: bool = True,
    limit: int | None = None, skip: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Newest first (problem_view.dicts); `limit`, `skip`: some of them."""
    query = select(Problem).order_by(Problem.id.desc()).limit(limit).offset(skip)
    if charger is not None:
        query = query.where(Problem.charger == charger)
    if only_open:
        query = query.where(Problem.open)
    with Db(engine) as db:
        return problem_view.dicts(db, db.scalars(query).all())


def open_problems(engine: Engine) -> int:
    """How many nobody has closed yet."""
    with Db(engine) as db:
        query = select(func.count()).select_from(Problem).where(Problem.open)
        return db.scalar(query) or 0


def commands(engine: Engine, charger: str | None = None) -> list[dict[str, Any]]:
    """Newest first."""
    query = select(Command).order_by(Command.sent_at.desc(), Command.counter.desc())
    if charger is not None:
        query = query.where(Command.charger == charger)
    names = ("id", "charger", "counter", "name", "expires_at", "sent_at", "state", "result")
    with Db(engine) as db:
        return [_pick(row, names) for row in db.scalars(query)]


def refunds_of(engine: Engine, session_id: int) -> list[dict[str, Any]]:
    """A session's refunds, oldest first."""
    query = select(Refund).where(Refund.session_id == session_id).order_by(Refund.id)
    with Db(engine) as db:
        return [_pick(row, _REFUND) for row in db.scalars(query)]

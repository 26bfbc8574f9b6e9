"""Payments by phone in the database: made, found, moved from state to state. No gateway here.

    holding    -> action | held | declined | cancelling
    action     -> held | declined | cancelling      the payer confirms, or enters the card
    declined   -> holding (another card) | cancelling | cancelled
    held       -> starting | cancelling
    starting   -> started | cancelling
    started    -> capturing | cancelling            by the charger's records alone
    capturing  -> captured | lost
    cancelling -> cancelled | lost

`move` changes a row only when it still is in the state that was looked at, so that the cashier,
a page and a record of the charger's may all work on one payment.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit
from hostsim.backoffice.models import Problem, Session, writing
from hostsim.backoffice.pay_tables import WHY_LENGTH, Pay
from hostsim.backoffice.tables import Todo

HOLDING, ACTION, DECLINED, HELD, STARTING, STARTED = (
    "holding", "action", "declined", "held", "starting", "started",
)  # fmt: skip
CAPTURING, CAPTURED, CANCELLING, CANCELLED, LOST = (
    "capturing", "captured", "cancelling", "cancelled", "lost",
)  # fmt: skip
WORK = (HOLDING, ACTION, DECLINED, HELD, STARTING, STARTED, CAPTURING, CANCELLING)
"""States in which the cashier has something to do."""

LANES = ((HELD, STARTING), (HOLDING, ACTION, DECLINED, STARTED), (CAPTURING, CANCELLING), ())
"""Each worked on by a thread of its own; the first never waits for the gateway."""

OPEN = WORK
GIVEN_UP = "given_up"
"""`why` of a payment whose driver wants an end, also while that cannot be done yet."""

BY_HAND = "by_hand"
"""`why` of a payment that finance has ended, for its session's records do not come."""

STOP = "stop"
"""Todo.kind: a session that the charger is to be told to stop (strays.py)."""

METHOD = "gateway"
"""How the charger's records call such a session's way of paying."""


_MOST_NOTE = 500
_ENDS = ("captured", "cancelled", "declined")


class HandError(ValueError):
    """A payment cannot be ended so; str() says why."""


class CodeUsed(Exception):
    """Somebody else paid with this code before."""


def open_ones(engine: Engine) -> list[Pay]:
    """Of sessions, not at an end, the oldest first."""
    query = select(Pay).where(Pay.state.in_(OPEN), Pay.kind == "session", Pay.state != DECLINED)
    with Db(engine, expire_on_commit=False) as db:
        return list(db.scalars(query.order_by(Pay.created_at).limit(500)))


def page_key(token: str) -> str:
    """What the database has of the driver's address."""
    return hashlib.sha256(token.encode()).hexdigest()


def new(engine: Engine, token: str, fields: dict[str, Any], now_ms: int) -> str:
    """A new payment, about to be held; its id. The same page again gives the first one. Raises
    CodeUsed."""
    page = page_key(token)
    try:
        with writing(engine) as db:
            known = db.scalars(select(Pay).where(Pay.page == page)).first()
            if known is not None:
                return known.id
            if db.scalars(select(Pay.id).where(Pay.code == fields["code"])).first() is not None:
                raise CodeUsed
            row = Pay(id=secrets.token_hex(16), page=page, state=HOLDING, created_at=now_ms)
            row.asked_at = now_ms
            for name, value in fields.items():
                setattr(row, name, value)
            db.add(row)
            return row.id
    except IntegrityError as exc:  # the other one was faster: the same page, pressed twice?
        known = by_page(engine, token)
        if known is not None:
            return known.id
        raise CodeUsed from exc


def get(engine: Engine, identity: str) -> Pay | None:
    """One payment, to look at."""
    with Db(engine, expire_on_commit=False) as db:
        return db.get(Pay, identity)


def by_page(engine: Engine, token: str) -> Pay | None:
    """The payment of a driver's address."""
    with Db(engine, expire_on_commit=False) as db:
        return db.scalars(select(Pay).where(Pay.page == page_key(token))).first()


def by_code(engine: Engine, code: str) -> Pay | None:
    """The payment that was begun with a code."""
    with Db(engine, expire_on_commit=False) as db:
        return db.scalars(select(Pay).where(Pay.code == code)).first()


def by_reference(engine: Engine, reference: str) -> Pay | None:
    """The payment with the gateway's own name."""
    with Db(engine, expire_on_commit=False) as db:
        return db.scalars(select(Pay).where(Pay.reference == reference)).first()


def due(engine: Engine, now_ms: int, states: tuple[str, ...] = WORK) -> list[str]:
    """Ids of those the cashier should look at now."""
    if not states:
        return []
    query = select(Pay.id).where(Pay.state.in_(states), Pay.next_at <= now_ms)
    with Db(engine) as db:
        return list(db.scalars(query.order_by(Pay.next_at).limit(100)))


def still_open(engine: Engine, charger: str) -> list[str]:
    """States of a charger's payments that are not at an end (a declined one holds nothing)."""
    states = [state for state in OPEN if state != DECLINED]
    with Db(engine) as db:
        query = select(Pay.state).where(Pay.charger == charger, Pay.state.in_(states))
        return list(db.scalars(query))


def move(engine: Engine, pay: Pay, state: str, **fields: Any) -> bool:
    """Into another state, unless it has left `pay.state` meanwhile; whether it did."""
    with writing(engine) as db:
        row = db.get(Pay, pay.id, with_for_update=True)
        if row is None or row.state != pay.state or row.attempt != pay.attempt:
            return False
        if state != row.state:
            row.tries, row.next_at = 0, 0
        row.state = state
        for name, value in fields.items():
            setattr(row, name, value)
        if state == CAPTURED and row.kind == "session":  # the charger's bill came meanwhile?
            _else_than_taken(db, row, row.capture_minor, row.settled_at)
        return True


def came_late(engine: Engine, pay: Pay, reference: str) -> None:
    """A hold was answered after its payment had been given up: now it is known what to give back,
    even when nothing was found before."""
    with writing(engine) as db:
        row = db.get_one(Pay, pay.id, with_for_update=True)
        if row.attempt != pay.attempt or row.state not in (CANCELLING, CANCELLED):
            return
        if row.reference != reference:
            row.reference = reference
            _into(row, CANCELLING)


def again(engine: Engine, pay: Pay, method: str, now_ms: int) -> bool:
    """Another card after one that was declined; False when that is not the case any more."""
    return pay.state == DECLINED and move(
        engine, pay, HOLDING, attempt=pay.attempt + 1, method=method, why="", fault="",
        reference="", asked_at=now_ms,
    )  # fmt: skip


def wish(engine: Engine, pay: Pay) -> bool:
    """The driver wants an end of the session that runs: kept until it is over; False when it does
    not run any more."""
    return move(engine, pay, STARTED, why=GIVEN_UP) and to_be_stopped(engine, pay)


def to_be_stopped(engine: Engine, pay: Pay) -> bool:
    """The charger is told until the session is over (strays.py). One that is not known here yet is
    told to stop by its first record, when the payment says so."""
    with writing(engine) as db:
        row = db.get_one(Pay, pay.id, with_for_update=True)
        known = select(Todo.id).where(Todo.kind == STOP, Todo.ref == row.session_id)
        if row.session_id and db.scalars(known).first() is None:
            db.add(Todo(kind=STOP, ref=row.session_id))
    return True


def end_by_hand(
    engine: Engine, identity: str, amount_minor: int, by: str, note: str, now_ms: int
) -> None:
    """Finance ends a payment whose session's records do not come: takes an amount, or (0) gives
    the hold back. Raises HandError."""
    if not 0 < len(note.strip()) <= _MOST_NOTE:
        raise HandError(f"the note must have 1 to {_MOST_NOTE} characters")
    with writing(engine) as db:
        pay = db.get(Pay, identity, with_for_update=True)
        if pay is None or pay.state != STARTED:
            raise HandError("there is no such payment whose session has not ended")
        if not 0 <= amount_minor <= pay.amount_minor:
            raise HandError("the amount must not be more than is held")
        pay.why, pay.capture_minor = BY_HAND, amount_minor
        session = db.get(Session, pay.session_id)
        if session is not None:
            _stop(db, session)
        _into(pay, CAPTURING if amount_minor else CANCELLING)
        audit.note(
            db, now_ms, by, "payment ended by hand", pay.reference,
            f"{amount_minor} {pay.currency} taken: {note.strip()}",
        )  # fmt: skip


def alarm(db: Db, pay: Pay, code: str, detail: str, now_ms: int) -> None:
    """Something about a payment that an operator must see; once until it is closed."""
    known = select(Problem).where(
        Problem.charger == pay.charger, Problem.code == code, Problem.detail == detail,
        Problem.open,
    )  # fmt: skip
    if db.scalars(known).first() is None:
        db.add(
            Problem(
                charger=pay.charger, epoch=0, seq=0, code=code, detail=detail[:500],
                payload=f"payment {pay.reference or pay.id}", at=now_ms,
            )
        )  # fmt: skip


# -- what the charger's records say, in their transaction


def heard(db: Db, session: Session, kind: str, payload: dict[str, Any], now_ms: int) -> None:
    """A record of a session that was paid at a gateway."""
    pay = _of(db, session)
    if pay is None:
        if kind == "captured":
            detail = f"session {session.sess} was paid at a gateway by nobody we know"
            _alarm_at(db, session, "gateway_uncovered", detail, now_ms)
        return
    if _not_its_own(db, pay, session, kind, now_ms):
        return
    pay.session_id = session.id
    if kind == "hold_asked":
        _began(db, pay, session, payload, now_ms)
    elif pay.state == CAPTURED and kind in _ENDS:
        _else_than_taken(db, pay, payload.get("captured_minor", 0), now_ms)
    elif kind == "captured":
        pay.capture_minor = payload["captured_minor"]
        if pay.state == CAPTURING:
            return
        if pay.state in (CANCELLED, LOST):
            detail = f"{pay.charger} delivered {pay.capture_minor} after the hold was given back"
            alarm(db, pay, "gateway_uncovered", detail, now_ms)
        _into(pay, CAPTURING)
    elif kind in _ENDS and pay.state in OPEN:
        pay.why = pay.why or payload.get("reason", "")[:WHY_LENGTH] or "not_started"
        _into(pay, CANCELLING)


def _else_than_taken(db: Db, pay: Pay, owed_minor: int, now_ms: int) -> None:
    """A record that comes when finance has ended its payment: after it, or while the gateway
    captures it."""
    if owed_minor != pay.captured_minor:
        taken = f"{pay.captured_minor} were taken by hand"
        detail = f"{pay.charger} says {owed_minor} are owed, {taken}"
        alarm(db, pay, "gateway_uncovered", detail, now_ms)


def _not_its_own(db: Db, pay: Pay, session: Session, kind: str, now_ms: int) -> bool:
    """Whether the payment is another session's: an alarm, a stop, and nothing of it is taken."""
    if pay.charger != session.charger:
        code, why = "gateway_foreign", f"is of {pay.charger}"
    elif pay.session_id not in (0, session.id):
        code, why = "gateway_twice", "has a session already, which counts"
    else:
        return False
    if kind == "hold_asked":
        _stop(db, session)
    if kind in ("hold_asked", "captured"):
        name = f"session {session.sess} (flash {session.epoch})"
        _alarm_at(db, session, code, f"{name} names payment {pay.id}, which {why}", now_ms)
    return True


def _began(
    db: Db, pay: Pay, session: Session, payload: dict[str, Any], now_ms: int
) -> None:  # fmt: skip
    if pay.state in (HELD, STARTING):
        _into(pay, STARTED)
    if pay.state in (CANCELLING, CANCELLED, LOST) or pay.why == BY_HAND:
        detail = f"session {session.sess} began after its hold was given up; it is told to stop"
        alarm(db, pay, "gateway_uncovered", detail, now_ms)
        _stop(db, session)
    elif pay.why == GIVEN_UP:
        _stop(db, session)
    if pay.tariff_crc and payload["tariff_crc"] != pay.tariff_crc:
        detail = (
            f"session {session.sess}: another tariff than payment {pay.id} was shown"
        )
        alarm(db, pay, "gateway_price", detail, now_ms)


def _stop(db: Db, session: Session) -> None:
    db.add(Todo(kind=STOP, ref=session.id))


def _alarm_at(db: Db, session: Session, code: str, detail: str, now_ms: int) -> None:
    """At the charger whose session it is."""
    stranger = Pay(id=session.remote, charger=session.charger, reference=session.reference)
    alarm(db, stranger, code, detail, now_ms)


def _of(db: Db, session: Session) -> Pay | None:
    db.flush()
    if session.remote:
        return db.get(Pay, session.remote, with_for_update=True)
    query = select(Pay).where(Pay.reference == session.reference).with_for_update()
    return db.scalars(query.execution_options(populate_existing=True)).first()


def _into(pay: Pay, state: str) -> None:
    pay.state, pay.tries, pay.next_at = state, 0, 0

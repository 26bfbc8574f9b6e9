"""What finance should look at: the most severe kind first, in each kind the newest first, all of
it page by page. Finance closes each with a note; what comes again (`mark` changes) is shown anew.

Nothing but the closing is stored: the rest is read from the books, the records, the terminals'
ends of day and the alarms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit, figures, lost, refund_stuck, unproven
from hostsim.backoffice.models import Payment, Problem, Record, Refund, Session, writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.phone import pays
from hostsim.backoffice.tables import ClosedTrouble, Dispute, EndOfDay
from hostsim.backoffice.todo import CODES

_HOUR_MS = 3_600_000
_MOST_NOTE = 500
_DIGITS = 19  # of numbers of rows: fewer, they have 63 bits
_ALARMS = (
    "gateway_uncovered", "gateway_refund", "gateway_refund_back", "gateway_started",
    "gateway_foreign", "gateway_twice", "gateway_price", "gateway_cashier", "gateway_books",
    "gateway_lost",
)  # fmt: skip

Row = dict[str, Any]
"""code, ref, mark, session (id or 0), refund (id or ""), charger, at, amount_minor, currency,
detail."""


class TroubleError(ValueError):
    """It cannot be closed; str() says why."""


class NoTrouble(LookupError):
    """There can be none of this reference."""


@dataclass(frozen=True)
class View:
    """Of which operator, and when."""

    operator: Operator
    now_ms: int


@dataclass(frozen=True)
class Kind:
    """`todo`: for who looks at it; `query`: its rows, newest first, with closed ones; `columns`:
    reference and mark by which ClosedTrouble leaves them out (None: rows are closed where they
    come from)."""

    title: str
    todo: str
    query: Callable[[View], Select[Any]]
    row: Callable[[Db, View, Any], Row]
    columns: tuple[Any, Any] | None = None


def groups(engine: Engine, operator: Operator, now_ms: int, most: int) -> list[dict[str, Any]]:
    """Each kind that has any: kind, title, todo, count, and the `most` newest rows."""
    view = View(operator, now_ms)
    found = []
    with Db(engine) as db:
        for name in ORDER:
            rows, count = _read(db, view, name, most, 0)
            if count:
                found.append(
                    {"kind": name, "title": title(name), "todo": todo(name), "count": count,
                     "rows": rows}
                )  # fmt: skip
    return found


def page(
    engine: Engine, operator: Operator, now_ms: int, kind: str, most: int, skip: int
) -> list[Row]:
    """Some of a kind, newest first."""
    with Db(engine) as db:
        return _read(db, View(operator, now_ms), kind, most, skip)[0]


def title(kind: str) -> str:
    """What a kind is called."""
    return _KINDS[kind].title


def todo(kind: str) -> str:
    """What is to be done with one."""
    return _KINDS[kind].todo


def close(engine: Engine, by: str, kind: str, ref: str, mark: int, note: str, now_ms: int) -> None:
    """Finance has seen to it. Raises TroubleError and
    NoTrouble."""
    if kind not in ORDER or kind in ELSEWHERE:
        raise TroubleError("this is not closed here")
    if not 0 < len(note.strip()) <= _MOST_NOTE:
        raise TroubleError(f"the note must have 1 to {_MOST_NOTE} characters")
    with writing(engine) as db:
        if kind in _OF_PROBLEMS:
            if not (ref.isascii() and ref.isdecimal() and len(ref) < _DIGITS):
                raise NoTrouble(ref)
            problem = db.get(Problem, int(ref), with_for_update=True)
            if problem is None or not problem.open:
                raise TroubleError("it is closed already")
            problem.open = False
        else:
            if db.get(ClosedTrouble, (kind, ref[:64], mark)) is not None:
                raise TroubleError("it is closed already")
            db.add(ClosedTrouble(code=kind, ref=ref[:64], mark=mark, at=now_ms, person=by,
                                 note=note.strip()))  # fmt: skip
        audit.note(db, now_ms, by, f"closed: {title(kind)}"[:40], f"{kind} {ref}", note.strip())


def _read(db: Db, view: View, name: str, most: int, skip: int) -> tuple[list[Row], int]:
    kind = _KINDS[name]
    query = kind.query(view)
    if kind.columns is not None:
        ref, mark = kind.columns
        query = query.where(
            ~exists().where(
                ClosedTrouble.code == name,
                ClosedTrouble.ref == cast(ref, String),
                ClosedTrouble.mark == mark,
            )
        )
    count = db.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    found = db.execute(query.limit(most).offset(skip)).unique() if count else ()
    return [{"mark": 0} | kind.row(db, view, one) for one in found], count


def _row(code: str, ref: object, at: int, detail: str, **fields: Any) -> Row:
    none = {"session": 0, "refund": "", "charger": "", "amount_minor": 0, "currency": ""}
    return {"code": code, "ref": str(ref), "at": at, "detail": detail.strip(), **none, **fields}


# -- sessions


def _sessions(condition: Callable[[View], ColumnElement[bool]]) -> Callable[[View], Select[Any]]:
    return lambda view: (
        select(Session).join(Payment).where(condition(view)).order_by(Session.id.desc())
    )


def _session_row(code: str, detail: str, mark: bool) -> Callable[[Db, View, Any], Row]:
    def row(db: Db, view: View, found: Any) -> Row:
        one: Session = found[0]
        said = detail.format(failures=one.payment.failures, state=one.payment.state)
        return _row(
            code, one.id, one.opened_at, said, session=one.id, charger=one.charger,
            amount_minor=one.payment.authorised_minor or one.payment.hold_minor,
            currency=one.currency, mark=one.payment.failures if mark else 0,
        )  # fmt: skip

    return row


def _failing(view: View) -> ColumnElement[bool]:
    return and_(Payment.failures > 0, Payment.state == "authorised")


def _long_open(view: View) -> ColumnElement[bool]:
    return and_(
        Payment.state.in_(("asked", "authorised")),
        Payment.failures == 0,
        Session.opened_at < view.now_ms - view.operator.hold_open_h * _HOUR_MS,
        Session.opened_at > 0,
    )


# -- the gateway


def _pays(view: View) -> Select[Any]:
    moving = and_(Pay.state.in_((pays.CAPTURING, pays.CANCELLING)), Pay.tries > 1)
    return select(Pay).where(or_(Pay.state == pays.LOST, moving)).order_by(Pay.created_at.desc())


_PAY_MARKS = {pays.LOST: 1, pays.CANCELLING: 2}
_PAY_MARK = case(_PAY_MARKS, value=Pay.state, else_=0)
"""Closed while it fails, it is shown anew when it is lost."""


def _pay_row(db: Db, view: View, found: Any) -> Row:
    pay: Pay = found[0]
    return _row(
        "gateway: lost" if pay.state == pays.LOST else f"gateway: {pay.state} fails", pay.id,
        pay.created_at, f"{pay.reference} {pay.fault}", session=pay.session_id,
        charger=pay.charger, amount_minor=pay.capture_minor or pay.amount_minor,
        currency=pay.currency, mark=_PAY_MARKS.get(pay.state, 0),
    )  # fmt: skip


def _problems(*codes: str) -> Callable[[View], Select[Any]]:
    return lambda view: (
        select(Problem).where(Problem.open, Problem.code.in_(codes)).order_by(Problem.id.desc())
    )


def _problem_row(db: Db, view: View, found: Any) -> Row:
    """Captures that are not the price, refunds beyond it: the books refuse such records."""
    one: Problem = found[0]
    code = "totals differ" if one.code == "impossible" else one.code.replace("_", " ")
    return _row(code, one.id, one.at, one.detail, charger=one.charger)


# -- ends of day, refunds, disputes


def _days(view: View) -> Select[Any]:
    return (
        select(EndOfDay)
        .where(
            or_(
                EndOfDay.terminal_minor != EndOfDay.ledger_minor,
                EndOfDay.ledger_minor != EndOfDay.books_minor,
            ),
            EndOfDay.result != "late",  # with the day before in it, the charger says
        )
        .order_by(EndOfDay.id.desc())
    )


def _day_row(db: Db, view: View, found: Any) -> Row:
    day: EndOfDay = found[0]
    currency = day.currency or view.operator.currency
    said = {name: figures.money(getattr(day, f"{name}_minor"), currency)
            for name in ("terminal", "ledger", "books")}  # fmt: skip
    return _row(
        "end of day differs", day.id, day.at,
        f"terminal {said['terminal']}, charger's ledger {said['ledger']}, books here"
        f" {said['books']} ({day.result})",
        charger=day.charger, amount_minor=day.terminal_minor - day.books_minor, currency=currency,
    )  # fmt: skip


def _refunds(view: View) -> Any:
    query = select(Refund, Session.currency)
    query = query.join(Session, Session.id == Refund.session_id).where(Refund.state == "failed")
    return query.order_by(Refund.id.desc())


def _refund_row(db: Db, view: View, found: Any) -> Row:
    refund, currency = found
    return _row(
        "refund failed", refund.id, refund.done_at,
        f"{refund.way}{f', code {refund.code}' if refund.code else ''} {refund.text}".strip(" ,"),
        session=refund.session_id,
        charger=refund.charger, amount_minor=refund.amount_minor, currency=currency,
    )  # fmt: skip


def _disputes(view: View) -> Any:
    query = select(Dispute, Session.charger, Session.currency)
    query = query.join(Session, Session.id == Dispute.session_id).where(Dispute.state == "open")
    return query.order_by(Dispute.id.desc())


def _dispute_row(db: Db, view: View, found: Any) -> Row:
    dispute, charger, currency = found
    return _row(
        "disputed", dispute.id, dispute.opened_at, f"{dispute.reference} {dispute.note}",
        session=dispute.session_id, charger=charger, amount_minor=dispute.amount_minor,
        currency=currency,
    )  # fmt: skip


def _unproven_row(db: Db, view: View, found: Any) -> Row:
    record, session, day = found
    currency = session.currency if session is not None else day.currency
    return _row(
        "capture not proven", record.id, record.at, unproven.detail(day, currency),
        session=session.id if session is not None else 0, charger=day.charger,
        amount_minor=record.payload["captured_minor"], currency=currency,
    )  # fmt: skip


def _overlap_row(db: Db, view: View, found: Any) -> Row:
    session, over = found[0], int(found[1])
    return _row(
        "refund and dispute", session.id, session.opened_at,
        "refunds and disputes are more than was captured", session=session.id,
        charger=session.charger, amount_minor=over, currency=session.currency, mark=over,
    )  # fmt: skip


def _hanging_row(db: Db, view: View, found: Any) -> Row:
    order, session = found
    return _row(
        "refund hangs", order.refund, order.approved_at,
        "the charger's flash of then was replaced: nobody answers it any more",
        session=session.id, charger=session.charger, amount_minor=order.amount_minor,
        currency=session.currency, refund=order.refund,
    )  # fmt: skip


_DISPUTED = "disputes"
_HANGING = "hanging"
ELSEWHERE = (_DISPUTED, _HANGING)
"""Kinds whose rows are closed by what ends them."""

_OF_PROBLEMS = ("gateway-alarms", "totals", "unbooked")
_KINDS = {
    "overlaps": Kind(
        "given back twice",
        "Answer the bank with the refund's proof, or stop the refund where it is.",
        lambda view: refund_stuck.overlaps(), _overlap_row,
        (Session.id, refund_stuck.OVER_BY),
    ),
    "captures": Kind(
        "captures failing",
        "The charger tries again by itself; its terminal's trouble is on its page.",
        _sessions(_failing),
        _session_row("capture failing", "the terminal refused {failures} times", True),
        (Session.id, Payment.failures),
    ),
    "gateway": Kind(
        "payments the gateway fails",
        "Lost: look it up at the gateway. Others are tried again by themselves.",
        _pays, _pay_row, (Pay.id, _PAY_MARK),
    ),
    "gateway-alarms": Kind(
        "alarms of the gateway",
        "The gateway's word differs from the books here: look it up there. A session that will"
        " have no end any more: end its payment under Open payments by phone.",
        _problems(*_ALARMS), _problem_row,
    ),
    "totals": Kind(
        "records the books refused",
        "They cannot be true; the books are as before. Ask who keeps the charger.",
        _problems("impossible"), _problem_row,
    ),
    "unbooked": Kind(
        "sessions that are not in the books, or not their end", CODES[lost.CODE],
        _problems(lost.CODE), _problem_row,
    ),
    "days": Kind(
        "ends of day that differ",
        "Compare the terminal's journal with the charger's payments of that day.",
        _days, _day_row, (EndOfDay.id, 0),
    ),
    "unproven": Kind(
        "captures not proven",
        "Look it up in the terminal's journal or at the acquirer.",
        lambda view: unproven.query(), _unproven_row, (Record.id, 0)
    ),
    "refunds": Kind(
        "failed refunds",
        "Nothing was given back: ask for it anew, or pay it otherwise.",
        _refunds, _refund_row, (Refund.id, 0),
    ),
    _HANGING: Kind(
        "refunds that hang",
        "Nobody answers them any more: end each on its page.",
        lambda view: refund_stuck.hanging(view.now_ms), _hanging_row
    ),
    _DISPUTED: Kind(
        "open disputes",
        "Answer the bank in time; how it ended is noted on the session's page.",
        _disputes, _dispute_row,
    ),
    "holds": Kind(
        "holds open too long",
        "A charger that comes back settles it; else the bank lets it go by itself.",
        _sessions(_long_open),
        _session_row("hold open too long", "{state} since then", False), (Session.id, 0),
    ),
}  # fmt: skip
ORDER = (
    "overlaps", "captures", "gateway", "gateway-alarms", "unbooked", "totals", "days", "unproven",
    "refunds", _HANGING, _DISPUTED, "holds",
)  # fmt: skip
"""Kinds, the most severe first: money that is not there, then books that differ, then waiting."""

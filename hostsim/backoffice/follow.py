"""What follows from a record that is in the books, in the same transaction: documents, and what
the sums for reports have still to count.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import unasked
from hostsim.backoffice.bills.desk import touched
from hostsim.backoffice.books import Books
from hostsim.backoffice.invoices import issue
from hostsim.backoffice.likely import unlikely
from hostsim.backoffice.models import Record, Refund, Session
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.phone import pays
from hostsim.backoffice.rules import ELSEWHERE, OUTSIDE
from hostsim.backoffice.tables import EndOfDay, Rollout, TariffVersion, Todo


class Follower:
    """`operator` heads the documents; `now_ms` dates those of chargers that know no time."""

    def __init__(self, operator: Operator, now_ms: Callable[[], int]) -> None:
        """Nothing is done yet."""
        self.operator = operator
        self._now_ms = now_ms

    def after(self, db: Db, books: Books, record: Record) -> None:
        """`record` was applied and was possible."""
        work = {
            "hold_asked": self._paid_elsewhere,
            "captured": self._settled,
            "cancelled": self._settled,
            "declined": self._declined,
            "refund_requested": self._refund_begun,
            "refund_asked": self._refund_begun,
            "refund_sent": self._refund_begun,
            "refunded": self._refunded,
            "end_of_day": self._end_of_day,
            "tariff": self._tariff,
        }.get(record.type)
        if work is not None:
            work(db, books, record)

    def _paid_elsewhere(self, db: Db, books: Books, record: Record) -> None:
        """A payment at a gateway hears of its session."""
        session = books.find(record.charger, record.epoch, record.payload["sess"])
        if session is not None and session.method == pays.METHOD:
            pays.heard(db, session, record.type, record.payload, self._now_ms())
        elif session is not None and record.type == "captured":
            touched(db, session)

    def _settled(self, db: Db, books: Books, record: Record) -> None:
        self._paid_elsewhere(db, books, record)
        session = books.find(record.charger, record.epoch, record.payload["sess"])
        if session is None:
            return
        if record.type == "captured":
            issue.issue_invoice(db, session, self.operator, self._now_ms())
            if session.payment.captured_minor > session.total_minor:
                self._ordered(db, record, unasked.own_id(session))
        db.add(Todo(kind="session", ref=session.id))

    def _declined(self, db: Db, books: Books, record: Record) -> None:
        self._paid_elsewhere(db, books, record)
        session = books.find(record.charger, record.epoch, record.payload["sess"])
        if session is not None and session.state == "declined":
            db.add(Todo(kind="session", ref=session.id))

    def _refund_begun(self, db: Db, books: Books, record: Record) -> None:
        self._ordered(db, record, record.payload["refund"])

    def _ordered(self, db: Db, record: Record, name: str) -> None:
        """A charger gives something back: there is an order for it."""
        refund = _refund(db, record, name)
        if refund is not None:
            session = db.get_one(Session, refund.session_id)
            unasked.follow(db, record, refund, session, self.operator, self._now_ms())

    def _refunded(self, db: Db, books: Books, record: Record) -> None:
        refund = _refund(db, record, record.payload["refund"])
        if refund is not None:
            self.refund_done(db, refund)

    def refund_done(self, db: Db, refund: Refund) -> None:
        """A refund came to its end, at the terminal or at the acquirer."""
        issue.issue_credit_note(db, refund, self.operator, self._now_ms())
        if refund.way == "account":
            touched(db, db.get_one(Session, refund.session_id))
        db.add(Todo(kind="refund", ref=refund.id))

    def _end_of_day(self, db: Db, books: Books, record: Record) -> None:
        f = record.payload
        captured, count = self._taken_since(db, record)
        db.add(
            EndOfDay(
                charger=record.charger,
                epoch=record.epoch,
                seq=record.seq,
                at=record.at or self._now_ms(),
                result=f["result"][:40],
                count=f["count"],
                terminal_minor=f["terminal_minor"],
                ledger_minor=f["ledger_minor"],
                books_minor=captured,
                books_count=count,
                currency=db.scalar(
                    select(Session.currency)
                    .where(
                        Session.charger == record.charger,
                        Session.currency != "",
                        Session.id.not_in(books.not_opened(record.charger)),
                    )
                    .order_by(Session.id.desc())
                    .limit(1)
                ) or "",
            )
        )

    def _taken_since(self, db: Db, record: Record) -> tuple[int, int]:
        """What was captured at the terminal less what was given back there since the last end of
        day that succeeded, as the records here have it, without those whose amounts are none;
        0 where more was given back (a terminal's total has no sign)."""
        db.flush()
        last = db.scalar(
            select(func.max(EndOfDay.seq)).where(
                EndOfDay.charger == record.charger,
                EndOfDay.epoch == record.epoch,
                EndOfDay.result != "failed",
            )
        )
        rows = db.scalars(
            select(Record).where(
                Record.charger == record.charger,
                Record.epoch == record.epoch,
                Record.seq > (last or 0),
                Record.seq < record.seq,
                Record.type.in_(("captured", "refunded")),
            )
        )
        total = count = 0
        for row in rows:
            if unlikely(row):
                continue
            if row.type == "refunded":
                if row.payload["way"] not in OUTSIDE:
                    total -= row.payload["amount_minor"]
            elif row.payload["how"] not in ELSEWHERE:
                total += row.payload["captured_minor"]
                count += 1
        return max(total, 0), count

    def _tariff(self, db: Db, books: Books, record: Record) -> None:
        """A charger's word on a tariff, by its checksum."""
        f = record.payload
        db.flush()
        rollout = db.scalars(
            select(Rollout)
            .join(TariffVersion)
            .where(Rollout.charger == record.charger, TariffVersion.crc == f["tariff_crc"])
            .order_by(Rollout.id.desc())
        ).first()
        if rollout is not None and rollout.state in ("sent", "refused"):
            rollout.state = "accepted" if f["result"] == "accepted" else "refused"
            rollout.detail = f["detail"]
            rollout.answered_at = record.at or self._now_ms()


def _refund(db: Db, record: Record, name: str) -> Refund | None:
    db.flush()
    query = select(Refund).where(
        Refund.charger == record.charger, Refund.epoch == record.epoch, Refund.refund == name
    )
    return db.scalars(query).first()

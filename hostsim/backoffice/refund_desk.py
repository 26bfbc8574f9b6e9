"""The refund desk: what the operator's policy says about an order, on the refund domain
(refunds.py), which keeps every step in the audit log. The pages and `python -m hostsim refund`
both come through here: no way goes round the limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit, figures, refund_stuck, views
from hostsim.backoffice.accounts import people
from hostsim.backoffice.accounts.logins import Caller
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.refund_rules import RefundError
from hostsim.backoffice.refunds import Refunds
from hostsim.backoffice.rules import REASONS

_DAY_MS = 86_400_000
T = TypeVar("T")
_ALL, _PART, _LINES = "all", "part", "lines"
WHAT = {_ALL: "Everything that is left", _PART: "A part", _LINES: "Chosen lines of the bill"}


class DeskError(ValueError):
    """(field, why)"""

    def __init__(self, field: str, why: str) -> None:
        """The field and what is allowed."""
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class Office(Protocol):
    """What the desk needs of a back office."""

    engine: Engine
    operator: Operator
    refunds: Refunds

    def now_ms(self) -> int:
        """The clock of its business."""


class RefundDesk:
    """Of one back office."""

    def __init__(self, office: Office) -> None:
        """The policy is the operator's: approve_above_minor, approve_above, refund_days."""
        self._office = office

    def left(self, session: dict[str, Any]) -> int:
        """What of a session can still be asked for."""
        return self._office.refunds.left(session["id"])

    def of_session(self, session: dict[str, Any]) -> list[dict[str, Any]]:
        """Its orders, newest first."""
        found = self._office.refunds.listed(session["charger"], receipt=session["receipt_no"])
        return [order for order in found if order["session_id"] == session["id"]]

    def ask(
        self, caller: Caller, session_id: int, what: str, amount_minor: int | None,
        lines: list[int], reason: str, card: bool, once: str,
    ) -> tuple[str, bool]:  # fmt: skip
        """An order; its id, and whether it still waits for somebody else's approval. `once`: the
        form's own id, so that sending it twice asks once. Raises DeskError."""
        office = self._office
        session = views.session(office.engine, session_id)
        if session is None or session["payment_state"] != "captured":
            raise DeskError("what", "only a paid session can be refunded")
        if once and (known := self._asked_before(caller, session_id, once)) is not None:
            return known
        oldest = office.now_ms() - office.operator.refund_days * _DAY_MS
        if session["settled_at"] and session["settled_at"] < oldest:
            raise DeskError("what", f"it is older than {office.operator.refund_days} days")
        amount = self._amount(session, what, amount_minor)
        if reason not in REASONS:
            raise DeskError("reason", f"must be one of {', '.join(REASONS)}")
        if what == _LINES and not lines:
            raise DeskError("what", "choose at least one line")
        refund = self._do(
            lambda: office.refunds.request(
                session_id=session_id,
                amount_minor=amount,
                reason=reason,
                operator=caller.name[:32],
                card=card,
                refund=once or None,
                lines=lines if what == _LINES else (),
                alone_minor=office.operator.alone_minor(session["currency"]),
            )
        )
        state = self.follow(refund)["state"]
        if state == "approved":
            self._do(lambda: office.refunds.send(refund))
        return refund, state == "requested"

    def _asked_before(self, caller: Caller, session_id: int, once: str) -> tuple[str, bool] | None:
        """A form that comes again, whatever it says now; None when it is new. Raises DeskError
        for a form of somebody else's or of another session."""
        try:
            order = self._office.refunds.follow(once)
        except RefundError:
            return None
        if (order["operator"], order["session_id"]) != (caller.name[:32], session_id):
            raise DeskError("what", "this form was used for another order; please reload it")
        return once, order["state"] == "requested"

    def _amount(self, session: dict[str, Any], what: str, amount_minor: int | None) -> int:
        """0: what the lines are."""
        left = self.left(session)
        if not left:
            raise DeskError("what", "nothing is left of it")
        if what == _ALL:
            return left
        if what == _LINES:
            return 0
        if what != _PART:
            raise DeskError("what", f"must be one of {', '.join(WHAT)}")
        if amount_minor is None or not 0 < amount_minor <= left:
            most = figures.money(left, session["currency"])
            raise DeskError("amount", f"must be above 0 and at most {most}")
        return amount_minor

    def approve(self, caller: Caller, refund: str) -> None:
        """The second pair of eyes. Raises DeskError."""
        order = self.follow(refund)
        if order["operator"] == caller.name[:32]:
            raise DeskError("refund", "somebody else must approve what you asked for")
        if not people.may(caller.role, "finance"):
            raise DeskError("refund", "approving needs the role finance")
        self._do(lambda: self._office.refunds.approve(refund, caller.name[:32]))

    def refuse(self, caller: Caller, refund: str, note: str) -> None:
        """It is not paid. Raises DeskError."""
        self._do(lambda: self._office.refunds.refuse(refund, caller.name[:32], note[:200]))

    def confirm(self, caller: Caller, refund: str, accepted: bool, reference: str) -> None:
        """The acquirer's answer. Raises DeskError."""
        self._do(
            lambda: self._office.refunds.confirm(
                refund, accepted=accepted, operator=caller.name[:32], reference=reference[:64]
            )
        )

    def end(self, caller: Caller, refund: str, again: bool, note: str) -> None:
        """Of one that hangs. Raises DeskError."""
        by, note, office = caller.name[:32], note.strip()[:200], self._office
        now = office.now_ms()
        self._do(
            lambda: refund_stuck.end(
                office.engine, refund, again=again, by=by, note=note, now_ms=now
            )
        )

    def hangs(self, refund: str) -> bool:
        """Whether nobody will answer it any more, so that `end` may."""
        with Db(self._office.engine) as db:
            return refund_stuck.hangs(db, refund, self._office.now_ms())

    def follow(self, refund: str) -> dict[str, Any]:
        """Raises DeskError when there is none."""
        try:
            return self._office.refunds.follow(refund)
        except RefundError as exc:
            raise DeskError("refund", str(exc)) from exc

    def request_text(self, refund: str) -> dict[str, Any] | None:
        """What the acquirer needs; None when it is not its turn."""
        try:
            return self._office.refunds.acquirer_request(refund)
        except RefundError:
            return None

    def _do(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except RefundError as exc:
            field = "amount" if exc.field == "amount_minor" else exc.field
            raise DeskError(field, exc.why) from exc


def audit_of(office: Office, refund: str) -> list[dict[str, Any]]:
    """Every step somebody took, oldest first."""
    return audit.entries(office.engine, subject=refund)[::-1]


__all__ = ["REASONS", "WHAT", "DeskError", "RefundDesk", "audit_of"]

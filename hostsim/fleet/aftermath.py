"""What goes wrong in a long past (history.py): refunds and their orders, by line too, disputes,
ends of day that differ, captures whose answer was lost, payments by phone, alarms.

Shares are meant to be more than a real network has, so that pages that show it are measured with
enough of it.
"""

from __future__ import annotations

import random
from typing import Any

from hostsim.backoffice.models import Problem, Record, Refund, RefundOrder
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.tables import ClosedTrouble, Dispute, EndOfDay, Todo
from hostsim.fleet.records import VirtualLedger

Rows = dict[Any, list[dict[str, Any]]]
"""Of each table."""

TABLES = (Refund, RefundOrder, Dispute, EndOfDay, Record, Pay, Problem, ClosedTrouble)
_DAY_MS = 86_400_000
_REFUNDED, _DISPUTED, _BY_PHONE, _ALARM = 0.01, 0.002, 0.02, 0.002  # of sessions
_DIFFERS = 0.003  # of ends of day
_OPEN_DAYS = 30  # what is older has been seen to
_REASONS = ("goodwill", "charger fault", "wrong tariff", "charged twice")


class Aftermath:
    """`first`: the next free number of refunds and ends of day; `until_ms`: the past's end."""

    def __init__(self, seed: int, first: dict[Any, int], until_ms: int) -> None:
        """Nothing has gone wrong yet."""
        self._dice = random.Random(f"aftermath {seed}")
        self._next = first
        self._until_ms = until_ms
        self._days: dict[str, int] = {}

    def add(
        self, found: Rows, ledger: VirtualLedger, session: dict[str, Any], paid_minor: int
    ) -> None:
        """Of one session that was paid."""
        at = session["end_at"]
        self._end_of_day(found, ledger, session, paid_minor)
        fate = self._dice.random()
        if fate < _REFUNDED:
            self._refund(found, session, at + 2 * _DAY_MS, self._dice.random())
        if self._dice.random() < _DISPUTED:
            self._dispute(found, session, at + 9 * _DAY_MS)
        if self._dice.random() < _BY_PHONE:
            self._by_phone(found, session, paid_minor)
        if self._dice.random() < _ALARM:
            found[Problem].append(
                {"charger": ledger.name, "epoch": ledger.epoch, "seq": ledger.seq, "at": at,
                 "code": self._dice.choice(("alarm", "gateway_books", "impossible")),
                 "detail": "of the simulated past", "payload": "", "open": self._is_new(at)}
            )  # fmt: skip

    def _is_new(self, at: int) -> bool:
        return at > self._until_ms - _OPEN_DAYS * _DAY_MS

    def _number(self, table: Any) -> int:
        self._next[table] += 1
        return self._next[table] - 1

    def _refund(self, found: Rows, session: dict[str, Any], at: int, fate: float) -> None:
        """Done, or (of 20 one) failed, or without an end; of three one by line."""
        by_line = self._dice.random() < 1 / 3
        lines = session["lines"]
        amount = lines[4] if by_line else max(session["total_minor"] // 2, 1)
        identity = self._number(Refund)
        state = "done" if fate < 0.9 else "failed" if fate < 0.95 else "requested"
        net = (2 * amount * 1_000_000 + 1_190_000) // 2_380_000
        order = {
            "refund": f"R{identity}", "charger": session["charger"], "session_id": session["id"],
            "receipt_no": session["receipt_no"], "amount_minor": amount, "requested_at": at,
            "reason": self._dice.choice(_REASONS), "operator": "past", "state": "approved",
            "approved_by": "past", "approved_at": at, "lines": [0] if by_line else [],
        }  # fmt: skip
        found[RefundOrder].append(order)
        found[Refund].append(
            {"id": identity, "session_id": session["id"], "charger": session["charger"],
             "epoch": session["epoch"], "refund": order["refund"],
             "order_id": order["refund"], "state": state,
             "amount_minor": amount, "receipt_no": session["receipt_no"], "operator": "past",
             "net_minor": net, "vat_minor": amount - net,
             "lines": [lines[3], net, amount - net, amount], "way": "terminal",
             "reason": order["reason"], "credit_no": identity, "asked_at": at,
             "done_at": 0 if state == "requested" else at + 60_000}
        )  # fmt: skip
        if state == "done":
            found[Todo].append({"kind": "refund", "ref": identity})
        elif state == "failed" and not self._is_new(at):
            found[ClosedTrouble].append(_closed("refunds", identity, at))

    def _dispute(self, found: Rows, session: dict[str, Any], at: int) -> None:
        new = self._is_new(at)
        state = "open" if new else self._dice.choice(("won", "lost"))
        found[Dispute].append(
            {"session_id": session["id"], "state": state, "amount_minor": session["total_minor"],
             "reference": f"CB-{session['id']}", "note": "", "opened_at": at,
             "closed_at": 0 if new else at + 20 * _DAY_MS, "once": ""}
        )  # fmt: skip

    def _by_phone(self, found: Rows, session: dict[str, Any], paid_minor: int) -> None:
        name = f"P{session['id']}"
        state = "lost" if self._dice.random() < 0.01 else "captured"
        found[Pay].append(
            {"id": name, "page": name, "code": name, "charger": session["charger"],
             "gateway": "till", "reference": f"pi_{name}", "state": state, "amount_minor": 6000,
             "currency": session["currency"], "session_id": session["id"],
             "captured_minor": paid_minor, "created_at": session["opened_at"]}
        )  # fmt: skip

    def _end_of_day(
        self, found: Rows, ledger: VirtualLedger, session: dict[str, Any], paid_minor: int
    ) -> None:
        """Once a day and charger; a few differ, half of them by a lost answer."""
        day = session["end_at"] // _DAY_MS
        if day <= self._days.get(ledger.name, 0):
            return
        self._days[ledger.name] = day
        differs = self._dice.random() < _DIFFERS
        if differs and self._dice.random() < 0.5:
            record = ledger.lost_answer(session["end_at"], session["sess"], paid_minor)
            head = {name: record.pop(name) for name in ("epoch", "seq", "type", "version", "at")}
            found[Record].append(
                head | {"charger": ledger.name, "payload": record, "applied": True,
                        "received_at": head["at"]}
            )  # fmt: skip
        record = ledger.end_of_day(session["end_at"])
        row = {name: record[name] for name in ("epoch", "seq", "at", "count")}
        row |= {name: record[name] for name in ("terminal_minor", "ledger_minor", "result")}
        identity = self._number(EndOfDay)
        row |= {
            "id": identity, "charger": ledger.name, "currency": session["currency"],
            "books_minor": row["ledger_minor"], "books_count": row["count"],
        }  # fmt: skip
        if differs:
            row |= {"result": "differs", "terminal_minor": row["terminal_minor"] - 100}
            if not self._is_new(row["at"]):
                found[ClosedTrouble].append(_closed("days", identity, row["at"]))
        found[EndOfDay].append(row)


def _closed(kind: str, identity: int, at: int) -> dict[str, Any]:
    return {"code": kind, "ref": str(identity), "mark": 0, "at": at, "person": "past",
            "note": "seen to"}  # fmt: skip

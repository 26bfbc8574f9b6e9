"""The terminal's own books: every hold, payment and refund it ever made, safe from power cuts.

Goal: what `summary` says can be compared to the charger's ledger to the cent. A record is written
when the money is authorised and becomes valid when the ECR has acknowledged it (`confirm`); one
that was not is void (`void`), also after a power cut. The file is replaced as a whole (write,
flush, rename), so a torn file cannot come about. No card number is ever written, only its masked
form.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

MAX_RECEIPT = 9999
MAX_TRACE = 999999


class BooksError(Exception):
    """The books file cannot be read or does not hold books."""


class Kind(StrEnum):
    """What a record is about."""

    RESERVATION = "reservation"
    PAYMENT = "payment"
    REFUND = "refund"


class State(StrEnum):
    """Where a record stands."""

    UNCONFIRMED = "unconfirmed"  # authorised, the ECR has not acknowledged it yet
    PENDING = "pending"  # a hold, open
    CAPTURED = "captured"
    CANCELLED = "cancelled"  # 0625
    PAID = "paid"
    REFUNDED = "refunded"
    REVERSED = "reversed"  # 0630
    AUTO_REVERSED = "auto-reversed"  # by the terminal itself or the acquirer: as if never made


@dataclass
class Record:
    """One transaction. Amounts in minor units; `receipts` are all receipt numbers it ever got,
    the first is its own.
    """

    seq: int
    kind: Kind
    state: State
    receipt: int
    trace: int
    authorised_minor: int
    currency: int
    card: str
    pan: str
    scheme: str
    expiry: str
    uid: str
    authorisation: str
    created_ms: int
    captured_minor: int = 0
    released_minor: int = 0
    returned_minor: int = 0  # given back after capture or payment (0630); of a refund: its amount
    extensions: list[dict[str, int]] = field(default_factory=list)
    receipts: list[int] = field(default_factory=list)
    traces: list[int] = field(default_factory=list)
    acquirer_refunds: dict[str, int] = field(default_factory=dict)  # by the request's id
    reference: str = ""  # TLV 1F62 and 1F63 of the reservation
    closed_ms: int = 0
    batch: int = 0  # end of day that has it
    note: str = ""

    def view(self) -> dict[str, Any]:
        """The record as plain data."""
        return asdict(self)


class Books:
    """The records, the counters and the batches; in a JSON file if a path is given."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Load what is there; raises BooksError."""
        self._path = Path(path) if path is not None else None
        self.records: list[Record] = []
        self.batches: list[dict[str, Any]] = []
        self.counters = {"receipt": 0, "trace": 0, "turnover": 0}
        if self._path is not None and self._path.exists():
            self._load(self._path)

    def next_receipt(self) -> int:
        """A new receipt number, 1 to 9999 and round again."""
        self.counters["receipt"] = self.counters["receipt"] % MAX_RECEIPT + 1
        return self.counters["receipt"]

    def next_trace(self) -> int:
        """A new trace number, 1 to 999999 and round again."""
        self.counters["trace"] = self.counters["trace"] % MAX_TRACE + 1
        return self.counters["trace"]

    def next_turnover(self) -> int:
        """A new turnover number, 1 to 999999 and round again."""
        self.counters["turnover"] = self.counters["turnover"] % MAX_TRACE + 1
        return self.counters["turnover"]

    def add(self, record: Record) -> Record:
        """Take a new record in and write the file."""
        record.receipts.append(record.receipt)
        record.traces.append(record.trace)
        self.records.append(record)
        self.save()
        return record

    def newest(self, receipt: int) -> Record | None:
        """The newest valid record with that receipt number (numbers come round again)."""
        for record in self._newest_first():
            if receipt in record.receipts:
                return record
        return None

    def newer(self, receipt: int, than: int) -> bool:
        """Whether `receipt` was given out after `than`, a number the ECR names (any that never
        was one: it knows of none). Numbers come round: both are seen from the newest.
        """
        newest = self.counters["receipt"]
        if not 0 < than <= MAX_RECEIPT:
            return True
        return (newest - receipt) % MAX_RECEIPT < (newest - than) % MAX_RECEIPT

    def by_trace(self, trace: int) -> Record | None:
        """The newest record with that trace number."""
        for record in self._newest_first():
            if trace in record.traces:
                return record
        return None

    def move(self, path: Path) -> None:
        """Written to another file from now on."""
        self._path = path
        self.save()

    def pending(self) -> list[Record]:
        """Open holds, oldest first."""
        return [record for record in self.records if record.state is State.PENDING]

    def last_with_card(self) -> Record | None:
        """The newest hold or payment that the terminal kept."""
        for record in self._newest_first():
            if record.kind is not Kind.REFUND and record.state not in (
                State.UNCONFIRMED,
                State.AUTO_REVERSED,
            ):
                return record
        return None

    def void_unconfirmed(self, why: str, now_ms: int) -> list[Record]:
        """After a power cut: what was not acknowledged is void."""
        found = [record for record in self.records if record.state is State.UNCONFIRMED]
        for record in found:
            self.void(record, why, now_ms)
        return found

    def void(self, record: Record, why: str, now_ms: int) -> None:
        """Make a record as if it had never been; its history stays visible."""
        record.state = State.AUTO_REVERSED
        record.note = why
        record.closed_ms = now_ms
        self.save()

    def summary(self) -> dict[str, Any]:
        """Totals over everything valid, open holds, and the list of receipts; amounts in minor
        units.

        authorised = captured + released + held, always. refunded_minor is all money that went back
        after a capture or payment: reversed_minor (0630) + unreferenced_refund_minor (0631) +
        acquirer_refund_minor (referenced, by the acquirer; not in the terminal's end of day).
        """
        valid = [
            r for r in self.records if r.state not in (State.UNCONFIRMED, State.AUTO_REVERSED)
        ]
        sold = [r for r in valid if r.kind is not Kind.REFUND]
        held = [r for r in sold if r.state is State.PENDING]
        reversed_minor = sum(r.returned_minor for r in sold)
        acquirer = sum(sum(r.acquirer_refunds.values()) for r in sold)
        refunds = sum(r.returned_minor for r in valid if r.kind is Kind.REFUND)
        return {
            "authorised_minor": sum(r.authorised_minor for r in sold),
            "captured_minor": sum(r.captured_minor for r in sold),
            "released_minor": sum(r.released_minor for r in sold),
            "held_minor": sum(r.authorised_minor for r in held),
            "refunded_minor": reversed_minor + refunds + acquirer,
            "reversed_minor": reversed_minor,
            "unreferenced_refund_minor": refunds,
            "acquirer_refund_minor": acquirer,
            "auto_reversed_minor": sum(
                r.authorised_minor for r in self.records if r.state is State.AUTO_REVERSED
            ),
            "pending": [r.receipt for r in held],
            "receipts": [r.view() for r in self.records],
            "batches": list(self.batches),
        }

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self._path is None:
            return
        data = {
            "format": 1,
            "counters": self.counters,
            "batches": self.batches,
            "records": [record.view() for record in self.records],
        }
        fresh = self._path.with_name(self._path.name + ".new")
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)

    def _load(self, path: Path) -> None:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            self.counters.update(data["counters"])
            self.batches = list(data["batches"])
            for item in data["records"]:
                self.records.append(
                    Record(**{**item, "kind": Kind(item["kind"]), "state": State(item["state"])})
                )
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise BooksError(f"{path} does not hold a terminal's books: {exc}") from exc

    def _newest_first(self) -> Iterator[Record]:
        return reversed(self.records)

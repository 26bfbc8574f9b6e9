"""Records as a charger writes them, made by hand, and a back office that takes them."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine

from hostsim.backoffice import views
from hostsim.backoffice.ingest import Ack, Ingest

EPOCH = 71


class Ledger:
    """Writes the records a charger would."""

    def __init__(self, epoch: int = EPOCH) -> None:
        self.epoch = epoch
        self.records: list[dict[str, Any]] = []

    def put(self, kind: str, **fields: Any) -> int:
        seq = len(self.records) + 1
        head = {
            "epoch": self.epoch,
            "seq": seq,
            "type": kind,
            "version": 1,
            "at": 1767225600000 + seq,
        }
        self.records.append(head | fields)
        return seq

    def hold(self, sess: int, hold: int = 6000) -> Ledger:
        self.put(
            "hold_asked",
            sess=sess,
            hold_minor=hold,
            currency="EUR",
            tariff="T1",
            tariff_crc=5,
            method="bank",
            connector=1,
            reference=f"r{sess}",
            uid_hash="",
        )
        return self

    def authorised(self, sess: int, amount: int = 6000) -> Ledger:
        self.put(
            "authorised",
            sess=sess,
            amount_minor=amount,
            receipt=sess,
            trace=9,
            terminal_id="T",
            vu="V",
            auth_code="A1",
            pan="####1234",
            card="Visa",
        )
        return self

    def energising(self, sess: int, wh: int = 1000) -> Ledger:
        self.put("energising", sess=sess, register_wh=wh, serial="M1")
        return self

    def priced(
        self, sess: int, total: int = 119, start: int = 1000, end: int = 2000, **changes: Any
    ) -> None:
        wh = end - start
        net = changes.get("net_minor", total * 100 // 119)
        fields = {
            "sess": sess,
            "receipt_no": sess,
            "start_at": 1767225600000,
            "end_at": 1767229200000,
            "start_wh": start,
            "end_wh": end,
            "billed_wh": wh,
            "elapsed_ms": 3600000,
            "total_minor": total,
            "net_minor": net,
            "vat_minor": total - net,
            "currency": "EUR",
            "lines": [0, wh * 1000, total * 10**5 // max(wh, 1), 190000, total],
            "reason": "unplugged",
        }
        self.put("priced", **(fields | changes))

    def captured(self, sess: int, captured: int = 119, released: int = 5881) -> Ledger:
        self.put(
            "captured",
            sess=sess,
            captured_minor=captured,
            released_minor=released,
            receipt=sess,
            trace=9,
            how="",
        )
        return self

    def session(self, sess: int) -> Ledger:
        self.hold(sess)
        self.authorised(sess)
        self.energising(sess)
        self.put("power_off", sess=sess, register_wh=2000, elapsed_ms=3600000, reason="unplugged")
        self.priced(sess)
        self.captured(sess)
        return self

    def refund_asked(self, name: str, sess: int, amount: int) -> None:
        self.put(
            "refund_asked",
            refund=name,
            sess=sess,
            amount_minor=amount,
            way="terminal",
            reason="x",
            command="c",
        )

    def refunded(self, name: str, sess: int, amount: int) -> None:
        self.put(
            "refunded",
            refund=name,
            sess=sess,
            amount_minor=amount,
            way="terminal",
            receipt=1,
            trace=1,
            credit_no=1,
            receipt_no=1,
            net_minor=amount,
            vat_minor=0,
            lines=[],
        )


class Inbox:
    """Ingest over a database of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ingest = Ingest(engine, lambda: 1767300000000)

    def take(self, *records: dict[str, Any] | bytes, charger: str = "CP1") -> list[Ack]:
        return self.ingest.take(
            [(charger, r if isinstance(r, bytes) else json.dumps(r).encode()) for r in records]
        )

    def problems(self) -> list[str]:
        return [problem["code"] for problem in views.problems(self.engine)]

    def detail(self) -> str:
        return str(views.problems(self.engine)[0]["detail"])

    def books(self, charger: str = "CP1") -> dict[str, Any]:
        return views.books(self.engine, charger)

"""Sales that are given back, and the desk's form for it."""

from __future__ import annotations

from typing import Any

from hostsim.backoffice.service import BackOffice
from tests.backoffice.desk import Visitor, text_of
from tests.backoffice.records import Ledger

MIXED = [0, 1_000_000, 200_000, 70_000, 2000, 2, 3_600_000, 100_000, 190_000, 1000]


def sale(
    ledger: Ledger, sess: int, total: int, lines: list[int], net: int, currency: str = "EUR",
    how: str = "",
) -> Ledger:  # fmt: skip
    """A paid session; its number is the receipt's."""
    ledger.hold(sess)
    ledger.records[-1]["currency"] = currency
    ledger.authorised(sess)
    ledger.energising(sess)
    ledger.put("power_off", sess=sess, register_wh=2000, elapsed_ms=3600000, reason="unplugged")
    ledger.priced(sess, total=total, net_minor=net, vat_minor=total - net, lines=lines,
                  currency=currency)  # fmt: skip
    ledger.captured(sess, captured=total, released=6000 - total)
    ledger.records[-1]["how"] = how
    return ledger


def mixed() -> Ledger:
    """20.00 at 7 % and 10.00 at 19 %."""
    return sale(Ledger(), 1, 3000, MIXED, 1869 + 840)


def ask(visitor: Visitor, session: int = 1, **fields: Any) -> str:
    page = f"/sessions/{session}/refund"
    return text_of(visitor.submit(page, page, **({"what": "all", "reason": "goodwill"} | fields)))


def orders(office: BackOffice) -> list[tuple[int, int, str]]:
    found = office.refunds.listed()[::-1]
    return [(order["session_id"], order["amount_minor"], order["state"]) for order in found]

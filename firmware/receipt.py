"""The driver's receipt on paper (or a page): the pricing room's receipt with this charger's
facts. Entered once a session and left again.
"""

from micropython import const

from firmware.paper import leave

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = const(40)


def lines(app, language: str) -> "Iterator[str]":
    """The lines of the session that was just priced; `app`: firmware.app.App."""
    cfg = app.cfg
    s = app.machine.session
    bill = app.machine.delivery.bill
    step = app.meter.resolution_wh
    facts = {
        "supplier": cfg.supplier_name,
        "address": cfg.supplier_address or None,
        "tax_id": cfg.supplier_vat_id or None,
        "number": "%s-%d" % (cfg.charger, s.receipt_no),
        "charger": cfg.evse_id or cfg.charger,
        "started_ms": s.start_at or None,
        "ended_ms": s.start_at + bill.elapsed_ms if s.start_at else None,
        "register_start_wh": bill.start_wh,
        "register_end_wh": bill.register_wh,
        "max_power_w": cfg.max_power_w,
        "register_step_wh": step if step > 1 else None,
        "card": s.card + " " + s.pan if s.method == "card" else None,
        "method": None if s.method == "card" else s.method,
        "auth_code": s.auth_code or None,
    }
    # one room after the other: together they are more than a small charger has left
    from firmware.pricing.waiver import waived

    bill = bill.engine.totals()
    printed = waived(bill, s.reason, s.billed_wh, s.elapsed_ms, cfg.refund[2:])
    waived = None
    leave("firmware.pricing.waiver")
    from firmware.pricing.receipt import Receipt

    receipt = Receipt(bill, facts, app.prices.tz, printed)
    bill = printed = facts = None  # what is done with gives its memory back
    yield from receipt.rows(_WIDTH, language)

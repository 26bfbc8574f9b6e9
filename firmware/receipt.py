"""The driver's receipt on paper (or a page): the pricing room's receipt with this charger's
facts. Entered once a session and left again.
"""

from firmware.paper import leave
from firmware.pricing.receipt import Receipt

_WIDTH = 40


def lines(app, language: str) -> "list[str]":
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
    from firmware.pricing.waiver import waived

    totals = bill.engine.totals()
    receipt = Receipt(totals, facts, app.prices.tz)
    receipt.correct(*waived(totals, s.reason, s.billed_wh, s.elapsed_ms, cfg.refund[2:]))
    waived = totals = facts = None  # what is done with gives its memory back
    leave("firmware.pricing.waiver")
    return receipt.text(_WIDTH, language)

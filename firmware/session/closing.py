"""The figures of a session that is over, for its `priced` record. Entered once a session and
left again (App.print_receipt).
"""

from firmware.paper import leave
from firmware.pricing.limits import gross_price


def priced(s, bill, receipt_no: int, currency: str, rules: tuple) -> dict:
    """Fields of the `priced` record (without the session's number); session `s` (data.Session)
    gets its share of them. `rules`: what is waived after a fault (pricing/waiver.py).
    """
    from firmware.pricing.waiver import waived

    total = bill.engine.totals()
    s.billed_wh = bill.register_wh - bill.start_wh
    s.elapsed_ms = bill.elapsed_ms
    lines, groups = waived(total, s.reason, s.billed_wh, s.elapsed_ms, rules)
    leave("firmware.pricing.waiver")
    gross = sum([line[4] for line in lines])
    net = sum([group[1] for group in groups])
    s.receipt_no = receipt_no
    s.total_minor = gross
    return {
        "start_wh": bill.start_wh,
        "end_wh": bill.register_wh,
        "billed_wh": s.billed_wh,
        "elapsed_ms": s.elapsed_ms,
        "total_minor": gross,
        "net_minor": net,
        "vat_minor": gross - net,
        "lines": _flat_lines(total, lines),
        "receipt_no": receipt_no,
        "start_at": s.start_at,
        "end_at": s.start_at + s.elapsed_ms if s.start_at else 0,
        "currency": currency,
        "reason": s.reason,
        "vat": _flat_groups(groups),
    }


def _flat_groups(groups: list) -> list:
    """VAT in 1e-4 percent, net, VAT and gross of each rate where there are several: net is rounded
    from the exact sum, which the lines do not have. [] of one rate: the bill's own net and VAT."""
    flat: "list[int]" = []
    if 1 < len(groups) < 13:  # of more a record would have no room
        for group in groups:
            flat.extend(group)
    return flat


def _flat_lines(bill, lines: list) -> list:
    """Printed lines as five integers each: kind (pricing.receipt.KINDS), quantity, gross price
    per unit in 1e-4 (-1: no price of its own), VAT in 1e-4 percent (-1: none known), gross
    amount in minor units.
    """
    flat: "list[int]" = []
    for kind, index, quantity, vat, gross in lines:
        price = gross_price(bill.tariff, index) if index >= 0 else -1
        flat.extend((kind, quantity, price, vat, gross))
    return flat

"""What the operator gives up by itself when the charger failed its driver (configuration,
refund.*). Entered when a session is priced and for its receipt, and left again.

It is a correction of the bill before anything is captured, so that the hold is cancelled or more
of it released: the cheapest refund there is. A line of kind WAIVED per VAT rate says so.
"""

from micropython import const

from firmware.pricing import money

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.bill import Bill

_WAIVED = const(11)
_FLAT = const(3)
_WHOLE = const(1000000)
_FAULTS = ("fault", "meter_lost", "power_cut")  # ends of a session that are the charger's doing


def waived(
    bill: "Bill", reason: str, billed_wh: int, elapsed_ms: int, rules: "tuple[int, ...]"
) -> "tuple[list[tuple[int, ...]], list[tuple[int, int, int, int]]]":
    """Printed lines and VAT groups (Bill.lines, Bill.vat_groups) after what is waived. `rules`:
    refund.fault_wh, refund.fault_s (a fault before this energy or this time: all of it; 0: no
    such rule), refund.waive_flat (1: the session fee, after any fault).
    """
    lines, groups = bill.lines(), bill.vat_groups()
    if reason not in _FAULTS:
        return lines, groups
    whole = billed_wh < rules[0] or elapsed_ms < rules[1] * 1000
    if not (whole or rules[2]):
        return lines, groups
    for at, (vat, net, _, gross) in enumerate(groups):
        given = gross
        if not whole:
            given = min(sum([line[4] for line in lines if line[0] == _FLAT and line[3] == vat]),
                        gross)  # fmt: skip
        if given > 0:
            lines.append((_WAIVED, -1, 0, vat, -given))
            left = gross - given
            net = money.half_up(left * _WHOLE, _WHOLE + vat) if vat > 0 else left
            groups[at] = (vat, net, left - net, left)
    return lines, groups

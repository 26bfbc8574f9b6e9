"""The VAT of a credit note where lines of a bill were chosen.

The charger gives back an amount and spreads it over the bill's rates (firmware/ledger/credit.py);
which lines it is for only the desk knows. So where an order names lines, its credit note and those
after it are split here: chosen lines at their own rates, anything else over what is left of each
rate. All credit notes of a bill add up to it, rate by rate.
"""

from __future__ import annotations


def split(
    groups: list[list[int]], before: dict[int, int], amount_minor: int, chosen: dict[int, int]
) -> list[int]:
    """Groups of four as Refund.lines has them: rate, net, VAT, gross. `groups`: the invoice's own
    [rate, net, VAT, gross]; `before`: gross by rate that was given back already; `chosen`: gross
    by rate of the lines; what does not fit any more goes where something is left."""
    rest = {row[0]: row[3] - before.get(row[0], 0) for row in groups}
    parts = {rate: max(min(chosen.get(rate, 0), most), 0) for rate, most in rest.items()}
    over = amount_minor - sum(parts.values())
    weights = {rate: rest[rate] - parts[rate] for rate in rest}
    whole, run = sum(weights.values()), 0
    for rate in sorted(weights):
        low, run = run, run + weights[rate]
        if whole > 0:
            parts[rate] += _share(over, run, whole) - _share(over, low, whole)
    found: list[int] = []
    for rate, net, tax, _ in groups:
        now = before.get(rate, 0) + parts[rate]
        then = before.get(rate, 0)
        if parts[rate]:
            vat = _tax(now, tax, net + tax) - _tax(then, tax, net + tax)
            found += [rate, parts[rate] - vat, vat, parts[rate]]
    return found


def _share(part: int, of: int, whole: int) -> int:
    """part * of / whole, half up."""
    return (2 * part * of + whole) // (2 * whole)


def _tax(gross: int, tax: int, whole: int) -> int:
    """The VAT in a part of what a bill has at a rate."""
    return _share(gross, tax, whole) if whole > 0 else 0

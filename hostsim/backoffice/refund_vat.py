"""The VAT of a credit note where lines of a bill were chosen.

The charger gives back an amount and spreads it over the bill's rates (firmware/ledger/credit.py);
which lines it is for only the desk knows. So where an order names lines, its credit note and those
after it are split here: chosen lines at their own rates, anything else over what is left of each
rate. So is a bill of one rate, whose charger may have reckoned the VAT from the gross amount. All
credit notes of a bill add up to it, rate by rate; in what goes back beyond it there is no VAT.
"""

from __future__ import annotations


def split(
    groups: list[list[int]],
    before: dict[int, int],
    amount_minor: int,
    chosen: dict[int, int],
    taxed: dict[int, int] | None = None,
) -> list[int]:
    """Groups of four as Refund.lines has them: rate, net, VAT, gross. `groups`: the invoice's own
    [rate, net, VAT, gross]; `before`: gross by rate that was given back already, `taxed` the VAT
    in it (None: its share); `chosen`: gross by rate of the lines, less than 0 where they are a
    discount; what does not fit any more goes where something is left."""
    rest = {row[0]: row[3] - before.get(row[0], 0) for row in groups}
    parts = {rate: min(chosen.get(rate, 0), max(most, 0)) for rate, most in rest.items()}
    over = amount_minor - sum(parts.values())
    weights = {rate: rest[rate] - parts[rate] for rate in rest}
    whole, run = sum(weights.values()), 0
    beyond = max(over - max(whole, 0), 0)
    over -= beyond
    for rate in sorted(weights):
        low, run = run, run + weights[rate]
        if whole > 0:
            parts[rate] += _share(over, run, whole) - _share(over, low, whole)
    found: list[int] = []
    for rate, _, tax, gross in groups:
        part, then = parts[rate], before.get(rate, 0)
        if part:
            had = _tax(then, tax, gross) if taxed is None else taxed.get(rate, 0)
            vat = _tax(then + part, tax, gross) - had
            if then + part != gross:  # the last takes the rest
                vat = min(max(vat, min(part, 0)), max(part, 0))
            found += [rate, part - vat, vat, part]
    return [*found, -1, beyond, 0, beyond] if beyond else found


def _share(part: int, of: int, whole: int) -> int:
    """part * of / whole, half up."""
    return (2 * part * of + whole) // (2 * whole)


def _tax(gross: int, tax: int, whole: int) -> int:
    """The VAT in a part of what a bill has at a rate."""
    return _share(gross, tax, whole) if whole > 0 else 0

"""The VAT lines of a credit note. Entered for one refund and left again."""


def lines(sale: dict, before: int, amount: int) -> list:
    """Credit lines, one a VAT rate, as four integers each: rate in 1e-4 percent (-1: none known),
    net, VAT and gross in minor units. `sale`: `lines`, `vat` and `total` of the bill
    (ledger/refunds.py), of which `before` was given back already, with `vat_minor` of VAT. All
    refunds of a bill add up to it, rate by rate; in what goes back beyond it there is no VAT.
    """
    total = sale["total"]
    beyond = min(max(before + amount - total, 0), amount)
    amount -= beyond
    gross: "dict[int, int]" = {}
    for at in range(0, len(sale["lines"]) - 4, 5):
        rate = sale["lines"][at + 3]
        gross[rate] = gross.get(rate, 0) + sale["lines"][at + 4]
    out: "list[int]" = []
    run = 0
    for rate in sorted(gross):
        low, run = run, run + gross[rate]
        now = _share(before + amount, run, total) - _share(before + amount, low, total)
        then = _share(before, run, total) - _share(before, low, total)
        if now != then:
            tax = _tax(now, rate, sale["vat"]) - _tax(then, rate, sale["vat"])
            if len(gross) == 1 and "vat_minor" in sale:  # whatever older firmware gave back of it
                tax = _tax(now, rate, sale["vat"]) - sale["vat_minor"]
                if now < total:
                    tax = min(max(tax, 0), now - then)
            out.extend((rate, now - then - tax, tax, now - then))
    if beyond:
        out.extend((-1, beyond, 0, beyond))
    return out


def _share(part: int, of: int, whole: int) -> int:
    """part * of / whole, half up."""
    return (2 * part * of + whole) // (2 * whole)


def _tax(gross: int, rate: int, vat: list) -> int:
    """The VAT in a gross amount: its share of what the bill has of the rate, else the net half up
    (as on the bill).
    """
    for at in range(0, len(vat) - 3, 4):
        if vat[at] == rate and vat[at + 3] > 0:
            return _share(gross, vat[at + 2], vat[at + 3])
    if rate <= 0:
        return 0
    return gross - (2 * gross * 1000000 + 1000000 + rate) // (2 * (1000000 + rate))

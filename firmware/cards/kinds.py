"""Which bank cards may pay here (cards.kinds). Entered for one tap and left again, before any
money is held.

The scheme is told by the application the terminal chose on the card (its AID begins with the
scheme's RID, ISO/IEC 7816-5), else by the first digits of the number (ISO/IEC 7812; a masked
number has six of them), and where the terminal gives neither by the name it gives the card.
"""

_AIDS = (
    ("a000000003", "visa"), ("a0000000043060", "maestro"), ("a000000004", "mastercard"),
    ("a000000359", "girocard"), ("a000000025", "amex"), ("a000000065", "jcb"),
    ("a0000001523010", "discover"), ("a000000152", "diners"), ("a000000333", "unionpay"),
)  # fmt: skip

# from, to (first four digits): as schemes publish their ranges; the first that fits
_RANGES = (
    (3400, 3499, "amex"), (3700, 3799, "amex"),
    (3000, 3059, "diners"), (3095, 3095, "diners"), (3600, 3699, "diners"), (3800, 3999, "diners"),
    (3528, 3589, "jcb"), (4000, 4999, "visa"), (2221, 2720, "mastercard"),
    (5100, 5599, "mastercard"), (5018, 5018, "maestro"), (5020, 5020, "maestro"),
    (5038, 5038, "maestro"), (5600, 5899, "maestro"), (6011, 6011, "discover"),
    (6440, 6599, "discover"), (6200, 6299, "unionpay"), (8100, 8199, "unionpay"),
    (6725, 6725, "girocard"), (6000, 6999, "maestro"),
)  # fmt: skip
_NAMES = (
    ("girocard", "girocard"), ("ec-", "girocard"), ("maestro", "maestro"),
    ("mastercard", "mastercard"), ("visa", "visa"), ("v pay", "visa"), ("vpay", "visa"),
    ("am", "amex"), ("diners", "diners"), ("discover", "discover"), ("jcb", "jcb"),
    ("union", "unionpay"),
)  # fmt: skip


def scheme(pan: str, name: str, aid: bytes = b"") -> str:
    """The scheme of a card, "" when it cannot be told. A girocard has a second scheme in its
    number's range: AID or name say which one the terminal has chosen.
    """
    for rid, found in _AIDS:
        if aid.hex().startswith(rid):
            return found
    low = name.lower()
    if "girocard" in low:
        return "girocard"
    head = pan[:4]
    if head.isdigit() and len(head) == 4:
        for first, last, found in _RANGES:
            if first <= int(head) <= last:
                return found
    for part, found in _NAMES:
        if low.startswith(part):
            return found
    return ""


def refusal(kinds, card) -> str:
    """Why a bank card (terminal.base.CardResult) may not pay here; "" when it may."""
    if "bank" in kinds or scheme(card.pan, card.card, card.aid) in kinds:
        return ""
    return "scheme_not_accepted"

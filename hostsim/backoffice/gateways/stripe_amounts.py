"""Stripe's amounts beside ISO 4217's minor units, which all else here counts in.

Source: Stripe, "Supported currencies": "Zero-decimal currencies", "Special cases" (ISK and UGX
have no decimals any more, and the API takes them with two, always 00), "Three-decimal currencies"
(the last digit must be 0). A price of three decimals may end otherwise, and is charged to the last
digit: such currencies are not taken at all, and neither is MGA, which Stripe counts in whole ones.
"""

from __future__ import annotations

from hostsim.backoffice.figures import exponent
from hostsim.backoffice.gateways.base import Refused

_NONE = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
_THREE = frozenset("BHD JOD KWD OMR TND".split())


def scale(currency: str) -> int:
    """How many of Stripe's units one minor unit is; 0 when not every amount can be said."""
    theirs = 0 if currency in _NONE else 3 if currency in _THREE else 2
    return 0 if theirs > 2 or theirs < exponent(currency) else 10 ** (theirs - exponent(currency))


def to_stripe(minor: int, currency: str) -> int:
    """Raises Refused: a currency that is not taken."""
    times = scale(currency)
    if not times:
        raise Refused(f"{currency} cannot be charged to its last digit", "currency")
    return minor * times


def from_stripe(amount: int, currency: str) -> int:
    """Amounts of currencies that are not taken are somebody else's in the same account, and are
    read as they are. Raises Refused: not a whole minor unit."""
    whole, rest = divmod(amount, scale(currency) or 1)
    if rest:
        raise Refused(f"{amount} is no whole amount of {currency}", "currency")
    return whole

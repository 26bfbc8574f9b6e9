"""What the books refuse, and how they say so."""

from __future__ import annotations

ELSEWHERE = ("gateway", "app", "account")
"""How a capture is not the terminal's: what the charger handed over is taken there."""

ELSEWHERE_OF = {"gateway": "gateway", "app": "app", "account": "account", "rfid": "account"}
"""The session's method -> how its capture is handed over; every other method is the terminal's."""

OUTSIDE = ("acquirer", "gateway", "account")
"""Ways of refunds that the charger hands over: somebody else pays them."""

ABOVE = "above_price"
"""Reason of the refund that nobody orders: the terminal took more than the price."""

HOLD_LOST = "hold_lost"
"""Reason of a cancelled session that nobody paid, and the alarm's code (docs/terminal.md)."""

REASONS = ("goodwill", "fault", "not_delivered", "price", "duplicate", "fraud", "other")
"""Reason codes of a refund's order; the charger knows the same ones."""


class Impossible(ValueError):
    """A record that contradicts those before it; str() says how."""


def must(condition: bool, otherwise: str) -> None:
    """Raises Impossible unless it is so."""
    if not condition:
        raise Impossible(otherwise)

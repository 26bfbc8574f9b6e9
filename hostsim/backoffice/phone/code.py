"""The address in the QR code of a charger's screen, this side's own words for docs/gateways.md,
"The code": pay_url / charger / connector / expiry / mac.
"""

from __future__ import annotations

import hashlib
import hmac

MAC_DIGITS = 20
MOST_AHEAD_S = 24 * 3600
"""A code that is valid for longer than this is not one of ours."""


class BadCode(ValueError):
    """`key`: what the driver reads (phone/texts.py)."""

    def __init__(self, key: str) -> None:
        """The word's key."""
        super().__init__(key)
        self.key = key


def mac_of(key: bytes, charger: str, connector: int, expiry: int) -> str:
    """The last part of the address."""
    text = f"forecourt-pay-1\n{charger}\n{connector}\n{expiry}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:MAC_DIGITS]


def check(key: bytes, charger: str, connector: int, expiry: int, mac: str, now_ms: int) -> None:
    """Raises BadCode for what this charger never showed, and for what is too old."""
    wanted = mac_of(key, charger, connector, expiry)
    if not hmac.compare_digest(mac.encode(), wanted.encode()):
        raise BadCode("code_wrong")
    if expiry * 1000 <= now_ms:
        raise BadCode("code_old")
    if expiry * 1000 > now_ms + MOST_AHEAD_S * 1000:
        raise BadCode("code_wrong")

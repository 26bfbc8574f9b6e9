"""Cards to hold to the reader, and what becomes of them.

Numbers are test numbers that card schemes and acquirers publish, or carry the range of one with a
made-up account; no real account has them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A card and the outcome it was made for; `result` is a ZVT result code (facts/zvt.md), 0 for
    approval.
    """

    name: str
    about: str
    pan: str
    scheme: str
    scheme_name: str
    card_type: int  # BMP 8A
    aid: str
    uid: str
    result: int = 0
    expiry: str = "3012"  # YYMM
    approves_percent: int = 100
    extends: bool = True
    readable: bool = True
    slow: bool = False

    @property
    def track2(self) -> str:
        """Track 2 in hexadecimal, as a reader would give it."""
        text = f"{self.pan}D{self.expiry}2010000000000"
        return text + "F" * (len(text) % 2)

    @property
    def shown(self) -> str:
        """The number as a receipt may show it."""
        return "x" * (len(self.pan) - 4) + self.pan[-4:]


_VISA = ("visa", "VISA", 0x0A, "a0000000031010")
_MASTERCARD = ("mastercard", "MasterCard", 0x06, "a0000000041010")
_GIROCARD = ("girocard", "girocard", 0x05, "a0000003591010028001")
_AMEX = ("amex", "AMEX", 0x08, "a000000025010801")
_MAESTRO = ("others", "Maestro", 0x2E, "a0000000043060")
_NONE = ("none", "", 0x00, "")

CARDS: dict[str, Card] = {
    card.name: card
    for card in (
        Card("visa", "approved", "4111111111111111", *_VISA, "04a1b2c3d4e501"),
        Card("mastercard", "approved", "5555555555554444", *_MASTERCARD, "081ca72f"),
        Card("girocard", "approved", "6725900000000000007", *_GIROCARD, "08ff6914"),
        Card("amex", "approved", "378282246310005", *_AMEX, "04a1b2c3d4e504"),
        Card("maestro", "approved", "6799998900000060018", *_MAESTRO, "04a1b2c3d4e505"),
        Card(
            "declined",
            "declined by the bank (05)",
            "4000000000000002",
            *_VISA,
            "04a1b2c3d4e506",
            result=0x05,
        ),
        Card(
            "insufficient",
            "no money left (71)",
            "4000000000009995",
            *_VISA,
            "04a1b2c3d4e507",
            result=0x71,
        ),
        Card(
            "expired",
            "expired (78)",
            "4000000000000069",
            *_VISA,
            "04a1b2c3d4e508",
            result=0x78,
            expiry="2001",
        ),
        Card(
            "blocked",
            "blocked or stolen (04)",
            "4000000000009979",
            *_VISA,
            "04a1b2c3d4e509",
            result=0x04,
        ),
        Card(
            "pin",
            "wants a PIN, there is no pad (41)",
            "4000002760003184",
            *_VISA,
            "04a1b2c3d4e50a",
            result=0x41,
        ),
        Card(
            "partial",
            "half of the amount where TLV 1F70 allows it, else declined (05)",
            "5105105105105100",
            *_MASTERCARD,
            "04a1b2c3d4e50b",
            approves_percent=50,
        ),
        Card(
            "unreadable",
            "cannot be read (64)",
            "4000000000000119",
            *_VISA,
            "04a1b2c3d4e50c",
            result=0x64,
            readable=False,
        ),
        Card(
            "network",
            "the bank cannot be reached (A0)",
            "4012888888881881",
            *_VISA,
            "04a1b2c3d4e50d",
            result=0xA0,
        ),
        Card(
            "slow",
            "approved after 20 s",
            "5200828282828210",
            *_MASTERCARD,
            "04a1b2c3d4e50e",
            slow=True,
        ),
        Card(
            "extension-refused",
            "approved, but refuses to extend the hold (05)",
            "4242424242424242",
            *_VISA,
            "04a1b2c3d4e50f",
            extends=False,
        ),
        Card(
            "member",
            "no bank card: a UID only (7A when it shall pay)",
            "",
            *_NONE,
            "63c8b2ae4f80",
            result=0x7A,
        ),
    )
}


def card_named(name: str) -> Card:
    """Look a card up; raises ValueError with the names there are."""
    try:
        return CARDS[name]
    except KeyError:
        raise ValueError(f"no card {name!r}; there are {', '.join(CARDS)}") from None

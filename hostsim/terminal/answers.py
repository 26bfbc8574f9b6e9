"""Status information (040F) and the other answers that carry figures.

Sources: PA00P015 3.1.1 to 3.1.3; the order of the bitmaps is that of the captures in cases/zvt
(any order is allowed).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hostsim.terminal import codec
from hostsim.terminal import fields as f
from hostsim.terminal.cards import CARDS, Card

_TYPE_IDS = {0x06: 1}  # BMP 8C as captured: MasterCard 1, girocard 0
_CONTACTLESS = 0x60
TOTALS_ORDER = ("girocard", "jcb", "mastercard", "amex", "visa", "diners", "others")


@dataclass(frozen=True)
class Outcome:
    """A result as it is told to the ECR; None means the field is left out."""

    result: int
    when: datetime
    terminal_id: int
    vu_number: str
    currency: int
    amount_minor: int | None = None
    receipt: int | None = None
    trace: int | None = None
    original_trace: int | None = None
    turnover: int | None = None
    authorisation: str = ""
    expiry: str = ""
    card: Card | None = None
    unmasked: bool = False
    text: str = ""
    long_trace: bool = False
    tlvs: tuple[bytes, ...] = ()


def time_fields(when: datetime) -> bytes:
    """BMP 0C and 0D."""
    return f.bmp(0x0C, int(when.strftime("%H%M%S"))) + f.bmp(0x0D, int(when.strftime("%m%d")))


def status_information(o: Outcome) -> bytes:
    """040F after a payment, reservation, reversal or refund."""
    out = f.bmp(0x27, bytes((o.result,)))
    out += _number(0x04, o.amount_minor)
    out += f.bmp(0x49, o.currency) + time_fields(o.when)
    if o.card is not None and o.card.pan:
        out += f.bmp(0x22, f.pan_bytes(o.card.pan, masked=not o.unmasked))
        if o.unmasked:
            out += f.bmp(0x23, bytes.fromhex(o.card.track2))
    out += _number(0x87, o.receipt)
    if o.authorisation:
        out += f.bmp(0x3B, o.authorisation.encode("ascii").ljust(8, b"\x00"))
    out += _number(0x0B, 0 if o.long_trace else o.trace)
    out += _number(0x37, o.original_trace) + _number(0x88, o.turnover)
    out += f.bmp(0x19, bytes((_CONTACTLESS,))) + f.bmp(0x29, o.terminal_id)
    out += _card_fields(o.card, o.expiry) + f.bmp(0x2A, o.vu_number.encode("ascii").ljust(15))
    if o.text:
        out += f.bmp(0x3C, o.text.encode("cp437", "replace"))
    tlvs = o.tlvs
    if o.long_trace and o.trace is not None:
        tlvs += (f.tlv(0x1F2B, f.to_bcd(o.trace, 4)),)
    return codec.join(0x040F, out + f.container(*tlvs))


def _number(tag: int, value: int | None) -> bytes:
    return b"" if value is None else f.bmp(tag, value)


def _card_fields(card: Card | None, expiry: str) -> bytes:
    if card is None or not card.pan:
        return b""
    return (
        f.bmp(0x0E, int(expiry or card.expiry))
        + f.bmp(0x8A, bytes((card.card_type,)))
        + f.bmp(0x8C, bytes((_TYPE_IDS.get(card.card_type, 0),)))
        + f.bmp(0x8B, card.scheme_name.encode("ascii") + b"\x00")
    )


def card_read(card: Card, *, tlv: bool, unmasked: bool) -> bytes:
    """040F after read card (06C0): the UID, and what a bank card says of itself (captured
    layout).
    """
    out = f.bmp(0x27, b"\x00")
    if card.pan and unmasked:
        out += f.bmp(0x22, f.pan_bytes(card.pan, masked=False)) + f.bmp(
            0x23, bytes.fromhex(card.track2)
        )
    elif card.pan and not tlv:
        out += f.bmp(0x22, f.pan_bytes(card.pan, masked=True))
    if not tlv:
        return codec.join(0x040F, out)
    objects = [f.tlv(0x4C, bytes.fromhex(card.uid).rjust(10, b"\x00"))]
    if card.pan:
        objects.append(f.tlv(0x1F45, bytes.fromhex("0578807002")))
    objects += [
        f.tlv(0x1F4C, b"\x01"),
        f.tlv(0x1F4D, b"\xfe\x04" if card.pan else b"\x00\x03"),
        f.tlv(0x1F4F, b"\x04\x00" if card.pan else b"\x44\x00"),
        f.tlv(0x1F50, b"\x20" if card.pan else b"\x00"),
    ]
    if card.pan:
        objects.append(f.tlv(0x60, f.tlv(0x43, bytes.fromhex(card.aid))))
    return codec.join(0x040F, out + f.container(*objects))


def totals(first: int, last: int, per_scheme: dict[str, tuple[int, int]]) -> bytes:
    """BMP 60: first and last receipt, then number and amount for each kind of card."""
    out = f.to_bcd(first, 2) + f.to_bcd(last, 2)
    for scheme in TOTALS_ORDER:
        count, amount = per_scheme.get(scheme, (0, 0))
        out += bytes((min(count, 255),)) + f.to_bcd(max(0, amount), 6)
    return f.bmp(0x60, out)


def pending(receipts: list[int], *, tlv: bool) -> bytes:
    """What follows B8 in 061E: one open hold in BMP 87 (FFFF: none), all of them in TLV 23 when
    there are several.
    """
    if not receipts:
        return f.bmp(0x87, b"\xff\xff")
    out = f.bmp(0x87, receipts[0])
    if tlv and len(receipts) > 1:
        inside = b"".join(f.tlv(0x08, f.to_bcd(receipt, 2)) for receipt in receipts)
        out += f.container(f.tlv(0x23, inside))
    return out


def card_of(name: str) -> Card | None:
    """The card a record was made with."""
    return CARDS.get(name)

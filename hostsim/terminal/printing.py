"""Receipts, and how they travel: print lines (06D1) or blocks (06D3), in pieces where the ECR
takes only short APDUs.

Source: PA00P015 3.5 and 3.6, tags 25, 07, 09, 1F07; the block's layout is that of the captured
one in cases/zvt.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from hostsim.terminal import codec
from hostsim.terminal import fields as f

if TYPE_CHECKING:
    from hostsim.terminal.books import Record
    from hostsim.terminal.profiles import Profile
    from hostsim.terminal.registration import Registration

MERCHANT, CUSTOMER, ADMIN = 1, 2, 3
_LAST_LINE = 0x81
_OVERHEAD = 24


def encode(text: str) -> bytes:
    """Text in the terminal's character set, code page 437."""
    return text.encode("cp437", "replace")


def block(lines: list[str], kind: int, *, last: bool = True) -> bytes:
    """A print block 06D3."""
    inside = b"".join(f.tlv(0x07, encode(line)) for line in lines)
    if last:
        inside += f.tlv(0x09, b"\xff")
    return codec.join(0x06D3, f.container(f.tlv(0x1F07, bytes((kind,))), f.tlv(0x25, inside)))


def line(text: str, *, last: bool = False) -> bytes:
    """A print line 06D1."""
    return codec.join(0x06D1, bytes((_LAST_LINE if last else 0x00,)) + encode(text))


def apdus(
    lines: list[str], kind: int, registration: Registration, profile: Profile
) -> list[bytes]:
    """The receipt as this ECR wants it."""
    if not (profile.blocks_always or registration.blocks):
        return [line(text) for text in lines] + [line("", last=True)]
    pieces: list[list[str]] = [[]]
    room = registration.max_apdu - _OVERHEAD
    used = 0
    for text in lines:
        size = len(text) + 3
        if pieces[-1] and used + size > room:
            pieces.append([])
            used = 0
        pieces[-1].append(text)
        used += size
    return [block(piece, kind, last=piece is pieces[-1]) for piece in pieces]


def money(minor: int, currency: int) -> str:
    """An amount for a receipt."""
    sign = "-" if minor < 0 else ""
    name = {978: "EUR", 756: "CHF", 826: "GBP", 752: "SEK", 208: "DKK"}.get(
        currency, f"{currency:03d}"
    )
    return f"{name} {sign}{abs(minor) // 100},{abs(minor) % 100:02d}"


def _row(left: str, right: str, width: int) -> str:
    return f"{left}{right:>{max(1, width - len(left))}}"


def receipt(
    title: str, record: Record, facts: dict[str, str], when: datetime, width: int
) -> list[str]:
    """A customer's receipt; `facts` are further rows."""
    rows = [
        ("Terminal", facts.pop("terminal")),
        *facts.items(),
        ("Card", record.scheme),
        ("Card number", record.pan),
        ("Authorisation", record.authorisation),
    ]
    return [
        "** Customer receipt **".center(width),
        "",
        title.center(width),
        _row(when.strftime("%d.%m.%Y"), when.strftime("%H:%M:%S"), width),
        *(_row(left, right, width) for left, right in rows),
        "",
    ]

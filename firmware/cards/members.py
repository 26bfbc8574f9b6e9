"""The members' list in a file: who may charge on account. Entered for one tap, and when a list was
taken in; left again.

The file (members.bin) is never read whole: its rows are of one size and sorted by hash, so a tap
reads as many rows as halving needs. It is valid without the back office until the next one takes
its place (member_list.py, which writes it). Layout, little endian:

    head   "FCM1", version u32, count u32, salt (16 bytes), CRC-32 of these 28 bytes
    rows   hash of the card (8), expires u32 (epoch s; 0 never, 1 revoked), CRC-32 of the member's
           own tariff u32 (0: the charger's), account (32, filled with 0)
"""

import binascii
import os
import struct

from micropython import const

from firmware.errors import RecordError
from firmware.paper import leave
from firmware.session.data import Session

HEAD = const(32)
ROW = const(48)
MAGIC = b"FCM1"
_REVOKED = const(1)


def head(files: str) -> tuple:
    """(version, count, salt) of the list in force; (0, 0, b"") when there is none that is whole.
    """
    try:
        with open(files + "/members.bin", "rb") as f:
            raw = f.read(HEAD)
        size = os.stat(files + "/members.bin")[6]
    except OSError:
        return 0, 0, b""
    if len(raw) != HEAD or raw[:4] != MAGIC:
        return 0, 0, b""
    version, count = struct.unpack_from("<II", raw, 4)
    right = struct.unpack_from("<I", raw, 28)[0] == binascii.crc32(raw[:28])
    if not right or size != HEAD + ROW * count:
        return 0, 0, b""
    return version, count, raw[12:28]


def find(files: str, count: int, key: bytes):
    """The row of a card, None when it is not in the list."""
    low, high = 0, count
    with open(files + "/members.bin", "rb") as f:
        while low < high:
            middle = (low + high) // 2
            f.seek(HEAD + middle * ROW)
            row = f.read(ROW)
            if len(row) != ROW:
                raise RecordError("members.bin ends in row %d" % middle)
            if row[:8] == key:
                return row
            if row[:8] < key:
                low = middle + 1
            else:
                high = middle
    return None


def look(app, card) -> None:
    """Puts into `card` (terminal.base.CardResult) what a member's card begins, or why it may not.
    Raises RecordError, OSError.
    """
    files = app.board.files
    row = find(files, head(files)[1], binascii.unhexlify(card.uid_hash))
    card.text = "card_unknown"
    if row is None:
        return
    expires, crc = struct.unpack_from("<II", row, 8)
    card.text = _refusal(app, expires)
    if card.text:
        return
    s = Session(app.ledger.books.next_session, app.cfg.cards_member_minor, "rfid",
                str(row[16:].rstrip(b"\0"), "utf-8"))  # fmt: skip
    s.uid_hash = card.uid_hash
    if crc and crc != app.prices.crc:
        card.text = _own_tariff(app, s, crc)
        if card.text:
            return
    card.session = s


def _refusal(app, expires: int) -> str:
    if expires == _REVOKED:
        return "card_revoked"
    if expires and not app.clock.known:
        return "clock_unknown"
    if expires and expires <= app.clock.epoch_ms() // 1000:
        return "card_expired"
    return ""


def _own_tariff(app, s: Session, crc: int) -> str:
    """Prices the session by the member's own tariff, exactly; or says why that cannot be."""
    from firmware.cards.member_tariff import load

    tariff = load(app.board.files, crc)
    leave("firmware.cards.member_tariff")
    if tariff is None:
        return "tariff_missing"
    if tariff.time_dependent and not app.clock.known:
        return "clock_unknown"
    if app.clock.known and not tariff.valid_at(app.clock.epoch_ms() // 1000):
        return "tariff_missing"
    s.tariff = tariff
    s.crc = crc
    return ""

"""The data inside an APDU: bitmaps (BMP), TLV containers, BCD numbers, masked card data.

Source: PA00P015 chapters "Bitmaps" and "TLV-container", as collected in facts/zvt.md; lengths of
bitmaps that facts/zvt.md does not list follow the same chapter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hostsim.terminal.codec import CodecError
from hostsim.terminal.masking import mask_id, mask_packed, printable, scheme

LL, LLL, TLV = -2, -3, -1

_TAGS: dict[int, tuple[int, ...]] = {
    1: (
        0x01, 0x02, 0x03, 0x05, 0x19, 0x27, 0x72, 0x73, 0x74, 0x75, 0x8A, 0x8C, 0xA0, 0xD0, 0xD2,
        0xD3, 0xE0, 0xE9, 0xEA, 0xF0, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD,
    ),
    6: (0x04,),
    TLV: (0x06,),
    3: (0x0B, 0x0C, 0x37, 0x3D, 0x88, 0xAA),
    2: (0x0D, 0x0E, 0x17, 0x3A, 0x49, 0x87),
    LL: (
        0x22, 0x23, 0x2D, 0x8B, 0xA7, 0xD1, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xF1,
        0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
    ),
    LLL: (0x24, 0x2E, 0x3C, 0x60, 0x92, 0x9A, 0xAF),
    4: (0x29, 0x70, 0x71),
    15: (0x2A,),
    8: (0x3B, 0xEB),
    5: (0xBA,),
}  # fmt: skip
#: bitmap -> fixed length in bytes, or LL / LLL / TLV
LENGTHS = {tag: size for size, tags in _TAGS.items() for tag in tags}

#: what a card's number or tracks are carried in: PAN, tracks, chip data, check value
CARD_BMPS = (0x22, 0x23, 0x24, 0x2D, 0x2E, 0x3A, 0xAF)
CARD_TAGS = (0x1F08, 0x1F09, 0x1F0A, 0x1F1A, 0x1F2A, 0x1F3E, 0x57, 0x5A, 0x5F20, 0x9F6B)

_AID, _UID = 0x43, 0x4C
WHOLE_TAGS = (_AID, _UID)
"""An application's id and a card's UID: their digits are no card's number."""

_NAMES = (0x8B, 0x42)
# letters and digits of a text read as packed digits, too
_TEXTS = (
    0x2A, 0x3B, 0x3C, 0x8B, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xF1, 0xF2, 0xF3, 0xF4,
    0xF5, 0xF6, 0xF7, 0xF8, 0x07, 0x42, 0x1F17, 0x1F40, 0x1F41, 0x1F62, 0x1F63,
)  # fmt: skip

_TWO_BYTE_TAGS = (0x1FF2,)  # has the continuation bit set, yet is two bytes long (Feig)
_MAX_DEPTH = 8
_SHOWN_DIGITS = 8


@dataclass(frozen=True)
class Tlv:
    """One TLV object; `offset` from the start of the APDU; `children` of a constructed one."""

    tag: int
    value: bytes
    offset: int
    children: tuple[Tlv, ...] = ()


@dataclass(frozen=True)
class Bmp:
    """One bitmap with its plain value (length bytes taken off)."""

    tag: int
    value: bytes
    offset: int
    value_offset: int


@dataclass
class Fields:
    """All bitmaps of an APDU's data, and the TLV container of BMP 06."""

    bmps: dict[int, Bmp] = field(default_factory=dict)
    order: list[Bmp] = field(default_factory=list)  # all of them; a tag may come twice
    tlvs: tuple[Tlv, ...] = ()
    has_tlv: bool = False

    def raw(self, tag: int) -> bytes | None:
        """The bitmap's bytes, None if it is not there."""
        bmp = self.bmps.get(tag)
        return None if bmp is None else bmp.value

    def number(self, tag: int) -> int | None:
        """The bitmap as a BCD number; raises CodecError when a nibble is no digit."""
        bmp = self.bmps.get(tag)
        return None if bmp is None else from_bcd(bmp.value, bmp.value_offset)

    def tlv(self, *path: int) -> bytes | None:
        """The value of the first TLV object along a path of tags."""
        found = find(self.tlvs, path)
        return None if found is None else found.value


def find(tlvs: Iterable[Tlv], path: tuple[int, ...]) -> Tlv | None:
    """First object along the path of tags."""
    for item in tlvs:
        if item.tag == path[0]:
            return item if len(path) == 1 else find(item.children, path[1:])
    return None


def find_all(tlvs: Iterable[Tlv], tag: int) -> list[Tlv]:
    """Every object with that tag, however deep."""
    out: list[Tlv] = []
    for item in tlvs:
        if item.tag == tag:
            out.append(item)
        out += find_all(item.children, tag)
    return out


def to_bcd(value: int, size: int) -> bytes:
    """A decimal number as `size` BCD bytes; raises CodecError when it does not fit."""
    text = f"{value:0{2 * size}d}"
    if value < 0 or len(text) > 2 * size:
        raise CodecError(0, f"{value} does not fit into {size} BCD bytes")
    return bytes.fromhex(text)


def from_bcd(data: bytes, offset: int = 0) -> int:
    """BCD bytes as a number; raises CodecError."""
    text = data.hex()
    if not text.isdecimal():
        shown = text.upper()
        if sum(map(str.isdecimal, text)) > _SHOWN_DIGITS:  # of a card's number, perhaps
            shown = shown[:6] + "..."
        raise CodecError(offset, f"{shown} is not BCD")
    return int(text)


def parse(body: bytes, start: int = 0) -> Fields:
    """Read bitmaps in any order; `start` is the offset of `body` within the APDU. Raises
    CodecError.
    """
    fields = Fields()
    parse_into(fields, body, start)
    return fields


def parse_into(
    fields: Fields, body: bytes, start: int, tolerated: list[CodecError] | None = None
) -> None:
    """As `parse`, but what was read before an error stays in `fields`. With `tolerated`, what is
    wrong inside a TLV container is noted there and the bitmaps after it are read all the same.
    """
    pos = 0
    while pos < len(body):
        tag, begin = body[pos], pos
        if tag not in LENGTHS:
            raise CodecError(start + pos, f"unknown bitmap {tag:02X}")
        size, pos = _size(body, pos + 1, LENGTHS[tag], start)
        if pos + size > len(body):
            raise CodecError(
                start + begin, f"bitmap {tag:02X} needs {size} bytes, {len(body) - pos} are left"
            )
        value = body[pos : pos + size]
        fields.bmps[tag] = Bmp(tag, value, start + begin, start + pos)
        fields.order.append(fields.bmps[tag])
        if tag == 0x06:
            fields.has_tlv = True
            fields.tlvs += _container(value, start + pos, tolerated)
        pos += size


def _container(value: bytes, start: int, tolerated: list[CodecError] | None) -> tuple[Tlv, ...]:
    found: list[Tlv] = []
    try:
        parse_tlv(value, start, out=found)
    except CodecError as exc:
        if tolerated is None:
            raise
        tolerated.append(exc)
    return tuple(found)


def plain_bitmaps(body: bytes) -> bool:
    """Whether all of the data are bitmaps, with no password before them."""
    try:
        parse(body)
    except CodecError:
        return False
    return True


def _size(body: bytes, pos: int, kind: int, start: int) -> tuple[int, int]:
    if kind >= 0:
        return kind, pos
    if kind == TLV:
        return _ber_length(body, pos, start)
    digits = body[pos : pos - kind]
    if len(digits) != -kind:
        raise CodecError(start + pos, "the length of a bitmap is cut off")
    size = 0
    for index, byte in enumerate(digits):
        if byte >> 4 != 0xF or byte & 0xF > 9:
            raise CodecError(start + pos + index, f"{byte:02X} is not a length digit F0 to F9")
        size = size * 10 + (byte & 0xF)
    return size, pos - kind


def _ber_length(data: bytes, pos: int, start: int) -> tuple[int, int]:
    if pos >= len(data):
        raise CodecError(start + pos, "a TLV length is missing")
    first = data[pos]
    if first < 0x80:
        return first, pos + 1
    count = first & 0x7F
    if count not in (1, 2):
        raise CodecError(start + pos, f"{first:02X} is not a TLV length")
    if pos + 1 + count > len(data):
        raise CodecError(start + pos, "a TLV length is cut off")
    return int.from_bytes(data[pos + 1 : pos + 1 + count], "big"), pos + 1 + count


def parse_tlv(
    data: bytes, start: int = 0, depth: int = 0, out: list[Tlv] | None = None
) -> tuple[Tlv, ...]:
    """Read TLV objects, constructed ones (bit 6 of the tag) with their children. Raises
    CodecError; what was read before it is in `out`, where that is given.
    """
    if depth > _MAX_DEPTH:
        raise CodecError(start, "TLV objects are nested too deep")
    out = [] if out is None else out
    pos = 0
    while pos < len(data):
        begin = pos
        tag, pos = _tag(data, pos, start)
        size, pos = _ber_length(data, pos, start)
        if pos + size > len(data):
            raise CodecError(
                start + begin, f"TLV {tag:X} needs {size} bytes, {len(data) - pos} are left"
            )
        value = data[pos : pos + size]
        constructed = data[begin] & 0x20
        children = parse_tlv(value, start + pos, depth + 1) if constructed else ()
        out.append(Tlv(tag, value, start + begin, children))
        pos += size
    return tuple(out)


def _tag(data: bytes, pos: int, start: int) -> tuple[int, int]:
    tag = data[pos]
    pos += 1
    if tag & 0x1F != 0x1F:
        return tag, pos
    while True:
        if pos >= len(data):
            raise CodecError(start + pos, "a TLV tag is cut off")
        byte = data[pos]
        tag = tag << 8 | byte
        pos += 1
        if not byte & 0x80 or tag in _TWO_BYTE_TAGS:
            return tag, pos
        if tag > 0xFFFFFF:
            raise CodecError(start + pos, "a TLV tag is longer than four bytes")


def bmp(tag: int, value: bytes | int) -> bytes:
    """Write one bitmap; a number becomes BCD in a bitmap of fixed length (one byte: as it is)."""
    kind = LENGTHS[tag]
    if isinstance(value, int):
        value = bytes((value,)) if kind == 1 else to_bcd(value, kind)
    if kind == TLV:
        return bytes((tag,)) + _ber(len(value)) + value
    if kind < 0:
        digits = f"{len(value):0{-kind}d}"
        if len(digits) > -kind:
            raise CodecError(0, f"{len(value)} bytes do not fit into bitmap {tag:02X}")
        return bytes((tag, *(0xF0 | int(digit) for digit in digits))) + value
    if len(value) != kind:
        raise CodecError(0, f"bitmap {tag:02X} takes {kind} bytes, not {len(value)}")
    return bytes((tag,)) + value


def tlv(tag: int, value: bytes) -> bytes:
    """Write one TLV object."""
    return tag.to_bytes((tag.bit_length() + 7) // 8, "big") + _ber(len(value)) + value


def container(*objects: bytes) -> bytes:
    """Write BMP 06 around TLV objects; nothing when there are none."""
    inside = b"".join(objects)
    return bmp(0x06, inside) if inside else b""


def _ber(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    if size < 0x100:
        return bytes((0x81, size))
    return b"\x82" + size.to_bytes(2, "big")


def pan_bytes(pan: str, *, masked: bool) -> bytes:
    """A card number as BMP 22 carries it: E nibbles for hidden digits, F pads an odd one."""
    if masked:
        pan = pan[:6] + "E" * (len(pan) - 10) + pan[-4:]
    return bytes.fromhex(pan + "F" * (len(pan) % 2))


def pan_text(data: bytes) -> str:
    """A card number as a person may see it: first six and last four digits at most, whatever the
    wire carried; of one too short for a payment card the last four.
    """
    text = data.hex().upper().rstrip("F")
    for mark in "D=":
        text = text.split(mark)[0]
    if len(text) < 13:
        return "*" * max(0, len(text) - 4) + text[-4:].replace("E", "*")
    return text[:6].replace("E", "*") + "*" * (len(text) - 10) + text[-4:].replace("E", "*")


def hide_cards(apdu: bytes, fields: Fields) -> bytes:
    """The same APDU with the middle of card numbers, all of track 2 after them and names that are
    no scheme's made unreadable, for a log.
    """
    out = bytearray(apdu)
    for item in fields.order:
        end = item.value_offset + len(item.value)
        if item.tag in CARD_BMPS:
            _blank(out, item.value_offset + 3, end - (2 if item.tag == 0x22 else 0))
        elif item.tag != 0x06 and not (item.tag == 0x60 and _totals(item.value)):
            _mask(out, item.tag, item.value_offset, end)
    for found in leaves(fields.tlvs):
        end = found.offset + len(tlv(found.tag, found.value))
        if found.tag in CARD_TAGS:
            _blank(out, end - len(found.value), end)
        elif found.tag in WHOLE_TAGS:
            out[end - len(found.value) : end] = mask_id(found.value, found.tag == _UID)
        else:
            _mask(out, found.tag, end - len(found.value), end)
    return bytes(out)


def _totals(value: bytes) -> bool:
    """BMP 60 is digits throughout: 4 bytes, and 7 for each kind of card."""
    return len(value) % 7 == 4 and value.hex().isdecimal()


def leaves(tlvs: Iterable[Tlv]) -> list[Tlv]:
    """Every primitive object, in the order of the wire."""
    out: list[Tlv] = []
    for item in tlvs:
        out += leaves(item.children) if item.children else [item]
    return out


def _mask(out: bytearray, tag: int, begin: int, end: int) -> None:
    """What reads as a card number in packed digits; of a card's name all but a scheme's."""
    value = bytes(out[begin:end])
    if tag in _NAMES and value.strip(b"\0 ") and scheme(value.split(b"\0")[0]) == "card":
        _blank(out, begin, end)
    else:
        out[begin:end] = mask_packed(value, tag in _TEXTS and printable(value))


def _blank(out: bytearray, begin: int, end: int) -> None:
    for index in range(begin, end):
        out[index] = 0xEE

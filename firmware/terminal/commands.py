"""How a ZVT command is put together, and the answers that never change, pure.

APDU: class, instruction, length (one byte, or FF and two bytes little-endian), then for some
commands bare bytes, then BMPs in any order (PA00P015, "Data blocks", "TLV container").
"""

from firmware.errors import FrameError

DONE = b"\x80\x00\x00"
UNKNOWN_COMMAND = b"\x84\x83\x00"
MORE_TIME = b"\x84\x9c\x00"
ABORT = b"\x06\xb0\x00"


def bcd(value: int, size: int) -> bytes:
    """`value` as 2 * size decimal digits; FrameError when it does not fit."""
    out = bytearray(size)
    rest = value
    for i in range(size - 1, -1, -1):
        out[i] = rest % 10 | (rest // 10 % 10) << 4
        rest //= 100
    if rest or value < 0:
        raise FrameError(f"{value} does not fit {size} BCD bytes")
    return bytes(out)


def build(command: int, *parts: bytes) -> bytes:
    """The whole APDU: header with its length, then the parts."""
    body = b"".join(parts)
    size = len(body)
    head = bytes((command >> 8, command & 0xFF))
    if size < 0xFF:
        return head + bytes((size,)) + body
    return head + bytes((0xFF, size & 0xFF, size >> 8)) + body


def tlv(tag: int, *parts: bytes) -> bytes:
    """One TLV element, or the container itself with tag 06 (BER length)."""
    body = b"".join(parts)
    size = len(body)
    head = bytes((tag >> 8, tag & 0xFF)) if tag > 0xFF else bytes((tag,))
    if size < 0x80:
        return head + bytes((size,)) + body
    if size < 0x100:
        return head + bytes((0x81, size)) + body
    return head + bytes((0x82, size >> 8, size & 0xFF)) + body

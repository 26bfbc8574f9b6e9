"""ZVT commands: their numbers, words for engineers, and how an APDU is put together, pure.

APDU: class, instruction, length (one byte, or FF and two bytes little-endian), then for some
commands bare bytes, then BMPs in any order (PA00P015, "Data blocks", "TLV container").
"""

from firmware.errors import FrameError

# commands and answers by class and instruction
SET_TIME = 0x0401
RESULT = 0x040F
STATUS = 0x04FF
ENQUIRY = 0x0501
REGISTER = 0x0600
COMPLETION = 0x060F
ABORTED = 0x061E
RESERVE = 0x0622
RELEASE = 0x0623
BOOK_TOTAL = 0x0624
CANCEL = 0x0625
REVERSE = 0x0630
REFUND = 0x0631
END_OF_DAY = 0x0650
DIAGNOSE = 0x0670
INITIALISE = 0x0693
READ_CARD = 0x06C0
PRINT_LINE = 0x06D1
PRINT_BLOCK = 0x06D3
DONE = b"\x80\x00\x00"
UNKNOWN_COMMAND = b"\x84\x83\x00"
MORE_TIME = b"\x84\x9c\x00"
ABORT = b"\x06\xb0\x00"

NONE_PENDING = 0xFFFF  # receipt number FFFF

_NAMES = (
    "0401 set time,040F result,04FF intermediate status,0501 status enquiry,0600 registration,"
    "060F completion,061E aborted,0622 reservation,0623 partial reversal,0624 book total,"
    "0625 cancel reservation,0630 reversal,0631 refund,0650 end of day,0670 diagnosis,"
    "0693 initialisation,06B0 abort,06C0 read card,06D1 print line,06D3 print block,8000 done,"
)


def name(command: int) -> str:
    """An engineer's word for a command."""
    at = _NAMES.find(f"{command:04X} ")
    if at < 0:
        return "refused" if command >> 8 == 0x84 else "unknown"
    return _NAMES[at + 5 : _NAMES.find(",", at)]


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

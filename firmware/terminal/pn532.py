"""Frames of the PN532, an RFID reader on a UART (NXP UM0701-02, 6.2.1 "Frame structure", 7.2
"Commands"). Pure: bytes in, bytes out.

A frame is 00 00 FF, length, its complement, D4 (to the reader) or D5 (from it), command, data,
check sum, 00. A command is acknowledged first, then answered by its number and 1.
"""

from micropython import const

from firmware.errors import FrameError

WAKE = b"\x55\x55\x00\x00\x00"
ACK = b"\x00\x00\xff\x00\xff\x00"  # sent by the host it ends a command

# commands and their data
SAM_NORMAL = b"\x14\x01"
VERSION = b"\x02"
FEW_TRIES = b"\x32\x05\xff\x01\x02"  # RFConfiguration: an answer also when no card is there
FIELD_OFF = b"\x32\x01\x00"
ONE_CARD = b"\x4a\x01\x00"  # InListPassiveTarget: one, ISO/IEC 14443 type A at 106 kbit/s

ROOM = 64
ACKED = b""
_TO_READER = const(0xD4)
_FROM_READER = const(0xD5)
_UIDS = (4, 7, 10)


def frame(command: bytes) -> bytes:
    """The bytes of a command (at most 254 bytes)."""
    size = len(command) + 1
    check = -(_TO_READER + sum(command)) & 0xFF
    return b"".join(
        (b"\x00\x00\xff", bytes((size, -size & 0xFF, _TO_READER)), command, bytes((check, 0)))
    )


def take(buf, n: int) -> tuple:
    """(used, answer) of the first `n` bytes that came: so many are done with. `answer`: ACKED, an
    answer's bytes from its command's number on, or None: there is none (yet). FrameError: a frame
    with a wrong length or check sum, the reader's error or NACK; `used` is its attribute then.
    """
    at = 0
    while at < n and not (buf[at] == 0 and at + 1 < n and buf[at + 1] == 0xFF):
        if buf[at] == 0 and at + 1 == n:
            break  # the other half may come
        at += 1
    if at + 4 > n:
        return at, None
    size = buf[at + 2]
    if size == 0 and buf[at + 3] == 0xFF:
        return at + 4, ACKED
    end = at + 5 + size
    if (size + buf[at + 3]) & 0xFF or size < 2 or end > ROOM:
        raise _bad(at + 2)
    if end > n:
        return at, None
    total = 0
    for i in range(at + 4, end):
        total += buf[i]
    if total & 0xFF or buf[at + 4] != _FROM_READER:
        raise _bad(at + 2)
    return end, bytes(buf[at + 5 : end - 1])


def _bad(used: int) -> FrameError:
    error = FrameError("not a frame of the reader")
    error.used = used
    return error


def uid_of(answer: bytes) -> bytes:
    """The UID in the answer to ONE_CARD, b"" without a card. FrameError: another answer."""
    if len(answer) < 2 or answer[0] != ONE_CARD[0] + 1:
        raise _bad(0)
    if answer[1] == 0:
        return b""
    size = answer[6] if len(answer) > 6 else 0
    if size not in _UIDS or len(answer) < 7 + size:
        raise _bad(0)
    return answer[7 : 7 + size]

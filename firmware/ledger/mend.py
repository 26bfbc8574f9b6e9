"""Wrong bits in the ledger's flash: what is still to be had. Entered only where something stands
that is neither blank nor valid, and left again; all of it works in the ring's one buffer.

A sector whose header does not verify is still one of the ring when its frames' numbers continue
it: behind the newest sector, between two, or right before the oldest. Behind a frame that does not
verify the sector is searched for the next one that does; what lay between is lost, and published
as that. No frame of an earlier round can be among them: a sector is seen blank before it is used.

Limits: without any valid header a sector is found only when one bit of its header is wrong (else
the ledger begins anew, with a new epoch). Time: one sector is read, a place at a time.
"""

import binascii
import struct

from micropython import const

from firmware.ledger.ring import FRAME, HEAD, VERSION
from firmware.ledger.sector import FIRST, FORMAT, RESIDUE, ROTTEN, USED, crc32

_MAGIC = const(0xA7)
_POLYNOMIAL = const(0xEDB88320)  # of CRC-32, lowest bit first
_SHORTEST = const(20)  # no frame is shorter


def ring(r) -> None:
    """Mount: takes out of the ring `r` what is only left over in a sector that could not be
    erased, and puts in the sectors whose headers do not verify."""
    s = r.sectors
    if r.head < 0:
        for n in range(s.count):
            if s.look(n) == ROTTEN and _extent(r, n) and _one_bit(r, n):
                break
        else:
            return
    for n in range(s.count):
        # going back from the head, a sector is at most one generation older than the one after it
        if s.look(n) == USED and (
            s.epoch != r.epoch or r.generation - s.generation > (r.head - n) % s.count
        ):
            s.known[n] = None
    start = r.head
    for way in (1, -1):
        for d in range(1, s.count):
            n = (start + way * d) % s.count
            if s.look(n) == ROTTEN:
                _adopt(r, n)
    r.tail = _used(s, r.head, 1)


def _used(s, n: int, way: int) -> int:
    """The next sector in use from `n`, going round; at last `n` itself."""
    for _ in range(s.count):
        n = (n + way) % s.count
        if s.look(n) == USED:
            break
    return n


def _adopt(r, n: int) -> None:
    """Gives a sector its place by the numbers of its frames; without any it is retired."""
    s = r.sectors
    extent = _extent(r, n)
    if not extent:
        s.retire(n)
        return
    first, last = extent
    before = _used(s, n, -1)
    generation, start = s.generation, s.first_seq
    after = _used(s, n, 1)
    if before != r.head:  # between two of the ring
        if start <= first and last < s.first_seq:
            s.known[n] = (generation + 1, first)
    elif first >= start:
        r.head = n
        r.generation = generation + 1
        s.known[n] = (r.generation, first)
    elif last + 1 == s.first_seq and after == _used(s, r.head, 1):
        s.known[n] = (s.generation - 1, first)


def _extent(r, n: int) -> "tuple | None":
    """The first and the last record's number in a sector, by its frames alone."""
    size = r.sectors.size
    first = -1
    last = 0
    at = FIRST
    while True:
        whole = r.load(n, at, size)
        if whole <= 0:
            at, whole = _next(r, n, at, size, -whole, -1)
            if whole <= 0:
                break
        if first < 0:
            # `books`, the first frame, has the number of the record before it
            first = r.seq + (r.plain and len(r.payload) > 0 and r.payload[0] >= 128)
        last = max(last, r.seq)
        at += whole
    return (first, last) if first >= 0 else None


def _one_bit(r, n: int) -> bool:
    """The header with one of its bits the other way round."""
    h = r.buf[:28]
    r.sectors.read(n, 16, h)
    for bit in range(224):
        h[bit >> 3] ^= 1 << (bit & 7)
        magic, form, epoch, generation, low, high, crc = struct.unpack("<4sB3xIIIII", h)
        if magic == b"FcLg" and form == FORMAT and crc == binascii.crc32(h[:24]):
            r.head = n
            r.epoch = epoch
            r.generation = generation
            r.sectors.known[n] = (generation, (high << 32) | low)
            return True
        h[bit >> 3] ^= 1 << (bit & 7)
    return False


# --- frames --------------------------------------------------------------------------------------


def look_on(r, place, end: int, whole: int) -> int:
    """At `place` stands a frame that does not verify (`whole`: its length, 0 when that is not
    known either): goes to the next one of its sector that does, reads it and gives its length; 0
    when there is none."""
    first = r.first_seq(place.sector)
    at, whole = _next(r, place.sector, place.pos, end, whole, first)
    if whole > 0:
        place.pos = at
        r.damaged += 1
    return whole


def _next(r, sector: int, at: int, end: int, whole: int, first: int) -> tuple:
    """Place and length of the next valid frame; (at, 0) without. `first`: the sector's first
    record; -1 when it is not known."""
    s = r.sectors
    mark = r.buf[:4]
    if at + 4 > end:
        return at, 0
    s.read(sector, at, mark)
    if _closed(mark) or s.blank(sector, at):
        return at, 0
    most = first + s.size // _SHORTEST
    if whole:  # where its length says first: a payload may hold anything
        n = r.load(sector, at + whole, end)
        if n > 0 and (first < 0 or first - 1 <= r.seq < most):
            return at + whole, n
    at += 4
    while at < end:
        if s.starts(sector, at, _MAGIC):
            n = r.load(sector, at, end)
            if n > 0 and (first < 0 or first - 1 <= r.seq < most):
                return at, n
        at += 4
    return at, 0


def _closed(mark) -> bool:
    """Nothing more in this sector: four zero bytes, give or take what a wrong bit makes of them. A
    frame begins with six bits that are set."""
    return sum([bin(b).count("1") for b in mark]) < 5


def cleared(r, next_seq: int) -> bool:
    """A torn frame closes its sector, and a sector without any record is given back: it is the
    next one in turn again, so that a write that is torn time after time costs one sector and no
    more. False: the number was given (`torn`)."""
    if not torn(r, next_seq):
        return False
    s = r.sectors
    r.close()
    before = r.neighbour(r.head, -1)
    if (
        before >= 0
        and r.first_seq(r.head) == next_seq
        and s.blank(r.head, min(r.pos + FRAME, s.size))  # one frame was torn, and no more is there
        and s.retire(r.head)  # one that takes no mark would be found again beside the next one
    ):
        s.look(before)
        r.head = before
        r.generation = s.generation
        r.pos = s.size
    return True


def torn(r, next_seq: int) -> bool:
    """What stands behind the newest frame was being written when the power failed. False: it was
    written to its end and has one wrong bit, so its number was given. More than one wrong is a
    torn one: flash that programs by pages leaves bits undone anywhere in it."""
    s = r.sectors
    buf = r.buf[: min(FRAME, s.size - r.pos)]
    s.read(r.head, r.pos, buf)
    end = len(buf)
    while end and buf[end - 1] == 0xFF:
        end -= 1
    if end < HEAD + 4 or _closed(buf[:4]):
        return True
    at = _wrong_bit(buf, end)
    if at < 0:
        return True
    n = _length(buf)
    while buf[n - 1] == 0xFF:
        n -= 1
    magic, version, _, low, high = struct.unpack_from("<BBHII", buf, 0)
    # the last byte may have been in progress; and a note gives no number
    rotten = magic == _MAGIC and version == VERSION and at < n - 1
    return not rotten or (high << 32) | low != next_seq


def _length(buf) -> int:
    """Of the frame that begins here, by its own word."""
    return HEAD + 4 + (buf[2] | buf[3] << 8)


def _wrong_bit(buf, end: int) -> int:
    """Puts right the one bit by which `buf` is no frame that ends at `end` or in ff behind it; its
    byte, or -1. A wrong bit changes the CRC by what only depends on how far from the end it is, so
    all of them are tried in one walk; in the length it moves the end, so those by themselves.
    """
    for bit in range(16):
        buf[2 + (bit >> 3)] ^= 1 << (bit & 7)
        n = _length(buf)
        if n <= len(buf) and crc32(buf[:n]) == RESIDUE:
            return 2 + (bit >> 3)
        buf[2 + (bit >> 3)] ^= 1 << (bit & 7)
    n = _length(buf)
    if n > len(buf):
        return -1
    wrong = crc32(buf[:n]) ^ RESIDUE
    change = _POLYNOMIAL  # of the last bit
    for bit in range(8 * n - 1, -1, -1):
        at = bit >> 3
        if change == wrong and at < end and at not in (2, 3):
            buf[at] ^= 1 << (bit & 7)
            return at
        change = change >> 1 ^ _POLYNOMIAL if change & 1 else change >> 1
    return -1

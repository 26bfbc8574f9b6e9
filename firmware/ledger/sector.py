"""Sectors of the ledger's flash: verified programs and erases, and the marks at a sector's start.

    0  "FcEr"  erases u32  CRC-32 of 0..7          erase mark: all of the sector was seen blank
   16  "FcLg"  format u8  ff ff ff  epoch u32  generation u32  first seq u64  CRC-32 of 16..39
                                                   header: in use
   48  8 zero bytes                                retire mark: may be erased
   64  frames

All numbers are little-endian. Every mark is programmed alone, so that a cut leaves it whole, weak
or invalid: a retire mark, or neither header nor valid erase mark, means the sector's bits may be
unstable, and it is erased again before use. Memory: the class keeps 64 bytes for marks and 64 for
comparing.
"""

import binascii
import struct

from micropython import const

from firmware.errors import FlashError

crc32 = binascii.crc32  # imported from here: looking for a built-in module costs a board 55 ms

FIRST = const(64)  # where frames begin
FORMAT = const(1)
RESIDUE = const(0x2144DF1C)  # the CRC-32 of what ends with its own CRC-32

DIRTY = const(0)  # unknown or unstable: erase before use
CLEAN = const(1)  # erased, verified, not in use
USED = const(2)
NEWER = const(3)  # in use by a later format: not ours to touch
ROTTEN = const(4)  # a header that is neither blank nor valid: torn, or with wrong bits (mend.py)

_HEADER = const(16)
_RETIRE = const(48)
_CHUNK = const(64)
_BLANK = b"\xff" * 64
_BLANK_MARK = b"\xff" * 16
_ZERO = memoryview(b"\x00" * 8)


class Sectors:
    """`flash`: firmware.ports.Flash. After `look(n)`: `epoch`, `generation`, `first_seq` of a USED
    sector and `erases`. `worst`: most erases seen. `known`: sectors that are not what they say, by
    number: (generation, first_seq), or None where what they hold is no part of the ring. Raises
    FlashError when the device reports an error."""

    def __init__(self, flash) -> None:
        self.flash = flash
        self.count = flash.ioctl(4, 0)
        self.size = flash.ioctl(5, 0)
        self.epoch = 0
        self.generation = 0
        self.first_seq = 0
        self.erases = 0
        self.worst = 0
        self.known: "dict" = {}
        self._head = memoryview(bytearray(64))
        self._chunk = memoryview(bytearray(_CHUNK))

    def read(self, n: int, off: int, view) -> None:
        try:
            self.flash.readblocks(n, view, off)
        except OSError as e:
            raise FlashError("read of sector %d: %s" % (n, e))

    def program(self, n: int, off: int, view) -> bool:
        """Programs and reads back; False when flash does not hold what was given."""
        try:
            self.flash.writeblocks(n, view, off)
        except OSError:
            return False
        return self.holds(n, off, view)

    def holds(self, n: int, off: int, view) -> bool:
        at = 0
        while at < len(view):
            part = view[at : at + _CHUNK]
            got = self._chunk[: len(part)]
            self.read(n, off + at, got)
            if got != part:
                return False
            at += _CHUNK
        return True

    def starts(self, n: int, off: int, byte: int) -> bool:
        """The byte at `off` is `byte`; False at the sector's end."""
        got = self._chunk[:1]
        if off >= self.size:
            return False
        self.read(n, off, got)
        return got[0] == byte

    def blank(self, n: int, off: int) -> bool:
        """All bits from `off` to the end of the sector are set."""
        while off < self.size:
            got = self._chunk[: min(_CHUNK, self.size - off)]
            self.read(n, off, got)
            if got != _BLANK[: len(got)]:
                return False
            off += _CHUNK
        return True

    def look(self, n: int) -> int:
        """What a sector is: DIRTY, CLEAN, USED, NEWER or ROTTEN."""
        h = self._head
        self.read(n, 0, h)
        marked = h[:4] == b"FcEr" and crc32(h[:12]) == RESIDUE
        self.erases = struct.unpack_from("<I", h, 4)[0] if marked else 0
        if self.erases > self.worst:
            self.worst = self.erases
        self.epoch, self.generation = struct.unpack_from("<II", h, 24)
        low, high = struct.unpack_from("<II", h, 32)
        self.first_seq = (high << 32) | low
        if self.known and n in self.known:
            return self._known(self.known[n])
        if h[_RETIRE:] != _BLANK_MARK and self._retired():
            return DIRTY
        if h[_HEADER:20] == b"FcLg" and crc32(h[_HEADER:44]) == RESIDUE:
            return USED if h[20] == FORMAT else NEWER
        if h[_HEADER:_RETIRE] == _BLANK[:32]:
            return CLEAN if marked else DIRTY
        return ROTTEN

    def _retired(self) -> bool:
        """More than one byte of the mark: one alone is a wrong bit, or a mark that was begun, and
        then what the header says holds."""
        return sum([b != 0xFF for b in self._head[_RETIRE:]]) > 1

    def _known(self, place) -> int:
        if not place:
            return DIRTY
        self.generation, self.first_seq = place
        return USED

    def start(self, n: int, epoch: int, generation: int, first_seq: int) -> bool:
        """Puts a CLEAN sector in use; False when its header does not hold."""
        h = self._head[:32]
        h[:] = _BLANK[:32]
        struct.pack_into(
            "<4sBBBBIIII",
            h,
            0,
            b"FcLg",
            FORMAT,
            255,
            255,
            255,
            epoch,
            generation,
            first_seq & 0xFFFFFFFF,
            first_seq >> 32,
        )
        struct.pack_into("<I", h, 24, crc32(h[:24]))
        return self.program(n, _HEADER, h[:28])

    def confirm(self, n: int) -> bool:
        """True when a sector is USED; its header is programmed once more, because a cut may have
        left the last bits weak: valid now, not valid later."""
        return self.look(n) == USED and self.program(n, _HEADER, self._head[_HEADER:44])

    def retire(self, n: int) -> bool:
        return self.program(n, _RETIRE, _ZERO)

    def erase(self, n: int) -> bool:
        """Erases, sees that all of it is blank, marks it CLEAN; False: a bad sector."""
        self.look(n)
        erases = max(self.erases, 0 if self.erases else self.worst) + 1
        self.retire(n)
        try:
            self.flash.ioctl(6, n)
        except OSError:
            return False
        if not self.blank(n, 0):
            return False
        h = self._head[:12]
        struct.pack_into("<4sI", h, 0, b"FcEr", erases)
        struct.pack_into("<I", h, 8, crc32(h[:8]))
        if not self.program(n, 0, h):
            return False
        self.known.pop(n, None)
        return True

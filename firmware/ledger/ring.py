"""The ring: frames in sectors that follow one another round the flash.

Frame: magic a7, version u8, payload length u16, seq u64, payload, CRC-32 over all before it; then
ff to a multiple of 4. All numbers are little-endian. A note has the number of the last record
before it.

Goals: a frame is in flash whole, read back and compared, or does not count. A sector is erased
only when every record in it is below `keep` (acknowledged, needed by nothing open): the caller
says so. Sectors are used strictly in turn, so wear is even. After a power cut at any byte: the
torn frame closes its sector, a torn header or erase is done again. A sector that cannot be
programmed or erased is passed over (`bad`) and tried again when its turn comes after a restart;
what it still holds is no part of the ring. Wrong bits in a header or a frame: mend.py.

Limits: wrong bits in a frame lose that frame (`damaged`). At least MIN_SECTORS sectors.
Memory: one frame buffer of FRAME bytes and what Sectors has; nothing grows with the number of
records.
"""

import struct

from micropython import const

from firmware.errors import FlashError, LedgerCorrupt, LedgerFull
from firmware.ledger.sector import CLEAN, FIRST, NEWER, RESIDUE, ROTTEN, USED, Sectors, crc32
from firmware.paper import leave

FRAME = const(1024)  # the longest frame
HEAD = const(12)
PAYLOAD = const(1008)  # FRAME - HEAD - CRC
MIN_SECTORS = const(10)
VERSION = const(1)

_MAGIC = const(0xA7)
_TRIES = const(4)
_ENOUGH = const(16)  # free sectors are counted up to here
_ZERO = memoryview(b"\x00\x00\x00\x00")
_BLANK = b"\xff" * HEAD


class Place:
    """Where in the ring somebody reads: sector (-1: nowhere) and the offset of the next frame."""

    def __init__(self, sector: int = -1) -> None:
        self.sector = sector
        self.pos = FIRST


class Ring:
    """`on_open()` is called when a new sector was put in use, before anything else is written to
    it.

    After `load`/`step`: `seq`, `at` (offset of the frame), `plain` (its version is VERSION) and
    `payload` (a view that the next read replaces). Public figures: `epoch`, `bad` (sector
    numbers), `damaged`, `torn` (frames).
    """

    def __init__(self, flash, on_open) -> None:
        self.sectors = Sectors(flash)
        if self.sectors.count < MIN_SECTORS or self.sectors.size < 4 * FRAME:
            raise FlashError("the ledger needs %d sectors of 4096 bytes" % MIN_SECTORS)
        self.epoch = 0
        self._on_open = on_open
        self.bad: "list[int]" = []
        self.damaged = 0
        self.torn = 0
        self.seq = self.at = 0
        self.plain = True
        self._bytes = bytearray(FRAME)  # `in` works on it, not on a view
        self.buf = memoryview(self._bytes)
        self._head = self.buf[:HEAD]
        self.payload = self.buf[:0]
        self.head = -1
        self.tail = -1
        self.pos = 0
        self.closed = True  # nothing more fits or may go into the head sector
        self.generation = 0
        self._ready = -1  # erased in advance

    # --- mount -----------------------------------------------------------------------------------

    def find(self) -> bool:
        """Finds head and tail by the sectors' headers; False when flash holds no ledger yet.
        LedgerCorrupt when it holds one of a later format."""
        s = self.sectors
        first = last = lowest = drops = 0
        odd = False
        for n in range(s.count):
            state = s.look(n)
            if state == NEWER:
                raise LedgerCorrupt("sector %d has a later format" % n)
            if state == ROTTEN:
                odd = True
            elif state == USED:
                generation = s.generation
                if self.head < 0:
                    first = last = lowest = generation
                    self.epoch = s.epoch
                drops += generation < last
                odd = odd or s.epoch != self.epoch
                if self.head < 0 or generation > self.generation:
                    self.head = n
                    self.generation = generation
                    self.epoch = s.epoch
                if self.tail < 0 or generation < lowest:
                    self.tail = n
                    lowest = generation
                last = generation
        if drops + (first < last) > 1 or (
            self.head >= 0 and self.generation - lowest > (self.head - self.tail) % s.count
        ):
            odd = True
        if odd:
            from firmware.ledger import mend

            mend.ring(self)
            leave("firmware.ledger.mend")
        self.pos = s.size
        return self.head >= 0

    def settle(self, place: Place, next_seq: int) -> int:
        """After the last step at mount: what follows must be blank, else the sector is closed.
        What a cut left between two states is brought to one before anything is written. Gives the
        number for the next record."""
        s = self.sectors
        self.pos = place.pos
        self.closed = False
        if not s.blank(self.head, self.pos):
            self.torn += 1
            from firmware.ledger import mend

            if not mend.cleared(self, next_seq):
                self.closed = True
                next_seq += 1
            leave("firmware.ledger.mend")
        elif self.pos > FIRST and self.plain:
            # the newest frame's last bits may be weak: valid now, not valid later
            frame = self.frame(self.buf, len(self.payload), self.seq)
            s.program(self.head, self.pos - len(frame), frame)
        elif self.pos == FIRST:
            for _ in range(_TRIES):
                if s.confirm(self.head):
                    break
        return next_seq

    def close(self) -> None:
        """No more frames in this sector. A torn frame is made invalid for ever: weak bits could
        make it valid later, with a number that was given again meanwhile."""
        self.closed = True
        if self.pos + 4 <= self.sectors.size:
            self.sectors.program(self.head, self.pos, _ZERO)

    def create(self, epoch: int) -> None:
        """An empty ledger."""
        self.epoch = epoch
        self.head = self.sectors.count - 1
        self.generation = 0
        self.tail = -1

    # --- reading ---------------------------------------------------------------------------------

    def first_seq(self, sector: int) -> int:
        self.sectors.look(sector)
        return self.sectors.first_seq

    def holds(self, generation: int) -> bool:
        """Whether the sector that had this generation is in the ring still."""
        s = self.sectors
        return self.tail >= 0 and s.look(self.tail) == USED and s.generation <= generation

    def neighbour(self, sector: int, way: int) -> int:
        """The next (`way` 1) or previous (-1) sector in the ring, -1 when there is none."""
        end = self.head if way > 0 else self.tail
        s = self.sectors
        s.look(sector)
        generation = s.generation
        while sector != end:
            sector = (sector + way) % s.count
            if s.look(sector) == USED and (s.generation - generation) * way > 0:
                return sector
        return -1

    def step(self, place: Place) -> bool:
        """Reads the next frame into the buffer; False at the ring's end."""
        while place.sector >= 0:
            if self.step_in(place):
                return True
            if place.sector == self.head:
                return False
            place.sector = self.neighbour(place.sector, 1)
            place.pos = FIRST
        return False

    def step_in(self, place: Place) -> bool:
        """The same within the place's sector."""
        end = self.pos if place.sector == self.head else self.sectors.size
        n = self.load(place.sector, place.pos, end)
        if n < 0 or (n == 0 and place.pos + HEAD + 4 <= end and self._head != _BLANK):
            from firmware.ledger import mend

            n = mend.look_on(self, place, end, -n)
            leave("firmware.ledger.mend")
        if n <= 0:
            return False
        place.pos += n
        return True

    def load(self, sector: int, off: int, end: int) -> int:
        """Reads the frame at `off`: its whole length; 0 when none is there; negative when its CRC
        is wrong. Not by Sectors.read: each call of that searches the heap for its state."""
        buf = self.buf
        read = self.sectors.flash.readblocks
        if off + HEAD + 4 > end:
            return 0
        try:
            read(sector, self._head, off)
            n = HEAD + (buf[2] | buf[3] << 8)  # where the CRC stands
            whole = (n + 7) & ~3
            if buf[0] != _MAGIC or n > HEAD + PAYLOAD or off + whole > end:
                return 0
            read(sector, buf[HEAD : n + 4], off + HEAD)
        except OSError as e:
            raise FlashError("read of sector %d: %s" % (sector, e))
        if crc32(buf[: n + 4]) != RESIDUE:
            return -whole
        self.at = off
        self.plain = buf[1] == VERSION
        self.payload = buf[HEAD:n]
        low, high = struct.unpack_from("<II", buf, 4)
        self.seq = (high << 32) | low
        return whole

    def contains(self, sector: int, text: bytes) -> bool:
        """Whether these bytes may stand in the sector; False: they do not. The buffer is used."""
        s = self.sectors
        off = FIRST
        while off < s.size:
            s.read(sector, off, self.buf[: min(FRAME, s.size - off)])
            if text in self._bytes:
                return True
            off += FRAME + 1 - len(text)
        return False

    # --- writing ---------------------------------------------------------------------------------

    def frame(self, buf, length: int, seq: int):
        """Makes a frame of the payload of `length` bytes that stands in `buf` from HEAD on; gives
        the whole of it."""
        struct.pack_into("<BBHII", buf, 0, _MAGIC, VERSION, length, seq & 0xFFFFFFFF, seq >> 32)
        body = HEAD + length
        struct.pack_into("<I", buf, body, crc32(buf[:body]))
        whole = (body + 7) & ~3
        for i in range(body + 4, whole):
            buf[i] = 0xFF
        return buf[:whole]

    def fits(self, length: int) -> bool:
        """Whether a frame of this length may go into the head sector."""
        return not self.closed and self.pos + length <= self.sectors.size

    def append(self, frame, seq: int, keep: int) -> None:
        """Writes a frame at the head or in the next sector. LedgerFull when no sector may be
        erased, FlashError when none can be programmed."""
        for _ in range(_TRIES):
            if not self.fits(len(frame)):
                self._open(seq, keep)
            if self.write(frame):
                return
        raise FlashError("no sector holds what is programmed")

    def write(self, frame) -> bool:
        """Programs a frame at the head if it may; a failure closes the sector."""
        if not self.fits(len(frame)):
            return False
        if not self.sectors.program(self.head, self.pos, frame):
            self.close()
            return False
        self.pos += len(frame)
        return True

    def _open(self, seq: int, keep: int) -> None:
        """Puts the next sector in use."""
        while True:
            self.prepare(keep)
            n = self._ready
            self._ready = -1
            self.generation += 1
            if self.sectors.start(n, self.epoch, self.generation, seq):
                break
            self._spoilt(n)
        self.head = n
        self.pos = FIRST
        self.closed = False
        if self.tail < 0:
            self.tail = n
        self._on_open()

    def prepare(self, keep: int) -> bool:
        """Has the next sector in turn erased; False when it is already. LedgerFull, FlashError as
        in `append`."""
        n = self.head
        for _ in range(self.sectors.count - 1):
            n = (n + 1) % self.sectors.count
            if n == self._ready:
                return False
            if n in self.bad:
                continue
            if n == self.tail:
                after = self._freed(n, keep)
                if after < 0:
                    raise LedgerFull("nothing may be erased")
                self.tail = after
            if self.sectors.look(n) == CLEAN or self.sectors.erase(n):
                self._ready = n
                return True
            self._spoilt(n)
        raise FlashError("no sector can be erased")

    def _spoilt(self, n: int) -> None:
        """Passed over until a restart; what it holds was freed."""
        self.bad.append(n)
        self.sectors.known[n] = None

    def _freed(self, tail: int, keep: int) -> int:
        """The sector after `tail` when nothing in `tail` must be kept, else -1."""
        after = self.neighbour(tail, 1)
        return after if after >= 0 and self.first_seq(after) <= keep else -1

    def free(self, keep: int) -> int:
        """Sectors beyond the head that can be used now, counted up to about 16."""
        count = self.sectors.count
        tail = after = self.tail
        while after >= 0 and (tail - self.head - 1) % count < _ENOUGH:
            tail = after
            after = self._freed(tail, keep)
        reach = (tail - self.head - 1) % count if self.tail >= 0 else count - 1
        n = reach
        known = self.sectors.known
        for b in known:
            if not known[b] and 0 < (b - self.head) % count <= reach:
                n -= 1
        return n

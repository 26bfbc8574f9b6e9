"""The ring: frames in sectors that follow one another round the flash.

Frame: magic a7, version u8, payload length u16, seq u64, payload, CRC-32 over all before it; then
ff to a multiple of 4. All numbers are little-endian. A note has the number of the last record
before it.

Goals: a frame is in flash whole, read back and compared, or does not count. A sector is erased
only when every record in it is below `keep` (acknowledged, needed by nothing open): the caller
says so. Sectors are used strictly in turn, so wear is even. After a power cut at any byte: the
torn frame closes its sector, a torn header or erase is done again. A sector that cannot be
programmed or erased is passed over (`bad`) and tried again when its turn comes after a restart.

Limits: bit rot in a frame loses that frame (`damaged`; the frames after it are found by its
length); bit rot in a header loses the sector from sight (`gap`). At least MIN_SECTORS sectors.
Memory: one frame buffer of FRAME bytes and what Sectors has; nothing grows with the number of
records.
"""

import struct

from micropython import const

from firmware.errors import FlashError, LedgerCorrupt, LedgerFull
from firmware.ledger.sector import CLEAN, DIRTY, FIRST, NEWER, USED, Sectors, crc32

FRAME = const(1024)  # the longest frame
HEAD = const(12)
PAYLOAD = const(1008)  # FRAME - HEAD - CRC
MIN_SECTORS = const(10)
VERSION = const(1)

_MAGIC = const(0xA7)
_TRIES = const(4)
_ENOUGH = const(16)  # free sectors are counted up to here
_ZERO = memoryview(b"\x00\x00\x00\x00")


class Place:
    """Where in the ring somebody reads: sector (-1: nowhere) and the offset of the next frame."""

    def __init__(self, sector: int = -1) -> None:
        self.sector = sector
        self.pos = FIRST


class Ring:
    """`on_open()` is called when a new sector was put in use, before anything else is written to
    it.

    After `load`/`step`: `seq`, `plain` (the frame's version is VERSION) and `payload` (a view that
    the next read replaces). Public figures: `epoch`, `bad` (sector numbers), `damaged`, `torn`
    (frames).
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
        self.seq = 0
        self.plain = True
        self.buf = memoryview(bytearray(FRAME))
        self.payload = self.buf[:0]
        self.head = -1
        self.tail = -1
        self.pos = 0
        self.closed = True  # nothing more fits or may go into the head sector
        self._generation = 0
        self._ready = -1  # erased in advance

    # --- mount -----------------------------------------------------------------------------------

    def find(self) -> bool:
        """Finds head and tail by the sectors' headers; False when flash holds no ledger yet.
        LedgerCorrupt when it holds one of a later format."""
        s = self.sectors
        lowest = 0
        for n in range(s.count):
            state = s.look(n)
            if state == NEWER:
                raise LedgerCorrupt("sector %d has a later format" % n)
            if state == USED:
                if self.head < 0 or s.generation > self._generation:
                    self.head = n
                    self._generation = s.generation
                    self.epoch = s.epoch
                if self.tail < 0 or s.generation < lowest:
                    self.tail = n
                    lowest = s.generation
        self.pos = s.size
        return self.head >= 0

    def strengthen(self, place: Place) -> None:
        """After a step at mount: the ring's newest frame is programmed once more from the buffer,
        because a cut may have left its last bits weak: valid now, not valid later."""
        if place.sector == self.head and not self.sectors.starts(self.head, place.pos, _MAGIC):
            whole = (len(self.payload) + HEAD + 7) & ~3
            self.sectors.program(self.head, place.pos - whole, self.buf[:whole])

    def settle(self, place: Place) -> None:
        """After the last step at mount: what follows must be blank, else the sector is closed.
        What a cut left between two states is brought to one before anything is written."""
        self.pos = place.pos
        self.closed = False
        if self.pos == FIRST:
            for _ in range(_TRIES):
                if self.sectors.confirm(self.head, USED):
                    break
        after = (self.head + 1) % self.sectors.count
        if self.sectors.look(after) == DIRTY:
            self.sectors.retire(after)
        if not self.sectors.blank(self.head, self.pos):
            self.torn += 1
            self._close()

    def _close(self) -> None:
        """No more frames in this sector. A torn frame is made invalid for ever: weak bits could
        make it valid later, with a number that was given again meanwhile."""
        self.closed = True
        if self.pos + 4 <= self.sectors.size:
            self.sectors.program(self.head, self.pos, _ZERO)

    def create(self, epoch: int) -> None:
        """An empty ledger."""
        self.epoch = epoch
        self.head = self.sectors.count - 1
        self._generation = 0
        self.tail = -1

    # --- reading ---------------------------------------------------------------------------------

    def first_seq(self, sector: int) -> int:
        self.sectors.look(sector)
        return self.sectors.first_seq

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
        if n < 0 and self.load(place.sector, place.pos - n, end) > 0:
            self.damaged += 1  # rotten: a frame that was torn has nothing after it
            place.pos -= n
            n = self.load(place.sector, place.pos, end)
        if n <= 0:
            return False
        place.pos += n
        return True

    def load(self, sector: int, off: int, end: int) -> int:
        """Reads the frame at `off`: its whole length; 0 when none is there; negative when its CRC
        is wrong."""
        if off + HEAD + 4 > end:
            return 0
        head = self.buf[:HEAD]
        self.sectors.read(sector, off, head)
        magic, version, length, low, high = struct.unpack("<BBHII", head)
        whole = (length + HEAD + 7) & ~3
        if magic != _MAGIC or length > PAYLOAD or off + whole > end:
            return 0
        body = HEAD + length
        self.sectors.read(sector, off + HEAD, self.buf[HEAD:whole])
        if crc32(self.buf[:body]) != struct.unpack_from("<I", self.buf, body)[0]:
            return -whole
        self.seq = (high << 32) | low
        self.plain = version == VERSION
        self.payload = self.buf[HEAD:body]
        return whole

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

    def append(self, frame, seq: int, keep: int) -> None:
        """Writes a frame at the head or in the next sector. LedgerFull when no sector may be
        erased, FlashError when none can be programmed."""
        for _ in range(_TRIES):
            if self.closed or self.pos + len(frame) > self.sectors.size:
                self._open(seq, keep)
            if self.write(frame):
                return
        raise FlashError("no sector holds what is programmed")

    def write(self, frame) -> bool:
        """Programs a frame at the head if it may; a failure closes the sector."""
        if self.closed or self.pos + len(frame) > self.sectors.size:
            return False
        if not self.sectors.program(self.head, self.pos, frame):
            self._close()
            return False
        self.pos += len(frame)
        return True

    def _open(self, seq: int, keep: int) -> None:
        """Puts the next sector in use."""
        while True:
            self.prepare(keep)
            n = self._ready
            self._ready = -1
            self._generation += 1
            if self.sectors.start(n, self.epoch, self._generation, seq):
                break
            self.bad.append(n)
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
            if self.sectors.confirm(n, CLEAN) or self.sectors.erase(n):
                self._ready = n
                return True
            self.bad.append(n)
        raise FlashError("no sector can be erased")

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
        for b in self.bad:
            if 0 < (b - self.head) % count <= reach:
                n -= 1
        return n

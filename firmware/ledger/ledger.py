"""The ledger: every decision about money or power, in flash before it is acted on, until the back
office has it.

Goals: `append` returns when the record is in flash and read back, and a power cut leaves it whole
or absent. Nothing is erased before the back office acknowledged it and nothing open needs it. When
space runs short the charger first refuses new sessions, then checkpoints, then what is no money; a
running session and a refund can always be finished.

Limits: what is not acknowledged fills the ring (docs/reliability.md says how many sessions that
is). A mount reads the sectors' headers and replays from the sector that the newest `books` note
names. Memory: two frame buffers of 1 KB, the books (bounded) and
about 0.5 KB; nothing grows with the number of records.
"""

import os
import struct

from micropython import const

from firmware.errors import LedgerFull, RecordError
from firmware.ledger.books import Books
from firmware.ledger.codec import NOTE, Record, encode, find_row, record_of
from firmware.ledger.ring import FRAME, HEAD, PAYLOAD, Place, Ring
from firmware.ledger.sector import USED
from firmware.paper import leave

# Sectors that must be free for a record; what is not listed may use the last one. Without them the
# first are refused (LedgerFull), the negative ones left out: what is done with power and money
# then goes on.
_ROOM = {
    "hold_asked": 6, "extend_asked": 5, "refund_asked": 5, "refund_requested": 5,
    "command": 4, "day_asked": 5, "end_of_day": 4,
    "checkpoint": -5, "boot": -4, "tariff": -4, "alarm": -4, "security": -4, "period": -3,
}  # fmt: skip
_BOTH = const(1024)  # bytes: more than the records of an `extend` and of its effect
_GIVE_WAY = const(16)  # frames that a walk reads in one piece
_ACK_STEP = 32  # records acknowledged before that is noted in flash


class Ledger:
    """`flash`: firmware.ports.Flash; `now_ms()`: wall clock, epoch ms, 0 while unknown. `books` is
    always up to date.

    After `mount`: `epoch`, `next_seq`, `acked_seq`, `lost` (records missing between others), `new`
    (flash was empty). `left_out`: records for which there was no room, since mount.
    """

    def __init__(self, flash, now_ms) -> None:
        self.ring = Ring(flash, self.write_note)
        self.books = Books()
        self.next_seq = 1
        self.acked_seq = 0
        self.lost = 0
        self.left_out = 0
        self.new = False
        self._now_ms = now_ms
        self.frame = memoryview(bytearray(FRAME))
        self.noted = 0  # acknowledged position that is in flash
        self._out = Place()
        self._out_seq = -1  # the record before _out
        self._out_tail = -1
        self._room_key: "tuple" = ()
        self._room_free = 0

    @property
    def epoch(self) -> int:
        return self.ring.epoch

    @property
    def oldest_seq(self) -> int:
        """The first record that flash still has, `next_seq` when it has none. FlashError."""
        ring = self.ring
        return ring.first_seq(ring.tail) if ring.tail >= 0 else self.next_seq

    @property
    def bad(self) -> int:
        """Sectors that failed since the start."""
        return len(self.ring.bad)

    def mount(self) -> None:
        """Reads of flash what the books need, and brings them up to date. Raises LedgerCorrupt
        when a later firmware's format is there, FlashError."""
        from firmware.ledger.replay import mount

        mount(self)
        leave("firmware.ledger.replay")

    def kind(self) -> int:
        """Kind of the frame in the ring's buffer; 0 where this firmware cannot say."""
        ring = self.ring
        return ring.payload[0] if ring.plain and ring.payload else 0

    def decode(self) -> Record:
        ring = self.ring
        return record_of(ring.seq, ring.payload, ring.plain)

    # --- writing ---------------------------------------------------------------------------------

    def append(self, kind: str, **fields) -> int:
        """Writes one record and returns its number when it is in flash; 0 when there was no room
        for a record of this kind and it was left out (checkpoints, alarms and the like; counted in
        `left_out`).

        RecordError: fields do not fit the schema. BooksError: it would break an invariant.
        LedgerFull: no room. FlashError: flash cannot be written. After any of these nothing was
        written."""
        row = find_row(1, kind)
        if row[0] >= NOTE:
            raise RecordError("%s: a note of the ledger's own" % kind)
        at = self._now_ms()
        length = encode(self.frame[HEAD : HEAD + PAYLOAD], row, at, fields)
        self.books.refuse(kind, fields)
        need = _ROOM.get(kind, 0)
        if need and self.free_sectors() < abs(need):
            if need > 0:
                raise LedgerFull(kind)
            self.left_out += 1
            return 0
        seq = self.next_seq
        self.ring.append(self.ring.frame(self.frame, length, seq), seq, self._keep())
        self.next_seq = seq + 1
        self.books.apply(Record(seq, kind, row[2], at, fields))
        return seq

    def write_note(self) -> None:
        """The first frame of every sector. Built in the ring's read buffer: the record that waits
        is in the other."""
        self._note(self.ring.buf, "books", self.books.note(self.acked_seq))

    def _note(self, buf, kind: str, fields: dict) -> bool:
        length = encode(buf[HEAD : HEAD + PAYLOAD], find_row(1, kind), 0, fields)
        written = self.ring.write(self.ring.frame(buf, length, self.next_seq - 1))
        if written:
            self.noted = self.acked_seq
        return written

    def _keep(self) -> int:
        """Records from this one on may not be erased."""
        keep = self.acked_seq + 1
        needed = self.books.oldest_needed()
        return needed if needed and needed < keep else keep

    # --- space -----------------------------------------------------------------------------------

    def free_sectors(self) -> int:
        """Sectors that can be written without losing anything, counted up to about 16; the one in
        use not counted."""
        key = (self._keep(), self.ring.head, self.ring.tail, len(self.ring.bad))
        if key != self._room_key:
            self._room_free = self.ring.free(key[0])
            self._room_key = key
        return self._room_free

    def room_for_session(self) -> bool:
        """False: no new session; said on the screen and to the operator."""
        return self.free_sectors() >= _ROOM["hold_asked"]

    def room_for_command(self) -> bool:
        """Whether there is room for a command's effect and for its own record behind it, also
        where these begin a sector."""
        return self.free_sectors() >= _ROOM["command"] + (not self.ring.fits(_BOTH))

    def idle(self) -> bool:
        """Housekeeping for a quiet moment: at most one erase, or one note. True when there was
        something to do."""
        if self.acked_seq - self.noted >= _ACK_STEP and not self.ring.closed:
            if self._note(self.frame, "acked", {"acked": self.acked_seq}):
                return True
        return self.free_sectors() > 0 and self.ring.prepare(self._keep())

    # --- reading ---------------------------------------------------------------------------------

    def read_after(self, seq: int) -> "Record | None":
        """The record after number `seq`, None at the end: in order, for sync. Kind "lost" where
        flash lost one."""
        if seq + 1 >= self.next_seq:
            return None
        ring = self.ring
        if seq != self._out_seq or ring.tail != self._out_tail:
            self._seek(seq + 1)
        self._out_seq = -1
        while ring.step(self._out):
            if ring.seq > seq and self.kind() < NOTE:
                if ring.seq > seq + 1 and seq + 1 >= ring.first_seq(ring.tail):
                    break
                self._out_seq = ring.seq
                return self.decode()
        return Record(seq + 1, "lost", 0, 0, {})

    def _seek(self, seq: int) -> None:
        """Puts the reading place before record `seq`: the last sector that begins at it or before,
        by halving."""
        sectors = self.ring.sectors
        tail = self._out_tail = self.ring.tail
        low = 0
        high = (self.ring.head - tail) % sectors.count
        while low < high:
            middle = at = (low + high + 1) // 2
            while at > low and sectors.look((tail + at) % sectors.count) != USED:
                at -= 1
            if at == low:
                high = middle - 1
            elif sectors.first_seq <= seq:
                low = at
            else:
                high = at - 1
        self._out = Place((tail + low) % sectors.count)

    def scan(self, kinds, since: int = 0, text: str = ""):
        """Generator, newest sector first: for each a list of the records of these kinds, oldest
        first; between two lists some that are empty. `since`: sectors before that record's are
        left out. `text`: so are those without a record that has such a field; of the others all
        records come.

        For searches that must not hold up the charger: a few frames a step. Meanwhile records may
        be written (those in sectors not begun yet are not seen) and the oldest sectors freed (the
        walk ends before them)."""
        ring = self.ring
        raw = text.encode()
        raw = bytes((len(raw),)) + raw  # as it stands in a payload
        sector = ring.head if ring.tail >= 0 else -1
        while sector >= 0:
            first = ring.first_seq(sector)
            generation = ring.sectors.generation
            found: "list[Record]" = []
            place = Place(sector)
            frames = _GIVE_WAY
            if text and not ring.contains(sector, raw):
                place.sector = -1
            while place.sector >= 0 and ring.step_in(place):
                if ring.plain and ring.payload and ring.payload[0] in kinds:
                    record = self.decode()
                    if record.fields:
                        found.append(record)
                frames -= 1
                if not frames:
                    frames = _GIVE_WAY
                    yield ()
                    if not ring.holds(generation):
                        return
            yield found
            if first <= since or not ring.holds(generation):
                return
            sector = ring.neighbour(sector, -1)

    def recent(self, kind: str, n: int) -> list:
        """The newest `n` records of a kind that are still in flash, newest first, acknowledged or
        not."""
        out: "list[Record]" = []
        for found in self.scan((find_row(1, kind)[0],)):
            for record in reversed(found):
                if len(out) == n:
                    return out
                out.append(record)
        return out

    def acknowledge(self, epoch: int, seq: int) -> bool:
        """The back office has everything up to `seq`. False (and nothing done) for another epoch
        or a number that was never given."""
        if epoch != self.epoch or seq >= self.next_seq or seq < 0:
            return False
        if seq > self.acked_seq:
            self.acked_seq = seq
        return True


def new_epoch() -> int:
    """Drawn for a flash that is empty."""
    return struct.unpack("<I", os.urandom(4))[0] | 1

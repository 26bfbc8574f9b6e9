"""The ledger: every decision about money or power, in flash before it is acted on, until the back
office has it.

Goals: `append` returns when the record is in flash and read back, and a power cut leaves it whole
or absent. Nothing is erased before the back office acknowledged it and nothing open needs it. When
space runs short the charger first refuses new sessions, then checkpoints, then what is no money; a
running session and a refund can always be finished.

Limits: what is not acknowledged fills the ring (docs/reliability.md says how many sessions that
is). A mount reads the sectors' headers and replays from the sector that the newest `books` note
names, all records only when asked to. Memory: two frame buffers of 1 KB, the books (bounded) and
about 0.5 KB; nothing grows with the number of records.
"""

import os
import struct

from micropython import const

from firmware.errors import LedgerFull, RecordError
from firmware.ledger.books import OUTSIDE, Books
from firmware.ledger.codec import NOTE, Record, decode, encode, find_row, get_u
from firmware.ledger.ring import FRAME, HEAD, PAYLOAD, Place, Ring
from firmware.ledger.sector import FIRST, USED

# Sectors that must be free for a record; what is not listed may use the last one. Without them the
# first are refused (LedgerFull), the negative ones left out: what is done with power and money
# then goes on.
_ROOM = {
    "hold_asked": 6, "extend_asked": 5, "refund_asked": 5, "refund_requested": 5,
    "command": 4, "day_asked": 5, "end_of_day": 4,
    "checkpoint": -5, "boot": -4, "tariff": -4, "alarm": -4, "security": -4, "period": -3,
}  # fmt: skip
_HOLD_ASKED = const(2)  # kinds of schema.py
_CHECKPOINT = const(6)
_PRICED = const(9)
_BOOKS = const(129)
_SILENT = b"\x01\x12\x14\x15\x19\x1d"  # say nothing to the books
_HELD = b"\x02\x03\x05\x06\x07\x08\x09"  # up to priced: say little once the session is closed
_CLOSING = b"\x0a\x0b"
_MOST_HELD = const(12)
_GIVE_WAY = const(16)  # frames that a walk reads in one piece
_ACK_STEP = 32  # records acknowledged before that is noted in flash


class Ledger:
    """`flash`: firmware.ports.Flash; `now_ms()`: wall clock, epoch ms, 0 while unknown. `books` is
    always up to date.

    After `mount`: `epoch`, `next_seq`, `acked_seq`, `lost` (records missing between others), `new`
    (flash was empty). `left_out`: records for which there was no room, since mount.
    """

    def __init__(self, flash, now_ms) -> None:
        self.ring = Ring(flash, self._write_note)
        self.books = Books()
        self.next_seq = 1
        self.acked_seq = 0
        self.lost = 0
        self.left_out = 0
        self.new = False
        self._now_ms = now_ms
        self._frame = memoryview(bytearray(FRAME))
        self._noted = 0  # acknowledged position that is in flash
        self._out = Place()
        self._out_seq = -1  # the record before _out
        self._out_tail = -1
        self._room_key: "tuple" = ()
        self._room_free = 0

    @property
    def epoch(self) -> int:
        return self.ring.epoch

    # --- mount -----------------------------------------------------------------------------------

    def mount(self, on_record=None) -> None:
        """Reads what is in flash and brings the books up to date. `on_record(Record)` gets every
        record in flash, oldest first, notes included; without it only what the books need is read.
        Raises LedgerCorrupt when a later firmware's format is there, FlashError."""
        if not self.ring.find():
            self.new = True
            self.ring.create(_new_epoch())
            self.books.epoch = self.ring.epoch
            return
        self.books.epoch = self.ring.epoch
        start, note = self._start()
        if on_record:
            place = Place(self.ring.tail)
            while place.sector != start and self.ring.step(place):
                if place.sector != start:
                    on_record(self._decode())
        place = Place(start)
        self.next_seq = self.ring.first_seq(start)
        self.acked_seq = self._noted = self.ring.first_seq(self.ring.tail) - 1
        self._replay(place, note, on_record)
        expected = self.next_seq
        self.next_seq = self.ring.settle(place, expected)
        self.lost += self.next_seq - expected
        if not self.ring.closed and self.ring.pos == FIRST:
            self._write_note()

    def _start(self) -> tuple:
        """The newest sector from which the books can be made: its note stands before everything
        that is needed. And this note, None where it has none."""
        ring = self.ring
        sector = before = ring.head
        needed = -1
        note = None
        while before >= 0:
            sector = before
            first = ring.first_seq(sector)
            note = None
            if (needed < 0 or first <= needed) and ring.step_in(Place(sector)):
                note = self._decode() if self._kind() == _BOOKS else None
                if note and note.kind == "books":
                    if needed < 0:
                        needed = note.fields["needed"] or first
                    if first <= needed:
                        break
            before = ring.neighbour(sector, -1)
        return sector, note

    def _kind(self) -> int:
        """Kind of the frame in the ring's buffer; 0 where this firmware cannot say."""
        ring = self.ring
        return ring.payload[0] if ring.plain and ring.payload else 0

    def _decode(self) -> Record:
        ring = self.ring
        return _record(ring.seq, ring.payload, ring.plain)

    def _replay(self, place: Place, note: "Record | None", on_record) -> None:
        """Applies all from `place` on; `note`: the first frame where it is decoded already.

        What says nothing is not decoded: that would be most of the time a mount takes. So do most
        kinds, a checkpoint that the next one follows, and how a session went that was closed
        then."""
        ring = self.ring
        held: "list[tuple]" = []
        lost = self.lost
        while ring.step(place):
            kind = self._kind()
            wanted = self._number(kind)
            if on_record:
                record = self._decode()
                if wanted:
                    self.books.apply(record)
                on_record(record)
            elif wanted and kind not in _SILENT:
                if lost != self.lost or len(held) > _MOST_HELD:
                    self._let_go(held)
                lost = self.lost
                if kind in _HELD:
                    if kind == _HOLD_ASKED:
                        self._let_go(held)
                    elif kind == _CHECKPOINT and held and held[-1][1][0] == kind:
                        held.pop()
                    held.append((ring.seq, bytes(ring.payload), True))
                else:
                    record = note or self._decode()
                    sess = record.fields.get("sess") if kind in _CLOSING else None
                    if sess is not None and held and held[0][1][0] == _HOLD_ASKED:
                        self.books.begin(sess, held[0][0], None)
                        held = [h for h in held if h[1][0] == _PRICED]
                    self._let_go(held)
                    self.books.apply(record)
            note = None
        self._let_go(held)

    def _let_go(self, held: list) -> None:
        for seq, payload, plain in held:
            self.books.apply(_record(seq, payload, plain))
        held.clear()

    def _number(self, kind: int) -> bool:
        """Takes the frame's number, or what a note says is acknowledged; whether the books want
        it."""
        ring = self.ring
        if kind >= NOTE:
            if ring.seq >= self.next_seq:  # it names the record before it, which did not verify
                self.lost += ring.seq + 1 - self.next_seq
                self.next_seq = ring.seq + 1
            data = ring.payload
            try:
                acked = get_u(data, get_u(data, 2)[1])[0] if kind <= _BOOKS else 0
            except (IndexError, ValueError):
                return False
            if acked > self.acked_seq:
                self.acked_seq = self._noted = acked
            return kind == _BOOKS and self.books.fresh
        if ring.seq < self.next_seq:
            return False  # written twice: the first did not verify then
        self.lost += ring.seq - self.next_seq
        self.next_seq = ring.seq + 1
        return True

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
        length = encode(self._frame[HEAD : HEAD + PAYLOAD], row, at, fields)
        self.books.refuse(kind, fields)
        need = _ROOM.get(kind, 0)
        if need and self.free_sectors() < abs(need):
            if need > 0:
                raise LedgerFull(kind)
            self.left_out += 1
            return 0
        seq = self.next_seq
        self.ring.append(self.ring.frame(self._frame, length, seq), seq, self._keep())
        self.next_seq = seq + 1
        self.books.apply(Record(seq, kind, row[2], at, fields))
        return seq

    def _write_note(self) -> None:
        """The first frame of every sector. Built in the ring's read buffer: the record that waits
        is in the other."""
        self._note(self.ring.buf, "books", self.books.note(self.acked_seq))

    def _note(self, buf, kind: str, fields: dict) -> bool:
        length = encode(buf[HEAD : HEAD + PAYLOAD], find_row(1, kind), 0, fields)
        written = self.ring.write(self.ring.frame(buf, length, self.next_seq - 1))
        if written:
            self._noted = self.acked_seq
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

    def idle(self) -> bool:
        """Housekeeping for a quiet moment: at most one erase, or one note. True when there was
        something to do."""
        if self.acked_seq - self._noted >= _ACK_STEP and not self.ring.closed:
            if self._note(self._frame, "acked", {"acked": self.acked_seq}):
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
            if ring.seq > seq and self._kind() < NOTE:
                if ring.seq > seq + 1 and seq + 1 >= ring.first_seq(ring.tail):
                    break
                self._out_seq = ring.seq
                return self._decode()
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

    def scan(self, kinds, since: int = 0):
        """Generator, newest sector first: for each a list of the records of these kinds, oldest
        first; between two lists some that are empty. `since`: sectors before that record's are
        left out.

        For searches that must not hold up the charger: a few frames a step. Meanwhile records may
        be written (those in sectors not begun yet are not seen) and the oldest sectors freed (the
        walk ends before them)."""
        ring = self.ring
        sector = ring.head if ring.tail >= 0 else -1
        while sector >= 0:
            first = ring.first_seq(sector)
            generation = ring.sectors.generation
            found: "list[Record]" = []
            place = Place(sector)
            frames = _GIVE_WAY
            while ring.step_in(place):
                if ring.plain and ring.payload and ring.payload[0] in kinds:
                    record = self._decode()
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

    def recall(self, sess: int):
        """Generator: looks for an old session's figures in flash, one sector a step, and puts them
        into the books, so that it can be refunded."""
        refunded = 0
        for found in self.scan((10, 16, 17, 24)):
            if self.books.settled(sess):
                return
            for record in found:
                f = record.fields
                if f["sess"] == sess and record.kind != "captured":
                    refunded += _given_back(record.kind, f)
            for record in found:
                f = record.fields
                if f["sess"] == sess and record.kind == "captured":
                    self.books.remember(sess, f["captured_minor"], refunded)
            yield

    def acknowledge(self, epoch: int, seq: int) -> bool:
        """The back office has everything up to `seq`. False (and nothing done) for another epoch
        or a number that was never given."""
        if epoch != self.epoch or seq >= self.next_seq or seq < 0:
            return False
        if seq > self.acked_seq:
            self.acked_seq = seq
        return True


def _record(seq: int, payload, plain: bool) -> Record:
    """Bytes that are no record (no firmware wrote them) are kept as unknown."""
    try:
        return decode(seq, payload, plain)
    except RecordError:
        return decode(seq, payload, False)


def _given_back(kind: str, f: dict) -> int:
    """What a record adds to a session's refunds: with the acquirer counts as given back."""
    amount = 0
    if f["way"] in OUTSIDE:
        if kind == "refund_sent":
            amount = f["amount_minor"]
        elif kind == "refund_failed":
            amount = -f["amount_minor"]
    elif kind == "refunded":
        amount = f["amount_minor"]
    return amount


def _new_epoch() -> int:
    return struct.unpack("<I", os.urandom(4))[0] | 1

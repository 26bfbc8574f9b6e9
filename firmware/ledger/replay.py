"""The mount: what of flash the books need, read and applied. Entered once and left again.

From the sector on that the newest `books` note names every frame is read. What says nothing is not
decoded, for that would be most of the time: most kinds, a checkpoint that the next one follows,
and how a session or a refund went that was closed then; of these only what the books keep is read.
That nothing else comes out of it than of all records: tests/pure/test_ledger_walk.py.
"""

from micropython import const

from firmware.errors import LedgerCorrupt, RecordError
from firmware.ledger.codec import NOTE, Record, decode, get_u, record_of
from firmware.ledger.ledger import new_epoch
from firmware.ledger.ring import FRAME, HEAD, Place
from firmware.ledger.sector import FIRST, RESIDUE, crc32

_HOLD_ASKED = const(2)  # kinds of schema.py
_DECLINED = const(4)
_CHECKPOINT = const(6)
_PRICED = const(9)
_CAPTURED = const(10)
_CANCELLED = const(11)
_REFUNDED = const(16)
_COMMAND = const(19)
_BOOKS = const(129)
_SILENT = b"\x01\x12\x14\x15\x19\x1d"  # say nothing to the books
# Say little once their session is closed, or their refund, and what closes that.
_HELD = b"\x02\x03\x05\x06\x07\x08\x09\x0c\x0d\x0e\x0f\x17\x18\x1c\x10\x11"
_CLOSING = b"\x04\x0a\x0b\x10\x11\x13"
_OF_REFUND = b"\x0f\x10\x11\x17\x18"
_MOST = const(32)  # twice the most that are held


def mount(ledger) -> None:
    """Brings the ledger's books and numbers up to date; an empty flash gets an epoch."""
    ring = ledger.ring
    if not ring.find():
        ledger.new = True
        ring.create(new_epoch())
        ledger.books.epoch = ring.epoch
        return
    ledger.books.epoch = ring.epoch
    start, note = _start(ledger)
    place = Place(start)
    ledger.next_seq = ring.first_seq(start)
    ledger.acked_seq = ledger.noted = ring.first_seq(ring.tail) - 1
    replay(ledger, place, note)
    expected = ledger.next_seq
    ledger.next_seq = ring.settle(place, expected)
    ledger.lost += ledger.next_seq - expected
    ledger.books.skip(ledger.next_seq - expected)
    if not ring.closed and ring.pos == FIRST:
        ledger.write_note()


def _start(ledger) -> tuple:
    """The newest sector from which the books can be made: its note stands before everything
    that is needed. And this note, None where it has none."""
    ring = ledger.ring
    sector = before = ring.head
    needed = -1
    note = None
    while before >= 0:
        sector = before
        first = ring.first_seq(sector)
        note = None
        if (needed < 0 or first <= needed) and ring.step_in(Place(sector)):
            note = ledger.decode() if ledger.kind() == _BOOKS else None
            if note and note.kind == "books":
                if needed < 0:
                    needed = note.fields["needed"] or first
                if first <= needed:
                    break
        before = ring.neighbour(sector, -1)
    return sector, note


def replay(ledger, place: Place, note: "Record | None") -> None:
    """Applies all from `place` on; `note`: the first frame where it is decoded already.

    What says nothing is not decoded: that would be most of the time a mount takes. So do most
    kinds, a checkpoint that the next one follows, and how a session or a refund went that was
    closed then. Of `held`, which is of one of them, only the places are kept: memory is
    searched longer the more is asked for."""
    ring = ledger.ring
    held: "list[int]" = []  # of each its number, then place * 32 + kind
    about: "bytes | None" = None  # the refund's id; None: a session
    now = about
    lost = ledger.lost
    while ring.step(place):
        if not ring.plain:  # what it says would be done again: numbers, commands, holds
            raise LedgerCorrupt("sector %d has a frame of a later version" % place.sector)
        kind = ring.payload[0] if ring.payload else 0
        if _number(ledger, kind) and kind not in _SILENT:
            if kind in _HELD:
                now = _text(ring.payload, 1) if kind in _OF_REFUND else None
            if lost != ledger.lost or now != about or len(held) > _MOST or kind == _HOLD_ASKED:
                _let_go(ledger, held)
                ledger.books.skip(ledger.lost - lost)
            lost = ledger.lost
            about = now
            if kind in _HELD and kind not in _CLOSING:
                if kind == _CHECKPOINT and held and held[-1] & 31 == kind:
                    del held[-2:]
                held.append(ring.seq)
                held.append((place.sector * ring.sectors.size + ring.at) << 5 | kind)
            elif kind not in _CLOSING or not _close(ledger, held, kind):
                record = note or ledger.decode()
                _let_go(ledger, held)
                ledger.books.apply(record)
        note = None
    _let_go(ledger, held)
    ledger.books.skip(ledger.lost - lost)


def _close(ledger, held: "list[int]", kind: int) -> bool:
    """The frame that was read may close the session or refund of which `held` is: then the
    books get of that only what they keep. False: the frame is still to be applied."""
    data = ledger.ring.payload
    books = ledger.books
    try:
        if kind == _COMMAND:
            at = _skip(data, 2, 1)
            counter = get_u(data, at + 1 + data[at])[0]
            books.last_counter = max(books.last_counter, counter)
        elif kind > _CANCELLED:
            _close_refund(ledger, held, kind)
        elif not held or held[1] & 31 != _HOLD_ASKED or kind == _DECLINED and len(held) > 2:
            return False
        else:
            _close_session(ledger, held, kind)
    except (IndexError, KeyError, ValueError, RecordError):
        return False
    return True


def _close_refund(ledger, held: "list[int]", kind: int) -> None:
    data = ledger.ring.payload
    if kind == _REFUNDED:
        f = {"refund": str(_text(data, 1), "utf-8")}
        at = _skip(data, 2, 1)
        f["sess"], at = get_u(data, at + 1 + data[at])
        f["amount_minor"], at = get_u(data, at)
        end = at + 1 + data[at]
        f["way"] = str(bytes(data[at + 1 : end]), "utf-8")
        f["credit_no"] = get_u(data, _skip(data, end, 2))[0]
        record = Record(ledger.ring.seq, "refunded", 1, 0, f)
    else:
        record = decode(ledger.ring.seq, data)
    if held:
        ledger.books.asked[record.fields["refund"]] = held[0], record.fields
        held.clear()
    ledger.books.apply(record)


def _close_session(ledger, held: "list[int]", kind: int) -> None:
    ring = ledger.ring
    books = ledger.books
    data = ring.payload
    sess, at = get_u(data, _skip(data, 2, 1))
    f = {"sess": sess}
    if kind == _CAPTURED:
        f["captured_minor"], at = get_u(data, at)
        f["released_minor"], at = get_u(data, at)
        f["how"] = str(_text(data, 6), "utf-8")
    books.begin(sess, held[0], None)
    record = Record(ring.seq, "priced", 1, 0, f)
    for i in range(1, len(held), 2):
        if held[i] & 31 == _PRICED:
            data = _again(ledger, held[i - 1], held[i])
            at = _skip(data, 2, 2)
            f["receipt_no"] = get_u(data, at)[0]
            f["total_minor"] = get_u(data, _skip(data, at, 7))[0]
            books.apply(record)
    held.clear()
    record.kind = "captured"
    if kind == _CAPTURED:
        books.apply(record)
    books.open = None


def _again(ledger, seq: int, at: int):
    """The payload of a frame that was read before; of the newest, whose last bits may be weak,
    what is in the ring's buffer still."""
    ring = ledger.ring
    s = ring.sectors
    off = (at >> 5) % s.size
    buf = ledger.frame[: min(FRAME, s.size - off)]
    s.read((at >> 5) // s.size, off, buf)
    n = HEAD + (buf[2] | buf[3] << 8)
    if crc32(buf[: n + 4]) == RESIDUE:
        return buf[HEAD:n]
    return ring.payload if off == ring.at and seq == ring.seq else buf[:0]


def _let_go(ledger, held: "list[int]") -> None:
    for i in range(0, len(held), 2):
        ledger.books.apply(record_of(held[i], _again(ledger, held[i], held[i + 1]), True))
    held.clear()


def _number(ledger, kind: int) -> bool:
    """Takes the frame's number, or what a note says is acknowledged; whether the books want
    it."""
    ring = ledger.ring
    if kind >= NOTE:
        return _noticed(ledger, kind)
    if ring.seq < ledger.next_seq:
        return False  # written twice: the first did not verify then
    ledger.lost += ring.seq - ledger.next_seq
    ledger.next_seq = ring.seq + 1
    return True


def _noticed(ledger, kind: int) -> bool:
    ring = ledger.ring
    if ring.seq >= ledger.next_seq:  # it names the record before it, which did not verify
        ledger.lost += ring.seq + 1 - ledger.next_seq
        ledger.next_seq = ring.seq + 1
    try:
        acked = get_u(ring.payload, _skip(ring.payload, 2, 1))[0] if kind <= _BOOKS else 0
    except (IndexError, ValueError):
        return False
    if acked > ledger.acked_seq:
        ledger.acked_seq = ledger.noted = acked
    return kind == _BOOKS and ledger.books.fresh


def _skip(data, at: int, count: int) -> int:
    """The place behind so many numbers of a payload. IndexError: these are none."""
    while count:
        count -= data[at] < 0x80
        at += 1
    return at


def _text(data, numbers: int) -> bytes:
    """The text of a payload behind so many numbers; empty when there is none."""
    try:
        at = _skip(data, 2, numbers)
        return bytes(data[at + 1 : at + 1 + data[at]])
    except IndexError:
        return b""

# A walk through the flash gives way, and the ring may change meanwhile. On CPython and both
# MicroPython builds.
import asyncio
import struct
from binascii import crc32

from board.host_flash import FileFlash
from firmware.errors import LedgerCorrupt
from firmware.ledger import books, replay
from firmware.ledger.codec import NOTE
from firmware.ledger.ledger import Ledger
from firmware.ledger.ring import HEAD, Place
from firmware.orders import refund as refund_order
from firmware.orders import start as start_order
from tests.ledger import ledger_units as units
from tests.ledger.ledger_rows import ROWS
from tests.ledger.ledger_units import FULL_OF
from tests.pure.test_ledger_ring import ledger_on, session

HOLD_ASKED = 2
CAPTURED = 10


class Counted:
    """Frames that are read, and the most of them in one piece."""

    def __init__(self, ledger):
        self.frames = self.piece = self.most = 0
        self._step = ledger.ring.step_in
        ledger.ring.step_in = self.step_in

    def step_in(self, place):
        self.frames += 1
        self.piece += 1
        self.most = max(self.most, self.piece)
        return self._step(place)

    def new_piece(self):
        self.piece = 0


class App:
    def __init__(self, ledger):
        self.ledger = ledger


IMAGES: dict = {}  # of ledgers that were filled once


def filled(sessions=12):
    """A ledger of 16 sectors with so many sessions, which has just been mounted."""
    flash = FileFlash(sectors=16)
    if sessions in IMAGES:
        flash.load(IMAGES[sessions])
        return ledger_on(flash)
    ledger = ledger_on(flash)
    for number in range(1, sessions + 1):
        session(ledger, number, checkpoints=30)
    IMAGES[sessions] = flash.image()
    return ledger_on(flash)


async def beside(work, look):
    """Runs `work` beside a task that calls `look()` whenever it may; how often that was."""
    turns = 0

    async def others():
        nonlocal turns
        while True:
            look()
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    found = await work
    task.cancel()
    return found, turns


def test_a_walk_reads_few_frames_in_one_piece():
    ledger = filled()
    counted = Counted(ledger)
    for _ in ledger.scan((HOLD_ASKED,)):
        counted.new_piece()
    assert counted.frames > 12 * 30
    assert counted.most <= 18  # and the end of a sector


def finders(text):
    return (
        lambda ledger: start_order.find(App(ledger), text),
        lambda ledger: refund_order.find(ledger, text),
    )


def test_orders_leave_the_loop_to_the_others_where_an_id_stands_everywhere():
    for work in finders("SDM-1"):  # the meter's serial number, in every session
        ledger = filled()
        counted = Counted(ledger)
        found, turns = asyncio.run(beside(work(ledger), counted.new_piece))
        assert not found
        assert counted.frames > 12 * 30 and turns >= counted.frames // 18
        assert counted.most <= 2 * 18, counted.most


def test_an_id_that_was_not_used_costs_no_frame():
    for work in finders("not there"):
        ledger = filled()
        counted = Counted(ledger)
        found, turns = asyncio.run(beside(work(ledger), counted.new_piece))
        assert not found and not counted.frames
        assert turns >= 5  # at each of its sectors


def refused_remotely(ledger, remote):
    number = ledger.books.next_session
    ledger.append(
        "hold_asked", sess=number, hold_minor=5000, currency="EUR", tariff="T1", tariff_crc=1,
        method="app", connector=1, reference="", uid_hash="", remote=remote,
    )  # fmt: skip
    ledger.append("cancelled", sess=number, released_minor=5000, receipt=0, reason="")
    return number


def test_bytes_are_found_wherever_in_a_sector_they_stand():
    flash = FileFlash(sectors=10)
    ring = ledger_on(flash).ring
    blank = bytes([255]) * 4096
    for length in (2, 37, 256):
        text = bytes([n & 0x7F for n in range(length)])
        last = 4096 - length
        places = {64, 65, last - 1, last}
        for end in range(64, 4096, 1025 - length):  # where one piece ends and the next begins
            for piece in (end, end + 1024):
                places.update(range(max(piece - length - 1, 64), min(piece + 2, last), 3))
        for at in places:
            flash.load(blank * 3 + blank[:at] + text + blank[at + length :] + blank * 6)
            assert ring.contains(3, text), (length, at)
            assert not ring.contains(3, text + b"\x00")
            assert not ring.contains(2, text)


def test_an_id_is_found_in_every_session():
    for length in (3, 64):
        ledger = ledger_on(FileFlash(sectors=10))
        there: dict = {}
        while ledger.ring.head != 2:
            remote = ("%d-" % len(there) + "abcdefgh" * 8)[:length]
            there[remote] = refused_remotely(ledger, remote)
        assert len(there) > 40
        for remote in there:
            found = asyncio.run(start_order.find(App(ledger), remote))
            assert found["sess"] == there[remote], remote
        assert not asyncio.run(start_order.find(App(ledger), "abc"))


def test_only_a_whole_id_is_one():
    ledger = filled(2)
    number = refused_remotely(ledger, "page-0012")
    units.given_back(ledger)
    refund = "R-2026-11-29-%d" % (ledger.next_seq - 5)
    for remote in ("page-001", "age-0012", "page-0012 ", "\x09page-0012", "0012", "card", "S1"):
        assert not asyncio.run(start_order.find(App(ledger), remote)), remote
        assert not asyncio.run(refund_order.find(ledger, remote)), remote
    assert asyncio.run(start_order.find(App(ledger), "page-0012"))["sess"] == number
    assert asyncio.run(refund_order.find(ledger, refund)).kind == "refunded"
    assert not asyncio.run(start_order.find(App(ledger), refund))
    assert not asyncio.run(refund_order.find(ledger, refund[:-1]))


def test_an_id_of_a_sector_that_was_freed_is_not_found():
    ledger = filled(2)
    refused_remotely(ledger, "page-1")
    old = ledger.ring.head
    assert asyncio.run(start_order.find(App(ledger), "page-1"))
    while ledger.ring.tail != (old + 1) % 16:
        session(ledger, ledger.books.next_session, checkpoints=30)
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
    assert ledger.ring.contains(old, b"\x06page-1") == (ledger.ring.head != old)
    assert not asyncio.run(start_order.find(App(ledger), "page-1"))


def test_sectors_that_are_freed_meanwhile_end_the_walk_and_nothing_comes_twice():
    for after in range(1, 24):
        ledger = filled()
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
        began = ledger.next_seq
        seen: list = []
        for step, found in enumerate(ledger.scan((CAPTURED,))):
            seen = [record.seq for record in found] + seen
            if step == after:  # once round: all there was is gone
                while ledger.ring.first_seq(ledger.ring.tail) < began:
                    session(ledger, ledger.books.next_session, checkpoints=30)
                    ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
        assert seen == sorted(set(seen)), (after, seen)


def test_the_oldest_sector_may_go_while_the_walk_is_elsewhere():
    ledger = filled()
    ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
    for number in range(13, 26):
        session(ledger, number, checkpoints=30)
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
    there = [record.fields["sess"] for record in ledger.recent("captured", 100)]
    seen: list = []
    for step, found in enumerate(ledger.scan((CAPTURED,))):
        seen = [record.fields["sess"] for record in found] + seen
        if step == 2:
            before = ledger.ring.tail
            while ledger.ring.tail == before:
                ledger.append("boot", firmware="1", reason="", safe=0)
                ledger.idle()
    assert len(seen) >= len(there) - 2
    assert seen == sorted(there)[-len(seen) :]


def test_what_is_written_on_a_refund_during_the_walk_is_what_is_said():
    ledger = filled()
    ledger.append("refund_asked", refund="R1", sess=12, amount_minor=5, way="acquirer",
                  reason="goodwill", command="")  # fmt: skip
    for number in range(13, 20):
        session(ledger, number, checkpoints=30)
    turns = [0]

    def others():
        turns[0] += 1
        if turns[0] == 6:
            ledger.append("refund_sent", refund="R1", sess=12, amount_minor=5, way="acquirer",
                          receipt=0, trace=0)  # fmt: skip

    found, _ = asyncio.run(beside(refund_order.find(ledger, "R1"), others))
    assert turns[0] > 6 and found.kind == "refund_sent"


def known(ledger):
    b = ledger.books
    out = [ledger.next_seq, ledger.acked_seq, ledger.lost, b.asked, b._settled, b._refunds]
    out += [b.next_session, b.next_receipt, b.next_credit, b.last_counter]
    out += [b.eod_count, b.eod_captured, b.eod_refunded]
    if b.open:
        o = b.open
        out += [o.sess, o.seq, o.last, o.hold, o.authorised, o.energising, o.checkpoint]
        out += [o.power_off, o.priced, o.amount_minor, o.periods, o.attempts, o.owed_at]
    return out


def apply_all(ledger, place, _note):
    while ledger.ring.step(place):
        if replay._number(ledger, ledger.kind()):
            ledger.books.apply(ledger.decode())


def every(flash):
    """A mount that applies every record that is in flash from where it begins."""
    ledger = Ledger(flash, lambda: 0)
    kept, replay.replay = replay.replay, apply_all
    try:
        replay.mount(ledger)
    finally:
        replay.replay = kept
    return ledger


ALL = list(FULL_OF.values())
ALL += [units.above_price, units.handed_over, units.many_ordered, units.day]


def test_a_mount_knows_the_same_whether_it_decodes_every_record_or_not():
    """Cut after any number of records of one kind of session or refund, after others."""
    cut = FileFlash(sectors=16)
    for work in ALL:
        ledger = filled(2)
        units.given_back(ledger)
        units.by_acquirer(ledger)
        written = ledger.append
        flash = ledger.ring.sectors.flash
        records = [0]

        def look(flash=flash, work=work, records=records):
            cut.load(flash.image())
            assert known(ledger_on(cut)) == known(every(cut)), (work, records[0])

        def append(kind, look=look, written=written, records=records, **fields):
            if records[0] < 16 or records[0] % 5 == 1:
                look()
            records[0] += 1
            return written(kind, **fields)

        ledger.append = append
        for again in (work, work, units.shortest, work):
            if again is work or not ledger.books.open:
                again(ledger)
        look()
        assert records[0] > 3


def test_a_mount_knows_the_same_of_everything_mixed():
    for seed in range(40):
        rng = seed * 2654435761 & 0xFFFFFFFF
        ledger = filled(2)
        for _ in range(30):
            rng = (rng * 1103515245 + 12345) & 0x7FFFFFFF
            work = ALL[(rng >> 16) % len(ALL)]
            if work is not units.charging and not ledger.books.open:
                work(ledger)
        if seed % 3 == 0:
            units.charging(ledger)
        flash = ledger.ring.sectors.flash
        found = known(ledger_on(flash))
        assert found == known(every(flash)), seed
        assert found[3:] == known(ledger)[3:], seed


def in_a_later_version(flash, since):
    """The frames of the first sector from number `since` on become such of version 2; how many
    these are."""
    image = bytearray(flash.image())
    at = 64
    changed = 0
    while image[at] == 0xA7:
        end = at + 12 + (image[at + 2] | image[at + 3] << 8)
        if struct.unpack_from("<Q", image, at + 4)[0] >= since:
            image[at + 1] += 1
            struct.pack_into("<I", image, end, crc32(image[at:end]))
            changed += 1
        at = end + 4 + -end % 4
    flash.load(bytes(image))
    return changed


def test_a_ring_with_frames_of_a_later_version_is_left_alone():
    """All of them are, or those that a newer firmware added to a sector that an older one had
    begun: their numbers, the hold and the command would be given and obeyed again."""
    for begun in (0, 1, 3):
        flash = FileFlash(sectors=12)
        ledger = ledger_on(flash)
        for number in range(1, begun + 1):
            session(ledger, number)
        since = ledger.next_seq if begun else 0
        units.command(ledger)
        units.approved(ledger)
        ledger.append("energising", sess=begun + 1, register_wh=0, serial="S")
        assert ledger.ring.head == ledger.ring.tail == 0
        assert in_a_later_version(flash, since) >= 4
        image = flash.image()
        try:
            ledger_on(flash)
            raise AssertionError
        except LedgerCorrupt as e:
            assert "later version" in str(e)
        assert flash.image() == image


def asked(ledger, refund, way):
    ledger.append("refund_asked", refund=refund, sess=1, amount_minor=1, way=way, reason="",
                  command="")  # fmt: skip


def test_a_refund_without_a_name_closes_no_session():
    ledger = filled(1)
    units.approved(ledger)
    asked(ledger, "", "reversal")
    ledger.append("refunded", refund="", sess=1, amount_minor=1, way="reversal", receipt=1,
                  trace=1, credit_no=1, receipt_no=1, net_minor=1, vat_minor=0,
                  lines=[])  # fmt: skip
    flash = ledger.ring.sectors.flash
    assert ledger_on(flash).books.open.sess == ledger.books.open.sess == 2
    assert known(ledger_on(flash)) == known(every(flash))


def test_what_closes_a_refund_and_cannot_be_read_is_no_end_of_the_mount():
    for payload in (b"\x11\x00\x00\x01A\x01\x00\x00", b"\x11"):
        ledger = filled(1)
        asked(ledger, "A", "reversal")
        ledger.frame[HEAD : HEAD + len(payload)] = payload
        seq = ledger.next_seq
        ledger.ring.append(ledger.ring.frame(ledger.frame, len(payload), seq), seq, 1)
        flash = ledger.ring.sectors.flash
        again = ledger_on(flash)
        assert again.next_seq == seq + 1 and list(again.books.asked) == ["A"]
        assert known(again) == known(every(flash))


def test_a_frame_that_cannot_be_read_again_is_not_taken_for_one_of_another_sector():
    ledger = filled(4)
    sectors = ledger.ring.sectors
    place = Place(1)
    assert ledger.ring.step_in(place)
    seq = ledger.ring.first_seq(0) - 1
    image = bytearray(sectors.flash.image())
    assert bytes(replay._again(ledger, seq, 64 << 5)) == bytes(image[76 : 76 + image[66]])
    image[80] ^= 8
    sectors.flash.load(bytes(image))
    assert ledger.ring.step_in(Place(1)) and ledger.ring.at == 64
    assert not len(replay._again(ledger, seq, 64 << 5))
    here = (sectors.size + 64) << 5
    image[sectors.size + 80] ^= 8
    sectors.flash.load(bytes(image))
    assert len(replay._again(ledger, ledger.ring.seq, here)), "it is in the buffer still"


def test_what_is_not_decoded_says_nothing_to_the_books():
    for row in ROWS:
        says = row[1] in books._OF_SESSION or row[1] in books._HANDLERS
        if row[0] < NOTE:
            assert says != (row[0] in replay._SILENT), row[1]

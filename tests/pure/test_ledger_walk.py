# A walk through the flash gives way, and the ring may change meanwhile. On CPython and both
# MicroPython builds.
import asyncio

from board.host_flash import FileFlash
from firmware.ledger import books
from firmware.ledger.codec import NOTE
from firmware.ledger.ledger import _SILENT
from firmware.orders import refund as refund_order
from firmware.orders import start as start_order
from tests.ledger.ledger_rows import ROWS
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


def filled(sessions=12, sectors=16):
    ledger = ledger_on(FileFlash(sectors=sectors))
    for number in range(1, sessions + 1):
        session(ledger, number, checkpoints=30)
    return ledger


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


def test_orders_leave_the_loop_to_the_others():
    for work in (
        lambda ledger: start_order.find(App(ledger), "not there"),
        lambda ledger: refund_order.find(ledger, "not there"),
    ):
        ledger = filled()
        counted = Counted(ledger)
        found, turns = asyncio.run(beside(work(ledger), counted.new_piece))
        assert not found
        assert counted.frames > 12 * 30 and turns >= counted.frames // 18
        assert counted.most <= 2 * 18, counted.most


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


class Stop(Exception):
    pass


def test_a_mount_knows_the_same_whether_it_reads_every_record_or_not():
    for records in (1, 2, 3, 4, 5, 9, 40, 41, 75, 105, 106, 107, 108):
        ledger = filled(2)
        written = ledger.append
        left = [records]

        def append(kind, written=written, left=left, **fields):
            if not left[0]:
                raise Stop
            left[0] -= 1
            return written(kind, **fields)

        ledger.append = append
        try:
            session(ledger, 3, checkpoints=100)
            session(ledger, 4, checkpoints=100)
        except Stop:
            pass
        flash = ledger.ring.sectors._flash
        every: list = []
        ledger = ledger_on(flash)
        short = known(ledger)
        ledger.__init__(flash, ledger._now_ms)
        ledger.mount(every.append)
        assert short == known(ledger), records
        assert len(every) > len([1 for record in every if record.kind == "checkpoint"])


def test_what_is_not_decoded_says_nothing_to_the_books():
    for row in ROWS:
        says = row[1] in books._OF_SESSION or row[1] in books._HANDLERS
        if row[0] < NOTE:
            assert says != (row[0] in _SILENT), row[1]

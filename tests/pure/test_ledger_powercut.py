# The power cut at every byte of every program of a session with a refund, and during erases; and
# again while the ledger comes back. After each: what append returned for is there, what it did not
# return for is there whole or not at all, the books agree with the records, and writing goes on.
import gc

from board.host_flash import FileFlash, PowerCut
from firmware.ledger.ledger import Ledger
from tests.pure.test_ledger_ring import clock, ledger_on, session

SECTORS = 12


def script(number):
    """One session with checkpoints, a failed settlement and a refund, as (kind, fields)."""
    return (
        (
            "hold_asked",
            {
                "sess": number,
                "hold_minor": 5000,
                "currency": "EUR",
                "tariff": "T1",
                "tariff_crc": 7,
                "method": "card",
                "connector": 1,
                "reference": "S",
                "uid_hash": "ab",
                "remote": "",
            },
        ),
        (
            "authorised",
            {
                "sess": number,
                "amount_minor": 5000,
                "receipt": 3,
                "trace": 17,
                "terminal_id": "52500041",
                "vu": "100",
                "auth_code": "1",
                "pan": "*1234",
                "card": "Visa",
            },
        ),
        ("energising", {"sess": number, "register_wh": 1000, "serial": "SDM"}),
        (
            "checkpoint",
            {"sess": number, "register_wh": 1400, "elapsed_ms": 30000, "state": [1, -2, 300000]},
        ),
        ("power_off", {"sess": number, "register_wh": 1900, "elapsed_ms": 99000, "reason": "tap"}),
        (
            "priced",
            {
                "sess": number,
                "receipt_no": number,
                "start_at": 5,
                "end_at": 6,
                "start_wh": 1000,
                "end_wh": 1900,
                "billed_wh": 900,
                "elapsed_ms": 99000,
                "total_minor": 441,
                "net_minor": 371,
                "vat_minor": 70,
                "currency": "EUR",
                "lines": [1, 900, 4900, 1900, 441],
                "reason": "tap",
                "vat": [],
            },
        ),
        ("settle_failed", {"sess": number, "attempt": 1, "code": 0, "text": "no answer"}),
        (
            "captured",
            {
                "sess": number,
                "captured_minor": 441,
                "released_minor": 4559,
                "receipt": 3,
                "trace": 18,
                "how": "release",
            },
        ),
        (
            "refund_asked",
            {
                "refund": "R%d" % number,
                "sess": number,
                "amount_minor": 100,
                "way": "card",
                "reason": "",
                "command": "c1",
            },
        ),
        (
            "refunded",
            {
                "refund": "R%d" % number,
                "sess": number,
                "amount_minor": 100,
                "way": "card",
                "receipt": 4,
                "trace": 19,
                "credit_no": number,
                "receipt_no": number,
                "net_minor": 84,
                "vat_minor": 16,
                "lines": [190000, 84, 16, 100],
            },
        ),
    )


class Counted(FileFlash):
    """Keeps the length of every program and erase (negative)."""

    lengths: tuple = ()

    def writeblocks(self, n, buf, off=0):
        self.lengths = self.lengths + (len(buf),)
        FileFlash.writeblocks(self, n, buf, off)

    def ioctl(self, op, n):
        if op == 6:
            self.lengths = self.lengths + (-self.sector_size,)
        return FileFlash.ioctl(self, op, n)


def shortest():
    """The last records of a session that began when there was just room for one, and lasted so
    long that it left out what it could: flash, ledger, the session's number."""
    flash = FileFlash(sectors=SECTORS)
    ledger = ledger_on(flash)
    number = 1
    while ledger.room_for_session():
        session(ledger, number)
        number += 1
    acked = 0
    while not ledger.room_for_session():
        acked += 1
        ledger.acknowledge(ledger.epoch, acked)
    for kind, fields in script(number)[:4]:
        ledger.append(kind, **fields)
    while ledger.append("checkpoint", sess=number, register_wh=1500, elapsed_ms=40000, state=[1]):
        pass
    while ledger.append("period", sess=number, start_ms=0, end_ms=1, energy_mwh=0, charging_ms=1,
                        parking_ms=0, min_ma=0, max_ma=0, min_w=0, max_w=0):  # fmt: skip
        pass
    return flash, ledger, number


def operations(flash, name, fields):
    """How many programs and erases it takes to write this record after a start."""
    twin = FileFlash(sectors=SECTORS)
    twin.load(flash.image(), flash.state())
    ledger = ledger_on(twin)
    before = twin.ops
    ledger.append(name, **fields)
    return twin.ops - before


def test_a_write_that_is_torn_time_after_time_costs_one_sector_and_no_more():
    """Cuts in the record, in the note of the sector that was begun for it, in its erase."""
    for kind in ("power_off", "priced", "captured"):
        flash, ledger, number = shortest()
        free = ledger.free_sectors()
        assert free == 2
        kinds = []
        for name, fields in script(number)[4:8]:
            if name == "settle_failed":
                continue
            fields = dict(fields)
            if name == "priced":
                fields["receipt_no"] = number
            before = ledger.next_seq
            for i in range(12 if name == kind else 0):
                flash.cut_at_op = i % operations(flash, name, fields)
                try:
                    ledger.append(name, **fields)
                    raise AssertionError("no cut")
                except PowerCut:
                    flash.power_on()
                ledger = ledger_on(flash)
                assert ledger.next_seq == before
                assert ledger.free_sectors() >= free - 1, (kind, i)
            ledger.append(name, **fields)
            kinds.append(name)
        assert kinds[-1] == "captured" and ledger.books.open is None
        assert ledger.books.settled(number) == (number, 441, 0)
        seqs = []
        record = ledger.read_after(ledger.acked_seq)
        while record:
            seqs.append(record.seq)
            assert record.kind != "lost"
            record = ledger.read_after(record.seq)
        assert seqs == list(range(ledger.acked_seq + 1, ledger.next_seq))
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
        session(ledger, number + 1)


def cuts_of(lengths, every, first):
    """Where to cut: every `every`-th byte of programs, five places of each erase."""
    begin = 0
    for length in lengths:
        if length < 0:
            for at in (0, 1, 50, -length // 2, -length - 1):
                yield begin + at
        else:
            for at in range(first % every, length, every):
                yield begin + at
        begin += abs(length)


def filled():
    """A flash on which the ring has gone round, with `left` bytes or less in the sector in use and
    the next one to be erased first: it holds old, acknowledged records."""
    flash = FileFlash(sectors=SECTORS)
    ledger = ledger_on(flash)
    number = 0
    while flash.erased < SECTORS + 2:
        number += 1
        ledger.acknowledge(ledger.epoch, session(ledger, number, checkpoints=12))
    while ledger.ring.sectors.size - ledger.ring.pos > 300:
        ledger.acknowledge(ledger.epoch, ledger.append("security", code="x", detail=""))
    return flash, ledger, number


class Model:
    """What must be in flash: texts of all records that are not acknowledged."""

    def __init__(self, ledger):
        self.acked = ledger.acked_seq
        self.texts = []
        self.epoch = ledger.epoch

    def text_of(self, ledger, kind, fields):
        from firmware.ledger.codec import Record, find_row

        if not kind:
            return ""
        seq = self.acked + len(self.texts) + 1
        return Record(seq, kind, find_row(1, kind)[2], clock(), fields).to_json(self.epoch)


def check(flash, model, maybe):
    """The records and books after a restart; `maybe` is the record that was being written. True
    when it is there."""
    ledger = ledger_on(flash)
    assert ledger.epoch == model.epoch and ledger.lost == 0
    texts = []
    seq = model.acked
    while True:
        record = ledger.read_after(seq)
        if record is None:
            break
        seq = record.seq
        texts.append(record.to_json(ledger.epoch))
    there = texts == model.texts + [maybe]
    assert there or texts == model.texts, (texts, model.texts)
    assert ledger.acked_seq <= model.acked < ledger.next_seq
    assert ledger.books.faults == 0, ledger.books.fault
    return there


def restored(image, state, model, seed=1):
    flash = Counted(sectors=SECTORS, seed=seed)
    flash.load(image, state)
    ledger = ledger_on(flash)
    ledger.acknowledge(model.epoch, model.acked)
    flash.lengths = ()
    return flash, ledger


def cut_one(image, state, model, step, cut, double):
    """Does one step with the power cut after `cut` bytes, and in the next mount when `double`. 1
    when that called the record lost."""
    kind, fields = step
    flash, ledger = restored(image, state, model, cut + 1)
    maybe = model.text_of(ledger, kind, fields)
    flash.whole_tears = cut % 2 == 1
    flash.page_tears = cut % 3 == 1
    flash.cut_after_bytes = cut
    try:
        do(ledger, step)
        raise AssertionError("not cut")
    except PowerCut:
        flash.power_on()
    if double:
        flash.cut_after_bytes = cut % 60
        try:
            Ledger(flash, clock).mount()
        except PowerCut:
            pass
        flash.power_on()
        ledger = ledger_on(flash)
        if ledger.lost:
            return called_lost(flash, ledger, model, step)
    there = check(flash, model, maybe)
    ledger = ledger_on(flash)
    ledger.acknowledge(model.epoch, model.acked)
    if kind and not there:
        ledger.append(kind, **fields)
    there = check(flash, model, maybe)
    assert there or not kind
    assert check(flash, model, maybe) == there  # bits that are neither 0 nor 1 change nothing
    return 0


def called_lost(flash, ledger, model, step):
    """The limit in docs/reliability.md: cut in a record's last byte, and again in the first byte
    of the mark that closes it. Its number is left out; all else is there, and it is written
    behind.
    """
    kind, fields = step
    at = model.acked + len(model.texts) + 1
    if kind == "priced":  # a receipt's number is left out as well
        fields = dict(fields, receipt_no=ledger.books.next_receipt)
    assert ledger.append(kind, **fields) == at + 1
    ledger = ledger_on(flash)
    assert ledger.lost <= 1 and ledger.books.faults == 0
    texts = []
    record = ledger.read_after(model.acked)
    while record:
        texts.append(record.to_json(ledger.epoch) if record.seq < at else record.kind)
        record = ledger.read_after(record.seq)
    rest = texts[len(model.texts) :]
    assert texts[: len(model.texts)] == model.texts
    assert rest in (["lost", kind], [kind, kind]), rest  # the mark's bit reads as it likes
    return 1


def do(ledger, step):
    kind, fields = step
    if kind:
        ledger.append(kind, **fields)
    else:
        ledger.idle()


def campaign(steps, every, double=False):
    """Cuts each step at every `every`-th byte of what it programs, and at five places in each
    erase. The number of cuts."""
    if hasattr(gc, "freeze"):
        gc.freeze()  # CPython: what the tests hold is not looked through at every mount
    flash, ledger, number = filled()
    model = Model(ledger)
    cuts = lost = 0
    for step in steps(number + 1):
        image, state = flash.image(), flash.state()
        counted, ledger = restored(image, state, model)
        do(ledger, step)
        for cut in cuts_of(counted.lengths, every, cuts):
            lost += cut_one(image, state, model, step, cut, double)
            cuts += 1
        ledger = ledger_on(flash)
        ledger.acknowledge(model.epoch, model.acked)
        if step[0]:
            model.texts.append(model.text_of(ledger, step[0], step[1]))
        do(ledger, step)
    assert lost * 100 <= cuts, (lost, cuts)
    return cuts


def with_idle(number):
    """The script with the next sector erased in a quiet moment before it is needed."""
    return (("", {}),) + script(number)


def test_power_cut_at_many_bytes_of_a_session_with_refund():
    assert campaign(script, 23) > 30


def test_power_cut_with_the_next_sector_erased_in_advance_and_cut_again_at_mount():
    assert campaign(with_idle, 23, double=True) > 30


def test_a_sector_that_takes_nothing_more_after_a_torn_write_is_not_given_back():
    """It would be found again as the newest one, and what was written after it erased."""
    for errors in (False, True):
        flash = FileFlash(sectors=SECTORS)
        ledger = ledger_on(flash)
        alarm = {"code": "x", "sess": 0, "detail": "y" * 200}
        while ledger.ring.head != 2 or ledger.ring.fits(240):
            ledger.append("alarm", **alarm)
        flash.cut_at_op = operations(flash, "alarm", alarm) - 1
        try:
            ledger.append("alarm", **alarm)
            raise AssertionError("no cut")
        except PowerCut:
            flash.power_on()
        flash.set_stuck(3, errors)
        ledger = ledger_on(flash)
        first = ledger.next_seq
        seqs = [ledger.append("alarm", **alarm) for _ in range(3)]
        assert seqs == [first, first + 1, first + 2]
        ledger = ledger_on(flash)
        assert ledger.next_seq == first + 3 and ledger.lost == 0
        assert ledger.append("alarm", **alarm) == first + 3
        record = ledger.read_after(0)
        found = []
        while record:
            assert record.kind == "alarm"
            found.append(record.seq)
            record = ledger.read_after(record.seq)
        assert found == list(range(1, first + 4))

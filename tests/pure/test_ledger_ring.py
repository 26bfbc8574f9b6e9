# The ledger on a flash in memory: what is written is read, in order, through wraps, restarts and
# bad sectors.
from board.host_flash import FileFlash
from firmware.errors import FlashError, LedgerCorrupt, LedgerFull, RecordError
from firmware.ledger.books import BooksError
from firmware.ledger.ledger import Ledger
from firmware.ledger.refunds import recall


def clock():
    return 1763800000000


def ledger_on(flash):
    ledger = Ledger(flash, clock)
    ledger.mount()
    return ledger


def session(ledger, number, checkpoints=3, total=1234):
    ledger.append(
        "hold_asked",
        sess=number,
        hold_minor=5000,
        currency="EUR",
        tariff="T1",
        tariff_crc=4000000000,
        method="card",
        connector=1,
        reference="S%d" % number,
        uid_hash="ab12",
        remote="",
    )
    ledger.append(
        "authorised",
        sess=number,
        amount_minor=5000,
        receipt=number,
        trace=17,
        terminal_id="52500041",
        vu="100",
        auth_code="123456",
        pan="************1234",
        card="Visa",
    )
    ledger.append("energising", sess=number, register_wh=1000 * number, serial="SDM-1")
    for i in range(checkpoints):
        ledger.append(
            "checkpoint",
            sess=number,
            register_wh=1000 * number + i,
            elapsed_ms=30000 * i,
            state=[1, -2, 300000, 4000000000, 5],
        )
    ledger.append(
        "power_off",
        sess=number,
        register_wh=1000 * number + 900,
        elapsed_ms=99000,
        reason="unplug",
    )
    ledger.append(
        "priced",
        sess=number,
        receipt_no=ledger.books.next_receipt,
        start_at=clock(),
        end_at=clock() + 99000,
        start_wh=1000 * number,
        end_wh=1000 * number + 900,
        billed_wh=900,
        elapsed_ms=99000,
        total_minor=total,
        net_minor=total - 200,
        vat_minor=200,
        currency="EUR",
        lines=[1, 900, 4900, 1900, total],
        reason="unplug",
        vat=[],
    )
    return ledger.append(
        "captured",
        sess=number,
        captured_minor=total,
        released_minor=5000 - total,
        receipt=number,
        trace=18,
        how="release",
    )


def records(ledger, after=0):
    out: list = []
    while True:
        record = ledger.read_after(after)
        if record is None:
            return out
        assert record.seq == after + 1, (record.seq, after)
        after = record.seq
        out.append(record)


def test_new_flash_gets_an_epoch_that_stays():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    assert ledger.new and ledger.epoch > 0
    assert ledger.append("boot", firmware="0.1", reason="power", safe=0) == 1
    again = ledger_on(flash)
    assert (again.epoch, again.next_seq, again.new) == (ledger.epoch, 2, False)


def test_records_come_back_as_written_after_a_restart():
    flash = FileFlash(sectors=12)
    session(ledger_on(flash), 1)
    ledger = ledger_on(flash)
    got = records(ledger)
    assert [r.kind for r in got] == [
        "hold_asked",
        "authorised",
        "energising",
        "checkpoint",
        "checkpoint",
        "checkpoint",
        "power_off",
        "priced",
        "captured",
    ]
    assert got[0].fields["tariff_crc"] == 4000000000
    assert got[4].fields["state"] == [1, -2, 300000, 4000000000, 5]
    assert got[0].at == clock() and got[7].fields["lines"] == [1, 900, 4900, 1900, 1234]
    assert ledger.books.settled(1) == (1, 1234, 0) and ledger.books.open is None
    assert (ledger.books.next_session, ledger.books.next_receipt) == (2, 2)


def test_ring_goes_round_and_wear_is_spread():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    for number in range(1, 301):
        assert ledger.room_for_session()
        last = session(ledger, number)
        assert ledger.acknowledge(ledger.epoch, last)
        while ledger.idle():
            pass
        if number % 37 == 0:
            ledger = ledger_on(flash)
            assert ledger.next_seq == last + 1 and ledger.books.next_session == number + 1
            assert last - ledger.acked_seq < 64
            assert ledger.acknowledge(ledger.epoch, last)
    wear = [flash.wear(n) for n in range(12)]
    assert min(wear) >= 3 and max(wear) - min(wear) <= 1, wear


def test_nothing_is_overwritten_before_it_is_acknowledged():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    number = 1
    while ledger.room_for_session():
        session(ledger, number)
        number += 1
    try:
        session(ledger, number)
        raise AssertionError
    except LedgerFull:
        pass
    count = 0
    while ledger.append("alarm", code="x", sess=0, detail=""):
        count += 1
    assert ledger.left_out == 1
    assert count > 50
    got = records(ledger)
    assert len(got) == ledger.next_seq - 1
    ledger = ledger_on(flash)
    assert len(records(ledger)) == len(got)
    assert not ledger.room_for_session()
    ledger.acknowledge(ledger.epoch, got[-1].seq)
    assert ledger.room_for_session()
    session(ledger, number)


def test_where_there_is_room_for_a_command_its_effect_and_its_record_fit_both():
    """Asked at every position, with records of all lengths and a closed sector among them."""
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    longest = {"command": "c" * 64, "counter": (1 << 63) - 1, "name": "extend", "result": "ok",
               "detail": "session 18446744073709551615"}  # fmt: skip
    asked = 0
    while ledger.free_sectors() > 2:
        had = ledger.free_sectors()
        room = ledger.room_for_command()
        asked += room
        if room and asked % 7 == 0:
            ledger.append("refund_failed", refund="R1", sess=0, code=0, text="t" * 100,
                          amount_minor=0, way="", state="failed")  # fmt: skip
            ledger.append("command", **longest)
            assert ledger.free_sectors() >= had - 1
        elif had > 4:
            assert room
        elif had < 4 or ledger.ring.closed:
            assert not room
        ledger.append("refund_failed", refund="R0", sess=0, code=1, text="x" * (asked * 31 % 211),
                      amount_minor=1, way="reversal", state="failed")  # fmt: skip
        if asked % 40 == 39:
            ledger.ring.closed = True
    assert asked > 100


def test_an_open_session_can_always_be_finished():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    number = 1
    while ledger.room_for_session():
        session(ledger, number)
        number += 1
    ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
    ledger.append(
        "hold_asked",
        sess=number,
        hold_minor=5000,
        currency="EUR",
        tariff="T1",
        tariff_crc=1,
        method="card",
        connector=1,
        reference="",
        uid_hash="",
        remote="",
    )
    ledger.append(
        "authorised",
        sess=number,
        amount_minor=5000,
        receipt=1,
        trace=17,
        terminal_id="",
        vu="",
        auth_code="",
        pan="",
        card="",
    )
    ledger.append("energising", sess=number, register_wh=0, serial="")
    while ledger.append("checkpoint", sess=number, register_wh=9, elapsed_ms=1, state=[1, 2, 3]):
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
    while ledger.append("alarm", code="x", sess=0, detail=""):
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
    ledger = ledger_on(flash)
    assert (
        ledger.books.open.hold["hold_minor"] == 5000
        and ledger.books.open.checkpoint["register_wh"] == 9
    )
    ledger.append(
        "priced",
        sess=number,
        receipt_no=ledger.books.next_receipt,
        start_at=1,
        end_at=2,
        start_wh=0,
        end_wh=9,
        billed_wh=9,
        elapsed_ms=1,
        total_minor=5000,
        net_minor=5000,
        vat_minor=0,
        currency="EUR",
        lines=[900000] * 200,
        reason="",
        vat=[],
    )
    for i in range(100):
        ledger.append("settle_failed", sess=number, attempt=i, code=1, text="no answer")
    ledger.append(
        "captured",
        sess=number,
        captured_minor=5000,
        released_minor=0,
        receipt=1,
        trace=1,
        how="use",
    )
    assert ledger.books.open is None
    ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
    assert ledger.room_for_session()


def test_bad_sectors_are_passed_over_and_nothing_is_lost():
    flash = FileFlash(sectors=16)
    for n in (0, 3, 4, 9):
        flash.set_bad(n)
    ledger = ledger_on(flash)
    for number in range(1, 101):
        last = session(ledger, number)
        if number == 30:
            flash.set_bad(ledger.ring.head)
        if number == 60:
            ledger = ledger_on(flash)
        before = ledger.acked_seq
        got = records(ledger, before)
        assert got[-1].seq == last
        ledger.acknowledge(ledger.epoch, last)
        ledger.idle()
    assert ledger.ring.bad


def test_a_flash_that_takes_nothing_is_reported():
    flash = FileFlash(sectors=12)
    for n in range(12):
        flash.set_bad(n)
    ledger = ledger_on(flash)
    try:
        ledger.append("boot", firmware="", reason="", safe=0)
        raise AssertionError
    except FlashError:
        pass
    assert ledger.next_seq == 1


def test_later_sector_format_is_left_alone():
    flash = FileFlash(sectors=12)
    ledger_on(flash).append("boot", firmware="", reason="", safe=0)
    from firmware.ledger import sector

    head = bytearray(28)
    flash.readblocks(0, head, 16)
    head[4] = 2
    import struct

    struct.pack_into("<I", head, 24, sector.crc32(head[:24]))
    image = bytearray(flash.image())
    image[16:44] = head
    flash.load(image)
    try:
        ledger_on(flash)
        raise AssertionError
    except LedgerCorrupt:
        pass
    assert flash.image() == bytes(image)


def test_acknowledgement_of_another_epoch_or_an_unknown_number_is_refused():
    ledger = ledger_on(FileFlash(sectors=12))
    ledger.append("boot", firmware="", reason="", safe=0)
    assert not ledger.acknowledge(ledger.epoch + 1, 1)
    assert not ledger.acknowledge(ledger.epoch, 2)
    assert ledger.acknowledge(ledger.epoch, 1) and ledger.acked_seq == 1
    assert ledger.acknowledge(ledger.epoch, 0) and ledger.acked_seq == 1


def test_recent_receipts_stay_readable_after_acknowledgement():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    for number in range(1, 201):
        ledger.acknowledge(ledger.epoch, session(ledger, number))
        ledger.idle()
    numbers = [r.fields["sess"] for r in ledger.recent("priced", 40)]
    assert numbers == list(range(200, 160, -1))


def test_refused_records_leave_flash_as_it_was():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    session(ledger, 1)
    image = flash.image()
    for error, kind, fields in (
        (RecordError, "nonsense", {}),
        (RecordError, "boot", {"firmware": "", "reason": ""}),
        (RecordError, "boot", {"firmware": "", "reason": "", "safe": -1}),
        (RecordError, "boot", {"firmware": 7, "reason": "", "safe": 0}),
        (RecordError, "boot", {"firmware": "", "reason": "", "safe": 0, "extra": 1}),
        (RecordError, "boot", {"firmware": "x" * 256, "reason": "", "safe": 0}),
        (RecordError, "acked", {"acked": 1}),
        (BooksError, "energising", {"sess": 1, "register_wh": 1, "serial": ""}),
        (
            BooksError,
            "refund_asked",
            {
                "refund": "r",
                "sess": 1,
                "amount_minor": 1235,
                "way": "",
                "reason": "",
                "command": "",
            },
        ),
    ):
        try:
            ledger.append(kind, **fields)
            raise AssertionError(kind)
        except error:
            pass
    assert flash.image() == image


def test_an_old_session_is_recalled_for_a_refund():
    flash = FileFlash(sectors=16)
    ledger = ledger_on(flash)
    for number in range(1, 61):
        ledger.acknowledge(ledger.epoch, session(ledger, number))
    assert ledger.books.settled(2) is None
    for _ in recall(ledger, 2):
        pass
    assert ledger.books.settled(2) == (2, 1234, 0) and ledger.books.refundable(2) == 1234
    ledger.append(
        "refund_asked", refund="R-1", sess=2, amount_minor=1000, way="card", reason="", command="c"
    )
    assert ledger.books.refundable(2) == 234 and ledger.books.refund_state("R-1") == "asked"
    ledger.append(
        "refunded",
        refund="R-1",
        sess=2,
        amount_minor=1000,
        way="card",
        receipt=3,
        trace=4,
        credit_no=1,
        receipt_no=2,
        net_minor=840,
        vat_minor=160,
        lines=[190000, 840, 160, 1000],
    )
    ledger = ledger_on(flash)
    for _ in recall(ledger, 2):
        pass
    assert (
        ledger.books.settled(2) == (2, 1234, 1000) and ledger.books.refund_state("R-1") == "done"
    )
    assert ledger.books.next_credit == 2 and ledger.books.faults == 0


def test_a_region_that_has_grown_at_either_end_is_taken_over_with_all_that_is_in_it():
    for rounds in (0, 1):
        small = FileFlash(sectors=12)
        ledger = ledger_on(small)
        number = 0
        while small.erased < 12 * rounds + 6:
            number += 1
            session(ledger, number)
            if rounds:
                ledger.acknowledge(ledger.epoch, max(0, ledger.next_seq - 60))
        there = records(ledger, ledger.acked_seq)
        image = small.image()
        for before, filler in ((0, b"\xff"), (20, b"\xff"), (32, b"\xff"), (32, b"file ")):
            big = FileFlash(sectors=44)
            left = (filler * 4096)[:4096]  # by a file system, say
            big.load(left * before + image + left * (32 - before))
            grown = ledger_on(big)
            assert grown.epoch == ledger.epoch and grown.next_seq == ledger.next_seq
            same = records(grown, ledger.acked_seq)
            assert [r.fields for r in same] == [r.fields for r in there]
            grown.acknowledge(grown.epoch, grown.next_seq - 1)
            first = grown.next_seq
            number = grown.books.next_session - 1
            while big.erased < 60:
                number += 1
                session(grown, number)
                grown.acknowledge(grown.epoch, max(0, grown.next_seq - 200))
            assert first < ledger_on(big).next_seq == grown.next_seq
            assert len(records(grown, grown.acked_seq)) == 199
            assert grown.lost == grown.ring.damaged == 0

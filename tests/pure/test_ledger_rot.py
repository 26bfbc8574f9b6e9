# Wrong bits in flash, sectors that stay as they are, bits that read one way now and the other way
# later: what is lost is said to be lost, nothing else is, and no number is given twice.
import struct

from board.host_flash import FileFlash, PowerCut
from firmware.errors import LedgerFull
from tests.pure.test_ledger_ring import ledger_on

TEXT = "x" * 20
LONG = "r" * 150  # few records with it fill a sector: a ring is soon gone round


def alarm(ledger, code="c", detail=TEXT):
    return ledger.append("alarm", code=code, sess=0, detail=detail)


def fact(ledger, refund="r"):
    """A record of money that may use the last sector."""
    return ledger.append(
        "refunded", refund=refund, sess=1, amount_minor=1, way="card", receipt=1, trace=1,
        credit_no=1, receipt_no=1, net_minor=1, vat_minor=0, lines=[],
    )  # fmt: skip


def drained(ledger):
    """(number, kind) of all that the back office has not got."""
    out: list = []
    seq = ledger.acked_seq
    while True:
        record = ledger.read_after(seq)
        if record is None:
            return out
        assert record.seq > seq
        seq = record.seq
        out.append((seq, record.kind))


def mounted(image, state=None):
    flash = FileFlash(sectors=len(image) // 4096)
    flash.load(image, state)
    return flash, ledger_on(flash)


def three_sectors():
    """Tail, one between, head; nothing acknowledged. The image, and the first sectors' ledger."""
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    while ledger.ring.head != 2:
        alarm(ledger)
    for _ in range(20):
        alarm(ledger)
    return flash, ledger


def frames(image, sector):
    """(place in the image, length, number) of a sector's frames; the first is a note."""
    at = sector * 4096 + 64
    out: list = []
    while at < sector * 4096 + 4080 and image[at] == 0xA7:
        length, seq = struct.unpack_from("<HQ", image, at + 2)
        out.append((at, length, seq))
        at += (length + 19) & ~3
    return out


def with_flips(image, flips):
    out = bytearray(image)
    for at, bits in flips:
        out[at] ^= bits
    return bytes(out)


def all_there(ledger, before):
    return drained(ledger) == [(n, "alarm") for n in range(1, before)]


def test_a_wrong_bit_in_any_sectors_marks_loses_nothing():
    flash, ledger = three_sectors()
    image = flash.image()
    for sector in range(3):
        for at in (0, 5, 10, 16, 20, 24, 28, 29, 32, 33, 40, 43, 48, 55, 60):
            _, again = mounted(with_flips(image, [(sector * 4096 + at, 1 << (at % 8))]))
            assert again.epoch == ledger.epoch and again.lost == 0, (sector, at)
            assert again.next_seq == ledger.next_seq and all_there(again, ledger.next_seq)
            assert alarm(again) == ledger.next_seq


def test_headers_that_are_all_wrong_lose_nothing_and_later_sectors_follow():
    flash, ledger = three_sectors()
    image = flash.image()
    for sectors in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2)):
        spoilt = [(n * 4096 + at, 0x5A) for n in sectors for at in range(16, 44)]
        flash, again = mounted(with_flips(image, spoilt))
        assert again.next_seq == ledger.next_seq and all_there(again, ledger.next_seq), sectors
        for _ in range(200):
            last = alarm(again)
        again = ledger_on(flash)
        assert again.next_seq == last + 1 and all_there(again, last + 1), sectors
        again.acknowledge(again.epoch, last)
        for _ in range(360):
            last = alarm(again, detail=LONG)
            again.acknowledge(again.epoch, last)
        assert ledger_on(flash).next_seq == last + 1


def test_the_only_sector_with_a_wrong_bit_keeps_its_epoch_and_numbers():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    for _ in range(9):
        alarm(ledger)
    for at in range(16, 44):
        _, again = mounted(with_flips(flash.image(), [(at, 0x10)]))
        assert (again.epoch, again.next_seq) == (ledger.epoch, 10) and all_there(again, 10)


def test_a_wrong_bit_in_a_frame_loses_that_record_alone():
    flash, ledger = three_sectors()
    image = flash.image()
    for sector in range(3):
        at, length, seq = frames(image, sector)[9]
        for off in (0, 1, 2, 3, 4, 11, 12, 20, 12 + length, 15 + length):
            flash, again = mounted(with_flips(image, [(at + off, 1 << (off % 8))]))
            wanted = [(n, "lost" if n == seq else "alarm") for n in range(1, ledger.next_seq)]
            assert drained(again) == wanted, (sector, off)
            assert again.next_seq == ledger.next_seq and alarm(again) == ledger.next_seq


def test_frames_that_are_wrong_side_by_side_are_lost_and_no_more():
    flash, ledger = three_sectors()
    image = flash.image()
    places = frames(image, 2)[4:7]
    _, again = mounted(with_flips(image, [(place[0] + 3, 4) for place in places]))
    missing = [place[2] for place in places]
    wanted = [(n, "lost" if n in missing else "alarm") for n in range(1, ledger.next_seq)]
    assert drained(again) == wanted and again.lost == 3


def test_the_newest_records_number_is_not_given_again_when_its_frame_is_wrong():
    flash, ledger = three_sectors()
    image = flash.image()
    at, length, seq = frames(image, 2)[-1]
    assert seq == ledger.next_seq - 1
    for off in (0, 1, 2, 3, 4, 11, 12, 20, 12 + length, 13 + length):
        flash, again = mounted(with_flips(image, [(at + off, 1 << (off % 8))]))
        again = ledger_on(flash)  # and nothing was written meanwhile
        assert again.next_seq == seq + 1 and again.lost == 1, off
        assert alarm(again) == seq + 1
        again = ledger_on(flash)
        assert drained(again)[seq - 1 :] == [(seq, "lost"), (seq + 1, "alarm")], off


def test_its_number_is_kept_by_a_note_behind_it_too():
    flash, ledger = three_sectors()
    last = ledger.next_seq - 1
    ledger.acknowledge(ledger.epoch, last)
    ledger.idle()
    image = flash.image()
    (at, length, seq), (_, _, note) = frames(image, 2)[-2:]
    assert (seq, note) == (last, last)
    for off in (0, 1, 2, 3, 4, 11, 12, 20, 12 + length, 15 + length):
        _, again = mounted(with_flips(image, [(at + off, 1 << (off % 8))]))
        assert (again.next_seq, again.acked_seq, again.lost) == (last + 1, last, 1), off
        assert alarm(again) == last + 1
        assert drained(again) == [(last + 1, "alarm")], off


def test_it_is_kept_by_an_empty_sector_behind_it_too():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    ledger.append(
        "hold_asked", sess=1, hold_minor=5000, currency="EUR", tariff="T1", tariff_crc=1,
        method="card", connector=1, reference="", uid_hash="", remote="",
    )  # fmt: skip
    # open: the mount begins in its sector
    while ledger.ring.head != 1:
        before, last = flash.image(), ledger.next_seq - 1
        alarm(ledger)
    image = bytearray(flash.image())
    at, _, seq = frames(before, 0)[-1]
    note, _, said = frames(image, 1)[0]
    assert (seq, said) == (last, last)
    second = frames(image, 1)[1][0]
    image[second : 2 * 4096] = b"\xff" * (2 * 4096 - second)  # the power went before the record
    _, again = mounted(with_flips(image, [(at + 12, 1)]))
    assert (again.next_seq, again.lost) == (last + 1, 1)
    assert alarm(again) == last + 1
    assert drained(again)[-2:] == [(last, "lost"), (last + 1, "alarm")]


def test_what_a_payload_holds_is_not_taken_for_a_frame():
    flash, ledger = three_sectors()
    image = flash.image()
    at, length, seq = frames(image, 2)[7]
    # a frame of a number far away, right in its check sum, inside one that is wrong
    from firmware.ledger.sector import crc32

    forged = struct.pack("<BBHQ", 0xA7, 1, 4, seq + 100000) + b"\x01\x01\x01\x01"
    forged += struct.pack("<I", crc32(forged))
    place = (at + 16) & ~3
    spoilt = bytearray(image)
    spoilt[place : place + len(forged)] = forged
    spoilt[at] ^= 1
    _, again = mounted(bytes(spoilt))
    assert again.next_seq == ledger.next_seq and again.lost == 1


def test_a_record_that_a_page_program_left_undone_anywhere_is_no_loss():
    """All bytes of a page are programmed side by side: a cut leaves bits of any of them."""
    for seed in range(40):
        flash = FileFlash(sectors=12, seed=seed)
        ledger = ledger_on(flash)
        alarm(ledger)
        flash.page_tears = True
        flash.cut_after_bytes = 16 + seed % 20
        try:
            alarm(ledger, detail=LONG)
            raise AssertionError
        except PowerCut:
            flash.power_on()
        again = ledger_on(flash)
        assert (again.lost, again.next_seq) == (0, 2), seed
        assert alarm(again) == 2
        assert drained(ledger_on(flash)) == [(1, "alarm"), (2, "alarm")], seed


# --- sectors that stay as they are ---------------------------------------------------------------


class Half(FileFlash):
    """An erase of sector `half` leaves a byte in the middle as it was, and says nothing."""

    half = 1

    def _erase(self, n):
        kept = self.image()[n * 4096 + 2000]
        FileFlash._erase(self, n)
        if n == self.half:
            self._write(n * 4096 + 2000, bytes((kept,)))


def test_a_sector_that_is_not_blank_all_over_after_its_erase_is_not_used():
    flash = Half(sectors=12)
    flash._write(1 * 4096 + 2000, b"\xa5")
    ledger = ledger_on(flash)
    while ledger.ring.head != 3:
        alarm(ledger)
    assert ledger.ring.bad == [1] and ledger.ring.sectors.known == {1: None}
    assert all_there(ledger_on(flash), ledger.next_seq)
    marks = flash.image()[4096 : 4096 + 16]
    assert marks == b"\xff" * 16, "marked as erased"


def stuck_ring(errors, stuck, ahead):
    """A ring that went round, with sectors that got stuck while they held old records; `ahead`
    sectors behind the last of them nothing was acknowledged any more, until one was left."""
    flash = FileFlash(sectors=16)
    ledger = ledger_on(flash)
    while ledger.ring.generation < 18:
        ledger.acknowledge(ledger.epoch, fact(ledger, LONG))
    for n in stuck:
        flash.set_stuck(n, errors)
    while ledger.ring.head != (stuck[-1] + ahead) % 16:
        ledger.acknowledge(ledger.epoch, fact(ledger, LONG))
    while ledger.free_sectors() > 1:
        fact(ledger, LONG)
    return flash, ledger


def test_sectors_that_are_stuck_take_nothing_with_them():
    for errors in (False, True):
        for stuck, ahead in (((5,), 14), ((5,), 1), ((4, 5), 13), ((4, 9), 3), ((15, 0), 9)):
            flash, ledger = stuck_ring(errors, stuck, ahead)
            wanted = drained(ledger)
            assert [kind for _, kind in wanted] == ["refunded"] * len(wanted)
            again = ledger_on(flash)
            there = drained(again)
            assert there[-len(wanted) :] == wanted, (errors, stuck, ahead)
            assert "lost" not in [kind for _, kind in there]
            assert (again.ring.head, again.ring.tail) == (ledger.ring.head, ledger.ring.tail)
            assert again.free_sectors() == ledger.free_sectors()
            try:
                while True:
                    wanted.append((fact(again, LONG), "refunded"))
            except LedgerFull:
                pass
            again = ledger_on(flash)
            assert drained(again)[-len(wanted) :] == wanted
            again.acknowledge(again.epoch, again.next_seq - 1)
            for _ in range(200):
                again.acknowledge(again.epoch, fact(again, LONG))
            assert ledger_on(flash).next_seq == again.next_seq


def test_a_sector_that_works_again_after_a_restart_is_used_again():
    flash, ledger = stuck_ring(False, (5,), 1)
    flash.set_stuck(5, stuck=False)
    again = ledger_on(flash)
    again.acknowledge(again.epoch, again.next_seq - 1)
    while again.ring.head != 5:
        again.acknowledge(again.epoch, fact(again, LONG))
    assert fact(again, LONG) and not again.ring.bad
    assert [kind for _, kind in drained(again)] == ["refunded"]


def test_a_full_ring_keeps_every_record_that_is_not_acknowledged():
    for left in (40, 20, 5, 1):
        flash = FileFlash(sectors=12)
        ledger = ledger_on(flash)
        while ledger.ring.generation < 2:
            last = fact(ledger)
        ledger.acknowledge(ledger.epoch, last - 1 - left)  # that many of the first sector's
        try:
            while True:
                fact(ledger)
        except LedgerFull:
            pass
        there = drained(ledger_on(flash))
        assert there[-1][0] == ledger.next_seq - 1
        assert [kind for _, kind in there] == ["refunded"] * len(there)
        assert drained(ledger)[0] == (last - left, "refunded")


# --- bits that are neither 0 nor 1 ---------------------------------------------------------------


class Moody(FileFlash):
    """Weak bits read as `mood` says: 0 (programmed) or 255 (not)."""

    mood = 0

    def _byte(self):
        return self.mood


def torn_at_the_end(kind, fields, cut):
    """A flash with two records, and a third torn in byte `cut`."""
    flash = Moody(sectors=12)
    ledger = ledger_on(flash)
    alarm(ledger)
    alarm(ledger)
    flash.cut_after_bytes = cut
    try:
        ledger.append(kind, **fields)
        raise AssertionError
    except PowerCut:
        pass
    flash.power_on()
    return flash


def last_bytes():
    """Where to cut a `security` record in its check sum's last byte: texts of four lengths, so
    that one frame has no filling."""
    for n in range(4):
        fields = {"code": "s" * (n + 1), "detail": ""}
        size = 12 + 2 + 6 + 1 + n + 1 + 1
        yield fields, size + 3


def test_a_record_that_is_there_after_a_cut_stays():
    for fields, cut in last_bytes():
        flash = torn_at_the_end("security", fields, cut)
        flash.mood = 0
        again = ledger_on(flash)
        assert again.next_seq == 4
        flash.mood = 255
        assert [kind for _, kind in drained(again)] == ["alarm", "alarm", "security"]
        assert ledger_on(flash).next_seq == 4


def test_a_record_that_is_not_there_after_a_cut_stays_away():
    for fields, cut in last_bytes():
        flash = torn_at_the_end("security", fields, cut)
        flash.mood = 255
        assert ledger_on(flash).next_seq == 3
        flash.mood = 0
        again = ledger_on(flash)
        assert again.next_seq == 3  # what was decided without it holds
        assert alarm(again) == 3
        assert [kind for _, kind in drained(ledger_on(flash))] == ["alarm", "alarm", "alarm"]


def near_the_end(flash):
    """A ledger whose next larger record opens the second sector; a small one still fits."""
    ledger = ledger_on(flash)
    alarm(ledger)
    while ledger.ring.sectors.size - ledger.ring.pos > 200:
        alarm(ledger)
    return ledger


def open_second(ledger):
    ledger.append("alarm", code="c", sess=0, detail="y" * 230)


def cut_in_header(mood):
    """The power fails in the last byte of the second sector's header."""
    flash = Moody(sectors=12)
    ledger = near_the_end(flash)
    while ledger.idle():
        pass
    flash.cut_after_bytes = 27
    try:
        open_second(ledger)
        raise AssertionError
    except PowerCut:
        flash.power_on()
    flash.mood = mood
    return flash, ledger.next_seq


def test_a_header_that_is_valid_after_a_cut_stays_valid():
    flash, seq = cut_in_header(0)
    again = ledger_on(flash)
    assert again.ring.head == 1
    flash.mood = 255
    assert alarm(again) == seq
    assert drained(again)[-1] == (seq, "alarm")


def test_a_header_that_is_not_valid_after_a_cut_stays_so():
    flash, seq = cut_in_header(255)
    again = ledger_on(flash)
    assert again.ring.head == 0
    assert alarm(again) == seq  # a small one, in the first sector
    flash.mood = 0
    again = ledger_on(flash)
    assert again.read_after(seq - 1).kind == "alarm"
    assert drained(again) == [(n, "alarm") for n in range(1, seq + 1)]


def test_an_erase_that_began_at_the_other_end_is_no_loss():
    for cut in (1, 700, 2048, 3500, 4000):
        flash = FileFlash(sectors=12)
        flash.from_the_end = True
        ledger = ledger_on(flash)
        try:
            while True:
                fact(ledger)
        except LedgerFull:
            pass
        assert (ledger.ring.head, ledger.ring.tail) == (11, 0)
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)  # not noted in flash
        flash.cut_after_bytes = cut + 8  # behind the retire mark
        try:
            fact(ledger)
            raise AssertionError
        except PowerCut:
            flash.power_on()
        again = ledger_on(flash)
        assert "lost" not in [kind for _, kind in drained(again)], cut

"""One record of an open or a finished session is lost to wrong bits, and the charger starts again:
what is proven is billed, no hold stays open, no number comes twice. On CPython and both
MicroPython builds.
"""

import struct

from board.host_flash import FileFlash
from firmware.ledger.codec import find_row
from firmware.ledger.ledger import Ledger
from firmware.session import decisions as do
from firmware.session import recovery
from firmware.session.data import Session
from firmware.session.machine import Machine
from tests.pure.session_bench import ENERGY, Answer, Bench, Prices, Settings
from tests.pure.test_ledger_ring import session

NOW = 1700000000000


class Stored(Prices):
    def for_crc(self, crc):
        return self.tariff if crc == self.crc else None


class OnFlash(Bench):
    """A machine on a ledger: each record is in flash before the next decision. `cut`: the power
    fails before this kind of record.
    """

    cut = ""

    def __init__(self, flash):
        self.all = []
        self.now = 1000
        self.ledger = Ledger(flash, lambda: NOW + self.now)
        self.ledger.mount()
        books = self.ledger.books
        self.m = Machine(Settings(), Stored(ENERGY), books, lambda: NOW + self.now)
        if books.open:
            self.do(recovery.begin(self.m, books.open, self.m._prices, self.now))

    def do(self, decided):
        for d in decided:
            if d[0] == do.RECORD:
                if d[1] == self.cut:
                    break
                self.ledger.append(d[1], **d[2])
        return Bench.do(self, decided)

    def held(self, hold):
        self.ledger.append(
            "authorised", sess=1, amount_minor=hold.amount_minor, receipt=hold.receipt, trace=1,
            terminal_id="", vu="", auth_code="", pan=hold.pan, card=hold.card,
        )  # fmt: skip


class Hold231:
    uid_hash = ""
    amount_minor = 2000
    receipt = 231
    pan = "411111******1111"
    card = "VISA"
    auth_code = "123456"


class Approving(OnFlash):
    def do(self, decided):
        OnFlash.do(self, decided)
        for d in decided:
            if d[0] == do.AUTHORISE:
                self.held(Hold231())
        return decided


def charged(off="", checkpoints=True):
    """The flash of a session with 500 Wh at its last checkpoint and 530 in the register; `off`:
    power went off and the register was read, the power cut came before this kind of record."""
    flash = FileFlash(sectors=12)
    b = Approving(flash)
    b.cut = off
    b.meter(1000)
    b.charge()
    if checkpoints:
        for wh in (1200, 1500):
            b.now += 60000
            b.meter(wh, 11000)
    b.now += 10000
    b.meter(1530, 11000)
    if off:
        b.do(b.m.on_stop(b.now, "button"))
        b.do(b.m.on_feedback(b.now, False))
        for _ in range(2):
            b.now += 1000
            b.meter(1530)
    return flash


def without(flash, kind):
    """The same flash after one bit of the newest record of this kind went wrong."""
    number = find_row(1, kind)[0]
    image = bytearray(flash.image())
    at = 64
    hit = 0
    while image[at] == 0xA7:
        length = struct.unpack_from("<H", image, at + 2)[0]
        if image[at + 12] == number:
            hit = at
        at += (length + 19) & ~3
    assert hit, kind
    image[hit + 16] ^= 2
    again = FileFlash(sectors=12)
    again.load(bytes(image))
    return again


def recovered(flash, holds=(231,)):
    """The charger after a restart, its meter at 1530 Wh, the terminal with these holds."""
    b = OnFlash(flash)
    for _ in range(4):
        b.now += 1000
        b.meter(1530)
        b.later(1)
    if b.m.settlement.state == "asking":
        b.do(b.m.on_pending(b.now, holds))
    if b.did(do.CANCEL) or b.did(do.CAPTURE):
        b.do(b.m.on_outcome(b.now, Answer()))
    return b


def test_each_lost_record_of_a_running_session_costs_the_operator_nothing():
    whole = recovered(charged()).record("priced")
    assert (whole["start_wh"], whole["billed_wh"], whole["total_minor"]) == (1000, 530, 27)
    for kind in ("hold_asked", "authorised", "energising", "checkpoint"):
        b = recovered(without(charged(), kind))
        bill = b.record("priced")
        for name in ("start_wh", "end_wh", "billed_wh", "total_minor", "start_at", "lines"):
            assert bill[name] == whole[name], (kind, name)
        paid = b.record("captured")
        assert (paid["captured_minor"], paid["released_minor"]) == (27, 1973), kind
        assert b.did(do.CAPTURE) == [(do.CAPTURE, 231, 2000, 27)], kind
        assert b.ledger.books.open is None and b.ledger.books.next_session > 1


def test_a_session_that_recovery_had_to_prove_is_named_to_the_operator():
    for kind, more in (
        ("hold_asked", ""),
        ("authorised", ""),
        ("energising", "; billed from 1000 Wh"),
    ):
        alarm = recovered(without(charged(), kind)).record("alarm")
        assert (alarm["sess"], alarm["code"]) == (1, "session_damaged")
        assert alarm["detail"] == "lost: " + kind + more
    assert "alarm" not in recovered(charged()).kinds()


def test_energy_whose_start_is_not_known_is_not_billed():
    """Power went off before the first checkpoint: only the register after that is known."""
    b = recovered(without(charged("period", False), "energising"))
    bill = b.record("priced")
    assert (bill["start_wh"], bill["end_wh"], bill["total_minor"]) == (1530, 1530, 0)
    assert b.did(do.CANCEL) == [(do.CANCEL, 231)]
    assert b.record("alarm")["detail"] == "lost: energising; billed from 1530 Wh"
    for flash in (charged("priced", False), charged("period")):  # a closed period has it as well
        assert recovered(without(flash, "energising")).record("priced")["billed_wh"] == 530


def test_a_hold_whose_approval_is_lost_and_that_is_gone_was_paid_by_nobody():
    b = recovered(without(charged(), "authorised"), ())
    assert b.record("priced")["total_minor"] == 27
    assert "captured" not in b.kinds() and b.record("cancelled")["reason"] == "hold_lost"
    assert b.record("alarm") == {"sess": 1, "code": "hold_lost", "detail": "27"}


def test_a_hold_that_is_to_be_captured_is_not_given_up_because_its_approval_is_lost():
    b = OnFlash(without(charged(), "authorised"))
    for _ in range(4):
        b.now += 1000
        b.meter(1530)
        b.later(1)
    for _ in range(30):
        b.do(b.m.on_pending(b.now, None))  # switched off
        b.later(300)
    assert "captured" not in b.kinds() and "cancelled" not in b.kinds()
    b.do(b.m.on_pending(b.now, (231,)))
    assert b.did(do.CAPTURE) == [(do.CAPTURE, 231, 2000, 27)]


def test_a_members_session_without_its_beginning_is_not_billed_by_a_guessed_tariff():
    flash = FileFlash(sectors=12)
    b = Approving(flash)
    b.meter(1000)
    s = Session(1, 2000, "rfid", "A1")
    b.do(b.m.begin(b.now, s))
    b.do(b.m.on_pilot(b.now, "B"))
    b.do(b.m.on_feedback(b.now, True))
    b.do(b.m.on_pilot(b.now, "C"))
    b.now += 60000
    b.meter(1500, 11000)
    lost = recovered(without(flash, "hold_asked"))
    assert lost.record("alarm")["detail"] == "lost: hold_asked; given back"
    assert lost.record("cancelled")["released_minor"] == 2000
    assert not lost.did(do.PENDING) and not lost.did(do.CANCEL)
    assert recovered(flash).record("captured")["how"] == "account"


# --- what is finished ----------------------------------------------------------------------------


def settled():
    """A flash with three sessions, all acknowledged."""
    flash = FileFlash(sectors=12)
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    for number in (1, 2, 3):
        last = session(ledger, number)
    ledger.acknowledge(ledger.epoch, last)
    return flash


def books_of(flash):
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    return ledger.books


def test_no_number_is_given_twice_after_a_record_was_lost():
    flash = settled()
    for kind in ("hold_asked", "authorised", "power_off", "priced", "captured"):
        books = books_of(without(flash, kind))
        assert books.next_receipt >= 4 and books.next_session >= 4, kind
        assert books.next_credit >= 1
    books = books_of(flash)
    assert (books.next_session, books.next_receipt, books.next_credit) == (4, 4, 1)


def test_numbers_go_on_where_later_records_tell_them():
    """A record lost before the last bill leaves no number out."""
    flash = FileFlash(sectors=12)
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    ledger.append("hold_asked", sess=1, hold_minor=1, currency="EUR", tariff="T", tariff_crc=1,
                  method="card", connector=1, reference="S1", uid_hash="", remote="")  # fmt: skip
    ledger.append("declined", sess=1, code=1, text="")
    ledger.append("end_of_day", count=0, terminal_minor=0, ledger_minor=0, result="empty")
    session(ledger, 2)
    books = books_of(without(flash, "end_of_day"))
    assert (books.next_session, books.next_receipt) == (3, 2)


def test_the_newest_record_lost_takes_its_number_too():
    flash = FileFlash(sectors=12)
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    session(ledger, 1)
    ledger.append("hold_asked", sess=2, hold_minor=1, currency="EUR", tariff="T", tariff_crc=1,
                  method="card", connector=1, reference="S2", uid_hash="", remote="")  # fmt: skip
    assert books_of(without(flash, "hold_asked")).next_session == 3


def test_what_the_mount_found_wrong_is_said_and_nothing_else():
    def said(flash):
        ledger = Ledger(flash, lambda: NOW)
        ledger.mount()
        return recovery.damage(ledger)

    assert said(settled()) == "" and said(charged()) == "" and said(charged("priced")) == ""
    assert said(without(settled(), "priced")).startswith("1 lost, ")
    found = said(without(charged(), "hold_asked"))
    assert found == "1 lost, 1 do not fit: authorised 2: session not open"


def refund(flash, kind):
    """A refund that was done, of which the end is lost; what the books have of it."""
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    ledger.append("refund_requested", refund="R", receipt_no=3, amount_minor=0, reason="",
                  operator="o", command="", card=0)  # fmt: skip
    ledger.append("refund_asked", refund="R", sess=3, amount_minor=1234, way="reversal",
                  reason="", command="")  # fmt: skip
    ledger.append("refunded", refund="R", sess=3, amount_minor=1234, way="reversal", receipt=9,
                  trace=9, credit_no=1, receipt_no=3, net_minor=1034, vat_minor=200,
                  lines=[])  # fmt: skip
    ledger.append("alarm", code="c", sess=0, detail="")
    return books_of(without(flash, kind))


def test_a_refund_behind_which_a_record_is_lost_is_in_doubt_and_no_credit_note_is_drawn_twice():
    books = refund(settled(), "refunded")
    assert books.asked["R"][1]["unsure"] and books.next_credit == 2
    assert not refund(settled(), "refund_asked").asked
    assert not refund(settled(), "alarm").asked


def test_two_records_side_by_side_that_say_what_was_held_cost_nobody_money():
    """Without them nothing proves an approval: the hold goes back, and the charger goes on."""
    found = without(without(charged(), "authorised"), "hold_asked")
    on = OnFlash(found)
    assert on.m.session.tariff is None
    on.do(on.m.on_pending(on.now, (231,)))
    assert not on.did(do.CAPTURE)
    on.do(on.m.on_outcome(on.now, Answer()))
    assert on.kinds()[-1] == "cancelled"

"""What flash says of a sale, the caps, the ladder, and a credit note's VAT. Runs on CPython and
MicroPython.
"""

import asyncio

from board.host_flash import FileFlash
from firmware.errors import CommandError
from firmware.ledger import credit, refunds
from firmware.ledger.ledger import Ledger
from firmware.orders import refund as refund_order
from tests.pure.test_ledger_powercut import script

NOW = 1763800000000
CAPS = (50000, 0)


def sold():
    """One session of 441 of which 100 were refunded on the same day; receipt 1."""
    ledger = Ledger(FileFlash(sectors=12), lambda: NOW)
    ledger.mount()
    for kind, fields in script(1):
        ledger.append(kind, **fields)
    return ledger


def looked(ledger, receipt_no=1, refund="new", since=0):
    sale = refunds.begin(refund, ledger.next_seq, receipt_no, 0)
    for _ in refunds.scan(ledger, sale, since):
        pass
    return sale


def order(amount, card=0):
    return {"amount_minor": amount, "card": card}


def test_flash_says_what_the_sale_was():
    sale = looked(sold())
    assert (sale["sess"], sale["receipt_no"], sale["total"]) == (1, 1, 441)
    assert sale["receipt"] == 3 and sale["asked_today"] == 100
    assert not sale["closed"] and not sale["first"]


def test_an_id_that_was_there_before_is_known():
    assert looked(sold(), refund="R1")["first"]


def test_what_is_left_is_the_most_that_can_go_back():
    ledger = sold()
    sale = looked(ledger)
    for amount, text, given in ((341, "", 341), (342, "above_captured", 342), (0, "", 341)):
        assert refunds.refuse(sale, ledger.books, order(amount), CAPS) == (text, given)


def test_an_unknown_receipt_the_days_limit_and_a_missing_permission_are_named():
    ledger = sold()
    assert refunds.refuse(looked(ledger, 9), ledger.books, order(1), CAPS)[0] == "receipt_unknown"
    sale = looked(ledger)
    assert refunds.refuse(sale, ledger.books, order(1), (100, 0))[0] == "day_limit_reached"
    assert refunds.refuse(sale, ledger.books, order(1), (101, 0))[0] == ""
    assert refunds.refuse(sale, ledger.books, order(1, 1), CAPS)[0] == "not_permitted"
    assert refunds.refuse(sale, ledger.books, order(1, 1), (50000, 1))[0] == ""


def test_yesterdays_refunds_do_not_count_today():
    assert looked(sold(), since=NOW + 1)["asked_today"] == 0


def test_a_reversal_is_for_the_whole_sale_before_the_end_of_day():
    ledger = Ledger(FileFlash(sectors=12), lambda: NOW)
    ledger.mount()
    for kind, fields in script(1):
        if kind[:6] != "refund":
            ledger.append(kind, **fields)
    sale = looked(ledger)
    assert refunds.find(sale, ledger.books, 441, 0) == "reversal"
    assert refunds.find(sale, ledger.books, 440, 0) == "acquirer"
    assert refunds.find(sale, ledger.books, 440, 1) == "card"
    ledger.append("end_of_day", count=1, terminal_minor=441, ledger_minor=441, result="failed")
    assert refunds.find(looked(ledger), ledger.books, 441, 0) == "reversal"
    ledger.append("end_of_day", count=1, terminal_minor=441, ledger_minor=441, result="ok")
    assert refunds.find(looked(ledger), ledger.books, 441, 0) == "acquirer"


def test_a_reversal_is_not_for_a_capture_whose_own_receipt_was_never_seen():
    ledger = Ledger(FileFlash(sectors=12), lambda: NOW)
    ledger.mount()
    for kind, fields in script(1):
        if kind[:6] != "refund":
            if kind == "captured":
                fields = dict(fields)
                fields["how"] = "pending_query"
            ledger.append(kind, **fields)
    assert refunds.find(looked(ledger), ledger.books, 441, 0) == "acquirer"


def test_a_reversal_is_not_for_a_sale_of_which_a_part_went_back():
    ledger = sold()
    assert refunds.find(looked(ledger), ledger.books, 341, 0) == "acquirer"


def test_what_is_with_the_acquirer_counts_and_comes_back_when_it_would_not():
    ledger = sold()
    ledger.append("refund_asked", refund="A", sess=1, amount_minor=341, way="acquirer",
                  reason="", command="")  # fmt: skip
    fields = {"refund": "A", "sess": 1, "amount_minor": 341, "way": "acquirer"}
    ledger.append("refund_sent", receipt=0, trace=0, **fields)
    assert ledger.books.refundable(1) == 0 and not ledger.books.asked
    ledger.append("refund_failed", code=0, text="no", state="failed", **fields)
    assert ledger.books.refundable(1) == 341 and ledger.books.faults == 0
    assert ledger.books.refund_state("A") == "failed"


def test_credit_lines_of_all_parts_add_up_to_the_bill_rate_by_rate():
    rows = [0, 1, 5900, 190000, 700, 3, 1, 100, 70000, 133, 9, 0, -1, 190000, -12]
    sale = {"lines": rows, "total": 821, "vat": []}
    for parts in ((821,), (1, 820), (100, 200, 521), (7,) * 117 + (2,)):
        net: "dict[int, int]" = {}
        tax: "dict[int, int]" = {}
        before = 0
        for part in parts:
            found = credit.lines(sale, before, part)
            assert sum(found[3::4]) == part
            for at in range(0, len(found), 4):
                rate, line_net, line_tax, gross = found[at : at + 4]
                assert line_net + line_tax == gross
                net[rate] = net.get(rate, 0) + line_net
                tax[rate] = tax.get(rate, 0) + line_tax
            before += part
        assert net == {190000: 578, 70000: 124} and tax == {190000: 110, 70000: 9}, (parts, net)


def test_credit_lines_of_a_bill_that_says_its_vat_add_up_to_that():
    """Net was rounded from the exact sum there: 5.95 and 0.41, not 5.94 and 0.42."""
    bill = {"lines": [0, 1, 5900, 70000, 636, 3, 1, 100, 190000, 1204], "total": 1840,
            "vat": [70000, 595, 41, 636, 190000, 1012, 192, 1204]}  # fmt: skip
    for parts in ((1840,), (1, 1839), (100, 200, 1540), (7,) * 262 + (6,)):
        sums: "dict[int, list]" = {}
        before = 0
        for part in parts:
            found = credit.lines(bill, before, part)
            for at in range(0, len(found), 4):
                rate, net, tax, gross = found[at : at + 4]
                assert net + tax == gross and net >= 0 and tax >= 0
                known = sums.get(rate, [0, 0, 0])
                sums[rate] = [known[0] + net, known[1] + tax, known[2] + gross]
            before += part
        assert sums == {70000: [595, 41, 636], 190000: [1012, 192, 1204]}, (parts, sums)


def test_credit_lines_without_a_known_rate_have_no_vat():
    bill = {"lines": [0, 1, 1, -1, 500], "total": 500, "vat": []}
    assert credit.lines(bill, 0, 200) == [-1, 200, 0, 200]


def test_a_reversal_needs_a_receipt_to_name():
    ledger = Ledger(FileFlash(sectors=12), lambda: NOW)
    ledger.mount()
    for kind, fields in script(1):
        if kind[:6] != "refund":
            ledger.append(kind, **fields)
    sale = looked(ledger)
    sale["receipt"] = 0
    assert refunds.find(sale, ledger.books, 441, 0) == "acquirer"


def handed_over(ledger, refund, amount, way="acquirer"):
    ledger.append("refund_asked", refund=refund, sess=1, amount_minor=amount, way=way,
                  reason="goodwill", command="")  # fmt: skip
    ledger.append("refund_sent", refund=refund, sess=1, amount_minor=amount, way=way, receipt=0,
                  trace=0)  # fmt: skip


def credited(ledger, refund, amount):
    ledger.append("refunded", refund=refund, sess=1, amount_minor=amount, way="acquirer",
                  receipt=0, trace=0, credit_no=ledger.books.next_credit, receipt_no=1,
                  net_minor=amount, vat_minor=0, lines=[-1, amount, 0, amount])  # fmt: skip


def test_parts_that_are_out_together_share_the_bill_as_they_are_confirmed():
    ledger = sold()  # 100 of it have their credit note
    handed_over(ledger, "A", 200)
    handed_over(ledger, "B", 141)
    for by in (1, 0):
        assert refunds_of(ledger, by)["refunded"] == 100  # neither counts yet
    credited(ledger, "B", 141)
    for by in (1, 0):
        assert refunds_of(ledger, by)["refunded"] == 241
    credited(ledger, "A", 200)
    assert refunds_of(ledger, 1)["refunded"] == 441


def refunds_of(ledger, receipt_no):
    """The sale, found by its receipt or (0) by its session."""
    sale = refunds.begin("new", ledger.next_seq, receipt_no, 0 if receipt_no else 1)
    for _ in refunds.scan(ledger, sale, 0):
        pass
    return sale


class Desk:
    """An app that takes orders."""

    def __init__(self):
        self.ledger = sold()
        self.remote = self
        self.settled = []
        self.refund_at = 0

    def append(self, kind, **fields):
        self.ledger.append(kind, **fields)

    def order(self, refund, **more):
        args = {"refund": refund, "receipt": 1, "amount_minor": 1, "reason": "goodwill",
                "operator": "anna"}  # fmt: skip
        args.update(more)
        return asyncio.run(refund_order.check(self, {"id": "c", "args": args}))["detail"]

    def again(self, refund):
        """What refunds.py writes of an order whose id flash knows."""
        self.append("refund_failed", refund=refund, sess=1, code=0, text="asked_before",
                    amount_minor=1, way="", state="asked_before")  # fmt: skip


def test_an_id_that_the_books_forgot_is_answered_with_its_first_result():
    desk = Desk()
    for n in range(12):
        handed_over(desk.ledger, "X%d" % n, 1)
    assert desk.order("R1") == "requested"  # in its turn flash is looked through
    assert looked(desk.ledger, refund="R1")["first"]
    desk.again("R1")
    assert desk.order("R1") == "done"
    assert desk.order("X0") == "requested"  # forgotten, too: R1 came after
    desk.again("X0")
    assert desk.order("X0") == "sent"
    told = {"args": {"refund": "X0", "ok": True, "code": 0, "operator": "anna"}}
    assert asyncio.run(refund_order.close(desk, told))["detail"] == "sent"
    assert [entry[0] for entry in desk.settled] == ["X0"]


def test_an_id_whose_first_records_are_gone_is_asked_before():
    desk = Desk()
    assert desk.order("R0") == "requested"
    desk.again("R0")
    assert desk.order("R0") == "asked_before"


def test_a_receipt_or_amount_beyond_all_sense_is_refused_and_not_written():
    desk = Desk()
    before = desk.ledger.next_seq
    most = (1 << 63) - 1
    for field, value in (("receipt", 0), ("receipt", 1 << 32), ("receipt", most),
                         ("amount_minor", 100000001), ("amount_minor", most)):  # fmt: skip
        try:
            desk.order("R7", **{field: value})
            raise AssertionError("taken")
        except CommandError as e:
            assert e.field == field, value
    assert desk.ledger.next_seq == before
    assert desk.order("R7", receipt=(1 << 32) - 1, amount_minor=100000000) == "requested"


def test_an_id_that_begins_as_the_chargers_own_is_refused():
    desk = Desk()
    before = desk.ledger.next_seq
    try:
        desk.order("above_price-anna")
        raise AssertionError("taken")
    except CommandError as e:
        assert (e.field, e.reason) == ("refund", "must not begin with above_price")
    assert desk.ledger.next_seq == before


ABOVE_ID = "above_price-%d-1"


def taken_above(flash, until=""):
    """The script's session, of whose hold (5000) the terminal took 1000 instead of 441; until the
    record of that kind.
    """
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    for kind, fields in script(1):
        if kind == "captured":
            fields = dict(fields)
            fields.update(captured_minor=1000, released_minor=4000)
        if kind[:6] != "refund":
            ledger.append(kind, **fields)
        if kind == until:
            break
    return ledger


def test_what_was_taken_above_the_price_is_asked_for_by_the_capture_itself_and_once():
    flash = FileFlash(sectors=12)
    ledger = taken_above(flash)
    refund = ABOVE_ID % ledger.epoch
    for mounted in range(3):  # no power cut is between the capture and its order
        assert list(ledger.books.asked) == [refund] and not ledger.books.faults, mounted
        seq, f = ledger.books.asked[refund]
        assert (seq, f["amount_minor"], f["receipt_no"], f["reason"]) == (1, 559, 1, "above_price")
        assert ledger.books.oldest_needed() == 1 and ledger.books.eod_captured == 1000
        ledger = Ledger(flash, lambda: NOW)
        ledger.mount()
    sale = refunds.begin(refund, 1, 1, 0)
    for _ in refunds.scan(ledger, sale, 0):
        pass
    assert refunds.refuse(sale, ledger.books, f, CAPS) == ("", 559)
    assert refunds.find(sale, ledger.books, 559, 0) == "acquirer"
    assert refunds.refuse(sale, ledger.books, f, (500, 0))[0] == "day_limit_reached"
    handed_over(ledger, refund, 559)
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    assert not ledger.books.asked and ledger.books.refundable(1) == 441
    credited(ledger, refund, 559)
    assert ledger.books.faults == 0
    assert looked(ledger)["refunded"] == 0  # nothing of the bill
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    assert not ledger.books.asked and ledger.books.refundable(1) == 441


def test_a_cut_before_the_capture_asks_for_nothing():
    flash = FileFlash(sectors=12)
    taken_above(flash, "priced")
    ledger = Ledger(flash, lambda: NOW)
    ledger.mount()
    assert not ledger.books.asked


def test_there_is_no_vat_in_what_goes_back_beyond_the_bill():
    sale = {"lines": [0, 1, 5900, 190000, 441], "total": 441, "vat": []}
    assert credit.lines(sale, 441, 559) == [-1, 559, 0, 559]
    assert credit.lines(sale, 1000, 559) == [-1, 559, 0, 559]
    found = credit.lines(sale, 0, 1000)
    assert found[3::4] == [441, 559] and found[4:] == [-1, 559, 0, 559]
    assert found[:4] == credit.lines(sale, 0, 441)


def test_an_order_for_another_flash_is_refused_and_not_written():
    desk = Desk()
    said = ""
    try:
        desk.order("R9", epoch=desk.ledger.epoch + 1)
    except CommandError as error:
        said = error.field
    assert said == "epoch"
    assert asyncio.run(refund_order.find(desk.ledger, "R9")) is None
    assert desk.order("R9", epoch=desk.ledger.epoch) == "requested"


def of_one_rate(parts=()):
    """A sale of 95 and 19 VAT of which this went back: gross and VAT of each part."""
    sale = {"vat": [], "lines": [0, 1, 5831, 190000, 114], "net_minor": 95, "vat_minor": 19,
            "total_minor": 114, "sess": 1, "receipt_no": 1}  # fmt: skip
    ledger = Ledger(FileFlash(sectors=12), lambda: NOW)
    ledger.mount()
    for kind, fields in script(1):
        if kind == "priced":
            fields = dict(fields)
            fields.update(sale)
        if kind == "captured":
            fields = dict(fields)
            fields.update({"captured_minor": 114, "released_minor": 5000 - 114})
        if kind[:6] != "refund":
            ledger.append(kind, **fields)
    for number, (amount, vat) in enumerate(parts):
        name = "P%d" % number
        ledger.append("refund_asked", refund=name, sess=1, amount_minor=amount, way="card",
                      reason="", command="")  # fmt: skip
        ledger.append("refunded", refund=name, sess=1, amount_minor=amount, way="card", receipt=4,
                      trace=1, credit_no=number + 1, receipt_no=1, net_minor=amount - vat,
                      vat_minor=vat, lines=[190000, amount - vat, vat, amount])  # fmt: skip
    assert ledger.books.faults == 0
    return looked(ledger)


def test_a_bill_of_one_rate_goes_back_with_its_own_net_and_vat():
    """114 / 1.19 is 95.8: the net of a tariff without tax in its prices is not in the gross."""
    assert credit.lines(of_one_rate(), 0, 114) == [190000, 95, 19, 114]


def test_the_last_part_takes_the_vat_that_older_firmware_left():
    sale = of_one_rate(((60, 9),))  # its share is 10
    assert credit.lines(sale, sale["refunded"], 54) == [190000, 44, 10, 54]
    sale = of_one_rate(((60, 9), (1, 0)))
    assert credit.lines(sale, sale["refunded"], 53) == [190000, 43, 10, 53]

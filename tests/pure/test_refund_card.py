"""A refund to the card: which card is the one that paid, and an approval without a receipt. On
CPython and both MicroPython builds.
"""

import asyncio

from board.host_flash import FileFlash
from firmware.errors import TerminalError
from firmware.ledger.ledger import Ledger
from firmware.refunds import card as refund_card
from firmware.terminal.base import CardResult, Outcome
from tests.pure.test_ledger_powercut import script

PAN = "559883******8074"
SALE = {"sess": 1, "pan": PAN, "uid_hash": "aa", "receipt_no": 1}


class Charger:
    """An app whose terminal approves a refund with the receipt it is given, and is reversing by
    itself what is not acknowledged. `cut`: the line breaks behind the approval.
    """

    def __init__(self, receipt, cut=False):
        self.ledger = Ledger(FileFlash(sectors=12), lambda: 1763800000000)
        self.ledger.mount()
        for kind, fields in script(1):
            self.ledger.append(kind, **fields)
        self.terminal = self.remote = self.view = self.sync = self
        self.ready = True
        self.shown = None
        self.receipt = receipt
        self.trace = 5
        self.pan = PAN
        self.uid_hash = "aa"
        self.cut = cut
        self.paid = 0
        self.at = 0
        refund_card.time = self  # type: ignore[assignment]
        self.reads = 0
        self.card = True
        self.read_ms = 25000
        self.refusal = None
        self.words = []
        self.append("refund_asked", refund="Q", sess=1, amount_minor=50, way="card",
                    reason="goodwill", command="")  # fmt: skip

    def append(self, kind, **fields):
        return self.ledger.append(kind, **fields)

    def log(self, level, text):
        self.words.append(text)

    def refresh(self):
        pass

    def publish_result(self, message):
        self.words.append(message["detail"])

    def ticks_ms(self):
        return self.at

    def ticks_diff(self, a, b):
        return a - b

    async def read_card(self, seconds):
        self.reads += 1
        self.at += 0 if self.card else self.read_ms
        return CardResult("bank", self.pan, self.uid_hash) if self.card else None

    async def refund(self, amount, reference, commit):
        if self.refusal:
            return self.refusal
        commit(self)
        self.paid += amount
        return Outcome(True, not self.cut)

    async def reverse(self, receipt):
        """It has taken it back already."""
        return Outcome(False, True, 0xB4, "already_reversed")

    async def turn(self):
        return await refund_card.refund(self, self.ledger.books.asked["Q"][1], SALE)


def test_an_approval_without_a_receipt_is_not_kept():
    refund_card._say = at_once
    c = Charger(0)
    asyncio.run(c.turn())
    assert c.paid == 0 and c.words == ["refund: no receipt number", "failed"]
    record = c.ledger.recent("refund_failed", 1)[0].fields
    assert (record["text"], record["state"]) == ("terminal_error", "failed")
    assert not c.ledger.recent("refund_sent", 1)
    assert c.ledger.books.refundable(1) == 341


def test_one_with_a_receipt_is_in_flash_before_it_is_kept():
    c = Charger(9, True)
    asyncio.run(c.turn())
    assert c.paid == 50
    sent = c.ledger.recent("refund_sent", 2)
    assert [r.fields["way"] for r in sent] == ["acquirer", "card"]  # taken back, then handed over
    assert sent[1].fields["receipt"] == 9


async def at_once(app, f, text):
    """The last word, not waited for."""
    app.shown = text


def test_the_card_that_paid_is_known_though_the_terminal_hides_more_of_it():
    for pan, uid_hash, same in (
        ("559883******8074", "", True),
        ("************8074", "", True),
        ("************8075", "", False),
        ("411111******8074", "", False),
        ("", "aa", True),
        ("", "ab", False),
        ("", "", False),
    ):
        assert refund_card._same(SALE, CardResult("bank", pan, uid_hash)) is same, (pan, uid_hash)


def test_another_card_in_the_answer_is_not_paid():
    c = Charger(9)
    c.pan = "411111******1111"
    try:
        asyncio.run(refund_card._refund(c, c.ledger.books.asked["Q"][1], SALE))
        raise AssertionError("paid to another card")
    except TerminalError as e:
        assert str(e) == "another card"
    assert c.paid == 0


def test_a_terminal_that_is_away_is_tried_again_and_nothing_is_written_for_it():
    refund_card._say = at_once
    c = Charger(9)
    c.ready = False
    before = c.ledger.next_seq
    waits = [asyncio.run(c.turn()) // 1000 for _ in range(12)]
    assert waits == [10, 20, 40, 80, 160] + 7 * [300]
    assert c.ledger.next_seq == before and c.reads == 0 and "Q" in c.ledger.books.asked
    c.ready = True
    asyncio.run(c.turn())
    assert c.paid == 50 and c.words == ["done"]


def test_a_terminal_that_stays_away_leaves_the_refund_to_the_acquirer():
    c = Charger(9)
    c.ready = False
    for _ in range(13):
        asyncio.run(c.turn())
    assert c.words == ["sent"] and c.ledger.recent("refund_sent", 1)[0].fields["way"] == "acquirer"
    assert not c.ledger.recent("refund_failed", 1)


def test_a_refusal_for_the_moment_is_tried_again_another_one_is_final():
    refund_card._say = at_once
    for refusal, final in (
        (Outcome(False, True, 0x9C, "terminal_busy"), False),
        (Outcome(False, True, 0xA0, "no_network"), False),
        (Outcome(False, True, -1, "terminal_off"), False),  # away behind the card: nothing sent
        (Outcome(False, True, 0x6A, "out_of_service"), False),
        (Outcome(False, True, 0x05, "try_another_card"), True),
        (Outcome(False, True, 0x6C, "cancelled"), True),
        (Outcome(False, False, -1, "terminal_off"), True),  # asked, and lost: see the docs
    ):
        c = Charger(9)
        c.refusal = refusal
        wait = asyncio.run(c.turn())
        assert bool(c.ledger.recent("refund_failed", 1)) is final, refusal.text
        if not final:
            assert wait == 10000
            c.refusal = None
            asyncio.run(c.turn())
            assert c.paid == 50


def test_a_terminal_that_will_not_read_a_card_is_tried_again():
    c = Charger(9)
    refund_card._say = at_once
    c.card = False
    c.read_ms = 1000  # nobody had the time to present one
    assert asyncio.run(c.turn()) == 10000 and c.reads == 6
    assert not c.ledger.recent("refund_failed", 1)
    c.read_ms = 25000
    asyncio.run(c.turn())
    assert c.ledger.recent("refund_failed", 1)[0].fields["text"] == "no_card"


def test_an_approval_in_doubt_is_asked_for_less_and_less_often_and_for_ever():
    c = Charger(9, True)
    c.ready = True
    real = c.reverse
    c.reverse = away  # type: ignore[method-assign]
    asyncio.run(c.turn())
    waits = [asyncio.run(c.turn()) // 1000 for _ in range(20)]
    assert waits[:5] == [20, 40, 80, 160, 300] and waits[-1] == 300
    assert len(c.ledger.recent("refund_sent", 9)) == 1
    c.reverse = real  # type: ignore[method-assign]
    asyncio.run(c.turn())
    assert c.words == ["sent"]


def test_a_refund_behind_which_flash_lost_a_record_is_not_paid_again():
    c = Charger(9)
    c.ledger.books.skip(1)
    asyncio.run(c.turn())
    assert c.paid == 0 and c.reads == 0 and c.words == ["sent"]
    assert c.ledger.recent("alarm", 1)[0].fields["code"] == "refund_unsure"
    assert c.ledger.recent("refund_sent", 1)[0].fields["way"] == "acquirer"


def test_a_doubt_that_finds_no_room_is_told_before_the_refund_goes_on():
    """The back office pays what it is not told to be in doubt."""
    c = Charger(9)
    c.ledger.books.skip(1)
    real = c.ledger.free_sectors
    c.ledger.free_sectors = lambda: 3  # type: ignore[method-assign]
    for _ in range(2):
        asyncio.run(c.turn())
    assert not c.ledger.recent("refund_sent", 1) and c.words == []
    c.ledger.free_sectors = real  # type: ignore[method-assign]
    asyncio.run(c.turn())
    alarm, sent = (c.ledger.recent(kind, 9) for kind in ("alarm", "refund_sent"))
    assert len(alarm) == len(sent) == 1 and alarm[0].seq < sent[0].seq
    assert c.words == ["sent"] and c.paid == 0


async def away(receipt):
    return Outcome(False, True, -1, "terminal_off")

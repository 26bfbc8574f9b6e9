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
        self.words = []
        self.append("refund_asked", refund="Q", sess=1, amount_minor=50, way="card",
                    reason="goodwill", command="")  # fmt: skip

    def append(self, kind, **fields):
        self.ledger.append(kind, **fields)

    def log(self, level, text):
        self.words.append(text)

    def refresh(self):
        pass

    def publish_result(self, message):
        self.words.append(message["detail"])

    async def read_card(self, seconds):
        return CardResult("bank", self.pan, self.uid_hash)

    async def refund(self, amount, reference, commit):
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

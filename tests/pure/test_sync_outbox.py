"""The outbox over a ledger in memory."""

import json

from firmware.errors import FieldError
from tests.pure.sync_support import refused

import firmware.sync.outbox as outbox_module  # isort: skip
from firmware.sync.outbox import Outbox  # isort: skip

EPOCH = 77


class Rec:
    def __init__(self, seq):
        self.seq = seq

    def to_json(self, epoch):
        return '{"epoch":%d,"seq":%d}' % (epoch, self.seq)


class MemoryLedger:
    """The ledger's interface (docs/architecture.md) over a number."""

    epoch = EPOCH

    def __init__(self, records):
        self.next_seq = records + 1
        self.acked_seq = 0
        self.alarms = []
        self.oldest = 1  # in flash

    def read_after(self, seq):
        return Rec(max(seq + 1, self.oldest)) if seq + 1 < self.next_seq else None

    def append(self, kind, **fields):
        assert kind == "alarm" and fields["sess"] == 0
        self.alarms.append(fields["code"])

    def acknowledge(self, epoch, seq):
        assert epoch == self.epoch and seq < self.next_seq
        self.acked_seq = max(self.acked_seq, seq)


class Ticks:
    """Time that moves when told."""

    def __init__(self):
        self.now = 0

    def ticks_ms(self):
        return self.now

    def ticks_diff(self, a, b):
        return a - b


def drained(outbox):
    """The numbers of what it gives until it gives nothing."""
    found: list = []
    while True:
        text = outbox.next()
        if text is None:
            return found
        found.append(json.loads(text)["seq"])


def ack(outbox, seq, **more):
    outbox.on_ack(dict(more, epoch=EPOCH, seq=seq))


def with_ticks(test):
    ticks = Ticks()
    kept = outbox_module.time
    setattr(outbox_module, "time", ticks)  # noqa: B010
    try:
        test(ticks)
    finally:
        setattr(outbox_module, "time", kept)  # noqa: B010


def test_a_window_is_sent_in_order_and_moves_with_acknowledgements():
    outbox = Outbox(MemoryLedger(40))
    outbox.rewind()
    assert drained(outbox) == list(range(1, 17))
    ack(outbox, 4)
    assert drained(outbox) == [17, 18, 19, 20]
    ack(outbox, 20)
    assert drained(outbox) == list(range(21, 37))
    ack(outbox, 36)
    assert drained(outbox) == [37, 38, 39, 40]
    ack(outbox, 40)
    assert drained(outbox) == [] and outbox.acked == 40 and outbox.sent == 40


def test_an_old_acknowledgement_changes_nothing():
    ledger = MemoryLedger(10)
    outbox = Outbox(ledger)
    outbox.rewind()
    assert len(drained(outbox)) == 10
    ack(outbox, 7)
    ack(outbox, 3)
    ack(outbox, 7)
    assert (ledger.acked_seq, outbox.acked) == (7, 7) and drained(outbox) == []


def test_after_a_reconnect_it_begins_behind_the_last_acknowledged():
    outbox = Outbox(MemoryLedger(10))
    outbox.rewind()
    drained(outbox)
    ack(outbox, 6)
    outbox.rewind()
    assert drained(outbox) == [7, 8, 9, 10]


def test_asked_again_it_sends_again():
    outbox = Outbox(MemoryLedger(10))
    outbox.rewind()
    drained(outbox)
    ack(outbox, 2, again=True)
    assert drained(outbox) == [3, 4, 5, 6, 7, 8, 9, 10]


def test_an_older_database_gets_what_it_had_acknowledged_once_more_while_it_is_in_flash():
    ledger = MemoryLedger(40)
    outbox = Outbox(ledger)
    outbox.rewind()
    drained(outbox)
    ack(outbox, 12)
    ack(outbox, 4, again=True)
    assert outbox.next() == '{"epoch":77,"seq":5}'
    ack(outbox, 5)  # of what is repeated: not a word to go on from elsewhere
    assert drained(outbox) == list(range(6, 12 + 17))
    assert ledger.acked_seq == 12
    ledger.oldest = 9
    ack(outbox, 4, again=True)
    assert drained(outbox) == list(range(13, 12 + 17)), "5 is gone, so nothing would close the gap"
    ack(outbox, 8, again=True)
    assert drained(outbox)[0] == 9


def test_an_acknowledgement_ahead_of_what_was_sent_skips_it():
    outbox = Outbox(MemoryLedger(50))
    outbox.rewind()
    ack(outbox, 30)
    assert drained(outbox)[0] == 31


def test_without_acknowledgement_it_repeats_after_ever_longer_waits():
    def test(ticks):
        outbox = Outbox(MemoryLedger(2))
        outbox.rewind()
        assert drained(outbox) == [1, 2]
        waits = []
        for _ in range(12):
            began = ticks.now
            while not drained(outbox):
                ticks.now += 500
            waits.append(ticks.now - began)
        assert (
            waits[0] == 5500 and waits[1] == 10500 and max(waits) <= 300500 and waits[-1] > 299000
        ), waits
        ack(outbox, 1)
        began = ticks.now
        while not drained(outbox):
            ticks.now += 500
        assert ticks.now - began == 5500

    with_ticks(test)


def test_idle_time_is_not_waiting_time():
    def test(ticks):
        ledger = MemoryLedger(0)
        outbox = Outbox(ledger)
        outbox.rewind()
        ticks.now += 1000000
        ledger.next_seq = 2
        assert drained(outbox) == [1]
        ticks.now += 4000
        assert drained(outbox) == []

    with_ticks(test)


def test_acknowledgements_that_cannot_be_true_are_refused():
    ledger = MemoryLedger(5)
    outbox = Outbox(ledger)
    outbox.rewind()
    drained(outbox)
    for message, field in (
        ({"epoch": EPOCH + 1, "seq": 3}, "epoch"),
        ({"epoch": EPOCH, "seq": 6}, "seq"),
        ({"epoch": EPOCH, "seq": -1}, "seq"),
        ({"epoch": EPOCH, "seq": "3"}, "seq"),
        ({"epoch": EPOCH}, "seq"),
        ({"seq": 3}, "epoch"),
        ({}, "epoch"),
        ({"epoch": EPOCH, "seq": 2.0}, "seq"),
        ({"epoch": True, "seq": 1}, "epoch"),
    ):
        assert refused(FieldError, outbox.on_ack, message).field == field
        assert ledger.acked_seq == 0
    assert refused(FieldError, outbox.on_ack, {"epoch": EPOCH, "seq": 7}).field == "seq"
    assert ledger.alarms == ["flash_copied"], "a number that was never given, once"

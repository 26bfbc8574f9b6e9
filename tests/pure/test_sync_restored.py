"""A back office whose database was put back to a backup that is older than what flash still has:
the charger says which record is its oldest, and repeats from there when it is told to go on."""

import json

import tests.pure.sync_support  # noqa: F401 - first: umqtt on CPython
from board.host_flash import FileFlash
from firmware.errors import FlashError
from firmware.ledger.ledger import Ledger
from tests.pure import test_sync_incoming as incoming

NOW = incoming.NOW
COUNT = 700  # records: more than ten sectors hold


def charger(count=COUNT):
    """(sync, ledger): all that was written is acknowledged."""
    ledger = Ledger(FileFlash(sectors=10), lambda: NOW)
    ledger.mount()
    for n in range(count):
        ledger.append("alarm", code="c%d" % n, sess=0, detail="x" * 40)
        ledger.acknowledge(ledger.epoch, n + 1)
    sync = incoming.sync_of(incoming.Handlers())
    sync._ledger = sync._outbox._ledger = ledger
    sync._outbox.rewind()
    return sync, ledger


def status(sync):
    sync._due.discard(b"status")
    return sync._retained(b"status")


def told(sync, ledger, seq, again=True):
    message = {"epoch": ledger.epoch, "seq": seq, "again": again}
    sync.on_message(b"forecourt/v1/CP1/ack", json.dumps(message).encode())


def published(sync, most):
    found: "list[int]" = []
    while len(found) < most:
        payload = sync._outbox.next()
        if payload is None:
            break
        found.append(json.loads(payload)["seq"])
    return found


def test_the_status_names_the_oldest_record_in_flash():
    sync, ledger = charger(0)
    assert status(sync)["oldest_seq"] == 1
    sync, ledger = charger()
    oldest = status(sync)["oldest_seq"]
    assert 1 < oldest < COUNT
    record = ledger.read_after(oldest - 1)
    assert (record.kind, record.fields["code"]) == ("alarm", "c%d" % (oldest - 1))
    assert ledger.read_after(oldest - 2).seq != oldest - 1  # that one is gone


def test_told_to_go_on_behind_what_is_lost_it_repeats_all_that_is_left():
    sync, ledger = charger()
    oldest = status(sync)["oldest_seq"]
    told(sync, ledger, 40)
    assert published(sync, 1) == []  # what comes after a gap closes none
    told(sync, ledger, oldest - 1)
    assert published(sync, COUNT) == list(range(oldest, COUNT + 1))


def test_what_moves_the_oldest_record_is_said_with_the_next_acknowledgement():
    sync, ledger = charger()
    oldest = status(sync)["oldest_seq"]
    told(sync, ledger, 40)
    assert b"status" not in sync._due
    for n in range(60):
        ledger.append("alarm", code="n%d" % n, sess=0, detail="x" * 40)
    told(sync, ledger, 40)
    assert b"status" in sync._due and status(sync)["oldest_seq"] > oldest
    told(sync, ledger, 40)
    assert b"status" not in sync._due, "once"


def test_asked_to_repeat_it_says_how_far_it_was_acknowledged():
    sync, ledger = charger(5)
    assert status(sync)["acked_seq"] == 5
    for n in range(3):
        ledger.append("alarm", code="n%d" % n, sess=0, detail="")
    told(sync, ledger, 8, again=False)
    sync._due.discard(b"status")
    told(sync, ledger, 2, again=False)
    assert b"status" not in sync._due
    told(sync, ledger, 2)
    assert b"status" in sync._due and status(sync)["acked_seq"] == 8
    told(sync, ledger, 2)
    assert b"status" not in sync._due, "once"


def test_of_a_flash_that_cannot_be_read_nothing_is_said_to_be_lost():
    sync, ledger = charger(5)

    class Broken:
        @property
        def oldest_seq(self):
            raise FlashError("read of sector 1: 5")

        epoch = ledger.epoch
        next_seq = 6
        acked_seq = 5

    sync._ledger = Broken()
    assert status(sync)["oldest_seq"] == 1

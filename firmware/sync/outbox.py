"""The outbox: ledger records in order, a window of them on the way, freed only by the back
office's acknowledgement.

Goals: nothing is sent before it is in flash (the ledger is the queue; no record is kept in RAM),
nothing is freed before the back office committed it, and after a reconnect or a lost
acknowledgement it starts again behind the last acknowledged record. The receiver ignores what it
has. An acknowledgement of other records than those in this flash (it is a copy, or was put back
to an earlier state) frees nothing: it is an alarm, once a start.
"""

import binascii
import time

from micropython import const

from firmware.errors import FieldError
from firmware.sync.messages import natural

_WINDOW = const(16)
_FIRST_WAIT_MS = const(5000)
_LONGEST_WAIT_MS = const(300000)


def check_of(record, epoch: int) -> int:
    """The check value of a record (docs/mqtt/README.md, "Delivery"); -1 for one that this firmware
    cannot read as it was written: lost, or from another version."""
    if record.rest or record.kind in ("unknown", "lost"):
        return -1
    parts = [str(n) for n in (epoch, record.seq, record.kind, record.version, record.at)]
    for name in sorted(record.fields):
        value = record.fields[name]
        if isinstance(value, str):
            value = "".join([c for c in value if " " <= c <= "~"])
        elif isinstance(value, list):
            value = ",".join([str(n) for n in value])
        if value:
            parts.append("%s=%s" % (name, value))
    return binascii.crc32("\n".join(parts).encode())


class Outbox:
    """`ledger`: epoch, next_seq, acked_seq, read_after(seq), acknowledge(epoch, seq), append."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger
        self._last = 0  # newest record sent since the last rewind
        self._moved = 0  # when an acknowledgement came, or the first record was sent
        self._wait_ms = _FIRST_WAIT_MS
        self._alarmed = False
        self.told = False  # of records that were not sent on this connection
        self.sent = 0
        self.acked = 0

    def rewind(self, wait_ms: int = _FIRST_WAIT_MS) -> None:
        """Begin again behind the last acknowledged record (a new connection)."""
        self._last = self._ledger.acked_seq
        self._wait_ms = wait_ms
        self._moved = time.ticks_ms()

    def next(self):
        """The next record to publish, as text; None: nothing, or the window is full.

        Without an acknowledgement it begins again, each time after twice the wait: the back office
        is away.
        """
        ledger = self._ledger
        flying = self._last - ledger.acked_seq
        if flying > 0 and time.ticks_diff(time.ticks_ms(), self._moved) > self._wait_ms:
            self.rewind(min(self._wait_ms * 2, _LONGEST_WAIT_MS))
        elif flying >= _WINDOW:
            return None
        if self._last + 1 >= ledger.next_seq:
            return None
        record = ledger.read_after(self._last)
        if record is None:
            return None
        if flying <= 0:
            self._moved = time.ticks_ms()
        self._last = record.seq
        self.sent += 1
        return record.to_json(ledger.epoch)

    def on_ack(self, message: dict) -> None:
        """Frees what the back office has. `again`: it may have missed some after these (it
        restarted, saw a gap, or its database is an older one: what it had acknowledged then is
        repeated too, where it is in flash still). `check`: of the record `seq`; an older back
        office sends none. FieldError: not an acknowledgement of ours. LedgerError: the alarm was
        not written."""
        ledger = self._ledger
        epoch = natural(message, "epoch")
        seq = natural(message, "seq")
        if epoch != ledger.epoch:
            raise FieldError("epoch", f"must be {ledger.epoch}", epoch)
        if seq >= ledger.next_seq:
            self._alarm(seq)
            raise FieldError("seq", f"must be below {ledger.next_seq}", seq)
        freed = seq - ledger.acked_seq
        if freed > 0:
            if "check" in message:
                check = natural(message, "check")
                own = check_of(ledger.read_after(seq - 1), epoch)
                if own not in (-1, check):
                    self._alarm(seq)
                    raise FieldError("check", f"must be {own}, of record {seq}", check)
            self.told = self.told or seq > self._last
            ledger.acknowledge(epoch, seq)
            self.acked += freed
            self._last = max(self._last, seq)
        if message.get("again"):
            self._back_to(min(seq, ledger.acked_seq))
        self._moved = time.ticks_ms()
        self._wait_ms = _FIRST_WAIT_MS

    def _back_to(self, seq: int) -> None:
        """Behind `seq` where the record after it is in flash still, else behind the last that was
        acknowledged: what comes after a gap closes none."""
        record = self._ledger.read_after(seq)
        there = record is not None and record.seq == seq + 1
        self._last = seq if there else self._ledger.acked_seq

    def _alarm(self, seq: int) -> None:
        """The back office has a record `seq` that is not this flash's."""
        if not self._alarmed:
            detail = "record %d in the back office is another one" % seq
            self._ledger.append("alarm", code="flash_copied", sess=0, detail=detail)
            self._alarmed = True

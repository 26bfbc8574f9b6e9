"""The outbox: ledger records in order, a window of them on the way, freed only by the back office's acknowledgement.

Goals: nothing is sent before it is in flash (the ledger is the queue; no record is kept in RAM), nothing is freed
before the back office committed it, and after a reconnect or a lost acknowledgement it starts again behind the last
acknowledged record. The receiver ignores what it has.
"""

import time

from firmware.errors import FieldError
from firmware.sync.messages import natural
from micropython import const

_WINDOW = const(16)
_FIRST_WAIT_MS = const(5000)
_LONGEST_WAIT_MS = const(300000)


class Outbox:
    """`ledger`: epoch, next_seq, acked_seq, read_after(seq), acknowledge(epoch, seq)."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger
        self._last = 0  # newest record sent since the last rewind
        self._flying = 0
        self._moved = 0
        self._wait_ms = _FIRST_WAIT_MS
        self.sent = 0
        self.acked = 0

    def rewind(self) -> None:
        """Begin again behind the last acknowledged record (a new connection)."""
        self._last = self._ledger.acked_seq
        self._flying = 0
        self._wait_ms = _FIRST_WAIT_MS
        self._moved = time.ticks_ms()

    def next(self):
        """The next record to publish, as text; None: nothing, or the window is full."""
        if self._flying and time.ticks_diff(time.ticks_ms(), self._moved) > self._wait_ms:
            self._again()
        if self._flying >= _WINDOW or self._last + 1 >= self._ledger.next_seq:
            return None
        record = self._ledger.read_after(self._last)
        if record is None:
            return None
        if not self._flying:
            self._moved = time.ticks_ms()
        self._flying += 1
        self._last = record.seq
        self.sent += 1
        return record.to_json(self._ledger.epoch)

    def _again(self) -> None:
        """No acknowledgement in time: the back office is away or lost some. Each time it waits twice as long."""
        wait = min(self._wait_ms * 2, _LONGEST_WAIT_MS)
        self.rewind()
        self._wait_ms = wait

    def on_ack(self, message: dict) -> int:
        """Frees what the back office has; answers how many records. `again`: it may have missed some after these (it
        restarted, or saw a gap). FieldError: not an acknowledgement of ours."""
        ledger = self._ledger
        epoch = natural(message, "epoch")
        seq = natural(message, "seq")
        if epoch != ledger.epoch:
            raise FieldError("epoch", f"must be {ledger.epoch}", epoch)
        if seq >= ledger.next_seq:
            raise FieldError("seq", f"must be less than {ledger.next_seq}", seq)
        freed = seq - ledger.acked_seq
        if message.get("again"):
            self._last = max(seq, ledger.acked_seq)
            self._flying = 0
        self._moved = time.ticks_ms()
        self._wait_ms = _FIRST_WAIT_MS
        if freed <= 0:
            return 0
        ledger.acknowledge(epoch, seq)
        self._flying = max(0, min(self._flying, self._last - seq))
        if seq > self._last:
            self._last = seq
        self.acked += freed
        return freed

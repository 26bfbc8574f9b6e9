"""Async bytes over a board's UART, shared by every serial protocol; the only place that touches
asyncio's I/O queue.

`wait()` sleeps in poll(2) (0 % CPU) until a byte comes: for a reader task that may wait for hours.
`read_into()` is for request and answer: it polls every 2 ms within a time limit and allocates
nothing.
"""

import asyncio
import time

try:
    from asyncio import core as _core
except ImportError:  # CPython runs the pure parts only
    _core = None

_STEP_MS = 2


class Serial:
    """`uart`: a non-blocking stream like machine.UART (`readinto` gives None when nothing is
    there). `switched`: it has a transceiver that listens again only when `sent` has been asked.
    """

    def __init__(self, uart):
        self._uart = uart
        self.switched = hasattr(uart, "sent")

    def sent(self) -> bool:
        """Everything written has left, and a switched transceiver listens."""
        return self._uart.sent()

    async def wait(self):  # no type: mypy takes what yields to MicroPython's loop for a generator
        """Returns when at least one byte can be read."""
        yield _core._io_queue.queue_read(self._uart)

    def take(self, view) -> int:
        """Bytes available now into the memoryview; 0 when none."""
        return self._uart.readinto(view) or 0

    async def read_into(self, view, timeout_ms: int) -> int:
        """Up to len(view) bytes, as many as have come; 0 after `timeout_ms` (real time) without
        any.
        """
        began = time.ticks_ms()
        while True:
            n = self._uart.readinto(view)
            if n:
                return n
            if time.ticks_diff(time.ticks_ms(), began) >= timeout_ms:
                return 0
            await asyncio.sleep_ms(_STEP_MS)

    def write(self, data) -> None:
        """Queues the whole buffer; UART and pty buffers hold any frame of ours (at most 1 KiB)."""
        self._uart.write(data)

    def discard(self, scratch) -> int:
        """Throws away what has come so far; returns how many bytes."""
        total = 0
        while True:
            n = self._uart.readinto(scratch)
            if not n:
                return total
            total += n

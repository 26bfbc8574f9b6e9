"""What a ZVT terminal says at the end of its day (PA00P015, "End-of-Day", BMP 60). Entered once a
day and left again.
"""

from micropython import const

from firmware.terminal.base import Outcome

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any


class DayTotals(Outcome):
    """`count` transactions that come to `amount_minor`, receipts `first` to `last`. `commit(self)`
    is called when they are known, before they are acknowledged.
    """

    count = 0
    first = 0
    last = 0

    def __init__(self, commit: "Any") -> None:
        super().__init__(False)
        self._commit = commit

    def told(self, apdu: "Any") -> None:
        """A 040F that approves."""
        self.trace = apdu.trace
        self._sum_up(apdu.totals)
        if apdu.amount_minor >= 0:
            self.amount_minor = apdu.amount_minor
        if self._commit is not None:
            self._commit(self)

    def _sum_up(self, data: bytes) -> None:
        """BMP 60: first and last receipt, then (count, amount) of seven card families."""
        if not data:
            return
        self.first = int(data[:2].hex())
        self.last = int(data[2:4].hex())
        for at in range(4, len(data) - 6, 7):
            self.count += data[at]
            self.amount_minor += int(data[at + 1 : at + 7].hex())

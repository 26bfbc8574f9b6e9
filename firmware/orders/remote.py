"""What reaches a charger from outside: the back office's orders (orders.py, entered for each),
and clocks.
"""

import asyncio
import binascii
import time

from micropython import const

from firmware.clock import NETWORK, REFUSED, TERMINAL
from firmware.paper import leave
from firmware.pricing.calendar import days_of

_PRESSES = const(5)
_PRESSES_MS = const(5000)


class Remote:
    """The handlers of firmware.sync.Sync; `app`: firmware.app.App."""

    def __init__(self, app):
        self._app = app
        self.refund_at = 0  # uptime_ms from which refunds that are open are worked on
        self.shown: "dict" = None  # what the screen shows while a refund waits for its card
        self.settled = []  # the acquirer's answers to refunds (refund_order.close)
        self.presses = 0  # of Stop, one soon after the other: five call the doctor
        self._pressed_ms = 0
        self._doctor = None
        self.waiting = False  # a tariff lies in tariff.in, to be taken in between sessions
        self.restart_ms = 0  # uptime from which the charger restarts between sessions; 0: not

    def _order(self, kind: str, given) -> dict:
        from firmware.orders import orders

        try:
            return getattr(orders, kind)(self._app, given)
        finally:
            leave("firmware.orders.orders")

    def on_stop(self, now_ms: int) -> list:
        """Stop was pressed: what the machine decides. Five times within some seconds while nobody
        charges: the doctor speaks on the screen, until it has said all or Stop is pressed again.
        """
        m = self._app.machine
        if not m.busy:
            self._press()
        return m.on_stop(now_ms, "button")

    def _press(self) -> None:
        now = time.ticks_ms()
        if self.shown and self._doctor:
            self.presses = 0
            return
        if time.ticks_diff(now, self._pressed_ms) > _PRESSES_MS:
            self.presses = 0
        if not self.presses:
            self._pressed_ms = now
        self.presses += 1
        if self.presses == _PRESSES and not self.shown:
            self._doctor = asyncio.create_task(self._examine())

    async def _examine(self) -> None:
        try:
            from firmware.doctor.examine import show

            await show(self._app)
        except MemoryError as e:  # the charger goes on, without
            self._app.log("warning", "doctor: %s" % e)
            self.shown = None
        finally:
            self._doctor = None
            self.presses = 0
            leave("firmware.doctor.examine")

    def on_tariff(self, raw) -> "dict | None":
        """Put aside until no session is open: a running session keeps its own, and reading one
        takes memory that a session needs. Answered then (orders.take_in); at once when it is the
        one in force or was refused before.
        """
        prices = self._app.prices
        crc = binascii.crc32(raw)
        if prices.tariff and crc == prices.crc:
            return {"detail": "tariff %s is in force" % prices.tariff.id}
        if crc != prices.refused_crc():
            with open(prices.directory + "/tariff.in", "wb") as f:
                f.write(raw)
            self.waiting = True
        return None

    def take_in(self, last_try: bool = False) -> None:
        """Between sessions, and at start-up."""
        self._order("take_in", last_try)

    def on_config(self, raw) -> dict:
        return self._order("config", raw)

    def on_command(self, command: dict) -> dict:
        return self._order("command", command)

    def on_members(self, message: dict, key: bytes) -> "dict | None":
        from firmware.cards.member_list import page

        try:
            return page(self._app, message, key)
        finally:
            leave("firmware.cards.member_list", "firmware.cards.members")

    def command_counter(self) -> int:
        return self._app.ledger.books.last_counter

    def on_time(self, epoch_ms: int) -> None:
        if self._app.clock.set(epoch_ms, NETWORK) == REFUSED:
            self._app.log("warning", "the time server's time is not believable: %d" % epoch_ms)

    def on_terminal_time(
        self, year, month: int, day: int, hour: int, minute: int, second: int
    ) -> None:
        """The terminal's local time; without a year it is of no use."""
        app = self._app
        if year is None:
            return
        local = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
        tz = app.prices.tz
        app.clock.set((local - tz.offset(local - tz.offset(local))) * 1000, TERMINAL)

    def on_security(self, code: str, detail: str) -> int:
        return self._app.append("security", code=code, detail=detail)

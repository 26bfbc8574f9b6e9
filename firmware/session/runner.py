"""Performs what the machine decides, and tells it what happens. The only place where the session
meets the world.

Order is the promise: decisions are performed one after the other, a RECORD returns when it is on
flash, and the first failure ends the list. Work that takes the terminal's time goes to a queue of
jobs that one task performs in order. Flash that fails leaves no truth to go on from: the contactor
is opened and the charger restarts into recovery.
"""

import asyncio
import time

from micropython import const

from firmware.errors import LedgerError, MeterError, ModbusError, TerminalError
from firmware.ledger.books import BooksError
from firmware.paper import leave
from firmware.session import decisions as do
from firmware.session.blocked import give_up, not_taken, why_blocked
from firmware.session.settlement import IDLE
from firmware.terminal.base import Outcome

_LOOK_MS = const(20)
_FLASH_FAULT_PAUSE_MS = const(5000)
_NO_MEMORY_MS = const(60000)
_HOLD_MS = const(20000)  # real time a tapped card waits for a terminal that went away
_NAMES = {do.CAPTURE: "capture", do.CANCEL: "cancel", do.PENDING: "pending holds"}


class Runner:
    """`parts`: app.Parts: board, cfg, ledger, terminal, meter, machine, log(level, text), trace.
    """

    def __init__(self, parts):
        self._p = parts
        self._m = parts.machine
        self._m.blocked = "booting"  # until the first look at everything
        self._lines = parts.board.lines
        self._uptime = parts.board.clock.uptime_ms
        self._jobs = []
        self._job_set = asyncio.Event()
        self._emergency = False
        self.day_tries = 0  # of an end of day that did not come to its end
        self._day_at = 0  # uptime_ms from which it is looked at whether one is due
        self.hold = None  # the Authorisation of the session that runs
        self._reading_card = False
        self._holds_known = False  # what the terminal holds for others
        self._flash_failed = False
        self._meter_ok_at = self._uptime()
        self._proved = -1  # for whom the meter gave its serial number last, see _whose
        kinds = parts.cfg.cards_kinds
        self.takes_bank_cards = kinds not in ((), ("rfid",))
        self._tapped = False
        self._tapped_ms = 0  # real time, as the next two
        self.tap_to_power_ms = 0
        self.terminal_ms = 0  # of the last authorisation, the terminal's own time

    # --- decisions -----------------------------------------------------------

    def perform(self, decided: list) -> None:
        """Performs a list in order; see the module's promise."""
        for d in decided:
            what = d[0]
            if what == do.RECORD:
                if not self.record(d[1], d[2]):
                    return
            elif what == do.CONTACTOR:
                self._lines.contactor(d[1])
                self._p.trace("contactor", {"closed": d[1]})
            elif what == do.OFFER:
                self._lines.offer(d[1])
            elif what == do.ABORT:
                self._p.terminal.abort()
            else:
                self._jobs.append(d)
                self._p.beats["jobs"] = time.ticks_ms()
                self._job_set.set()

    def record(self, kind: str, fields: dict) -> bool:
        """One ledger record; False when flash refused it (and the charger is about to restart)."""
        try:
            self._p.append(kind, **fields)
        except BooksError as e:
            self._books_fault(e)
            return False
        except LedgerError as e:
            self._flash_fault(e)
            return False
        if kind == "priced":
            self._p.print_receipt()
            self._p.tell_line()
        elif kind == "captured" and fields["how"] == "direct":
            from firmware.slip import show

            show(self._p)
            leave("firmware.slip")
        return True

    def fatal(self, code: str, detail: str) -> None:
        """A task that acts on money or power died or hangs: the truth is in flash, so start again
        from there. The operator hears which task it was.
        """
        try:
            self._lines.contactor(False)
            self._lines.offer(0)
            number = self._m.session.number if self._m.session else 0
            self._p.append("alarm", code=code, sess=number, detail=detail[:100])
        except LedgerError as e:
            self._p.log("error", "ledger: %s" % e)
        finally:
            self._p.board.reset()

    def _books_fault(self, e) -> None:
        """A decision that would break the books: a restart would only come to it again. Out of
        service, in words, with all that is in flash as it is.
        """
        self._lines.contactor(False)
        self._lines.offer(0)
        self._m.give_up(self._uptime(), "ledger_fault")
        self._p.log("error", "books: %s; out of service" % e)
        self.record("alarm", {"code": "books_fault", "sess": 0, "detail": str(e)[:100]})

    def _flash_fault(self, e) -> None:
        self._lines.contactor(False)
        self._lines.offer(0)
        self._p.log("error", "ledger: %s; restarting" % e)
        self._m.blocked = "ledger_fault"
        self._flash_failed = True

    # --- tasks ---------------------------------------------------------------

    async def watch_lines(self) -> None:
        """Pilot, contactor feedback and buttons, about 50 times a second."""
        m = self._m
        lines = self._lines
        while True:
            now = self._uptime()
            self._p.beats["lines"] = time.ticks_ms()
            if lines.emergency() != self._emergency:
                self._emergency = not self._emergency
                if self._emergency:
                    self.perform(m.on_emergency(now))
            if lines.pilot() != m.pilot:
                self.perform(m.on_pilot(now, lines.pilot()))
            if lines.stop_pressed():
                self.perform(self._p.remote.on_stop(now))
            was = m.state
            self.perform(m.on_feedback(now, lines.feedback()))
            if self._tapped and was == "starting" and m.state in ("charging", "paused"):
                self.tap_to_power_ms = time.ticks_diff(time.ticks_ms(), self._tapped_ms)
                self._tapped = False
            if self._reading_card and (self._jobs or not m.wants("card")):
                # a read nobody wants any more; money commands need not wait for it
                self._p.terminal.abort()
            if self._flash_failed:
                await asyncio.sleep_ms(_FLASH_FAULT_PAUSE_MS)
                self._p.board.reset()
            await asyncio.sleep_ms(_LOOK_MS)

    async def watch_meter(self) -> None:
        """One reading every poll period of charger time, as near as the line allows."""
        m = self._m
        clock = self._p.board.clock
        meter = self._p.meter
        period = self._p.cfg.meter_poll_ms
        while True:
            due = self._uptime() + period
            self._p.beats["meter"] = time.ticks_ms()
            try:
                whose = self._whose()
                meter.begin(whose != self._proved)
                wait = meter.step()
                while wait >= 0:
                    await asyncio.sleep_ms(wait)
                    wait = meter.step()
                self._proved = whose
                self._meter_ok_at = self._uptime()
                m.serial = meter.serial
                self.perform(m.on_reading(self._uptime(), meter.reading))
            except (MeterError, ModbusError) as e:
                self._meter_failed(e)
            await asyncio.sleep_ms(max(clock.real_ms(due - self._uptime()), 0))

    def _whose(self) -> int:
        """Changes when a session begins and when its power goes off: then the meter is asked for
        its serial number.
        """
        m = self._m
        if m.session is None:
            return 0
        return 2 * m.session.number + (m.delivery is not None and m.delivery.off_ms >= 0)

    def _meter_failed(self, e) -> None:
        m = self._m
        meter = self._p.meter
        if m.meter_known:
            self._p.log("warning", "meter: %s: %s" % (type(e).__name__, e))
        swapped = meter.problem if meter.state == "swapped" else ""
        wrong = meter.state == "implausible"
        self.perform(m.on_meter_failed(self._uptime(), swapped, wrong))
        if not (m.busy or m.meter_known):
            if give_up(self._p, swapped, wrong, self._uptime() - self._meter_ok_at):
                self._proved = -1

    async def watch_cards(self) -> None:
        """A card read is open whenever the machine wants one and the terminal is free for it."""
        terminal = self._p.terminal
        while True:
            self._p.beats["cards"] = time.ticks_ms()
            if self._m.busy or not terminal.ready:
                self._holds_known = False
            wanted = self.takes_bank_cards and self._m.wants("card")
            if self._jobs or not (wanted and terminal.ready):
                await asyncio.sleep_ms(50)
                continue
            card = None
            self._reading_card = True
            try:
                if not (self._holds_known or self._m.busy):
                    self._holds_known = True
                    self.perform(self._m.on_open_holds(await terminal.pending()))
                else:
                    card = await terminal.read_card(60)
            except TerminalError as e:
                self._p.log("warning", "card reader: %s" % e)
                await asyncio.sleep_ms(500)
            finally:
                self._reading_card = False
            if card is not None:
                if card.kind == "bank":
                    card.text = not_taken(self._p.cfg.cards_kinds, card)
                self.card_read(card)

    def card_read(self, card) -> None:
        """A tap, at the terminal or at the RFID reader."""
        self._p.trace("card", {"kind": card.kind, "pan": card.pan, "text": card.text})
        if self._m.state in ("free", "plugged", "receipt"):
            self._tapped = True
            self._tapped_ms = time.ticks_ms()
        self.perform(self._m.on_card(self._uptime(), card))

    async def do_jobs(self) -> None:
        """The terminal's money commands, one after the other."""
        while True:
            if not self._jobs:
                self._p.beats["jobs"] = None  # nothing to do
                self._job_set.clear()
                await self._job_set.wait()
            job = self._jobs[0]
            await self._job(job)
            self._jobs.remove(job)

    async def tick(self) -> None:
        """Time limits, once a second of charger time."""
        clock = self._p.board.clock
        while True:
            self._p.beats["ticks"] = time.ticks_ms()
            self.perform(self._m.on_tick(self._uptime()))
            failed = "ledger_fault" if self._flash_failed else ""
            failed = failed or ("emergency" if self._emergency else "")
            self._m.blocked = why_blocked(self._p, self._m.broken or failed, self.takes_bank_cards)
            self._tend_ledger()
            remote = self._p.remote
            if remote.waiting and not self._m.busy:
                remote.take_in()
            if 0 < remote.restart_ms < self._uptime() and not self._m.busy:
                self._p.board.reset()
            if not (self._jobs or self._m.busy):
                self._look_rooms(remote)
            await asyncio.sleep_ms(max(clock.real_ms(1000), 50))

    def _tend_ledger(self) -> None:
        """Housekeeping of the flash ring in quiet moments: at most one erase a turn."""
        self._p.clock.in_session = self._m.busy
        try:
            self._p.ledger.idle()
        except LedgerError as e:
            self._p.log("error", "ledger: %s" % e)

    def _look_rooms(self, remote) -> None:
        """Between sessions: refunds that are open, and the end of the terminal's day."""
        now = self._uptime()
        if (self._p.ledger.books.asked or remote.settled) and now >= remote.refund_at:
            self.perform([(do.REFUND,)])
        elif now >= self._day_at and self._p.cfg.end_of_day_hour >= 0:
            self.perform([(do.DAY,)])

    # --- jobs ----------------------------------------------------------------

    async def _room(self, job):
        """A job whose code is in memory only while it works; of a CAPTURE its Outcome."""
        p = self._p
        what = job[0]
        while self._reading_card:  # watch_lines ends it
            await asyncio.sleep_ms(_LOOK_MS)
        wait_ms = _NO_MEMORY_MS
        try:
            if what == do.CAPTURE:
                from firmware.session.extension import capture

                return await capture(p.terminal, self._m.session, job[1], job[3])
            if what == do.REFUND:
                from firmware.refunds.work import work
            elif what == do.DAY:
                from firmware.day import work
            else:
                from firmware.session.extension import work
            wait_ms = await work(p)
        except LedgerError as e:
            self._flash_fault(e)
        except MemoryError as e:  # what is open is in flash: taken up again, as after a power cut
            if what == do.CAPTURE:
                raise TerminalError("no memory")
            p.log("warning", "no memory: %s" % e)
        finally:
            leave("firmware.refunds.work", "firmware.refunds.card", "firmware.ledger.refunds",
                  "firmware.day", "firmware.session.extension")  # fmt: skip
        if what == do.REFUND:
            p.remote.refund_at = self._uptime() + wait_ms
        elif what == do.DAY:
            self._day_at = self._uptime() + wait_ms

    async def _job(self, job) -> None:
        what = job[0]
        if what == do.AUTHORISE:
            await self._authorise(job[1], job[2])
            return
        if what >= do.REFUND:
            await self._room(job)
            return
        s = self._m.session
        terminal = self._p.terminal
        if not await self._free_terminal():
            return
        answer = None
        try:
            if what == do.PENDING:
                answer = await terminal.pending()
            elif what == do.CANCEL:
                answer = await terminal.cancel(job[1])
            elif s.unsure_minor:
                answer = await self._room(job)
            else:  # more may have been approved after the price was known
                answer = await terminal.capture(job[1], s.authorised_minor, job[3])
        except TerminalError as e:
            self._p.log("warning", "%s: %s" % (_NAMES[what], e))
            if what != do.PENDING:
                answer = Outcome(False, False, 0, "terminal_off")
        if what == do.PENDING:
            self.perform(self._m.on_pending(self._uptime(), answer))
        else:
            self.perform(self._m.on_outcome(self._uptime(), answer))

    async def _free_terminal(self, limit_ms: int = 0) -> bool:
        """Waits until the terminal is there and no card read is open. False: the limit (real
        time) has passed or somebody stops; without one, the settlement was closed meanwhile.
        """
        began = time.ticks_ms()
        while self._reading_card or not self._p.terminal.ready:
            now = self._p.beats["jobs"] = time.ticks_ms()
            late = self._m.stopping or time.ticks_diff(now, began) > limit_ms
            if late if limit_ms else self._m.settlement.state == IDLE:
                return False
            await asyncio.sleep_ms(20)
        return True

    def _commit(self, a) -> None:
        """The commit point: the approval is in flash before the terminal hears that we have it. Of
        a card whose kind may not pay it hears nothing, and takes the hold back.
        """
        self._refused = not_taken(self._p.cfg.cards_kinds, a)
        if self._refused:
            raise TerminalError(self._refused)
        self._p.append(
            "authorised", sess=self._m.session.number, amount_minor=a.amount_minor,
            receipt=a.receipt, trace=a.trace, terminal_id=a.terminal_id, vu=a.vu,
            auth_code=a.auth_code, pan=a.pan, card=a.card,
        )  # fmt: skip
        self.hold = a

    async def _authorise(self, hold_minor: int, reference: str) -> None:
        self.hold = None
        self._refused = ""
        m = self._m
        if not await self._free_terminal(_HOLD_MS):  # nothing was asked of it, and nothing will be
            self.perform(m.on_declined(self._uptime(), Outcome(False, True, 0, "terminal_off")))
            return
        began = time.ticks_ms()
        try:
            a = await self._p.terminal.authorise(hold_minor, reference, self._commit)
        except TerminalError as e:
            self._p.log("warning", "authorisation: %s" % e)
            a = None
        self.terminal_ms = time.ticks_diff(time.ticks_ms(), began)
        now = self._uptime()
        if a is None or not a.certain or self.hold is not None and not a.ok:
            decided = m.on_hold_unknown(now, self.hold, self._refused)
        else:
            decided = m.on_authorised(now, a) if a.ok else m.on_declined(now, a)
        self.perform(decided)

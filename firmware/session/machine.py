"""The session's state machine. Pure: events in with the charger's time, decisions out; no I/O and
no clock of its own.

    free -> authorising -> wait_plug -> starting -> charging <-> paused -> finished
         -> settling -> receipt -> free;  recovering at boot
    plugged -> authorising (plug first);  any fault with power on -> finished -> settling

Every method `on_...` returns the list of decisions (decisions.py) to perform in order. Times are
Clock.uptime_ms().
"""

from micropython import const

from firmware.pricing.tariff import PARKING
from firmware.session.contactor import FREED, NOT_CLOSING
from firmware.session.core import (
    AUTHORISING,
    CHARGING,
    FINISHED,
    FREE,
    METER_TRIES,
    OPEN_TO_CARDS,
    OUT,
    PAUSED,
    PLUGGED,
    POWERED,
    RECEIPT,
    RECOVERING,
    SETTLING,
    STARTING,
    WAIT_PLUG,
    WRONG_MS,
    Core,
)
from firmware.session.data import Session
from firmware.session.decisions import ABORT, AUTHORISE, CONTACTOR, EXTEND, OFFER, RECORD
from firmware.session.delivery import Delivery
from firmware.session.running import RunningBill
from firmware.session.settlement import DONE, IDLE, approval

_LATE_MS = const(72000000)  # 20 h
_PASSING = (FREE, PLUGGED, WAIT_PLUG, CHARGING, PAUSED)  # a message is about a card, and passes
# Stops that are the charger's own fault: the time after them costs nothing.
_OWN_FAULTS = ("fault", "emergency", "meter_lost", "power_cut")


class Machine(Core):
    """One session after the other; made as Core says."""

    # --- cards ---------------------------------------------------------------

    def on_card(self, now_ms: int, card) -> list:
        """A card was tapped (terminal.base.CardResult)."""
        if card.kind == "unreadable":
            self.say(now_ms, card.text or "card_unreadable")
        elif self.state in OPEN_TO_CARDS:
            if not self.blocked:
                self._ask_hold(now_ms, card)
        elif not (self.session and self.session.same_card(card)):
            self.say(now_ms, "other_card")
        elif self.state == WAIT_PLUG:
            self._give_back(now_ms, "tap")
        elif self.state in POWERED:
            self._stop(now_ms, "tap")
        return self.take()

    def _ask_hold(self, now_ms: int, card) -> None:
        if card.text or card.kind != "bank":
            if card.session:
                self._begin(now_ms, card.session)
            else:
                self.say(now_ms, card.text or "card_not_accepted")
            return
        number = self._numbers.next_session
        s = Session(number, self._cfg.hold_minor, "card", "S%d" % number)
        s.uid_hash = card.uid_hash
        s.pan = card.pan
        self._open(now_ms, s)
        self.out.append((AUTHORISE, s.hold_minor, s.reference))

    def _open(self, now_ms: int, s: Session) -> None:
        self.session = s
        self.stopping = ""
        self.enter(AUTHORISING, now_ms)
        if s.tariff is None:
            s.tariff = self._prices.tariff
            s.crc = self._prices.crc
        self._record("hold_asked", {
            "hold_minor": s.hold_minor, "currency": s.tariff.currency, "tariff": s.tariff.id,
            "tariff_crc": s.crc, "method": s.method, "connector": self._cfg.connector,
            "reference": s.reference, "uid_hash": s.uid_hash, "remote": s.remote,
        })  # fmt: skip

    def begin(self, now_ms: int, s: Session) -> list:
        """A session whose amount is good already, by somebody else's word: `s` (its next_session)
        is in flash as asked and authorised before anything comes of it.
        """
        self._begin(now_ms, s)
        return self.take()

    def _begin(self, now_ms: int, s: Session) -> None:
        self._open(now_ms, s)
        self.out.append((RECORD, "authorised", approval(s)))
        self._held(now_ms)

    def on_authorised(self, now_ms: int, a) -> list:
        """The hold is placed; the runner wrote its record to flash at the commit point."""
        s = self.session
        s.authorised_minor = a.amount_minor
        s.receipt = a.receipt
        if a.uid_hash and not a.pan:
            s.uid_hash = a.uid_hash
        s.pan = a.pan or s.pan  # the card that pays may be another than the one that was read
        s.card = a.card
        s.auth_code = a.auth_code
        self._held(now_ms)
        return self.take()

    def _held(self, now_ms: int) -> None:
        if self.session.authorised_minor < self._cfg.min_hold_minor:
            self._give_back(now_ms, "hold_too_small")
        elif self.stopping or self.blocked:
            self._give_back(now_ms, self.stopping or self.blocked)
        elif self.pilot in "BCD":
            self._energise(now_ms)
        else:
            self.enter(WAIT_PLUG, now_ms)

    def on_declined(self, now_ms: int, a) -> list:
        """No hold was placed; `a.text` is for the driver, `a.code` for the operator."""
        self._record("declined", {"code": a.code, "text": a.text})
        self._go_idle(now_ms, a.text)
        return self.take()

    def on_hold_unknown(self, now_ms: int, a=None, why: str = "") -> list:
        """The terminal went away while a hold was asked, or took it back after the commit (`a`),
        or was left without its acknowledgement (`why`): what it still holds is given back later.
        """
        why = why or "terminal_off"
        if a is not None:
            self.session.authorised_minor = a.amount_minor
            self.session.receipt = a.receipt
        self.session.reason = why
        self.enter(SETTLING, now_ms, why)
        self.settlement.cancel(self.session, why, True)
        return self.take()

    def _give_back(self, now_ms: int, reason: str) -> None:
        """A hold of which nothing was used is cancelled."""
        self.session.reason = reason
        self.enter(SETTLING, now_ms, reason)
        self.settlement.cancel(self.session, reason)

    # --- power ---------------------------------------------------------------

    def _energise(self, now_ms: int) -> None:
        """Record, then current: register and start are in flash before the contactor closes."""
        unsafe = self.contactor.welded or self.contactor.leaking
        if unsafe or not self.meter_known:
            self._give_back(now_ms, "contactor_welded" if unsafe else "meter_lost")
            return
        s = self.session
        s.start_at = self._epoch_ms()
        cfg = self._cfg
        wh = self.register_wh
        start_ms = s.start_at or now_ms
        tz = self._prices.tz
        bill = RunningBill(s.tariff, tz, s.authorised_minor, wh, start_ms, cfg.max_power_w)
        self.delivery = Delivery(self.out, s, bill, now_ms, cfg.checkpoint_s * 1000)
        self._record("energising", {"register_wh": wh, "serial": self.serial})
        self._switch(True)
        self.out.append((OFFER, cfg.max_current_ma))
        self.enter(STARTING, now_ms)

    def _switch(self, closed: bool) -> None:
        self.contactor.command(closed)
        self.out.append((CONTACTOR, closed))

    def _stop(self, now_ms: int, reason: str) -> None:
        """Power off, now; the last register reading comes after the contactor is open."""
        if self.state not in POWERED:
            return
        self.session.reason = reason
        self._switch(False)
        self.out.append((OFFER, 0))
        self.delivery.power_off(now_ms)
        self.enter(FINISHED, now_ms, reason)

    def on_pilot(self, now_ms: int, letter: str) -> list:
        """The control pilot changed its state (A to F)."""
        was = self.pilot
        self.pilot = letter
        if letter in "EF":
            self._stop(now_ms, "fault")
        elif letter == "A":
            self._unplugged(now_ms)
        elif self.state in (CHARGING, PAUSED):
            state = PAUSED if letter == "B" else CHARGING
            if state != self.state:
                self.enter(state, now_ms)
                self.delivery.bill.check_at = 0
        elif was in "BCD":
            pass  # plugged in before
        elif self.state == FREE:
            self.enter(PLUGGED, now_ms)
        elif self.state == WAIT_PLUG:
            self._energise(now_ms)
        return self.take()

    def _unplugged(self, now_ms: int) -> None:
        if self.state in POWERED:
            self._stop(now_ms, "vehicle" if self.state == PAUSED else "unplug")
        elif self.state == PLUGGED:
            self.enter(FREE, now_ms)
        elif self.state == FINISHED and self.delivery.final:
            self.delivery.standing(now_ms)
            self._price(now_ms)

    def on_feedback(self, now_ms: int, closed: bool) -> list:
        """One look at the contactor's auxiliary contact (about every 20 ms)."""
        fault = self.contactor.look(closed)
        if fault:
            self._contactor_changed(now_ms, fault)
        elif closed and self.state == STARTING:
            self.enter(PAUSED if self.pilot == "B" else CHARGING, now_ms)
        return self.take()

    def _contactor_changed(self, now_ms: int, fault: str) -> None:
        self._alarm(fault)
        if fault == NOT_CLOSING:
            self._stop(now_ms, "fault")
        elif fault == FREED:
            if self.state == OUT and not self.broken:
                self._go_idle(now_ms)
        elif self.state in OPEN_TO_CARDS:
            self._go_idle(now_ms)
        elif self.delivery and not self.delivery.final:
            # what flows through a welded contactor is not billed
            self.delivery.final_register(self.register_wh)
            self._after_final(now_ms)

    # --- buttons -------------------------------------------------------------

    def on_stop(self, now_ms: int, reason: str) -> list:
        """Stop asked by "button" or "remote"."""
        if self.state in POWERED:
            self._stop(now_ms, reason)
        elif self.state == WAIT_PLUG:
            self._give_back(now_ms, reason)
        elif self.state == AUTHORISING:
            self.stopping = reason
            self.out.append((ABORT,))
        elif self.state == RECEIPT:
            self._go_idle(now_ms)
        return self.take()

    def on_emergency(self, now_ms: int) -> list:
        """Power off first, then the record. From now on nothing starts, also before the next look
        at what blocks (blocked.py)."""
        self.blocked = "emergency"
        if self.state in POWERED:
            self._stop(now_ms, "emergency")
            self._alarm("emergency_stop")
        elif self.state == WAIT_PLUG:
            self._give_back(now_ms, "emergency")
        elif self.state == AUTHORISING:
            self.stopping = "emergency"
            self.out.append((ABORT,))
        return self.take()

    # --- meter ---------------------------------------------------------------

    def on_reading(self, now_ms: int, r) -> list:
        """A plausible reading; `r.at_ms` is when it was taken."""
        self.register_wh = r.energy_wh
        self._meter_ok_at = now_ms
        self._meter_fails = 0
        self.power_w = r.power_w
        fault = self.contactor.power(r.power_w)
        if fault:
            self._alarm(fault, "%d W" % r.power_w)
        d = self.delivery
        if d is None:
            pass
        elif self.state in (CHARGING, PAUSED):
            d.running(r, self.state == CHARGING)
            self._guard(now_ms)
        elif d.off_ms >= 0 and not self.contactor.closed and d.after_off(r):
            self._after_final(now_ms)
        return self.take()

    def _guard(self, now_ms: int) -> None:
        """Power off before the price can pass the hold, whether the meter speaks or not."""
        if self.state not in POWERED:
            return
        if self.delivery.must_stop(now_ms):
            self._stop(now_ms, "hold_reached" if self.meter_known else "meter_lost")
        elif self.delivery.bill.near and self.state == CHARGING:
            # more is asked for once, early enough for a slow bank
            s = self.session
            step, most = self._cfg.extend
            may = step and s.authorised_minor < most and s.method == "card"
            if may and 0 <= s.more_at <= now_ms:
                s.more_at = -1
                self.out.append((EXTEND,))

    def _after_final(self, now_ms: int) -> None:
        if self._settle_now():
            self._price(now_ms)

    def _settle_now(self) -> bool:
        """No fee for standing can follow: gone, no such price, or the charger's own fault."""
        own_fault = self.session.reason in _OWN_FAULTS
        if own_fault or self.state == RECOVERING or self.pilot not in "BCD":
            return True
        return not self.session.tariff.has(PARKING) or self.delivery.bill.engine.frozen

    def on_meter_failed(self, now_ms: int, swapped: str = "", wrong: bool = False) -> list:
        """One read failed after its retries; a meter silent or `wrong` for a time and some tries
        is lost, another meter (`swapped`: its number and the one expected) at once.
        """
        self._meter_fails += 1
        self._meter_wrong = wrong
        lost = now_ms - self._meter_ok_at > self._cfg.meter_lost_s * 1000
        if swapped:
            lost = True
            self._meter_fails += METER_TRIES
        if lost and self._meter_fails >= METER_TRIES and self.state in POWERED:
            self._alarm("meter_swapped" if swapped else "meter_lost", swapped)
            self._stop(now_ms, "meter_lost")
        self._guard(now_ms)
        return self.take()

    # --- the end -------------------------------------------------------------

    def _price(self, now_ms: int) -> None:
        """Priced in flash, then captured."""
        numbers = self._numbers
        currency = self.session.tariff.currency
        self.delivery.price(numbers.next_receipt, currency, self._cfg.refund[2:])
        self.enter(SETTLING, now_ms, self.session.reason)
        self._late = False
        self.session.owed_at = self._epoch_ms()
        self.settlement.capture(self.session)

    def on_outcome(self, now_ms: int, outcome) -> list:
        """The terminal's answer to CAPTURE or CANCEL."""
        self.settlement.on_outcome(outcome, now_ms)
        self._settled(now_ms)
        return self.take()

    def on_pending(self, now_ms: int, receipts) -> list:
        """The terminal's open holds (receipt numbers), None when it could not say."""
        self.settlement.on_pending(receipts, now_ms)
        self._settled(now_ms)
        return self.take()

    def _settled(self, now_ms: int) -> None:
        if self.settlement.state == DONE:
            self.settlement.state = IDLE
            self.delivery = self.session.tariff = None
            self.enter(RECEIPT, now_ms, self.session.reason)

    def on_tick(self, now_ms: int) -> list:
        """Once a second: every time limit."""
        cfg = self._cfg
        waited = now_ms - self._since
        self.settlement.on_tick(now_ms)
        self._settled(now_ms)  # what is not settled at the terminal gets no answer
        self._guard(now_ms)
        if self.state == WAIT_PLUG and waited > cfg.plug_timeout_s * 1000:
            self._give_back(now_ms, "plug_timeout")
        elif self.state == PAUSED and waited > cfg.pause_limit_s * 1000:
            self._stop(now_ms, "vehicle")
        elif self.state in (FINISHED, RECOVERING) and self.delivery:
            self._wait_to_settle(now_ms, waited)
        elif self.state == RECEIPT and waited > cfg.receipt_show_s * 1000:
            self._go_idle(now_ms)
        elif self.state in _PASSING and now_ms - self._said_at > cfg.message_show_s * 1000:
            self.message = ""
        if self.settlement.state != IDLE and not self._late:
            # what is not captured or given back within 24 hours costs the operator
            s = self.session
            now = self._epoch_ms()
            if waited > _LATE_MS or 0 < s.owed_at < now - _LATE_MS:
                self._late = True
                self._alarm("settlement_late", "%d" % s.total_minor)
        return self.take()

    def _wait_to_settle(self, now_ms: int, waited: int) -> None:
        d = self.delivery
        if d.final:
            if self.state != RECOVERING:
                d.standing(now_ms)
            if self._settle_now() or waited > self._cfg.settle_after_s * 1000:
                self._price(now_ms)
        elif waited > self._cfg.meter_wait_s * 1000 or self._meter_wrong and waited > WRONG_MS:
            self._alarm("billed_without_final_reading")
            d.final_register(d.bill.register_wh)
            self._after_final(now_ms)

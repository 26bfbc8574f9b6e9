"""The session's public state once a second: on the screen, as retained MQTT messages, and for
whoever looks.

Prices are computed here and not in the metering path: this is where large integers may appear.
"""

import asyncio
import gc
import time

from micropython import const

from firmware.ahead import Ahead
from firmware.paper import leave

_STATUS_EVERY = 30
_COMING_UP = const(15)  # looks, some seconds: the terminal is about to register
_SESSION_EVERY = 3
_PAY_VALID_S = 900  # a code for paying by phone; docs/gateways.md, "The code"
_PAY_NEW_S = 60
_AHEAD = (
    "price_per_kwh", "price_per_hour", "change_at_ms", "change_at_wh", "hold_left_wh",
    "hold_left_ms",
)  # fmt: skip


class View:
    """`app`: firmware.app.App."""

    def __init__(self, app):
        self._app = app
        self._said = ""
        self._turn = 0
        self._words_crc = 0
        self._words = {}
        self._ahead = None
        self._pay = ""
        self._pay_s = 0
        self.language = ""

    async def run(self) -> None:
        while True:
            self._app.beats["view"] = time.ticks_ms()
            self.refresh()
            for _ in range(5):  # a change of state is shown within 200 ms of real time
                await asyncio.sleep_ms(200)
                if self._key() != self._said:
                    break

    def _key(self) -> str:
        m = self._app.machine
        return m.state + m.message + m.blocked

    def refresh(self) -> None:
        key = self._key()
        changed = key != self._said
        self._said = key
        if changed:
            self._pay_s = 0  # a code works once
        view = self.view()
        self._app.screen.show(view)
        self._turn += 1
        if changed or self._turn % _SESSION_EVERY == 0:
            self._publish_session(view)
        if changed or self._turn % _STATUS_EVERY == 1:
            self._publish_status(view)
        self._trace(view)

    def view(self) -> dict:
        """What firmware/screen shows; see Screen.show for the keys."""
        app = self._app
        m = app.machine
        s = m.session
        view = {
            "state": m.state, "message": m.message, "online": app.sync.online,
            "language": self.language, "currency": app.cfg.currency,
            "hold_minor": app.cfg.hold_minor, "clock": self._clock(),
            "price_lines": self._price_lines, "power_w": 0, "energy_wh": 0, "price_minor": 0,
            "elapsed_ms": 0,
        }  # fmt: skip
        if m.blocked and m.state in ("free", "plugged"):
            view["state"] = "out_of_service"
            view["message"] = m.blocked
        elif m.message and m.state in ("free", "plugged"):
            view["state"] = "declined" if m.state == "free" else m.state
        elif self._app.rfid and m.state in ("free", "plugged") and not app.terminal.ready:
            if app.runner.takes_bank_cards and self._turn > _COMING_UP:
                view["message"] = "members_only"
        if s:
            self._session(view, m, s)
        if app.remote.shown:
            view.update(app.remote.shown)
        elif app.cfg.pay_url and (
            view["state"] in ("free", "plugged", "declined") or view["message"] == "terminal_off"
        ):
            view["pay_url"] = self._code()
        return view

    def _code(self) -> str:
        """The address that a phone pays at, "" while a payment could not start a session."""
        app = self._app
        if not app.clock.known or not app.sync.online:
            return ""
        now_s = app.clock.epoch_ms() // 1000
        if now_s >= self._pay_s:
            self._pay_s = now_s + _PAY_NEW_S
            parts = app.cfg.charger, app.cfg.connector, now_s + _PAY_VALID_S
            mac = app.sync.mac("forecourt-pay-1\n%s\n%d\n%d" % parts)
            self._pay = app.cfg.pay_url + "/%s/%d/%d/%s" % (parts + (mac[:20],))
        return self._pay

    def _session(self, view: dict, m, s) -> None:
        self._words.clear()
        if not m.delivery:
            self._ahead = None
        view["resolution_wh"] = self._app.meter.resolution_wh
        view["hold_minor"] = s.authorised_minor or s.hold_minor
        view["card"] = s.pan
        view["stop_reason"] = s.reason
        view["on_account"] = s.method in ("rfid", "account")
        view["own_tariff"] = s.crc != self._app.prices.crc
        if m.delivery:
            bill = m.delivery.bill
            view["energy_wh"] = bill.register_wh - bill.start_wh
            view["elapsed_ms"] = m.delivery.elapsed_ms(self._app.board.clock.uptime_ms())
            view["price_minor"] = bill.engine.price_minor()
            view["power_w"] = m.power_w if m.delivery.off_ms < 0 else 0
            if m.delivery.off_ms < 0:
                if self._ahead is None:
                    self._ahead = Ahead()
                self._ahead.look(view, bill, self._app.prices.tz, s.start_at)
        elif s.receipt_no:
            view["energy_wh"] = s.billed_wh
            view["elapsed_ms"] = s.elapsed_ms
            view["price_minor"] = s.total_minor
        if m.state == "receipt":
            view["message"] = "" if s.receipt_no else m.message
            view["captured_minor"] = s.captured_minor
            view["released_minor"] = s.released_minor
            view["receipt_no"] = s.receipt_no
            view["receipt_url"] = self._receipt_url(s)

    def _receipt_url(self, s) -> str:
        base = self._app.cfg.receipt_url
        if not base or not s.receipt_no:
            return ""
        return "%s%s/%d/%d" % (base, self._app.cfg.charger, s.receipt_no, s.total_minor)

    def _price_lines(self, language: str):
        s = self._app.machine.session
        prices = s if s and s.tariff else self._app.prices
        if prices.tariff is None:
            return ()
        if self._words_crc != prices.crc:
            self._words_crc = prices.crc
            self._words.clear()
        if language not in self._words:
            from firmware.pricing.words import tariff_lines

            self._words.clear()  # one language at a time
            power_w = self._app.cfg.max_power_w
            self._words[language] = tariff_lines(prices.tariff, language, power_w)
            leave("firmware.pricing.words")
        return self._words[language]

    def _clock(self) -> str:
        clock = self._app.clock
        if not clock.known:
            return "--:--"
        _, second = self._app.prices.tz.local(clock.epoch_ms() // 1000)
        return "%02d:%02d" % (second // 3600, second % 3600 // 60)

    def _publish_session(self, view: dict) -> None:
        app = self._app
        m = app.machine
        s = m.session
        fields = {"state": view["state"], "session": s.number if s else 0}
        if s:
            fields.update({
                "started_at": s.start_at, "elapsed_ms": view["elapsed_ms"],
                "energy_wh": view["energy_wh"], "register_wh": max(m.register_wh, 0),
                "power_w": view["power_w"], "price_minor": view["price_minor"],
                "hold_minor": view["hold_minor"], "currency": view["currency"], "reason": s.reason,
            })  # fmt: skip
            for name in _AHEAD:
                if name in view:
                    fields[name] = view[name]
        app.sync.publish_session(fields)

    def _publish_status(self, view: dict) -> None:
        app = self._app
        status = {
            "state": view["state"], "connector": app.cfg.connector, "version": app.version,
            "reason": view["message"], "tariff": app.prices.tariff.id if app.prices.tariff else "",
            "uptime_ms": app.board.clock.uptime_ms(), "heap_free": gc.mem_free(),
        }  # fmt: skip
        if app.rfid:
            status["members"] = app.rfid.list_version
            status["reader"] = app.rfid.state
        app.sync.publish_status(status)

    def _trace(self, view: dict) -> None:
        """For the simulator's front: the same figures, and the charger's own measurements."""
        app = self._app
        sup = app.supervisor
        r = app.runner
        s = app.machine.session
        app.trace("view", {
            "session": None if s is None else {
                "number": s.number, "state": view["state"], "energy_wh": view["energy_wh"],
                "power_w": view["power_w"], "price_minor": view["price_minor"],
                "currency": view["currency"], "hold_minor": view["hold_minor"],
                "elapsed_ms": view["elapsed_ms"], "reason": s.reason, "receipt_no": s.receipt_no,
                "captured_minor": s.captured_minor, "released_minor": s.released_minor,
            },
            "state": view["state"], "message": view["message"],
            "sync": {
                "sent": app.sync.records_sent, "acked": app.sync.records_acked,
                "online": app.sync.online, "reason": app.sync.link.reason,
                "next_seq": app.ledger.next_seq, "acked_seq": app.ledger.acked_seq,
            },
            "heap": {
                "used": gc.mem_alloc(), "peak": sup.peak_heap,
                "total": gc.mem_alloc() + gc.mem_free(),
            },
            "stall_ms": sup.max_stall_ms, "restarts": sup.restarts,
            "tap_to_power_ms": r.tap_to_power_ms, "terminal_ms": r.terminal_ms,
            "meter": app.meter.state, "terminal": app.terminal.state,
        })  # fmt: skip

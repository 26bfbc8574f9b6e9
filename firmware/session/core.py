"""What every event of the session's machine builds on: its state, what others ask of it, and how
a decision is noted. Pure, as machine.py, which has the events.
"""

from firmware.session.contactor import ContactorWatch
from firmware.session.data import Session
from firmware.session.decisions import RECORD
from firmware.session.delivery import Delivery
from firmware.session.settlement import FOREIGN_HOLD, IDLE, Settlement

FREE = "free"
PLUGGED = "plugged"
AUTHORISING = "authorising"
WAIT_PLUG = "wait_plug"
STARTING = "starting"
CHARGING = "charging"
PAUSED = "paused"
FINISHED = "finished"
SETTLING = "settling"
RECEIPT = "receipt"
OUT = "out_of_service"
RECOVERING = "recovering"

POWERED = (STARTING, CHARGING, PAUSED)
OPEN_TO_CARDS = (FREE, PLUGGED, RECEIPT)
METER_TRIES = 5
WRONG_MS = 600000  # a register that cannot be true is not waited for as long as a silent one
_NOTHING: list = []


class Core:
    """`cfg`: firmware.config.Config; `prices`: .tariff, .tz and .crc in force (app.Prices);
    `numbers`: .next_session and .next_receipt (the ledger's books); `epoch_ms()`: wall clock, 0
    while unknown.
    """

    def __init__(self, cfg, prices, numbers, epoch_ms):
        self.state = FREE
        self.session: "Session" = None
        self.delivery: "Delivery" = None
        self.message = ""  # text key for the driver beside the state
        self.pilot = "A"
        self.broken = ""  # recovery was not possible; the session stays open in flash
        self.blocked = ""  # why no new session may start; "" when one may
        self.power_w = 0
        self.register_wh = -1  # the meter's last word; -1: it never spoke
        self.serial = ""
        self.out = []
        self.settlement = Settlement(self.out)
        self.contactor = ContactorWatch()
        self._cfg = cfg
        self._prices = prices
        self._numbers = numbers
        self._epoch_ms = epoch_ms
        self._since = 0  # when the state was entered
        self._said_at = 0  # when the message was
        self._meter_ok_at = 0
        self._meter_fails = 0
        self._meter_wrong = False  # its last word could not be true
        self.stopping = ""  # stop asked while the terminal is at work
        self._late = False  # it was said that the settlement takes too long

    # --- what the others ask -------------------------------------------------

    def wants(self, method: str) -> bool:
        """The reader for this kind of session ("card", "rfid") waits for a tap: to start one, or
        to stop the one that such a card began. Else no reader is on.
        """
        if self.state in OPEN_TO_CARDS:
            return not self.blocked
        return self.state in (WAIT_PLUG, CHARGING, PAUSED) and self.session.method == method

    @property
    def busy(self) -> bool:
        """A session is open: no flashing, no config change, no reboot."""
        return self.session is not None and self.state != RECEIPT

    @property
    def meter_known(self) -> bool:
        return self.register_wh >= 0 and self._meter_fails < METER_TRIES

    def enter(self, state: str, now_ms: int, message: str = "") -> None:
        self.state = state
        self.message = message
        self._since = self._said_at = now_ms

    def say(self, now_ms: int, text: str) -> None:
        """A word to the driver, for a moment."""
        self.message = text
        self._said_at = now_ms

    def on_open_holds(self, receipts) -> list:
        """What the terminal holds while no session is open here (receipt numbers): not ours.
        Left alone, and said once; a later recovery does not touch it either.
        """
        if receipts != self.settlement.foreign:
            self.settlement.foreign = receipts
            if receipts:
                detail = " ".join([str(r) for r in receipts])
                self._record("alarm", {"code": FOREIGN_HOLD, "detail": detail})
        return self.take()

    def give_up(self, now_ms: int, why: str) -> None:
        """Out of service until somebody acts: what was open stays open in flash."""
        self.broken = why
        self.contactor.command(False)
        self.delivery = None
        self.settlement.state = IDLE
        self.enter(OUT, now_ms, why)

    def take(self) -> list:
        if not self.out:
            return _NOTHING  # most looks and readings: they allocate nothing
        taken = self.out[:]
        self.out.clear()
        return taken

    def _record(self, kind: str, fields: dict) -> None:
        fields["sess"] = self.session.number if self.session else 0
        self.out.append((RECORD, kind, fields))

    def _alarm(self, code: str, detail: str = "") -> None:
        self._record("alarm", {"code": code, "detail": detail})

    def _go_idle(self, now_ms: int, message: str = "") -> None:
        self.session = None
        self._late = False
        if self.contactor.welded:
            self.enter(OUT, now_ms, "contactor_welded")
        else:
            self.enter(PLUGGED if self.pilot in "BCD" else FREE, now_ms, message)

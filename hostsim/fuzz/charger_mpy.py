"""A charger in RAM for the fuzz of orders: real ledger, machine and remote; no lines, no files."""

from flash_mpy import begun  # type: ignore[import-not-found]
from target_mpy import Clock  # type: ignore[import-not-found]

EPOCH = 7
_SECTORS = 10
_SIZE = 4096
_NOW_MS = 1763800000000
_TARIFF = (
    '{"id":"T","currency":"EUR","elements":[{"price_components":'
    '[{"type":"ENERGY","price":0.50,"step_size":1}]}]}'
)
_AUTHORISED = {"amount_minor": 2500, "receipt": 0, "trace": 0, "terminal_id": "", "vu": "",
               "auth_code": "", "pan": "", "card": ""}  # fmt: skip


class Flash:
    """NOR in RAM; sectors are shared with the image it began with until they are written to."""

    def __init__(self, image):
        self.sectors = list(image)
        self._own: "set[int]" = set()

    def readblocks(self, n, buf, off=0):
        buf[:] = self.sectors[n][off : off + len(buf)]

    def writeblocks(self, n, buf, off=0):
        if n not in self._own:
            self._own.add(n)
            self.sectors[n] = bytearray(self.sectors[n])
        self.sectors[n][off : off + len(buf)] = buf

    def ioctl(self, op, n):
        if op == 6:
            self._own.add(n)
            self.sectors[n] = bytearray(b"\xff" * _SIZE)
        return _SECTORS if op == 4 else _SIZE if op == 5 else 0


class _Part:
    pass


class _Settings:
    charger = "CP1"
    connector = 1
    hold_minor = 2000
    min_hold_minor = 100
    refund = (50000, 0, 0, 0, 0)
    extend = (0, 0)
    max_power_w = 22000
    max_current_ma = 32000
    checkpoint_s = 60
    plug_timeout_s = 120
    pause_limit_s = 3600
    settle_after_s = 43200
    receipt_show_s = 60
    message_show_s = 8
    meter_lost_s = 10
    meter_wait_s = 600


class _Card:
    kind = "bank"
    pan = "411111******1111"
    uid_hash = "u1"
    card = "VISA"
    aid = b""
    text = ""
    session = None


class _Reading:
    energy_wh = 1000
    power_w = 0
    current_ma = -1
    behind = False

    def __init__(self, at_ms):
        self.at_ms = at_ms


class App:
    """What orders see of a charger. `image`: its flash; `doing`: 0 free, 1 plugged, 2 a card is
    being authorised, 3 a session from outside has power, 4 it waits for the plug, 5 out of
    service, 6 a refund waits for its card, 7 no time.
    """

    version = "0.1.0"

    def __init__(self, image, doing=0):
        from firmware.doctor import examine
        from firmware.ledger.ledger import Ledger
        from firmware.orders.remote import Remote
        from firmware.session import recovery
        from firmware.session.machine import Machine

        examine.examine = _examine  # looks at the whole charger; what it says is not asked here
        self.board = self.runner = self
        self.restarted = False
        self.now_ms = 1000
        self.cfg = _Settings()
        self.clock = Clock(0 if doing == 7 else _NOW_MS)
        self.flash = Flash(image)
        self.ledger = Ledger(self.flash, self.clock.epoch_ms)
        self.ledger.mount()
        self.prices = _prices()
        books = self.ledger.books
        self.machine = Machine(self.cfg, self.prices, books, self.clock.epoch_ms)
        self.meter = self.terminal = self.supervisor = _Part()
        self.meter.state = "ok"
        self.meter.restarts = 0
        self.remote = Remote(self)
        self.sync = None
        self.perform(recovery.begin(self.machine, books.open, self.prices, 1000))
        self.perform(self.machine.on_reading(1000, _Reading(1000)))
        self._begin(doing)

    def _begin(self, doing):
        m = self.machine
        if doing in (1, 3):
            self.perform(m.on_pilot(self.now_ms, "B"))
        if doing == 2 and self.ledger.room_for_session():
            self.perform(m.on_card(self.now_ms, _Card()))
        elif doing in (3, 4) and not self.machine.busy and self.ledger.room_for_session():
            from firmware.session.data import Session

            s = Session(self.ledger.books.next_session, 2500, "gateway", "pi_1")
            s.remote = "A7"
            self.perform(m.begin(self.now_ms, s))
            if doing == 3:
                self.event("C")
        elif doing == 5:
            m.blocked = "emergency"
        elif doing == 6:
            self.remote.shown = {"state": "refunding"}

    # --- what the rooms call

    def uptime_ms(self):
        return self.now_ms

    def reset(self):
        self.restarted = True

    def log(self, level, text):
        assert level in ("info", "warning", "error") and isinstance(text, str)

    def append(self, kind, **fields):
        from firmware.ledger.codec import cut

        if "detail" in fields:
            fields["detail"] = cut(fields["detail"])
        return self.ledger.append(kind, **fields)

    def perform(self, decided):
        """Records as firmware.session.runner writes them: what flash does not take ends it all,
        and the charger begins again from there. BooksError (a fault) goes through."""
        from firmware.errors import LedgerError
        from firmware.ledger.books import BooksError
        from firmware.session.decisions import RECORD

        for d in decided:
            if d[0] == RECORD:
                try:
                    self.append(d[1], **d[2])
                except BooksError:
                    raise
                except LedgerError:
                    self.machine.blocked = "ledger_fault"
                    self.restarted = True
                    return

    # --- what happens to it

    def event(self, letter):
        m = self.machine
        self.now_ms += 1000
        if letter == "T" and not (m.blocked or self.ledger.room_for_session()):
            m.blocked = "ledger_full"
        if letter in "ABC":
            self.perform(m.on_pilot(self.now_ms, letter))
            self.perform(m.on_feedback(self.now_ms, m.contactor.commanded))
        elif letter == "S":
            self.perform(m.on_stop(self.now_ms, "button"))
        elif letter == "T":
            self.perform(m.on_reading(self.now_ms, _Reading(self.now_ms)))
            self.perform(m.on_tick(self.now_ms))

    def consistent(self):
        """No id began two sessions, no hold is larger than may be, the books found no fault."""
        remotes = [
            record.fields["remote"] for found in self.ledger.scan((2,)) for record in found
            if record.fields["remote"]
        ]  # fmt: skip
        assert len(remotes) == len(set(remotes)), "an id began two sessions"
        assert not self.ledger.books.faults, self.ledger.books.fault
        s = self.machine.session
        assert s is None or s.authorised_minor <= 100000000


def _examine(app, done):
    for n in range(7):
        done({"name": "part %d" % n, "ok": n != 3, "reason": "r", "todo": "" if n != 3 else "t"})


_PRICES: "list" = []


def _prices():
    if not _PRICES:
        from firmware.pricing.calendar import TimeZone
        from firmware.pricing.tariff import Tariff

        prices = _Part()
        prices.tariff = Tariff.from_json(_TARIFF)
        prices.tz = TimeZone("UTC0")
        prices.crc = 7
        prices.for_crc = lambda crc: prices.tariff if crc == 7 else None
        _PRICES.append(prices)
    return _PRICES[0]


def images():
    """Empty; with sessions and refunds behind it; the same with a session open; nearly full."""
    first = begun(EPOCH)
    empty = App([first + b"\xff" * (_SIZE - len(first))] + [b"\xff" * _SIZE] * (_SECTORS - 1))
    blank = _image(empty)
    lived = App(blank)
    _live(lived.ledger)
    after = _image(lived)
    working = App(after)
    _ask(working.ledger, 3, "A3")
    full = App(blank)
    n = 100
    while full.ledger.free_sectors() >= 4:
        full.append("command", command="c%d" % n, counter=n, name="stop", result="ok",
                    detail="x" * 250)  # fmt: skip
        n += 1
    return [blank, after, _image(working), _image(full)]


def _image(app):
    return [bytes(sector) for sector in app.flash.sectors]


def _ask(ledger, sess, remote):
    ledger.append("hold_asked", sess=sess, hold_minor=2500, currency="EUR", tariff="T",
                  tariff_crc=7, method="gateway", connector=1, reference="pi", uid_hash="",
                  remote=remote)  # fmt: skip
    ledger.append("authorised", sess=sess, **_AUTHORISED)


def _live(ledger):
    """Two sessions, and refunds in every state."""
    for sess in (1, 2):
        _ask(ledger, sess, "A%d" % sess)
        ledger.append("energising", sess=sess, register_wh=1000, serial="")
        ledger.append("power_off", sess=sess, register_wh=1100, elapsed_ms=9000, reason="remote")
        ledger.append("priced", sess=sess, receipt_no=sess, start_at=1, end_at=2, start_wh=1000,
                      end_wh=1100, billed_wh=100, elapsed_ms=9000, total_minor=5, net_minor=5,
                      vat_minor=0, currency="EUR", lines=[], reason="remote", vat=[])  # fmt: skip
        ledger.append("captured", sess=sess, captured_minor=5, released_minor=2495, receipt=0,
                      trace=0, how="gateway")  # fmt: skip
    for refund in ("R1", "R2", "R3"):
        ledger.append("refund_requested", refund=refund, receipt_no=1, amount_minor=1,
                      reason="other", operator="bob", command="c", card=0)  # fmt: skip
    ledger.append("refund_asked", refund="R2", sess=1, amount_minor=1, way="gateway",
                  reason="other", command="c")  # fmt: skip
    ledger.append("refund_sent", refund="R2", sess=1, amount_minor=1, way="gateway", receipt=0,
                  trace=0)  # fmt: skip
    ledger.append("refund_failed", refund="R3", sess=1, code=5, text="no", amount_minor=1, way="",
                  state="refused")  # fmt: skip
    ledger.append("refund_requested", refund="R4", receipt_no=2, amount_minor=1, reason="other",
                  operator="bob", command="c", card=0)  # fmt: skip
    ledger.append("refund_asked", refund="R4", sess=2, amount_minor=1, way="direct",
                  reason="other", command="c")  # fmt: skip
    ledger.append("refunded", refund="R4", sess=2, amount_minor=1, way="direct",
                  receipt=0, trace=0, credit_no=1, receipt_no=2, net_minor=1, vat_minor=0,
                  lines=[])  # fmt: skip
    ledger.append("command", command="c5", counter=5, name="stop", result="ok", detail="")

"""Sessions whose amount was authorised elsewhere: the command, the machine, and what a power cut
leaves. On CPython and both MicroPython builds.
"""

import asyncio

from board.host_flash import FileFlash
from firmware.errors import FieldError, LedgerError, LedgerFull
from firmware.ledger.ledger import Ledger
from firmware.orders import orders
from firmware.session import decisions as do
from firmware.session import recovery
from firmware.session.machine import Machine
from tests.pure.session_bench import ENERGY, Bench, Card, Prices, Reading, Settings

ASKED = {"session": "A7", "method": "gateway", "amount_minor": 2500, "connector": 1,
         "reference": "pi_3Nk"}  # fmt: skip


class Clock:
    def uptime_ms(self):
        return 1000


class Part:
    """Board and remote of an App."""

    clock = Clock()
    shown: object = None
    machine: object = None
    append: object = None


class Charger:
    """A machine on a real ledger; what is decided is written, or fails after `cut` records."""

    def __init__(self, flash, cut=-1):
        self.board = Part()
        self.cfg = Settings()
        self.remote = Part()
        self.ledger = Ledger(flash, lambda: 1700000000000)
        self.ledger.mount()
        self.prices = Prices(ENERGY)
        self.machine = Machine(self.cfg, self.prices, self.ledger.books, lambda: 1700000000000)
        self.runner = self
        self.cut = cut
        self.did = []
        self.counter = 0
        m = self.machine
        opened = self.ledger.books.open
        self.perform(recovery.begin(m, opened, Prices(ENERGY), 1000))
        self.perform(m.on_reading(1000, Reading(1000, 1000)))

    def perform(self, decided):
        for d in decided:
            if d[0] == do.RECORD:
                if self.cut == 0:
                    return
                self.cut -= 1
                self.ledger.append(d[1], **d[2])
            self.did.append(d[:2])

    def append(self, kind, **fields):
        if self.cut == 0:
            raise LedgerError("the power went")
        self.ledger.append(kind, **fields)

    def command(self, name, **args):
        self.counter += 1
        asked = {"id": "c%d" % self.counter, "counter": self.counter, "name": name, "args": args}
        answer = orders.command(self, asked)
        return answer if isinstance(answer, dict) else asyncio.run(answer)

    def refused(self, name, **args):
        """The field that was refused."""
        try:
            self.command(name, **args)
        except FieldError as e:
            return e.field
        raise AssertionError("not refused")

    def kinds(self):
        found = []
        seq = 0
        record = self.ledger.read_after(0)
        while record:
            found.append(record.kind)
            seq = record.seq
            record = self.ledger.read_after(seq)
        return found

    def last(self, kind):
        return self.ledger.recent(kind, 1)[0].fields


def charger(**kept):
    return Charger(FileFlash(sectors=12), **kept)


def asked(**changes):
    args = dict(ASKED)
    args.update(changes)
    return args


def test_asked_and_authorised_are_in_flash_before_the_answer():
    c = charger()
    answer = c.command("start", **ASKED)
    assert c.kinds() == ["hold_asked", "authorised", "command"]
    assert answer["data"] == {"session": "A7", "sess": 1, "state": "wait_plug"}
    hold = c.last("hold_asked")
    assert (hold["method"], hold["remote"], hold["reference"]) == ("gateway", "A7", "pi_3Nk")
    assert hold["hold_minor"] == c.last("authorised")["amount_minor"] == 2500
    assert c.last("authorised")["receipt"] == 0
    assert not [d for d in c.did if d[0] in (do.AUTHORISE, do.CONTACTOR)]


def test_a_plugged_vehicle_has_power_at_once_without_the_terminal():
    c = charger()
    c.perform(c.machine.on_pilot(1000, "B"))
    c.machine.blocked = "terminal_off"
    assert c.command("start", **ASKED)["data"]["state"] == "starting"
    assert (do.CONTACTOR, True) in c.did


def test_what_cannot_be_is_refused_by_name_and_starts_nothing():
    for field, changes in (
        ("session", {"session": ""}),
        ("session", {"session": "x" * 33}),
        ("reference", {"reference": "x" * 49}),
        ("reference", {"reference": None}),
        ("method", {"method": "card"}),
        ("method", {"method": "rfid"}),
        ("method", {"method": None}),
        ("amount_minor", {"amount_minor": 99}),
        ("amount_minor", {"amount_minor": 0}),
        ("amount_minor", {"amount_minor": -1}),
        ("amount_minor", {"amount_minor": 10**9}),
        ("amount_minor", {"amount_minor": "2500"}),
        ("connector", {"connector": 2}),
        ("tariff", {"tariff": "T2"}),
    ):
        c = charger()
        assert c.refused("start", **asked(**changes)) == field, changes
        assert c.kinds() == ["command"] and c.last("command")["result"] == "refused"


def test_a_charger_that_is_not_free_refuses():
    c = charger()
    c.perform(c.machine.on_card(1000, Card()))
    assert c.machine.state == "authorising" and c.refused("start", **ASKED) == "state"
    for blocked in ("emergency", "meter_lost", "ledger_full", "booting"):
        c = charger()
        c.machine.blocked = blocked
        assert c.refused("start", **ASKED) == "state"
    c = charger()
    c.remote.shown = {"state": "refunding"}
    assert c.refused("start", **ASKED) == "state"
    c = charger()
    c.command("start", **ASKED)
    assert c.refused("start", **asked(session="A8")) == "state"
    assert c.kinds().count("hold_asked") == 1


def test_an_id_works_once_and_says_what_became_of_it():
    c = charger()
    c.command("start", **ASKED)
    again = c.command("start", **ASKED)
    assert again["data"] == {"session": "A7", "sess": 1, "state": "wait_plug"}
    c.perform(c.machine.on_stop(2000, "remote"))
    c.perform(c.machine.on_tick(3000))
    assert c.machine.state == "receipt"
    c.perform(c.machine.on_tick(90000))
    assert c.command("start", **ASKED)["data"]["state"] == "ended"
    for other in ({"amount_minor": 9000}, {"method": "account"}, {"reference": "pi_other"}):
        assert c.refused("start", **asked(**other)) == "session", other
    assert c.kinds().count("hold_asked") == 1


def test_a_counter_that_is_a_time_is_known_after_a_power_cut():
    flash = FileFlash(sectors=12)
    c = Charger(flash)
    c.counter = 1795998287004  # above what 32-bit machines have as a small integer
    c.command("start", **ASKED)
    while c.ledger.ring.generation < 3:
        c.ledger.append("period", sess=1, start_ms=0, end_ms=1, energy_mwh=0, charging_ms=1,
                        parking_ms=0, min_ma=0, max_ma=0, min_w=0, max_w=0)  # fmt: skip
    assert c.ledger.books.last_counter == 1795998287005
    assert Charger(flash).ledger.books.last_counter == 1795998287005


def test_stop_by_id_stops_only_that_session():
    c = charger()
    assert c.refused("stop", session="A7") == "session"
    c.command("start", **ASKED)
    assert c.refused("stop", session="B1") == "session"
    for nobodys in ("", None, 0, ["A7"], False):
        assert c.refused("stop", session=nobodys) == "session", nobodys
    assert c.machine.state == "wait_plug"
    c.command("stop", session="A7")
    c.perform(c.machine.on_tick(3000))
    assert c.last("cancelled") == {
        "sess": 1,
        "released_minor": 2500,
        "receipt": 0,
        "reason": "remote",
    }
    c = charger()
    c.perform(c.machine.on_card(1000, Card()))
    assert c.refused("stop", session="A7") == "session", "somebody's card"


def test_a_cut_at_every_record_gives_back_what_was_not_used_and_the_order_may_come_again():
    for cut in range(4):
        flash = FileFlash(sectors=12)
        c = Charger(flash, cut)
        answered = True
        try:
            c.command("start", **ASKED)
        except LedgerError:
            answered = False
        assert answered == (cut == 3), "no answer before it is all in flash"
        again = Charger(flash)
        again.perform(again.machine.on_tick(2000))
        again.perform(again.machine.on_tick(99999))
        assert again.machine.state == "free" and again.ledger.books.open is None
        if cut:
            assert again.last("cancelled")["released_minor"] == (2500 if cut > 1 else 0)
        answer = again.command("start", **ASKED)
        assert answer["data"]["state"] == ("ended" if cut else "wait_plug")
        assert again.kinds().count("hold_asked") == 1


def remote_bench(method="gateway"):
    from firmware.session.data import Session

    b = Bench()
    s = Session(1, 300, method, "pi_1")
    s.remote = "A7"
    b.do(b.m.begin(b.now, s))
    return b


def charging(b):
    b.do(b.m.on_pilot(b.now, "B"))
    b.do(b.m.on_feedback(b.now, True))
    b.do(b.m.on_pilot(b.now, "C"))


def nothing_at_the_terminal(b):
    return not [d for d in b.all if d[0] in (do.AUTHORISE, do.CAPTURE, do.CANCEL, do.PENDING)]


def test_what_was_used_is_handed_over_without_the_terminal():
    for method, how in (("gateway", "gateway"), ("app", "app"), ("account", "account"),
                        ("rfid", "account")):  # fmt: skip
        b = remote_bench(method)
        charging(b)
        b.now += 1000
        b.meter(1100, 11000)
        b.do(b.m.on_stop(b.now, "remote"))
        b.power_off(1100)
        b.later(1)
        assert b.record("captured") == {"sess": 1, "captured_minor": 5, "released_minor": 295,
                                        "receipt": 0, "trace": 0, "how": how}  # fmt: skip
        assert b.m.state == "receipt" and b.m.session.captured_minor == 5
        assert nothing_at_the_terminal(b)


def test_the_amount_authorised_elsewhere_is_the_hold_that_stops_the_session():
    b = remote_bench()
    charging(b)
    wh = 1000
    while b.m.state == "charging" and wh < 60000:
        b.now += 1000
        wh += 6
        b.meter(wh, 22000)
    assert b.m.session.reason == "hold_reached" and 5700 < wh - 1000 < 6000
    b.power_off(wh + 10)
    assert b.record("priced")["total_minor"] <= 300


def test_nobody_plugs_in_and_the_amount_is_given_back():
    b = remote_bench()
    b.later(121)
    b.later(1)
    assert b.record("cancelled")["reason"] == "plug_timeout"
    assert b.record("cancelled")["released_minor"] == 300 and b.m.state == "receipt"
    assert nothing_at_the_terminal(b)


def test_no_card_stops_a_session_that_no_card_began():
    b = remote_bench()
    charging(b)
    b.now += 1000
    b.do(b.m.on_card(b.now, Card()))
    assert b.m.state == "charging" and b.m.message == "other_card"


def plugged(c):
    c.perform(c.machine.on_pilot(1000, "B"))
    c.perform(c.machine.on_feedback(1000, True))
    c.perform(c.machine.on_pilot(1000, "C"))


def after_a_cut(flash):
    ledger = Ledger(flash, lambda: 1700000000000)
    ledger.mount()
    return recovery.session_of(ledger.books.open)


def test_more_that_is_held_elsewhere_is_in_flash_before_the_session_goes_on_by_it():
    flash = FileFlash(sectors=12)
    c = Charger(flash)
    c.command("start", **ASKED)
    assert c.refused("extend", session="A7", amount_minor=4000) == "session", "no power yet"
    plugged(c)
    assert c.machine.state == "charging"
    answer = c.command("extend", session="A7", amount_minor=4000)
    assert answer["data"] == {"amount_minor": 4000}
    assert c.kinds()[-2:] == ["extend_done", "command"]
    assert c.last("extend_done") == {
        "sess": 1,
        "amount_minor": 4000,
        "how": "gateway",
        "code": 0,
        "text": "",
    }
    assert c.machine.session.authorised_minor == 4000
    assert c.machine.delivery.bill.hold_minor == 4000
    before = c.kinds().count("extend_done")
    assert c.command("extend", session="A7", amount_minor=4000)["data"] == {"amount_minor": 4000}
    assert c.kinds().count("extend_done") == before, "the same again changes nothing"
    s = after_a_cut(flash)
    assert (s.authorised_minor, s.unsure_minor) == (4000, 0)


def test_more_is_refused_by_name_and_changes_nothing():
    for field, changes in (
        ("session", {"session": "B1"}),
        ("session", {"session": ""}),
        ("session", {"session": None}),
        ("amount_minor", {"amount_minor": 2499}),
        ("amount_minor", {"amount_minor": 10**9}),
        ("amount_minor", {"amount_minor": "4000"}),
        ("amount_minor", {"amount_minor": None}),
    ):
        c = charger()
        c.command("start", **ASKED)
        plugged(c)
        more = {"session": "A7", "amount_minor": 4000}
        more.update(changes)
        assert c.refused("extend", **more) == field, changes
        assert c.machine.session.authorised_minor == 2500
        assert "extend_done" not in c.kinds()
    c = charger()
    assert c.refused("extend", session="A7", amount_minor=4000) == "session"


def test_more_is_never_in_flash_without_its_commands_counter():
    """Flash runs full, record by record: both are written or neither."""
    c = charger()
    c.command("start", **ASKED)
    plugged(c)
    most = 2500
    refusals = 0
    least = 99
    while c.ledger.free_sectors() >= 3:
        before = c.ledger.next_seq
        free = c.ledger.free_sectors()
        try:
            c.command("extend", session="A7", amount_minor=most + 1)
            most += 1
            least = free
        except LedgerError:
            refusals += 1
        written = c.ledger.next_seq - before
        assert c.machine.session.authorised_minor == most
        assert written == (0 if refusals else 2), (written, c.ledger.free_sectors())
        c.ledger.append("period", sess=1, start_ms=0, end_ms=1, energy_mwh=0, charging_ms=1,
                        parking_ms=0, min_ma=0, max_ma=0, min_w=0, max_w=0)  # fmt: skip
    assert most > 2600 and refusals > 50
    assert least == 4, "where a long session settles"


def fill(ledger):
    """Until one sector is free."""
    while ledger.free_sectors() > 1:
        ledger.append("refund_failed", refund="R0", sess=0, code=1, text="x" * 99, amount_minor=1,
                      way="reversal", state="failed")  # fmt: skip


def test_stop_by_id_works_where_flash_is_full_and_without_its_id_does_not():
    c = charger()
    c.command("start", **ASKED)
    plugged(c)
    fill(c.ledger)
    for name, args in (("stop", {}), ("report", {}), ("extend", {"session": "A7",
                       "amount_minor": 4000})):  # fmt: skip
        before = c.ledger.next_seq
        try:
            c.command(name, **args)
            raise AssertionError(name)
        except LedgerFull:
            assert c.ledger.next_seq == before and c.machine.state == "charging"
    assert c.machine.session.authorised_minor == 2500
    assert c.refused("stop", session="B1") == "session"
    for _ in range(2):
        assert c.command("stop", session="A7")["detail"] == "done"
        assert c.machine.state == "finished"


def test_the_acquirers_word_on_a_refund_is_taken_where_flash_is_full():
    c = charger()
    c.ledger.append("refund_sent", refund="R1", sess=1, amount_minor=5, way="gateway", receipt=0,
                    trace=0)  # fmt: skip
    fill(c.ledger)
    c.remote.settled = []
    for _ in range(2):  # once more is the same
        assert c.command("refund_done", refund="R1", ok=True)["data"]["state"] == "sent"
        assert [told[:2] for told in c.remote.settled] == [("R1", True)]
    before = c.ledger.next_seq
    try:
        c.command("refund", refund="R2", receipt=1, amount_minor=5, reason="goodwill",
                  operator="bob")  # fmt: skip
        raise AssertionError
    except LedgerFull:
        assert c.ledger.next_seq == before


def test_a_cut_before_more_is_in_flash_leaves_the_hold_as_it_was():
    flash = FileFlash(sectors=12)
    c = Charger(flash)
    c.command("start", **ASKED)
    plugged(c)
    c.cut = 0
    try:
        c.command("extend", session="A7", amount_minor=4000)
        raise AssertionError("answered before it was written")
    except LedgerError:
        assert c.machine.session.authorised_minor == 2500
    assert after_a_cut(flash).authorised_minor == 2500


def test_a_session_with_more_stops_at_what_is_held_then():
    from firmware.orders.more import extend

    b = remote_bench()
    charging(b)
    app = Part()
    app.machine = b.m
    written = []
    app.append = lambda kind, **fields: written.append(kind)
    wh = 1000
    while b.m.state == "charging" and wh < 60000:
        b.now += 1000
        wh += 6
        b.meter(wh, 22000)
        if wh == 1000 + 4998:
            extend(app, {"session": "A7", "amount_minor": 600})
    assert written == ["extend_done"]
    assert b.m.session.reason == "hold_reached" and 11400 < wh - 1000 < 12000
    b.power_off(wh + 10)
    b.later(1)
    total = b.record("priced")["total_minor"]
    assert 300 < total <= 600
    assert b.record("captured")["released_minor"] == 600 - total


def test_a_start_whose_session_is_in_flash_is_answered_where_flash_is_full():
    """Its answer was lost, the back office asks once more: `full` would sound as if nothing were
    begun, and the hold of what runs would be given back."""
    c = charger()
    first = c.command("start", **ASKED)
    fill(c.ledger)
    before = c.ledger.next_seq
    assert c.command("start", **ASKED)["detail"] == first["detail"]
    assert c.ledger.next_seq == before and c.machine.state == "wait_plug"
    try:
        c.command("start", **dict(ASKED, amount_minor=2600))
        raise AssertionError
    except LedgerFull:
        assert c.ledger.next_seq == before

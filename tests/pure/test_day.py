"""The end of the terminal's day: when it is due, what is in flash when, what its total means
beside the ledger's. On CPython and both MicroPython builds.
"""

import asyncio

from board.host_flash import FileFlash
from firmware import day
from firmware.errors import TerminalError
from firmware.ledger.ledger import Ledger
from firmware.pricing.calendar import TimeZone
from firmware.session import recovery
from tests.pure.test_ledger_powercut import script

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
HOUR_MS = 3600000
NOON = 1763809200000  # 2025-11-22 12:00 in Berlin


def opened(ledger):
    """Session 2."""
    fields = dict(script(2)[0][1])
    ledger.append("hold_asked", **fields)


def test_the_hour_is_local_whatever_the_season():
    tz = TimeZone(BERLIN)
    for since, hour, due in (
        (NOON, 23, NOON + 11 * HOUR_MS),
        (NOON, 12, NOON + 24 * HOUR_MS),  # the hour in which it is closed does not close it again
        (NOON, 3, NOON + 15 * HOUR_MS),
        (1774738800000, 3, 1774749600000 - HOUR_MS),  # 29 March 2026, 00:00: the night is short
        (1792879200000, 3, 1792893600000),  # 25 October 2026, 00:00: it is long
    ):
        assert day.due_ms(tz, since, hour) == due, (since, hour, day.due_ms(tz, since, hour))


def test_what_the_terminals_total_means():
    for terminal, ours, before, asked, result in (
        (441, 441, 0, False, "agree"),
        (0, 0, 441, True, "agree"),
        (641, 200, 441, False, "late"),
        (441, 0, 441, False, "late"),
        (0, 441, 0, True, "unseen"),
        (0, 441, 0, False, "differs"),
        (440, 441, 0, True, "differs"),
    ):
        assert day.compare(terminal, ours, before, asked) == result, (terminal, ours, before)


class Totals:
    def __init__(self, amount, ok=True, certain=True, code=0, text=""):
        self.amount_minor = amount
        self.count = 1
        self.ok = ok
        self.certain = certain
        self.code = code
        self.text = text


CUT = "power cut"


class Charger:
    """An app whose terminal gives the ends of day that it is given, one a call."""

    def __init__(self, hour=23):
        self.at = NOON
        self.ledger = Ledger(FileFlash(sectors=12), lambda: self.at)
        self.ledger.mount()
        for kind, fields in script(1):  # 441 captured, 100 of it given back at the terminal
            self.ledger.append(kind, **fields)
        self.clock = self.cfg = self.prices = self.terminal = self.remote = self
        self.view = self.runner = self.machine = self.supervisor = self
        self.known = self.ready = True
        self.end_of_day_hour = hour
        self.tz = TimeZone(BERLIN)
        self.state = "free"
        self.day_tries = 0
        self.beats = {}
        self.shown = None
        self.holds: "tuple | None" = ()
        self.answers = []
        self.seen = []

    def epoch_ms(self):
        return self.at

    def refresh(self):
        self.seen.append(self.shown)

    def measure_heap(self):
        pass

    def log(self, level, text):
        self.seen.append(text)

    def append(self, kind, **fields):
        self.ledger.append(kind, **fields)

    async def pending(self):
        if self.holds is None:
            raise TerminalError("not learnt")
        return self.holds

    async def end_of_day(self, commit):
        told, end = self.answers.pop(0)
        if told is not None:
            commit(told)
        if end == CUT:
            raise OSError("power cut")
        return end or told

    def look(self, hours=0):
        self.at += hours * HOUR_MS
        return asyncio.run(day.work(self))

    def kinds(self):
        found: list = []
        for records in self.ledger.scan((20, 22, 25, 29)):
            found = [(r.kind, r.fields) for r in records] + found
        return found


def test_it_is_closed_once_at_the_hour_and_the_figures_are_in_flash():
    c = Charger()
    assert c.look() == HOUR_MS and not c.kinds()
    c.answers = [(Totals(341), None)]
    c.look(11)
    asked, closed, end = c.kinds()
    assert end == ("day_closed", {"count": 1})
    assert asked == ("day_asked", {"count": 1, "ledger_minor": 341})
    assert closed[1] == {"count": 1, "terminal_minor": 341, "ledger_minor": 341, "result": "agree"}
    assert c.shown is None and c.seen == [{"state": "day_end"}]
    for _ in range(20):
        c.look(1)
    assert len(c.kinds()) == 3
    c.answers = [(Totals(0), None)]
    c.look(4)
    assert c.kinds()[-2][1]["result"] == "agree" and len(c.kinds()) == 6


def test_a_restart_soon_after_the_end_of_day_does_not_repeat_it():
    for total in (341, 340):
        c = Charger()
        c.answers = [(Totals(total), None)]
        c.look(12)
        seen = c.kinds()
        for _ in range(3):
            c.append("boot", firmware="0.1.0", reason="power_on", safe=0)
            c.look()
        assert c.kinds() == seen
        c.answers = [(Totals(0), None)]
        c.look(24)
        assert c.kinds()[-2][1]["result"] == "agree"


def test_a_difference_is_kept_and_said():
    c = Charger()
    c.answers = [(Totals(340), None)]
    c.look(12)
    assert c.kinds()[1][1]["result"] == "differs"
    assert c.kinds()[2] == (
        "alarm",
        {"code": "end_of_day_differs", "sess": 0, "detail": "terminal 340, ledger 341"},
    )


def test_nothing_is_closed_while_anything_is_open_or_away():
    for name, value in (
        ("ready", False),
        ("known", False),
        ("state", "receipt"),
        ("holds", None),
    ):
        c = Charger()
        setattr(c, name, value)
        assert c.look(12) <= 60000 and not c.kinds(), name
    c = Charger()
    c.ledger.append("refund_requested", refund="R9", receipt_no=1, amount_minor=0, reason="other",
                    operator="anna", command="c9", card=0)  # fmt: skip
    assert c.look(12) <= 60000 and not c.kinds()
    c = Charger()
    opened(c.ledger)
    assert c.look(12) <= 60000 and not c.kinds()


def test_holds_of_others_and_refusals_are_one_alarm_and_tried_again():
    c = Charger()
    c.holds = (17,)
    assert c.look(12) == 60000
    assert c.kinds()[0][1]["code"] == "end_of_day_failed"
    c.holds = ()
    c.answers = [(None, Totals(0, False, True, 0xA0, "no_network")), (Totals(341), None)]
    assert c.look() == 120000
    assert c.look() == 60000 and c.day_tries == 0
    kinds = [kind for kind, _ in c.kinds()]
    assert kinds == ["alarm", "day_asked", "end_of_day", "day_closed"]


def test_an_answer_lost_behind_the_totals_is_asked_for_again_and_is_no_difference():
    for closed in (True, False):
        c = Charger()
        c.answers = [
            (Totals(341), Totals(341, True, False)),
            (Totals(0 if closed else 341), None),
        ]
        c.look(12)
        c.look()
        results = [f["result"] for kind, f in c.kinds() if kind == "end_of_day"]
        assert results == ["agree", "agree" if closed else "late"]
        assert not [1 for kind, _ in c.kinds() if kind == "alarm"]


def test_a_power_cut_before_the_totals_came_is_told_from_a_difference():
    c = Charger()
    c.answers = [(None, Totals(0, False, False))]
    c.look(12)
    c.day_tries = 0  # not in flash
    c.answers = [(Totals(0), None)]
    c.look()
    assert [kind for kind, _ in c.kinds()] == ["day_asked", "end_of_day", "alarm", "day_closed"]
    assert c.kinds()[1][1]["result"] == "unseen"


def test_a_power_cut_behind_the_totals_closes_the_day_again_and_is_no_difference():
    for closed, result in ((True, "agree"), (False, "late")):
        c = Charger()
        c.answers = [(Totals(341), CUT)]
        try:
            c.look(12)
        except OSError:
            pass
        c.append("boot", firmware="0.1.0", reason="power_on", safe=0)
        c.answers = [(Totals(0 if closed else 341), None)]
        c.look()
        assert c.kinds()[-2][1]["result"] == result
        c.look(1)
        assert len(c.kinds()) == 5


def captured(c, sess, minor, how):
    """One more session, priced and captured."""
    for kind, fields in script(sess)[:8]:
        f = dict(fields)
        if kind == "priced":
            f.update(total_minor=minor, net_minor=minor, vat_minor=0)
        elif kind == "captured":
            f.update(captured_minor=minor, released_minor=5000 - minor, how=how)
        c.ledger.append(kind, **f)


def test_captures_that_are_not_proven_are_named_where_the_totals_differ():
    for total, codes in (
        (341 + 200 + 50, []),  # they agree: proven
        (341 + 50, ["end_of_day_differs", "capture_unproven"]),
    ):
        c = Charger()
        captured(c, 2, 200, "pending_query")
        captured(c, 3, 50, "direct")
        c.answers = [(Totals(total), None), (Totals(7), None)]
        c.look(12)
        alarms = [f for kind, f in c.kinds() if kind == "alarm"]
        assert [f["code"] for f in alarms] == codes
        if codes:
            assert alarms[1]["detail"] == "session 2: 200"
            c.look(24)  # a day later there is nothing left to prove
            assert [f["code"] for k, f in c.kinds() if k == "alarm"][2:] == ["end_of_day_differs"]


def test_the_last_receipt_is_the_newest_whose_end_was_seen():
    ledger = Charger().ledger
    assert recovery.last_receipt(ledger) == 4  # of the refund
    opened(ledger)
    ledger.append("captured", sess=2, captured_minor=1, released_minor=0, receipt=9, trace=1,
                  how="pending_query")  # fmt: skip
    assert recovery.last_receipt(ledger) == 0
    ledger.append("refund_requested", refund="R9", receipt_no=1, amount_minor=0, reason="other",
                  operator="anna", command="c9", card=0)  # fmt: skip
    assert recovery.last_receipt(ledger) == 0


def test_a_cancellation_that_was_concluded_names_no_last_receipt():
    for receipt, named in ((9, 0), (10, 10)):  # the hold's own, or the cancellation's
        ledger = Charger().ledger
        opened(ledger)
        fields = dict(script(2)[1][1])
        fields["receipt"] = 9
        ledger.append("authorised", **fields)
        ledger.append("cancelled", sess=2, released_minor=fields["amount_minor"], receipt=receipt,
                      reason="plug_timeout")  # fmt: skip
        assert recovery.last_receipt(ledger) == named, receipt


def test_a_refund_to_a_card_in_doubt_keeps_the_day_open():
    c = Charger()
    c.append("refund_asked", refund="C", sess=1, amount_minor=50, way="card", reason="other",
             command="")  # fmt: skip
    c.append("refund_sent", refund="C", sess=1, amount_minor=50, way="card", receipt=9, trace=9)
    assert c.look(12) <= 60000 and not c.kinds()


def test_holds_that_cannot_be_asked_for_are_one_alarm_after_some_tries():
    c = Charger()
    c.holds = None
    for _ in range(4):
        assert c.look(12) == 60000 and not c.kinds()
    for _ in range(9):
        c.look()
    assert c.kinds() == [
        ("alarm", {"code": "end_of_day_failed", "sess": 0, "detail": "not learnt"})
    ]
    c.holds = ()
    c.answers = [(Totals(341), None)]
    c.look()
    assert c.day_tries == 0 and c.kinds()[-1][0] == "day_closed"


def test_holds_of_others_are_said_though_asking_failed_before():
    c = Charger()
    c.holds = None
    c.look(12)
    c.holds = (17,)
    assert c.look() == 60000
    assert c.kinds()[0][1]["detail"] == "holds of others: 17"

"""The runner's way to a hold: what is asked of a terminal that goes away, and of a card that was
not the one that was read. On CPython and both MicroPython builds.
"""

import asyncio

from firmware.errors import MeterError, TerminalError
from firmware.session import decisions as do
from firmware.session import recovery, runner  # noqa: F401 - first: imports nest less deep
from firmware.terminal.base import Authorisation
from tests.pure.session_bench import Bench, Card


class Time:
    """In place of the runner's time and asyncio: its sleep is what makes time go on."""

    Event = asyncio.Event

    def __init__(self):
        self.at = 0

    def ticks_ms(self):
        return self.at

    def ticks_diff(self, a, b):
        return a - b

    async def sleep_ms(self, ms):
        self.at += ms
        await asyncio.sleep(0)


def _nothing():
    pass


class Hall(Bench):
    """A charger as its runner sees it; it is its own parts, terminal and flash."""

    def __init__(self, kinds=("bank",)):
        Bench.__init__(self)
        self.board = self.clock = self.cfg = self.terminal = self
        self.lines = self.machine = self.m
        self.cards_kinds = kinds
        self.beats = {}
        self.meter_patience_s = 0
        self.ready = False
        self.reserved = 0
        self.presented = Authorisation(True)
        self.presented.amount_minor = 2000
        self.presented.receipt = 231
        self.written = []
        self.time = runner.time = runner.asyncio = Time()  # type: ignore[assignment]
        self.runner = runner.Runner(self)
        self.m.blocked = ""

    def uptime_ms(self):
        return self.now

    def log(self, level, text):
        pass

    def trace(self, kind, fields):
        pass

    def abort(self):
        pass

    def append(self, kind, **fields):
        self.written.append((kind, fields))

    async def authorise(self, hold_minor, reference, commit):
        self.reserved += 1
        commit(self.presented)
        return self.presented

    async def pending(self):
        return ()

    def kinds(self):
        return [kind for kind, _ in self.written]

    def tap(self):
        self.runner.card_read(Card())

    def work(self, seconds, meanwhile=_nothing):
        """The jobs for so long; `meanwhile()` again and again after the first second."""

        async def whole():
            jobs = asyncio.create_task(self.runner.do_jobs())
            until = self.time.at + seconds * 1000
            while self.time.at < until:
                if self.time.at >= 1000:
                    meanwhile()
                await self.time.sleep_ms(10)
            jobs.cancel()

        asyncio.run(whole())


def test_a_terminal_that_goes_away_behind_the_tap_is_waited_for_a_moment_and_asked_nothing_later():
    h = Hall()
    h.tap()
    waited = []
    h.work(40, lambda: waited.append(h.time.at) if h.m.state == "authorising" else None)
    assert 19000 < waited[-1] < 21000
    assert h.kinds() == ["hold_asked", "declined"]
    assert h.written[-1][1]["text"] == "terminal_off"
    assert (h.m.state, h.m.message) == ("free", "terminal_off")
    h.ready = True
    h.work(5)
    assert not h.reserved


def test_stop_ends_the_wait_for_a_terminal_at_once():
    for button in (True, False):
        h = Hall()

        def stop(h=h, button=button):
            now = h.now
            h.runner.perform(h.m.on_stop(now, "button") if button else h.m.on_emergency(now))

        h.tap()
        h.work(2, stop)
        assert h.kinds() == ["hold_asked", "declined"] and not h.m.busy
        h.ready = True
        h.work(5)
        assert not h.reserved


def test_a_terminal_that_is_back_in_time_is_asked():
    h = Hall()
    h.tap()
    h.work(3, lambda: setattr(h, "ready", True))
    assert h.reserved == 1 and h.kinds() == ["hold_asked", "authorised"]
    assert h.m.state == "wait_plug"


def test_another_kind_of_card_than_the_one_that_was_read_is_not_kept():
    for pan, name, taken in (
        ("411111******1111", "VISA", True),
        ("555555******4444", "MasterCard", False),
        ("", "", True),  # a terminal that tells nothing: the card that was read counts
    ):
        h = Hall(("visa",))
        h.ready = True
        h.presented.pan = pan
        h.presented.card = name
        h.tap()
        h.work(2)
        if taken:
            assert h.kinds() == ["hold_asked", "authorised"] and h.m.state == "wait_plug", pan
        else:
            assert h.kinds() == ["hold_asked", "cancelled"] and not h.m.session.authorised_minor
            assert h.written[-1][1]["reason"] == "scheme_not_accepted" == h.m.message


class Away(Hall):
    """A charger whose terminal went away behind its 0622; what is done between sessions."""

    def __init__(self, seen):
        Hall.__init__(self)
        self.seen = seen
        self.ready = True
        self.done = 0
        self.runner._room = self.room  # type: ignore[method-assign]

    async def authorise(self, hold_minor, reference, commit):
        self.ready = False
        if self.seen:
            commit(self.presented)
        raise TerminalError("away")

    async def room(self, job):
        self.done += 1

    def minute(self):
        self.now += 60000
        self.runner.perform(self.m.on_tick(self.now))
        self.work(2)


def test_a_hold_that_is_given_up_unseen_leaves_nothing_that_waits_for_the_terminal():
    for seen in (False, True):
        h = Away(seen)
        h.tap()
        h.work(2)
        for _ in range(30):
            h.minute()
        alarms = [fields["code"] for kind, fields in h.written if kind == "alarm"]
        assert alarms == ([] if seen else ["hold_unseen"])
        assert h.m.busy is seen
        h.runner.perform([(do.REFUND,)])
        h.work(2)
        assert h.done == (0 if seen else 1)  # a hold that was seen is settled first


class WrongMeter:
    """Answers what cannot be true, or as another meter."""

    def __init__(self, state):
        self.state = state
        self.problem = "the energy register stepped back"
        self.forgotten = 0

    def forget(self):
        self.forgotten += 1
        return self.state == "implausible" and self.forgotten == 1


def idle_with(state):
    """The minute in which an idle charger takes a meter in such a state as it is now, and the
    alarms until then.
    """
    h = Hall()
    meter = h.meter = WrongMeter(state)  # type: ignore[assignment,method-assign]
    seconds = 0
    while not meter.forgotten:
        seconds += 1
        h.now += 1000
        h.runner._meter_failed(MeterError("no"))
    for _ in range(120):
        h.now += 1000
        h.runner._meter_failed(MeterError("no"))
    return seconds // 60, [fields["code"] for kind, fields in h.written if kind == "alarm"]


def test_an_idle_charger_takes_another_meter_at_once_and_a_wrong_register_after_ten_minutes():
    assert idle_with("swapped") == (0, [])
    assert idle_with("silent") == (10, [])
    assert idle_with("implausible") == (10, ["register_changed"])


class Restarted(Exception):
    pass


class Resting(Hall):
    """A charger that is asked to restart after five seconds."""

    def __init__(self):
        Hall.__init__(self)
        self.m.broken = "recovery_failed"  # what blocks it is not looked for
        self.ledger = self.books = self.remote = self
        self.waiting = False
        self.restart_ms = self.now + 5000
        self.asked = self.settled = ()
        self.end_of_day_hour = -1

    def idle(self):
        pass

    def real_ms(self, ms):
        self.now += ms
        return ms

    def reset(self):
        raise Restarted

    def restarts(self, seconds):
        async def whole():
            ticks = asyncio.create_task(self.runner.tick())
            until = self.now + seconds * 1000
            while self.now < until and not ticks.done():
                await self.time.sleep_ms(0)
            if not ticks.done():
                ticks.cancel()
                return False
            try:
                await ticks
            except Restarted:
                return True

        return asyncio.run(whole())


def test_a_restart_that_is_due_waits_for_a_session_and_for_no_reader():
    h = Resting()
    assert not h.restarts(4) and h.restarts(3)
    h = Resting()
    h.m.broken = h.m.blocked = ""
    h.m.contactor.leaking = True
    h.tap()
    assert h.m.busy and not h.restarts(10)

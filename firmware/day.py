"""The end of the terminal's day, at the configured hour, when nobody charges and no hold is open.
Entered when it may be due and left again.

Promise: what the terminal says it took is in flash beside what the ledger has (`end_of_day`)
before its answer is acknowledged; `day_asked` is there before it is asked, `day_closed` when its
end was seen. A day that was closed without our seeing it, or one that stayed open though we had
its totals, is told from a difference. Captures whose answer was lost ("pending_query") are proven
by a total that agrees; by another one they are not, and an alarm names them.
Limit: a terminal that closes its day by itself, too, has nothing left to tell (result "differs").
"""

import asyncio

from micropython import const

from firmware.errors import TerminalError
from firmware.paper import leave

_BOOT = const(1)
_CAPTURED = const(10)
_END_OF_DAY = const(22)
_DAY_CLOSED = const(25)
_DAY_ASKED = const(29)
_HOUR_MS = const(3600000)
_RETRY_MS = const(60000)
_TRIES = const(5)  # to ask for holds before it is said
_ALARMS = const(3)  # behind an end of day there may be its two alarms
_ROOM = const(6)  # free sectors: a session needs them more
_DIFFERENT = ("differs", "unseen")


async def work(app) -> int:
    """Closes the day when that is due; milliseconds until it is worth another look."""
    clock = app.clock
    if app.machine.state == "receipt" or not clock.known:
        return _RETRY_MS
    if not app.terminal.ready or not _resolved(app.ledger):
        return _RETRY_MS
    asked, since, before, unproven = await _last(app)
    if not app.runner.day_tries:
        wait = due_ms(app.prices.tz, since or clock.epoch_ms(), app.cfg.end_of_day_hour)
        wait -= clock.epoch_ms()
        if wait > 0:
            return min(wait, _HOUR_MS)  # a clock may step
    app.remote.shown = {"state": "day_end"}
    app.view.refresh()
    try:
        return await _close(app, asked, before, unproven)
    finally:
        app.remote.shown = None


async def _last(app) -> tuple:
    """(the terminal was asked after it, when, the terminal's figure, captures since that are not
    proven) of the last end of day; without one, (..., the oldest capture in flash, 0, ...), 0
    where there is none. One whose end was not seen right before a start: that was long ago (1).
    """
    asked = closed = False
    since = booted = 0
    unproven = []
    for found in app.ledger.scan((_BOOT, _CAPTURED, _END_OF_DAY, _DAY_CLOSED, _DAY_ASKED)):
        for record in reversed(found):
            if record.kind == "boot":
                booted = record.seq
            elif record.kind == "day_asked":
                asked = True
            elif record.kind == "day_closed":
                closed = True
            elif record.kind == "captured":
                since = record.at or 1
                f = record.fields
                if f["how"] == "pending_query":
                    unproven.append("session %d: %d" % (f["sess"], f["captured_minor"]))
            elif record.fields["result"] != "failed":
                cut = not closed and 0 < booted <= record.seq + _ALARMS
                since = 1 if cut else record.at
                return asked, since, record.fields["terminal_minor"], unproven
        await asyncio.sleep(0)
    return asked, since, 0, unproven


def due_ms(tz, since_ms: int, hour: int) -> int:
    """The first time after `since_ms` (epoch ms) at which the local clock shows `hour`."""
    day, second = tz.local(since_ms // 1000)
    local = day * 86400 + hour * 3600
    if second >= hour * 3600:
        local += 86400
    return (local - tz.offset(local - tz.offset(local))) * 1000


def _resolved(ledger) -> bool:
    """No hold is open, and nothing waits that only an open day can reverse: a sale, or a refund to
    a card that is in doubt.
    """
    books = ledger.books
    if books.open or ledger.free_sectors() < _ROOM:
        return False
    for _, f in books.asked.values():
        if f.get("way", "reversal") == "reversal" or f.get("receipt"):
            return False
    return True


async def _close(app, asked: bool, before: int, unproven: list) -> int:
    runner = app.runner
    holds = ()
    try:
        holds = await app.terminal.pending()
    except TerminalError as e:
        return _unasked(app, str(e))
    if holds:  # not ours: the terminal would refuse
        return _failed(app, "holds of others: " + " ".join([str(r) for r in holds]))
    books = app.ledger.books
    ours = max(books.eod_captured - books.eod_refunded, 0)
    if not asked:
        app.append("day_asked", count=books.eod_count, ledger_minor=ours)

    def commit(totals) -> None:
        result = compare(totals.amount_minor, ours, before, asked)
        app.append("end_of_day", count=totals.count, terminal_minor=totals.amount_minor,
                   ledger_minor=ours, result=result)  # fmt: skip
        if result in _DIFFERENT:
            app.append("alarm", code="end_of_day_" + result, sess=0,
                       detail="terminal %d, ledger %d" % (totals.amount_minor, ours))  # fmt: skip
            if unproven:
                app.append("alarm", code="capture_unproven", sess=0,
                           detail=", ".join(unproven)[:200])  # fmt: skip

    try:
        totals = await app.terminal.end_of_day(commit)
    except TerminalError as e:
        return _failed(app, str(e))
    app.supervisor.measure_heap()
    leave("firmware.terminal.zvt_day")
    if totals.ok and totals.certain:
        runner.day_tries = 0
        app.append("day_closed", count=totals.count)
        return _RETRY_MS
    if totals.certain:
        return _failed(app, "%02X %s" % (max(totals.code, 0), totals.text))
    runner.day_tries = max(runner.day_tries, 0) + 1  # whether it is closed, the next one says
    return _RETRY_MS


def compare(terminal: int, ours: int, before: int, asked: bool) -> str:
    """What the terminal's total says beside the ledger's. `before`: its total of the day before;
    `asked`: it was asked already, and its answer is not in flash.
    """
    if terminal == ours:
        return "agree"
    if terminal == ours + before:
        return "late"  # the day before had stayed open
    return "unseen" if asked and not terminal else "differs"


def _unasked(app, detail: str) -> int:
    """The terminal did not tell its holds: said when it goes on (day_tries below 0: not yet)."""
    runner = app.runner
    app.log("warning", "end of day: " + detail)
    if runner.day_tries > 0:
        return _RETRY_MS
    runner.day_tries -= 1
    return _RETRY_MS if runner.day_tries > -_TRIES else _failed(app, detail)


def _failed(app, detail: str) -> int:
    """The terminal would not: said once, tried again until it does."""
    runner = app.runner
    if runner.day_tries <= 0:
        app.append("alarm", code="end_of_day_failed", sess=0, detail=detail[:100])
        runner.day_tries = 0
    runner.day_tries += 1
    return min(_RETRY_MS << min(runner.day_tries - 1, 6), _HOUR_MS)

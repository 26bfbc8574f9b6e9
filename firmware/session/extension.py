"""More money for a session whose price nears its hold: the incremental authorisation. Entered when
it is asked for, and once more where it was left in doubt; left again.

Promise: the bill stays within what is held for certain. `extend_asked` is in flash before the
terminal is asked, `extended` before its approval is acknowledged, `extend_done` when it is known
what became of it. An approval without that last record is in doubt: the terminal may have taken it
back, and its list of open holds tells no amounts. The power then goes off at the hold there was
before, and the capture finds out (`capture`).
"""

from firmware.errors import LedgerFull, TerminalError
from firmware.session.core import CHARGING, POWERED
from firmware.terminal.base import Outcome

# what may be better in a while; another refusal is the bank's, and final
_FOR_NOW = ("no_network", "terminal_busy", "terminal_error", "terminal_off", "out_of_service")
_AGAIN_MS = 30000
_AMOUNT = 0xB7


async def work(app) -> int:
    """One extension, from its first record to its last; 0. Raises LedgerError when flash failed.
    """
    m = app.machine
    s = m.session
    before = s.authorised_minor
    add_minor = min(app.cfg.extend[0], app.cfg.extend[1] - before)
    kept = []

    def commit(a) -> None:
        app.append("extended", sess=s.number, amount_minor=a.amount_minor, receipt=a.receipt,
                   trace=a.trace)  # fmt: skip
        kept.append(a.amount_minor)

    if m.state != CHARGING or not app.terminal.ready:
        _later(app, s)
        return 0
    try:
        app.append("extend_asked", sess=s.number, add_minor=add_minor)
    except LedgerFull:
        return 0
    hold = app.runner.hold  # names it to the terminal
    hold.amount_minor = before
    try:
        a = await app.terminal.extend(hold, add_minor, commit)
    except TerminalError as e:  # not written, so not acknowledged: it takes it back by itself
        a = Outcome(False, True, 0, "terminal_error")
        app.log("warning", "extension: %s" % e)
    if not a.certain and kept:
        s.unsure_minor = kept[0] - before
        return 0
    how = "refused"
    if a.ok:
        how = "kept"
        s.authorised_minor = kept[0]
        s.more_at = 0
        if m.state in POWERED:
            m.delivery.bill.raise_hold(kept[0])
    elif kept:
        how = "taken_back"
    elif not a.certain or a.text in _FOR_NOW:
        _later(app, s)
    app.append("extend_done", sess=s.number, amount_minor=s.authorised_minor, how=how,
               code=max(a.code, 0), text=a.text)  # fmt: skip
    return 0


def _later(app, s) -> None:
    """Asked again in a while; each time it takes twice as long."""
    s.more_wait_ms = max(2 * s.more_wait_ms, _AGAIN_MS)
    s.more_at = app.board.clock.uptime_ms() + s.more_wait_ms


async def capture(terminal, s, receipt: int, used_minor: int):
    """A capture from a hold that may lack the newest extension: as if it had it. Where the
    terminal has not, it refuses to release so much, or names an amount that is short by just that,
    which is not acknowledged, so that it takes it back: an Outcome with text "amount_refused".
    """
    whole = s.authorised_minor + s.unsure_minor
    short = used_minor - s.unsure_minor
    found = []

    def look(apdu) -> None:
        if apdu.amount_minor == short and short != whole - used_minor:
            found.append(short)
            raise TerminalError("the hold is not what was extended")

    try:
        return await terminal.capture(receipt, whole, used_minor, "", look)
    except TerminalError:
        if not found:
            raise
        return Outcome(False, True, _AMOUNT, "amount_refused")

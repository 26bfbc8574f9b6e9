"""The back office's start of a session whose amount was authorised elsewhere (a page, an app, an
account). Entered for one command and left again.

The session's id is the back office's own and works once: as long as the session's first record is
in flash, the same id again is answered with what became of it, and starts nothing; with another
amount, method or reference it is refused. No card and no terminal is needed.
"""

import asyncio

from firmware.errors import CommandError, LedgerError
from firmware.ledger.books import ELSEWHERE
from firmware.session.core import OPEN_TO_CARDS
from firmware.session.data import Session
from firmware.sync import messages

_MOST_MINOR = 100000000
_HOLD_ASKED = 2  # schema.py


async def start(app, args: dict) -> dict:
    """Command `start`: session (id), method, amount_minor, connector, reference; tariff_crc (of
    the tariff that was shown) may be there. Gives the answer, with the session in flash as asked
    and authorised; FieldError names what was refused.
    """
    remote = messages.text(args, "session")
    reference = messages.text(args, "reference")
    amount = messages.natural(args, "amount_minor")
    connector = messages.natural(args, "connector")
    if len(remote) > 32:
        raise CommandError("session", "must be 1 to 32 characters", remote)
    if len(reference) > 48:
        raise CommandError("reference", "must be 1 to 48 characters", reference)
    known = await find(app, remote)
    if known:
        began = (known["hold_minor"], known["method"], known["reference"])
        if (amount, args.get("method"), reference) != began:
            raise CommandError("session", "must be a new one", remote)
        return _answer(app, known["sess"], remote)
    _check(app, args.get("method"), amount, connector, args.get("tariff"))
    if args.get("tariff_crc", app.prices.crc) != app.prices.crc:
        raise CommandError("tariff_crc", "must be the one in force", args["tariff_crc"])
    _check_state(app)
    m = app.machine
    s = Session(app.ledger.books.next_session, amount, args["method"], reference)
    s.remote = remote
    m.blocked = ""  # of the card terminal at most, which is not needed
    app.runner.perform(m.begin(app.board.clock.uptime_ms(), s))
    books = app.ledger.books
    if books.next_session == s.number or books.open and not books.open.authorised:
        raise LedgerError("the session was not written")  # the charger starts again from flash
    return _answer(app, s.number, remote)


def _check(app, method, amount: int, connector: int, tariff) -> None:
    if method not in ELSEWHERE:
        raise CommandError("method", "must be one of " + ", ".join(ELSEWHERE), method)
    if not max(app.cfg.min_hold_minor, 1) <= amount <= _MOST_MINOR:
        allowed = "must be from %d to %d" % (max(app.cfg.min_hold_minor, 1), _MOST_MINOR)
        raise CommandError("amount_minor", allowed, amount)
    if connector != app.cfg.connector:
        raise CommandError("connector", "must be %d" % app.cfg.connector, connector)
    if tariff is not None:
        raise CommandError("tariff", "is the charger's own", tariff)


def _check_state(app) -> None:
    m = app.machine
    if m.state not in OPEN_TO_CARDS or app.remote.shown:
        raise CommandError("state", "must be free or plugged", "refunding" if app.remote.shown
                           else m.state)  # fmt: skip
    if m.blocked not in ("", "terminal_off", "reader_off"):
        raise CommandError("state", "out of service", m.blocked)


async def find(app, remote: str) -> dict:
    """How the session that has this id began; empty when flash has none. None with an id is
    written meanwhile: only this command does, and one is done after the other.
    """
    for found in app.ledger.scan((_HOLD_ASKED,), 0, remote):
        for record in found:
            if record.fields["remote"] == remote:
                return record.fields
        await asyncio.sleep(0)
    return {}


def _answer(app, number: int, remote: str) -> dict:
    m = app.machine
    mine = m.session and m.session.number == number
    data = {"session": remote, "sess": number, "state": m.state if mine else "ended"}
    return {"detail": "session %d" % number, "data": data}

"""The back office's word that more is held for a session whose amount was authorised elsewhere.
Entered for one command and left again.
"""

from firmware.errors import CommandError
from firmware.session.core import POWERED
from firmware.sync import messages

_MOST_MINOR = 100000000


def extend(app, args: dict) -> dict:
    """Command `extend`: session (id), amount_minor (the whole hold from now on). In flash, as
    `extend_done`, before the session goes on by it; the same amount again changes nothing. Raises
    FieldError, LedgerError.
    """
    remote = messages.text(args, "session")
    amount = messages.natural(args, "amount_minor")
    m = app.machine
    s = m.session
    if s is None or s.remote != remote or m.state not in POWERED:
        raise CommandError("session", "must be the one that runs", remote)
    if not s.authorised_minor <= amount <= _MOST_MINOR:
        allowed = "must be from %d to %d" % (s.authorised_minor, _MOST_MINOR)
        raise CommandError("amount_minor", allowed, amount)
    if amount > s.authorised_minor:
        app.append("extend_done", sess=s.number, amount_minor=amount, how=s.method, code=0,
                   text="")  # fmt: skip
        s.authorised_minor = amount
        m.delivery.bill.raise_hold(amount)
    return {"detail": "session %d" % s.number, "data": {"amount_minor": amount}}

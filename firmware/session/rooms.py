"""Rooms the runner enters for a job and leaves again: refunds, the end of the terminal's day, an
extension of the hold. Their code is in memory only while it works.
"""

from micropython import const

from firmware.paper import leave
from firmware.session import decisions as do

_NO_MEMORY_MS = const(60000)


async def enter(p, job, hold) -> int:
    """Does the job; milliseconds until its room is worth another look. `p`: app.Parts; `hold`: the
    Authorisation of the session that runs. Raises LedgerError.
    """
    try:
        return await _work(p, job, hold)
    except MemoryError as e:  # what is open is in flash: taken up again, as after a power cut
        p.log("warning", "no memory: %s" % e)
        return _NO_MEMORY_MS
    finally:
        leave("firmware.refunds", "firmware.refund_card", "firmware.ledger.refunds",
              "firmware.day", "firmware.session.extension")  # fmt: skip


async def _work(p, job, hold) -> int:
    if job[0] == do.REFUND:
        from firmware.refunds import work

        return await work(p)
    if job[0] == do.DAY:
        from firmware.day import work as close

        return await close(p)
    from firmware.session.extension import ask

    await ask(p, hold, job[1])
    return 0


async def capture(p, job):
    """CAPTURE with what is held by now: more may have been approved after the price was known."""
    s = p.machine.session
    if not s.unsure_minor:
        return await p.terminal.capture(job[1], s.authorised_minor, job[3])
    from firmware.session import extension

    try:
        return await extension.capture(p.terminal, s, job[1], job[3])
    finally:
        leave("firmware.session.extension")

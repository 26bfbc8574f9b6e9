"""The doctor: one line about each part of the charger, good or not, why, and what to do. Entered
between sessions by the back office's command `doctor`, by five presses of Stop, or by a technician
(doctor.py); left again with its memory.

Promises: nothing is switched, nothing is sold, nothing is written to the ledger; it looks at what
the running charger knows. Who can wait asks the terminal's host before (`ask_host`). Texts are for
technicians, in English.
"""

import asyncio

from micropython import const

from firmware.errors import ForecourtError
from firmware.paper import leave

_LONG = const(120)
_SHOW = const(40)  # tenths of a second


def examine(app, done) -> None:
    """`done(finding)` hears each in order, a dict of name, ok, reason, todo ("" when ok). Never
    raises for what it finds.
    """
    from firmware.doctor.money import looks

    _look(app, looks, done)
    looks = ()  # memory holds one room at a time
    leave("firmware.doctor.money", "firmware.day")
    from firmware.doctor.lines import looks

    _look(app, looks, done)
    looks = ()
    leave("firmware.doctor.lines", "firmware.doctor.certificate")


def _look(app, looks: tuple, done) -> None:
    for name, look in looks:
        try:
            todo, reason = look(app)
        except (ForecourtError, OSError, ValueError) as e:
            todo, reason = "see the log", "%s: %s" % (type(e).__name__, e)
        done({"name": name, "ok": not todo, "reason": reason[:_LONG], "todo": todo})


async def ask_host(app) -> None:
    """The terminal talks with its host, which is what a driver would find out next."""
    terminal = app.terminal
    if terminal.ready and not app.machine.busy:
        terminal.abort()  # it reads cards: that begins again afterwards
        await terminal.diagnose()


async def show(app) -> None:
    """Each finding on the screen for some seconds; ended by Stop, or when a driver begins."""
    remote = app.remote
    remote.shown = {"state": "doctor", "message": "terminal: its host is asked"}
    await ask_host(app)
    findings: "list" = []
    examine(app, findings.append)
    for finding in findings:
        text = "%s: %s" % (finding["name"], finding["reason"])
        if finding["todo"]:
            text += ". To do: " + finding["todo"]
        remote.shown = {"state": "doctor" if finding["ok"] else "doctor_bad", "message": text}
        for _ in range(_SHOW):
            await asyncio.sleep_ms(100)
            if app.machine.busy or not remote.presses:
                remote.shown = None
                return
    remote.shown = None

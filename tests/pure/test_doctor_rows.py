"""What the doctor says of the end of the terminal's day and of the RFID reader, on a ledger and
parts that are as they may be.
"""

import os
import time

from board.host_flash import FileFlash
from firmware.doctor import lines as doctor_lines
from firmware.doctor import money as doctor_money
from firmware.ledger.ledger import Ledger
from firmware.pricing.calendar import TimeZone
from tests.pure.test_ledger_powercut import script

HOUR_MS = 3600000
NOON = 1763809200000  # 2025-11-22 12:00 in Berlin


class Charger:
    """An app with a session that was paid at noon."""

    def __init__(self):
        self.at = NOON
        self.ledger = Ledger(FileFlash(sectors=12), lambda: self.at)
        self.ledger.mount()
        for kind, fields in script(1):
            self.ledger.append(kind, **fields)
        self.clock = self.cfg = self.prices = self.runner = self.machine = self
        self.broken = ""
        self.known = True
        self.end_of_day_hour = 23
        self.tz = TimeZone("CET-1CEST,M3.5.0,M10.5.0/3")
        self.day_tries = 0
        self.cards_kinds: "tuple[str, ...]" = ("bank",)
        self.rfid = None

    def epoch_ms(self):
        return self.at

    def closed(self, result="agree", terminal=441, ours=441):
        self.ledger.append(
            "end_of_day", count=1, terminal_minor=terminal, ledger_minor=ours, result=result
        )


def said(app, look=None):
    todo, reason = (look or doctor_money._end_of_day)(app)
    return bool(todo), reason


def test_end_of_day_is_red_when_its_hour_is_more_than_a_day_ago():
    app = Charger()
    for hours, red in ((1, False), (11, False), (34, False), (35.5, True), (80, True)):
        app.at = NOON + int(hours * HOUR_MS)
        assert said(app)[0] is red, (hours, said(app))
    assert said(app)[1].endswith("payments since the last end of day, due since 69 h")
    app.end_of_day_hour = -1  # the terminal's own business
    assert not said(app)[0]
    app.end_of_day_hour = 23
    app.known = False
    assert not said(app)[0]
    app.known = True
    app.closed()
    app.at += 100 * HOUR_MS
    assert said(app) == (False, "0 payments since the last end of day")


def test_end_of_day_that_failed_or_differs_is_red():
    app = Charger()
    app.day_tries = 2
    assert said(app)[0] and "failed 2 times" in said(app)[1]
    app.day_tries = -2  # holds not told yet, asked for again
    assert not said(app)[0]
    app.closed("late")
    assert not said(app)[0]
    for result in ("differs", "unseen"):
        app.closed(result, 400)
        assert said(app)[0] and said(app)[1].endswith(result + ": terminal 400, ledger 441")
    app.closed()
    assert not said(app)[0]


class Reader:
    state = "ready"
    version = "1.6"
    list_version = 7


def test_rfid_row_is_about_the_reader():
    app = Charger()
    assert said(app, doctor_lines._rfid) == (False, "no reader configured")
    app.cards_kinds = ("bank", "rfid")
    assert said(app, doctor_lines._rfid) == (True, "this board has no UART for it")
    app.rfid = Reader()
    assert said(app, doctor_lines._rfid) == (False, "reader 1.6 answers, list 7")
    app.rfid.state = "off"
    assert said(app, doctor_lines._rfid) == (True, "it does not answer")


def test_ledger_row_names_sectors_that_cannot_be_used():
    app = Charger()
    assert said(app, doctor_money._ledger)[0] is False
    app.ledger.ring.bad.append(7)
    todo, text = said(app, doctor_money._ledger)
    assert todo and text.endswith("; 1 bad sectors")


class Files:
    """An app whose files are in a folder, with a link that has just failed."""

    def __init__(self, folder):
        self.board = self.network = self.sync = self.link = self
        self.files = folder
        self.has_network = True
        self.up = False
        self.reason = "[Errno 2] ENOENT"

    def ready(self):
        return True


def test_certificates_and_keys_that_are_not_there_are_named():
    folder = "/tmp/forecourt-doctor-%d" % time.time_ns()  # noqa: S108 - MicroPython has no tempfile
    os.mkdir(folder)
    try:
        app = Files(folder)
        wanted = ("make provision", "no charger.crt, ca.crt, charger.key")
        assert doctor_lines._broker(app) == doctor_lines._certificate(app) == wanted
        for name in ("charger.crt", "charger.key"):
            with open(folder + "/" + name, "w") as f:
                f.write("")
        wanted = ("make provision", "no ca.crt")
        assert doctor_lines._broker(app) == doctor_lines._certificate(app) == wanted
        with open(folder + "/ca.crt", "w") as f:
            f.write("")
        assert doctor_lines._broker(app)[1] == app.reason
    finally:
        for name in os.listdir(folder):
            os.remove(folder + "/" + name)
        os.rmdir(folder)

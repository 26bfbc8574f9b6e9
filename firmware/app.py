"""One charger: what its rooms share, and which rooms stay in memory. firmware/compose.py puts them
together.

This is the linker's root (hostsim/setup/link.py): what is imported here, directly or not, is
one module on a charger; what is imported inside a function is entered and left again
(firmware/paper.py).
"""

import asyncio
import logging

from micropython import const

from firmware.clock import WallClock  # noqa: F401 - the rooms that stay: compose.py finds them loaded
from firmware.ledger.codec import cut
from firmware.ledger.ledger import Ledger  # noqa: F401
from firmware.meter.bus import ModbusBus  # noqa: F401
from firmware.meter.meter import Meter  # noqa: F401
from firmware.orders.remote import Remote  # noqa: F401
from firmware.paper import leave
from firmware.prices import Prices  # noqa: F401
from firmware.screen.screen import Screen  # noqa: F401
from firmware.serialio import Serial  # noqa: F401
from firmware.session.machine import Machine  # noqa: F401
from firmware.session.runner import Runner  # noqa: F401
from firmware.supervisor import Supervisor  # noqa: F401
from firmware.sync.sync import Sync  # noqa: F401
from firmware.terminal.zvt import ZvtTerminal  # noqa: F401
from firmware.view import View  # noqa: F401

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.config import Config

VERSION = "0.1.0"
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}


class App:
    """Everything that makes one charger, for the rooms that need more than their own folder:
    `board`, `cfg`, `clock`, `prices`, `ledger`, `machine`, `meter`, `terminal`, `sync`,
    `runner`, `view`, `screen`, `supervisor`.
    """

    cfg: "Config"
    ledger: Ledger
    meter: Meter
    view: View

    def __init__(self, board):
        self.board = board
        self.version = VERSION
        self.sync = self.rfid = None
        self.printed = 0  # lines of the last receipt
        self.supervisor = None
        self.config_kept = False  # config.old is the configuration in force
        self.trace = board.trace
        self._logger = logging.getLogger("forecourt")
        self._logger.addHandler(self)
        self.beats: "dict" = {}  # signs of life, firmware/supervisor.py

    def log(self, level: str, text: str) -> None:
        self._logger.log(_LEVELS[level], text)

    def emit(self, record) -> None:
        """micropython-logging's records go to the back office and to who looks at the board."""
        text = record.msg % record.args if record.args else record.msg
        level = record.levelname.lower()
        self.trace("log", {"level": level, "text": text})
        if self.sync:
            self.sync.log(level, text)

    def append(self, kind: str, **fields) -> int:
        """One ledger record, in flash when this returns its number (0: left out). A `detail` is
        cut to what a record holds. Raises LedgerError."""
        if "detail" in fields:
            fields["detail"] = cut(fields["detail"])
        seq = self.ledger.append(kind, **fields)
        self.trace("ledger", {"seq": seq, "type": kind, "fields": fields})
        if self.sync:
            self.sync.wake()
        return seq

    def print_receipt(self) -> None:
        """The driver's receipt, as soon as the bill is in flash."""
        leave("firmware.session.closing")  # the machine's, who may not; memory is collected
        try:
            from firmware.receipt import lines

            language = self.view.language or self.cfg.languages[0]
            # one at a time: memory is in small pieces
            for number, line in enumerate(lines(self, language)):
                self.trace("receipt", {"number": number, "line": line})
                self.printed = number + 1
        except MemoryError as e:
            # the paper is not worth the session: the bill is in flash, the capture comes next
            self.log("warning", "receipt not printed: %s" % e)
        leave("firmware.receipt", "firmware.pricing.receipt", "firmware.pricing.words",
              "firmware.pricing.waiver")  # fmt: skip

    def tell_line(self) -> None:
        """What the meter's line did to the session that was just billed, for the operator."""
        try:
            from firmware.meter.line import trouble

            if text := trouble(self.meter.bus):
                self.log("info", text)
        except MemoryError as e:  # as above
            self.log("warning", "meter line: %s" % e)
        leave("firmware.meter.line")


def _composed(app: App, reason: str):
    from firmware.compose import begin

    return begin(app, reason)


def start(board, reason: str = "power_on") -> None:
    """Runs the charger; returns never."""
    board.lines.contactor(False)
    run = _composed(App(board), reason)
    leave("firmware.compose")
    asyncio.run(run())

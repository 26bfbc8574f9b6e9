"""Safe mode: the charger sells nothing and says so, on its screen and to the back office. Entered
instead of firmware/app.py when board/start.py says so; the ledger is not touched.

Whatever fails here is left away and tried again: the screen speaks without words, without a
configuration there is no MQTT. With the jumper the technician's REPL is open and nothing feeds a
watchdog; without it the charger tries to start again after half an hour. A jumper that bridges the
stop button ends safe mode when it has been open for some seconds.
"""

import asyncio
import gc
import sys
import time

from micropython import const

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.config import Config

_AGAIN_MS = const(1800000)
_STATUS_MS = const(30000)
_PAUSE_MS = const(5000)
_LOOK_MS = const(500)
_LET_GO = const(10)  # looks


class Safe:
    """`why`: "jumper", "starts" (three failed; or what compose.py kept of the last: "config",
    "ledger", "ledger_later"), "no_version".
    """

    def __init__(self, board, why: str):
        self.board = board
        self.why = why
        if why == "starts":
            try:
                with open(board.files + "/why") as f:
                    self.why = f.read(20)
            except (OSError, ValueError):
                pass  # no start ended there
        self.cfg: "Config" = None
        self._mqtt: "dict" = None
        self._sent: int = None
        self._dump: "Callable[[dict], bytes]" = None
        self._fields: "dict" = {}

    async def run(self) -> None:
        tasks = [self._words, self._link]
        for _, make in self.board.tasks():
            tasks.append(make)
        for make in tasks:
            asyncio.create_task(self._keep(make))
        if self.why == "jumper":
            await self._served()
            self.board.reset()
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < _AGAIN_MS:
            self.board.watchdog.feed()
            await asyncio.sleep_ms(_LOOK_MS)
        self.board.again()

    async def _served(self) -> None:
        looks = 0
        while looks < _LET_GO:
            await asyncio.sleep_ms(_LOOK_MS)
            looks = looks + 1 if self.board.let_go() else 0

    async def _keep(self, make) -> None:
        while True:
            try:
                await make()
            except asyncio.CancelledError:
                raise
            except Exception as e:  # noqa: BLE001 - what led here may fail again; safe mode stays
                sys.print_exception(e)
            gc.collect()
            await asyncio.sleep_ms(_PAUSE_MS)

    async def _words(self) -> None:
        """Its configuration, then words on the screen in the languages it names."""
        from firmware.compose import stored_config, sync_settings
        from firmware.errors import ConfigError
        from firmware.paper import leave
        from firmware.screen.screen import Screen

        languages = ("en",)
        try:
            stored_config(self)
            self._mqtt = sync_settings(
                self.cfg.charger, self.cfg.once, self.board.files, {}
            )["mqtt"]
            languages = self.cfg.languages
        except (ConfigError, OSError) as e:
            self.board.trace("log", {"level": "error", "text": "config: %s" % e})
        leave("firmware.compose")
        screen = Screen(self.board.screen, languages)
        while True:
            screen.show({"state": "safe_mode", "message": self.why})
            await asyncio.sleep_ms(1000)

    # --- the link's owner, firmware/sync/link.py

    work = None

    async def _link(self) -> None:
        from firmware.app import VERSION
        from firmware.sync.link import Link
        from firmware.sync.messages import PREFIX, dump

        if self._mqtt is None:
            return
        self._dump = dump
        self._fields = {"online": True, "at": 0, "state": "safe_mode", "reason": self.why,
                        "connector": self.cfg.connector, "version": VERSION}  # fmt: skip
        prefix = (PREFIX + self.cfg.charger + "/").encode()
        will = dump({"online": False, "reason": "lost"})
        await Link(self._mqtt, prefix, will, (), self.board.network, self).run()

    def feed(self, link) -> bool:
        now = time.ticks_ms()
        if self._sent is not None and time.ticks_diff(now, self._sent) < _STATUS_MS:
            return False
        self._sent = now
        link.publish(b"status", self._dump(self._fields), True)
        return True

    def on_up(self) -> None:
        self._sent = None

    def on_down(self, reason: str) -> None: ...

    def on_message(self, topic, payload) -> None: ...

    def on_puback(self, pid: int) -> None: ...


def start(board, why: str) -> None:
    """Returns never."""
    board.lines.contactor(False)
    board.screen.show(("Forecourt", "", "Out of service", why), "", "red")
    asyncio.run(Safe(board, why).run())

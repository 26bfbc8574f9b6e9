"""One session on the emulated board, and the power cut inside it: `python -m
hostsim.emulator.campaign STORAGE [--after KIND ...]`.

The board is switched on with what is in STORAGE, sells one session to the capture, and stops.
Whenever the record that follows one of the kinds `--after` is about to be programmed, this process
forks: the copy tears that page, loses its power, and is switched on again, while the original goes
on. Every branch ends with the charger's ledger beside the terminal's books. One JSON object a
branch is printed; exit code 0 when all came to their end with books that agree.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from board import plan
from hostsim import books
from hostsim.emulator.image import ensure_image
from hostsim.emulator.loop import BoardLoop
from hostsim.emulator.pico import STORAGE
from hostsim.emulator.rig import SECTOR, PowerCutError, Rig

_TOGETHER = 2
_DARK_S = 2
_END = ("captured", "cancelled", "declined")


class Campaign:
    def __init__(self, rig: Rig, after: list[str], folder: Path) -> None:
        self._rig = rig
        self._after = list(after)
        self._folder = folder
        self._children: set[int] = set()
        self._failed = False
        self.cut = ""  # in a copy: the record after which the power went
        first, count = rig.data["ledger"]
        begin = STORAGE + first * SECTOR
        self._region = range(begin, begin + count * SECTOR)

    # --- the session -----------------------------------------------------------------------------

    async def run(self) -> dict[str, Any]:
        rig = self._rig
        began = rig.loop.time()
        await rig.start()
        board = rig.power_on()
        board.tears = self._tears
        told = asyncio.create_task(self._tell())
        try:
            await rig.until(lambda: rig.terminal.reader.awaiting)
            ready_ms = round((rig.loop.time() - began) * 1000)
            await rig.drive_through(1)
        except PowerCutError:
            ready_ms = 0
            await self._recover()
        finally:
            told.cancel()
        result = self._judged()
        result["ready_ms"] = ready_ms
        await rig.stop()
        return result

    async def _tell(self) -> None:
        """Progress on standard error: what the ledger says, with the board's time."""
        seen = -1
        while True:
            records = self._rig.ledger()
            if len(records) != seen:
                seen = len(records)
                newest = records[-1]["kind"] if records else "-"
                cut = f"cut after {self.cut}: " if self.cut else ""
                cpu = time.process_time()
                line = f"{cut}{self._rig.loop.time():.1f} s board, {cpu:.0f} s cpu: {newest}\n"
                sys.stderr.write(line)
                sys.stderr.flush()
            await asyncio.sleep(1)

    async def _recover(self) -> None:
        """The power comes back, the vehicle is still there."""
        rig = self._rig
        rig.power_off()
        await asyncio.sleep(_DARK_S)
        rig.terminal.remove_card()
        rig.power_on()
        await rig.until(self._settled, 120)
        await asyncio.sleep(1)

    def _settled(self) -> bool:
        records = self._rig.ledger()
        boots = [n for n, record in enumerate(records) if record["kind"] == "boot"]
        if len(boots) < 2:
            return False
        asked = [n for n, record in enumerate(records) if record["kind"] == "hold_asked"]
        if not asked:
            return not self._rig.terminal.books.pending()
        return any(record["kind"] in _END for record in records[asked[-1] :])

    def _judged(self) -> dict[str, Any]:
        rig = self._rig
        records = rig.ledger()
        charger = books.from_records("charger", records)
        terminal = books.from_terminal(rig.terminal.books.summary())
        found = books.compare(charger, terminal, charger)
        registers = {r["kind"]: r["register_wh"] for r in records if "register_wh" in r}
        return {
            "cut_after": self.cut,
            "kinds": [record["kind"] for record in records],
            "agree": found["agree"],
            "differences": found["differences"],
            "authorised_minor": found["terminal"]["authorised_minor"],
            "captured_minor": found["terminal"]["captured_minor"],
            "open": found["terminal"]["open"],
            "registers_wh": registers,
            "meter_wh": rig.meter.register_wh,
            "contactor": rig.contactor,
            "board_s": round(rig.loop.time(), 2),
            "cpu_s": round(time.process_time(), 1),
        }

    # --- branches --------------------------------------------------------------------------------

    def _tears(self, address: int) -> bool:
        if not self._after or address not in self._region:
            return False
        records = self._rig.ledger()
        newest = records[-1]["kind"] if records else ""
        if newest not in self._after:
            return False
        self._after.remove(newest)
        self.gather(_TOGETHER - 1)
        sys.stdout.flush()
        child = os.fork()
        if child:
            self._children.add(child)
            return False
        asyncio._set_running_loop(self._rig.loop)  # forgotten by a copy
        self._children.clear()
        self._after.clear()
        self.cut = newest
        folder = self._folder / newest
        folder.mkdir()
        self._rig.forked(folder)
        return True

    def gather(self, at_most: int) -> bool:
        """Waits until only so many branches run; whether all that ended were good."""
        while len(self._children) > at_most:
            child, status = os.wait()
            self._children.discard(child)
            self._failed = self._failed or status != 0
        return not self._failed


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hostsim.emulator.campaign")
    parser.add_argument("storage", type=Path)
    parser.add_argument("--after", nargs="*", default=[])
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="forecourt-campaign-") as name:
        loop = BoardLoop()
        storage = given.storage.read_bytes()
        rig = Rig(loop, ensure_image(), plan.load("pico"), storage, Path(name), wanted_wh=50)
        campaign = Campaign(rig, given.after, Path(name))
        code = 1
        try:
            result = loop.run_until_complete(campaign.run())
            sys.stdout.write(json.dumps(result) + "\n")
            code = 0 if result["agree"] and not result["open"] else 1
        except TimeoutError:
            kinds = [record["kind"] for record in rig.ledger()]
            failed = {"cut_after": campaign.cut, "agree": False, "kinds": kinds, "stuck": True}
            sys.stdout.write(json.dumps(failed) + "\n")
        finally:
            if campaign.cut and sys.exc_info()[0] is not None:
                traceback.print_exc()
            if campaign.cut:  # nothing of the original's is ended by a copy
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        return code if campaign.gather(0) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Sessions on the emulated board, and power cuts inside them:

    python -m hostsim.emulator.campaign STORAGE [--every | --cut N ...] [--sessions N]

The board is switched on with what is in STORAGE and sells one session to the capture. With a cut,
the N-th flash operation in the ledger's region is torn, the board loses its power, and is switched
on again with what is left in flash; `--every` plays one for each operation of the session. Each
ends with the charger's ledger beside the terminal's books. `--sessions N` sells so many in a row
without a cut. One JSON object each; exit code 0 when all came to
their end with books that agree. Limits are in the board's time: how fast it is emulated does not
matter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from board import plan
from hostsim import books
from hostsim.emulator.image import ensure_image
from hostsim.emulator.loop import BoardLoop
from hostsim.emulator.pico import STORAGE, Pico
from hostsim.emulator.rig import SECTOR, PowerCutError, Rig

_DARK_S = 2
_RECOVERY_S = 60
_END = ("captured", "cancelled", "declined")

Tears = Callable[[int, str], bool]
"""Asked at each flash operation of the ledger: its number, and the newest record's kind."""


class Sale:
    """Sessions on one board; `tears` decides where the power fails, once."""

    def __init__(self, rig: Rig, tears: Tears | None = None, sessions: int = 1) -> None:
        self._rig = rig
        self._tears = tears
        self._sessions = sessions
        self.operations = 0  # of flash, in the ledger's region, before the cut
        self.cut_after = ""  # the record after which the power went
        self.board: Pico | None = None  # the first to have power
        first, count = rig.data["ledger"]
        begin = STORAGE + first * SECTOR
        self._region = range(begin, begin + count * SECTOR)

    async def run(self) -> dict[str, Any]:
        """What became of it. Raises TimeoutError when it does not come to its end."""
        rig = self._rig
        began = rig.loop.time()
        await rig.start()
        self.board = rig.power_on()
        self.board.tears = self._torn
        ready_ms = 0
        try:
            await rig.until(lambda: rig.terminal.reader.awaiting)
            ready_ms = round((rig.loop.time() - began) * 1000)
            for number in range(1, self._sessions + 1):
                await rig.drive_through(number)
        except PowerCutError:
            await self._recover()
        result = self._judged() | {"ready_ms": ready_ms}
        await rig.stop()
        return result

    def _torn(self, address: int) -> bool:
        if address not in self._region:
            return False
        self.operations += 1
        if self._tears is None:
            return False
        records = self._rig.ledger()
        newest = records[-1]["kind"] if records else ""
        if not self._tears(self.operations, newest):
            return False
        self.cut_after = newest or "nothing"
        return True

    async def _recover(self) -> None:
        """The power comes back, the vehicle is still there."""
        rig = self._rig
        before = sum(record["kind"] == "boot" for record in rig.ledger())
        rig.power_off()
        await asyncio.sleep(_DARK_S)
        rig.terminal.remove_card()
        rig.power_on()
        await rig.until(lambda: self._settled(before), _RECOVERY_S)
        await rig.until(lambda: rig.terminal.reader.awaiting, _RECOVERY_S)

    def _settled(self, boots_before: int) -> bool:
        records = self._rig.ledger()
        if sum(record["kind"] == "boot" for record in records) <= boots_before:
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
        return {
            "cut_after": self.cut_after,
            "operations": self.operations,
            "kinds": [record["kind"] for record in records],
            "resets": self.board.resets if self.board is not None else 0,
            "agree": found["agree"],
            "differences": found["differences"],
            "authorised_minor": found["terminal"]["authorised_minor"],
            "captured_minor": found["terminal"]["captured_minor"],
            "open": found["terminal"]["open"],
            "delivered_wh": rig.meter.register_wh - rig.meter_start_wh,
            "contactor": rig.contactor,
            "board_s": round(rig.loop.time(), 2),
        }


def play(
    storage: bytes,
    tears: Tears | None = None,
    sessions: int = 1,
    printed: Callable[[bytes], None] | None = None,
    rom_bytes: int = 0,
) -> dict[str, Any]:
    """Sells, with the power failing where `tears` says; what became of it, `stuck` when it did not
    come to its end. `printed` gets what the board said at its console. `rom_bytes`: the storage
    begins with a ROMFS partition of that size, for the image that has one.
    """
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="forecourt-campaign-") as name:
        loop = BoardLoop()
        image, data = ensure_image(bool(rom_bytes)), plan.load("pico")
        rig = Rig(loop, image, data, storage, Path(name), wanted_wh=50, rom_bytes=rom_bytes)
        sale = Sale(rig, tears, sessions)
        try:
            result = loop.run_until_complete(sale.run())
        except TimeoutError:
            kinds = [record["kind"] for record in rig.ledger()]
            result = {"cut_after": sale.cut_after, "agree": False, "kinds": kinds, "stuck": True}
        finally:
            if printed is not None and sale.board is not None:
                printed(bytes(sale.board.console))
            loop.close()
    return result | {"cpu_s": round(time.process_time() - began, 1)}


def at(operation: int) -> Tears:
    """Tears the so many-th flash operation of the ledger."""
    return lambda number, _: number == operation


def after(kind: str) -> Tears:
    """Tears the first operation that follows a record of this kind."""
    return lambda _, newest: newest == kind


def _cut(storage: bytes, operation: int) -> dict[str, Any]:
    return {"operation": operation} | play(storage, at(operation))


def good(result: dict[str, Any]) -> bool:
    """Whether it came to its end with books that agree and no hold open."""
    return bool(result["agree"]) and not result["open"] and not result["contactor"]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hostsim.emulator.campaign")
    parser.add_argument("storage", type=Path)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--cut", type=int, nargs="*", default=[])
    parser.add_argument("--sessions", type=int, default=1)
    given = parser.parse_args(arguments)
    storage = given.storage.read_bytes()
    results = [play(storage, sessions=given.sessions)]
    sys.stdout.write(json.dumps(results[0]) + "\n")
    cuts = list(range(1, results[0]["operations"] + 1)) if given.every else given.cut
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for result in pool.map(_cut, [storage] * len(cuts), cuts):
            results.append(result)
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
    return 0 if all(not result.get("stuck") and good(result) for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

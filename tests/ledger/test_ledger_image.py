"""The independent reader of flash images, the image kept from this version on, and random runs
against a plain list."""

import json
import os
import random
from pathlib import Path

import pytest

from board.host_flash import FileFlash, PowerCut
from firmware.errors import LedgerError, LedgerFull
from firmware.ledger.ledger import Ledger
from hostsim import ledgerimage
from hostsim.ledgerimage import FIRST_NOTE, KINDS, ImageError, read_image, records_of
from tests.ledger.ledger_rows import ROWS
from tests.mpy import ROOT, run_mpy
from tests.pure.test_ledger_powercut import script
from tests.pure.test_ledger_ring import clock, ledger_on, session
from tests.pure.test_ledger_rot import mounted, three_sectors, with_flips

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ledger"


def published(ledger: Ledger, after: int) -> list[dict]:
    out = []
    while (record := ledger.read_after(after)) is not None:
        out.append(json.loads(record.to_json(ledger.epoch)))
        after = record.seq
    return out


def as_published(records: list[dict]) -> list[dict]:
    return [
        {("type" if key == "kind" else key): value for key, value in record.items()}
        for record in records
    ]


def with_later_fields(record: dict) -> dict:
    """What a record of an earlier version did not have yet is nothing (docs/reliability.md)."""
    words = next(words for _, name, _, words in ROWS if name == record["type"])
    nothing = {"s": "", "l": []}
    fields = dict(word.split(":") if ":" in word else (word, "u") for word in words.split())
    return {field: nothing.get(kind, 0) for field, kind in fields.items()} | record


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.bin")))
def test_images_of_every_version_are_read_by_firmware_and_by_the_reader(
    name: str, tmp_path: Path
) -> None:
    image = (FIXTURES / f"{name}.bin").read_bytes()
    expected = json.loads((FIXTURES / f"{name}.json").read_text())
    expected["records"] = [with_later_fields(record) for record in expected["records"]]
    assert as_published(read_image(FIXTURES / f"{name}.bin")) == expected["records"]
    flash = FileFlash(sectors=len(image) // 4096)
    flash.load(image)
    ledger = ledger_on(flash)
    assert published(ledger, expected["records"][0]["seq"] - 1) == expected["records"]
    for key, value in expected["books"].items():
        assert getattr(ledger.books, key) == value, key
    for key, value in expected["open"].items():
        assert getattr(ledger.books.open, key) == value, key
    assert ledger.acked_seq == expected["acked_seq"] and ledger.next_seq == expected["next_seq"]
    assert ledger.append("boot", firmware="next", reason="upgrade", safe=0) == expected["next_seq"]


def test_the_reader_and_the_firmware_have_the_same_records() -> None:
    firmware = {
        number: (name, version, [word if ":" in word else word + ":u" for word in words.split()])
        for number, name, version, words in ROWS
        if number < FIRST_NOTE
    }
    assert firmware == KINDS


def test_a_torn_image_of_a_running_charger_is_read_up_to_the_tear(tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    flash = FileFlash(str(path), 12)
    ledger = ledger_on(flash)
    last = session(ledger, 1)
    flash.cut_after_bytes = 30
    with pytest.raises(PowerCut):
        ledger.append("boot", firmware="0.1", reason="power", safe=0)
    assert as_published(read_image(path)) == published(ledger_on(FileFlash(str(path), 12)), 0)
    assert read_image(path)[-1]["seq"] == last


def test_the_reader_finds_what_the_firmware_finds_where_bits_are_wrong() -> None:
    image = three_sectors()[0].image()
    rng = random.Random(4)
    places = [4096 * n + at for n in range(3) for at in (3, 17, 29, 41, 52, 67, 300, 707)]
    for at in places + [rng.randrange(3 * 4096) for _ in range(60)]:
        flash, ledger = mounted(with_flips(image, [(at, 1 << rng.randrange(8))]))
        there = [record for record in published(ledger, 0) if record["type"] != "lost"]
        assert as_published(records_of(flash.image())) == there, at


def test_reader_refuses_a_later_format_and_finds_nothing_in_noise(tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    ledger_on(FileFlash(str(path), 12)).append("boot", firmware="", reason="", safe=0)
    image = bytearray(path.read_bytes())
    image[20] = 2
    import zlib

    image[40:44] = zlib.crc32(image[16:40]).to_bytes(4, "little")
    path.write_bytes(image)
    with pytest.raises(ImageError):
        read_image(path)
    path.write_bytes(random.Random(1).randbytes(49152))
    assert read_image(path) == []


def test_flash_file_keeps_what_was_programmed_by_a_killed_process_and_micropython_reads_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "flash.bin"
    code = f"""
import sys
from board.host_flash import FileFlash
from tests.pure.test_ledger_ring import ledger_on, session
flash = FileFlash({str(path)!r}, 16)
flash.on_cut = lambda: sys.exit(9)
ledger = ledger_on(flash)
for number in range(1, 9):
    session(ledger, number)
flash.cut_after_bytes = 20
session(ledger, 9)
"""
    assert run_mpy("micropython", code, heap="2M").returncode == 9
    ledger = ledger_on(FileFlash(str(path), 16))
    assert as_published(read_image(path)) == published(ledger, 0)
    assert (ledger.next_seq, ledger.books.next_session) == (8 * 9 + 1, 9)


class RandomRun:
    """Random records, acknowledgements, restarts, power cuts and bad sectors; a plain list says
    what must be there."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.flash = FileFlash(sectors=self.rng.choice((12, 16, 24)), seed=seed + 1)
        self.flash.whole_tears = seed % 2 == 1
        self.flash.page_tears = seed % 3 == 1
        self.ledger = ledger_on(self.flash)
        self.ledger.append("boot", firmware="", reason="", safe=0)
        self.epoch = self.ledger.epoch
        self.expected = published(self.ledger, 0)
        self.acked = 0
        self.todo: list[tuple[str, dict]] = []

    def run(self, steps: int) -> None:
        for step in range(steps):
            if self.rng.random() < 0.05:
                self.flash.cut_after_bytes = self.rng.randrange(self.rng.choice((60, 700, 5000)))
            try:
                self.step()
            except PowerCut:
                self.restart()
            if self.rng.random() < 0.03:
                self.restart()
            if step % 50 == 0:
                self.check(self.rng.randrange(self.acked, len(self.expected) + 1))
        self.check(self.acked)

    def check(self, start: int) -> None:
        assert published(self.ledger, start) == self.expected[start:]

    def step(self) -> None:
        books = self.ledger.books
        if not self.todo:
            if self.ledger.room_for_session() and books.open is None:
                self.todo = list(script(books.next_session))
                self.todo[3:4] = self.todo[3:4] * self.rng.choice((0, 1, 5, 20))
            else:
                self.todo = [("security", {"code": "x", "detail": "y" * self.rng.randrange(100)})]
        kind, fields = self.todo[0]
        for counted, name in (("receipt_no", "next_receipt"), ("credit_no", "next_credit")):
            if counted in fields:
                fields[counted] = getattr(books, name)
        try:
            if self.ledger.append(kind, **fields):
                self.written()
        except LedgerFull:
            assert kind in ("hold_asked", "refund_asked"), kind
            self.todo = self.todo[:1]
        self.todo.pop(0)
        if self.rng.random() < 0.15:
            self.acked = self.rng.randrange(self.acked, self.ledger.next_seq)
            assert self.ledger.acknowledge(self.epoch, self.acked)
        if self.rng.random() < 0.2:
            self.ledger.idle()
        if self.rng.random() < 0.002:
            self.flash.set_bad(self.rng.randrange(self.flash.sectors), self.rng.random() < 0.5)

    def written(self) -> None:
        """The first thing in `todo` is in flash: the next one in the list."""
        kind, fields = self.todo[0]
        last = len(self.expected)
        self.expected += published(self.ledger, last)
        assert len(self.expected) == last + 1 == self.ledger.next_seq - 1
        text = self.expected[-1]
        assert text["type"] == kind and all(text[key] == value for key, value in fields.items())
        assert self.ledger.books.faults == 0, self.ledger.books.fault

    def restart(self) -> None:
        """Mounts again, with more power cuts on the way; a record that was being written is there
        or not."""
        while True:
            self.flash.power_on()
            if self.rng.random() < 0.3:
                self.flash.cut_after_bytes = self.rng.randrange(60)
            try:
                self.ledger = ledger_on(self.flash)
                break
            except PowerCut:
                pass
        self.flash.power_on()
        assert self.ledger.lost == 0 and self.ledger.epoch == self.epoch
        assert self.ledger.acked_seq <= self.acked
        if self.ledger.next_seq > len(self.expected) + 1:
            self.written()
            self.todo.pop(0)
        self.ledger.acknowledge(self.epoch, self.acked)


@pytest.mark.parametrize("seed", range(12))
def test_random_runs_agree_with_a_plain_list(seed: int) -> None:
    RandomRun(seed).run(300)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_random_runs_agree_with_a_plain_list() -> None:
    for seed in range(100, 100 + int(os.environ.get("RUNS", "300"))):
        try:
            RandomRun(seed).run(600)
        except BaseException as error:
            raise AssertionError(f"RandomRun({seed}).run(600)") from error


def spoilt_images(count: int, seed: int) -> None:
    """Damaged and random images: only the declared errors come out, and the ledger can be written
    to."""
    rng = random.Random(seed)
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    for number in range(1, 30):
        session(ledger, number)
    good = flash.image()
    for _ in range(count):
        image = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            at = rng.choice(
                (rng.randrange(len(image)), 4096 * rng.randrange(12) + rng.randrange(80))
            )
            run = rng.randbytes(rng.choice((1, 2, 4, 40, 4096)))
            image[at : at + len(run)] = run[: len(image) - at]
        flash.load(image)
        flash.power_on()
        try:
            ledger = Ledger(flash, clock)
            ledger.mount()
            ledger.read_after(rng.randrange(ledger.next_seq))
            ledger.append("security", code="y", detail="")
            ledger.recent("security", 1)
        except LedgerError:
            pass


def test_spoilt_images_give_only_declared_errors() -> None:
    spoilt_images(200, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_spoilt_images_give_only_declared_errors() -> None:
    spoilt_images(int(os.environ.get("IMAGES", "100000")), 2)


def test_mount_of_256_kib_stays_in_its_memory_on_32_bit() -> None:
    code = f"""
import gc
from board.host_flash import FileFlash
import tests.pure.test_ledger_ring as t
flash = FileFlash({str(ROOT / "build" / "ledger-mount.bin")!r}, 64)
gc.collect()
before = gc.mem_alloc()
ledger = t.ledger_on(flash)
gc.collect()
print(gc.mem_alloc() - before)
"""
    path = ROOT / "build" / "ledger-mount.bin"
    for leftover in (path, Path(f"{path}.state")):
        leftover.unlink(missing_ok=True)
    ledger = ledger_on(FileFlash(str(path), 64))
    number = 0
    while ledger.room_for_session():
        number += 1
        session(ledger, number, 20)
    result = run_mpy("micropython32", code, heap="2M")
    assert int(result.stdout) < 8192, result.stdout + result.stderr


def test_a_file_that_is_no_ledger_is_said_to_be_none(tmp_path, capsys):
    other = tmp_path / "other.bin"
    other.write_bytes(b"\x7fELF" * 4096)
    assert ledgerimage.main([str(other)]) == 1
    said = capsys.readouterr()
    assert said.err == f"{other}: no ledger found\n" and not said.out


def test_an_erase_of_a_64_kib_sector_tears_as_a_whole():
    flash = FileFlash("", 2, 65536)
    flash.whole_tears = True
    flash.cut_after_bytes = 9
    with pytest.raises(PowerCut):
        flash.ioctl(6, 1)
    flash.power_on()
    assert flash.ioctl(6, 1) == 0

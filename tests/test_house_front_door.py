"""The front door: make's targets, set-up's judgement of tools, and the compiled tree."""

import hashlib
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hostsim import setup
from hostsim.setup import compile as build
from hostsim.setup import packages, progress, stamps, tools
from tests import mpy

ROOT = setup.ROOT
MAKEFILE = (ROOT / "Makefile").read_text()
pytestmark = pytest.mark.timeout(240)  # the linker works for eight seconds of a processor's


def make(target: str) -> "subprocess.CompletedProcess[str]":
    """Run one target of the Makefile, as if these tests were not run by make themselves."""
    return subprocess.run(
        ["make", target],
        cwd=ROOT,
        env=setup.own_make(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_make_alone_explains_every_target() -> None:
    explained = make("help").stdout
    targets = re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE)
    assert len(targets) > 10
    assert [
        target for target in targets if not re.search(rf"^  {target} +\S", explained, re.M)
    ] == []
    assert re.search(r"^\.DEFAULT_GOAL := help$", MAKEFILE, flags=re.MULTILINE)


def test_a_make_of_ours_is_told_nothing_of_the_one_above_it(tmp_path: Path) -> None:
    """`make test-board ARGS="-k x"` runs tests that run `make flash`, which runs `make doctor`."""
    inner = "all:\n\t@echo 'inner $(MAKELEVEL) [$(ARGS)] [$(MAKEFLAGS)]'\n"
    (tmp_path / "inner.mk").write_text(inner)
    command = ["make", "-f", str(tmp_path / "inner.mk")]
    program = "import subprocess\nfrom hostsim.setup import own_make\n"
    program += f"subprocess.run({command!r}, env=own_make())\n"
    (tmp_path / "program.py").write_text(program)
    outer = f"all:\n\t@{setup.VENV_PYTHON} {tmp_path}/program.py\n"
    (tmp_path / "outer.mk").write_text(outer)
    said = subprocess.run(
        ["make", "-k", "-f", tmp_path / "outer.mk", "ARGS=-k drain"],
        cwd=ROOT, env=setup.own_make() | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert said.stdout == "inner 0 [] []\n", said


def test_second_set_up_does_nothing_and_is_quick() -> None:
    start = time.monotonic()
    result = make("setup")
    assert (result.returncode, result.stdout) == (0, ""), result
    assert time.monotonic() - start < 20, "it is 0.3 s on an idle machine"


@pytest.mark.parametrize(
    ("which", "bits"), [("micropython", 64), pytest.param("micropython32", 32, id="32")]
)
def test_fetched_micropython_has_the_pointer_width_it_claims(which: str, bits: int) -> None:
    if bits == 32 and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    assert tools.micropython_fits(mpy.interpreter(which), bits)
    assert not tools.micropython_fits(mpy.interpreter(which), 96 - bits)


@pytest.mark.parametrize(
    ("prints", "fits"),
    [
        ("1 25 6 64", True),
        ("1 27 6 64", True),
        ("2 0 6 64", True),
        ("1 22 6 64", False),
        ("1 25 6 32", False),
        ("1 25 7 64", False),
        ("ImportError: no module named 'ffi'", False),
    ],
)
def test_micropython_on_path_is_taken_only_if_it_fits(
    tmp_path: Path, prints: str, fits: bool
) -> None:
    program = tmp_path / "micropython"
    program.write_text(f'#!/bin/sh\necho "{prints}"\n')
    program.chmod(0o755)
    assert tools.micropython_fits(program, 64) is fits


@pytest.mark.parametrize(("prints", "fits"), [("2.0.11", True), ("3.1.0", True), ("1.6.9", False)])
def test_mosquitto_on_path_is_taken_only_if_it_fits(
    tmp_path: Path, prints: str, fits: bool
) -> None:
    program = tmp_path / "mosquitto"
    program.write_text(f'#!/bin/sh\necho "mosquitto version {prints}"\nexit 3\n')
    program.chmod(0o755)
    assert tools.mosquitto_fits(program) is fits


def test_missing_program_is_no_tool() -> None:
    assert not tools.micropython_fits("/nonexistent/micropython", 64)
    assert not tools.mosquitto_fits("/nonexistent/mosquitto")


def test_heap_doubles_where_only_64_bits_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "POINTER_BITS32", tmp_path / "pointer_bits32")
    assert setup.firmware_interpreter(192) == (setup.MICROPYTHON, "384k", 64)
    (tmp_path / "pointer_bits32").touch()
    assert setup.firmware_interpreter(192) == (setup.MICROPYTHON32, "192k", 32)


def test_known_suites_come_before_the_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = packages.Mirror("ubuntu", "mirror", Path("/keyring"))
    monkeypatch.setattr(packages, "_os_release", lambda: {"VERSION_CODENAME": "noble"})
    assert packages.suites(mirror) == ["questing", "resolute", "noble"]


def test_failed_program_says_where_its_output_is() -> None:
    with pytest.raises(
        progress.SetupError, match=r"sh failed \(exit 3\).*build/log/test\.log"
    ) as e:
        progress.run(["sh", "-c", "echo reason; exit 3"], "test")
    assert e.value.advice == ("reason",)


def test_fingerprint_changes_with_any_part(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    file.write_text("a==1")
    before = stamps.fingerprint("3.11", file)
    assert stamps.fingerprint("3.11", file) == before
    assert stamps.fingerprint("3.12", file) != before
    file.write_text("a==2")
    assert stamps.fingerprint("3.11", file) != before


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, build.Manifest]:
    """The firmware compiled anew, and what the compiler said of it."""
    out = tmp_path_factory.mktemp("built") / "mpy"
    return out, build.compile_firmware(out)


@pytest.fixture
def tree(built: tuple[Path, build.Manifest], tmp_path: Path) -> Path:
    """A copy of the tree with all that is kept beside it."""
    shutil.copytree(built[0].parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "mpy"


def test_manifest_says_exactly_what_the_tree_holds(built: tuple[Path, build.Manifest]) -> None:
    out, manifest = built
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert found == set(manifest.files)
    assert {"main.mpy", "boot.mpy", "logging.mpy", "umqtt/simple.mpy"} <= found
    written = json.loads((out.parent / "manifest.json").read_text())
    for name, entry in written["files"].items():
        data = (out / name).read_bytes()
        assert (entry["size"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert sum(manifest.rooms().values()) == manifest.total_bytes


def test_only_what_changed_is_compiled_again_and_what_is_stale_goes(tree: Path) -> None:
    out = tree
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.mpy")}
    damaged = out / "umqtt" / "simple.mpy"
    damaged.write_bytes(b"torn")
    (out / "gone").mkdir()
    (out / "gone" / "old.mpy").write_bytes(b"old")
    build.compile_firmware(out)
    assert damaged.read_bytes() != b"torn"
    assert not (out / "gone").exists()
    assert all(path.stat().st_mtime_ns == times[path] for path in times if path != damaged)


def test_what_micropython_cannot_compile_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("x = [*a, 1]\nmatch x:\n    case 1: pass\n")
    monkeypatch.setattr(build, "sources", lambda: {"firmware/bad": bad})
    with pytest.raises(progress.SetupError, match="1 of 1 files") as error:
        build.compile_firmware(tmp_path / "mpy")
    assert error.value.advice[0].startswith("firmware.bad: ")


def test_tree_and_rom_image_run_without_sources(tree: Path, tmp_path: Path) -> None:
    out = tree
    script = tmp_path / "show.py"
    script.write_text("import logging, umqtt.simple\nprint(logging.__file__)\n")
    result = mpy.run_mpy("micropython", script, env={"MICROPYPATH": str(out)})
    assert result.stdout.strip() == str(out / "logging.mpy"), result
    assert build.build_rom(out, tmp_path / "rom.img") > 10_000
    assert (tmp_path / "rom.img").read_bytes()[:3] == b"\xd2\xcd\x31"

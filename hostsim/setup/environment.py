"""`.venv` from requirements.lock, MicroPython's type stubs, and the two MicroPython libraries; all
hash-pinned.
"""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from hostsim.setup import BUILD, LIB, LOCALSTRIPE, ROOT, TYPINGS, VENV, VENV_PYTHON, stamps
from hostsim.setup.progress import SetupError, Step, run

_LOCK = ROOT / "requirements.lock"
_LIBRARIES = Path(__file__).with_name("libraries.json")
_LOCALSTRIPE = Path(__file__).with_name("localstripe.json")
_LOCALSTRIPE_LOCK = Path(__file__).with_name("localstripe.lock")
_PORTS = {
    "rp2": "rp2", "pico": "rp2", "w5500_evb_pico": "rp2", "esp32": "esp32", "wt32": "esp32",
    # for every chip, judged under one
    "mcu": "rp2", "root_main": "rp2", "lines": "rp2", "rs485": "rp2", "last": "rp2",
    "net": "esp32",
}  # fmt: skip
_ADDITIONS = Path(__file__).with_name("stub_additions")
_OFFLINE = (
    "connection",
    "resolve",
    "network",
    "timed out",
    "no matching distribution",
    "could not find",
)


def ensure_venv() -> None:
    """Make `.venv` hold exactly what requirements.lock says.

    A changed lock is installed into the existing environment; an interrupted, moved or broken one
    is made anew.
    """
    kind = f"{sys.version_info[:2]} {ROOT}"
    whole = stamps.fingerprint(kind, _LOCK)
    works = VENV_PYTHON.exists() and stamps.read("venv-kind") == stamps.fingerprint(kind)
    if works and stamps.read("venv") == whole:
        return
    usable = works and stamps.read("venv") is not None
    stamps.remove("venv")
    if not usable:
        _create()
        stamps.write("venv-kind", stamps.fingerprint(kind))
    total = sum("==" in line for line in _LOCK.read_text().splitlines())
    with Step(f"Python packages ({total}, hash-checked)") as step:
        seen = 0

        def count(line: str) -> None:
            nonlocal seen
            if line.startswith(("Collecting", "Requirement already")):
                seen += 1
                step.note = f"{seen} of {total}"
            elif line.startswith("Installing"):
                step.note = "installing"

        _pip(["--require-hashes", "-r", str(_LOCK)], "packages", count)
    stamps.write("venv", whole)


def check_venv_module() -> None:
    """Raises SetupError, saying what to install, when this Python cannot make `.venv`."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupError(
            f"this Python ({sys.executable}) cannot make virtual environments.",
            f"Debian, Ubuntu: sudo apt install python{version}-venv, then run make setup again.",
        )


def _create() -> None:
    with Step("Python environment .venv"):
        if VENV.exists():
            shutil.rmtree(VENV)
        run([sys.executable, "-m", "venv", VENV], "venv")


def _pip(arguments: list[str], log: str, on_line: Callable[[str], None] | None = None) -> None:
    pip: list[str | Path] = [VENV_PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
    options = ["--no-input", "--progress-bar", "off", "--no-compile"]
    try:
        run([*pip, *options, *arguments], log, on_line=on_line)
    except SetupError as error:
        raise _with_network_advice(error) from error


def _with_network_advice(error: SetupError) -> SetupError:
    text = " ".join((str(error), *error.advice)).lower()
    if not any(word in text for word in _OFFLINE):
        return error
    return SetupError(
        str(error),
        *error.advice,
        "The package index could not be reached, or lacks a file. Set-up needs the network once.",
        "Check it; behind a proxy set https_proxy, or pip's index-url (pip config set ...).",
        "Then run make setup again; it goes on where it stopped.",
    )


def port_of(board: Path) -> str:
    """MicroPython's port for a board module, by how its file name begins; unix when unknown."""
    return next((_PORTS[name] for name in _PORTS if board.name.startswith(name)), "unix")


def ports_in_use() -> list[str]:
    """The ports whose stubs are needed: unix, and those of the boards that are there."""
    return sorted({"unix", *map(port_of, (ROOT / "board").glob("*.py"))})


def ensure_stubs() -> None:
    """Unpack MicroPython's type stubs to build/typings/<port>, where only `make check` looks."""
    added = sorted(path for path in _ADDITIONS.rglob("*.pyi"))
    for port in ports_in_use():
        lock = Path(__file__).with_name(f"stubs-{port}.lock")
        whole = stamps.fingerprint(lock, *added)
        name = f"stubs-{port}"
        folder = TYPINGS / port
        if stamps.read(name) == whole and folder.is_dir():
            continue
        stamps.remove(name)
        with Step(f"MicroPython type stubs ({port})"):
            shutil.rmtree(folder, ignore_errors=True)
            _pip(["--require-hashes", "--no-deps", "-r", str(lock), "--target", str(folder)], name)
            shutil.copytree(_ADDITIONS, folder / "stdlib", dirs_exist_ok=True)
        stamps.write(name, whole)


def ensure_libraries() -> None:
    """Unpack umqtt.simple and logging from their sdists to build/lib.

    They have no setup.py, so pip refuses them: unearth downloads, the hash in libraries.json is
    compared, and only the named files are written. Raises SetupError when a hash differs.
    """
    whole = stamps.fingerprint(_LIBRARIES)
    libraries = json.loads(_LIBRARIES.read_text())
    targets = [LIB / target for library in libraries for target in library["files"].values()]
    if stamps.read("libraries") == whole and all(target.is_file() for target in targets):
        return
    stamps.remove("libraries")
    with Step("MicroPython libraries umqtt, logging"):
        shutil.rmtree(LIB, ignore_errors=True)
        for library in libraries:
            _unpack(_download(library), library["files"], LIB)
    stamps.write("libraries", whole)


def ensure_localstripe() -> None:
    """Unpack localstripe and what it runs on to build/localstripe, which only its own process has
    on its path (hostsim/gateway): it is under the GPL, and what it needs is not the back office's.
    """
    whole = stamps.fingerprint(f"{sys.version_info[:2]}", _LOCALSTRIPE, _LOCALSTRIPE_LOCK)
    if stamps.read("localstripe") == whole and (LOCALSTRIPE / "localstripe").is_dir():
        return
    stamps.remove("localstripe")
    with Step("localstripe, the payment gateway of demo and tests"):
        shutil.rmtree(LOCALSTRIPE, ignore_errors=True)
        lock = ["--require-hashes", "--no-deps", "-r", str(_LOCALSTRIPE_LOCK)]
        _pip([*lock, "--target", str(LOCALSTRIPE)], "localstripe")
        fetch_libraries(_LOCALSTRIPE, LOCALSTRIPE)
    stamps.write("localstripe", whole)


def fetch_libraries(pins: Path, folder: Path) -> None:
    """Unpacks the sdists that `pins` (a file like libraries.json) names into `folder`, which is
    made; nothing when its files are there. Raises SetupError when a hash differs.
    """
    for library in json.loads(pins.read_text()):
        if not all((folder / target).is_file() for target in library["files"].values()):
            _unpack(_download(library), library["files"], folder)


def _download(library: dict[str, str]) -> Path:
    requirement = f"{library['name']}=={library['version']}"
    folder = BUILD / "download"
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        VENV / "bin" / "unearth",
        requirement,
        "-d",
        folder,
        *_index_arguments(),
    ]
    try:
        run(command, f"unearth-{library['name']}")
    except SetupError as error:
        raise _with_network_advice(error) from error
    archive = folder / f"{library['name']}-{library['version']}.tar.gz"
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != library["sha256"]:
        archive.unlink()
        raise SetupError(
            f"{archive.name} is not the file this project was tested with.",
            f"expected sha256 {library['sha256']}",
            f"received sha256 {found}",
            "It was removed. Look at the package index in use (pip config list), then try again.",
        )
    return archive


def _index_arguments() -> list[str]:
    """Unearth does not read pip's configuration: hand it pip's package index where one is set."""
    answer = subprocess.run(
        [VENV_PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    for line in answer.stdout.splitlines():
        key, _, value = line.partition("=")
        if key in (
            ":env:.index-url",
            "global.index-url",
            "install.index-url",
            "user.index-url",
            "site.index-url",
        ):
            return ["--index-url", value.strip("'\"")]
    return []


def _unpack(archive: Path, files: dict[str, str], folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member, target in files.items():
            source = tar.extractfile(member)
            if source is None:
                raise SetupError(f"{archive.name} has no file {member}.")
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            (folder / target).write_bytes(source.read())

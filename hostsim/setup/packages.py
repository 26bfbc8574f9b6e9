"""Programs from the machine's own Debian or Ubuntu mirror, without root or change to the system.

apt runs on a private state: its own lists, an empty list of installed packages (so that it
resolves every library, the C library included), its own sources naming one suite signed by the
distribution's installed keyring. apt verifies the suite's signature and every package's hash as
always. The packages are only unpacked, and run by their own loader (`ld-linux --library-path`), so
that neither the host's C library nor its architecture settings matter.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hostsim.setup import BUILD
from hostsim.setup.progress import SetupError, run

_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
#clear APT::Default-Release;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::GzipIndexes "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{folder}/state";
Dir::State::lists "{folder}/state/lists";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
"""
_NO_PACKAGE = ("Unable to locate package", "no installation candidate")
_NO_SUITE = ("does not have a Release file", "404  Not Found")
_MAIN_ARCHIVES = ("/debian", "/ubuntu", "/ubuntu-ports")
_LIBRARY = re.compile(r"^(lib|zlib1g)")
_KEYRINGS = {
    "debian": Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    "ubuntu": Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}
_COMPONENTS = {"debian": "main", "ubuntu": "main universe"}
# Which suites carry MicroPython >= 1.25, the one this project is tested with first.
_SUITES = {"debian": ("trixie", "forky"), "ubuntu": ("questing", "resolute")}


class NoSuchPackageError(SetupError):
    """The mirror answered, and has no such package for this architecture, or no such suite."""


@dataclass(frozen=True)
class Mirror:
    """One archive of the machine's own: where, which distribution, whose keys."""

    family: str
    uri: str
    keyring: Path


def machine_architecture() -> str:
    """The machine's Debian architecture, such as `amd64`. Raises SetupError without dpkg."""
    for tool in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise SetupError(
                f"{tool} is not here, so programs that are missing cannot be fetched.",
                "On a system that is not Debian or Ubuntu: put micropython >= 1.25 (unix port)",
                "and mosquitto >= 2.0 on PATH, then run make setup again.",
            )
    answer = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


def _os_release() -> dict[str, str]:
    values: dict[str, str] = {}
    for line in Path("/etc/os-release").read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator:
            values[key] = value.strip("\"'")
    return values


def mirrors() -> list[Mirror]:
    """The machine's own archives, the likeliest first. Raises SetupError when there is none."""
    release = _os_release()
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    family = next((name for name in names if name in _KEYRINGS), None)
    keyring = _KEYRINGS.get(family or "")
    if family is None or keyring is None or not keyring.exists():
        raise SetupError(
            "this system's archive keyring was not found, so packages could not be verified.",
            "Debian: sudo apt install debian-archive-keyring",
            "Ubuntu: sudo apt install ubuntu-keyring",
            "Elsewhere: put micropython >= 1.25 and mosquitto >= 2.0 on PATH.",
            "Then run make setup again.",
        )
    answer = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    uris = [uri for uri in answer.stdout.split() if "security" not in uri]
    uris = [uri for uri in dict.fromkeys(uris) if not uri.startswith(("cdrom:", "file:"))]
    uris.sort(key=lambda uri: not uri.rstrip("/").endswith(_MAIN_ARCHIVES))
    if not uris:
        raise SetupError(
            "apt on this machine names no network archive to fetch from.",
            "Add your distribution's archive to /etc/apt/sources.list.d,",
            "then run make setup again.",
        )
    return [Mirror(family, uri, keyring) for uri in uris]


def suites(mirror: Mirror) -> list[str]:
    """Suites to try, in order: those this project knows, then the machine's own."""
    own = _os_release().get("VERSION_CODENAME")
    known = list(_SUITES[mirror.family])
    return known if own is None or own in known else [*known, own]


class Archive:
    """A private apt for one architecture of one suite, in a folder that `close()` removes.
    `sources`: its source packages as well.
    """

    def __init__(
        self, mirror: Mirror, suite: str, architecture: str, sources: bool = False
    ) -> None:
        self.suite = suite
        self.architecture = architecture
        self._sources = sources
        self._folder = BUILD / "apt" / architecture
        self._log = f"apt-{architecture}"
        self._prepare(mirror)

    def _prepare(self, mirror: Mirror) -> None:
        self.close()
        for name in ("state/lists/partial", "cache/archives/partial", "deb"):
            (self._folder / name).mkdir(parents=True)
        (self._folder / "state/status").touch()
        text = _CONFIGURATION.format(architecture=self.architecture, folder=self._folder)
        (self._folder / "apt.conf").write_text(text)
        where = f"{mirror.uri} {self.suite} {_COMPONENTS[mirror.family]}"
        lines = [f"deb [signed-by={mirror.keyring}] {where}\n"]
        if self._sources:
            lines.append(lines[0].replace("deb", "deb-src", 1))
        (self._folder / "sources.list").write_text("".join(lines))

    def _apt(self, *arguments: str) -> str:
        command: list[str | Path] = ["apt-get", "-q", "-c", self._folder / "apt.conf", *arguments]
        return run(command, f"{self._log}-{arguments[0].lstrip('-')}", cwd=self._folder / "deb")

    def update(self) -> None:
        """Fetch and verify the suite's lists.

        Raises NoSuchPackageError when the mirror has no such suite, SetupError when the lists
        cannot be fetched or verified.
        """
        try:
            self._apt("update")
        except SetupError as error:
            if any(word in str(error.advice) for word in _NO_SUITE):
                raise NoSuchPackageError(f"the mirror has no suite {self.suite}") from error
            raise

    def versions(self, *packages: str) -> dict[str, str]:
        """What installing `packages` takes: names and versions. Raises NoSuchPackageError."""
        try:
            answer = self._apt("install", "-s", "--no-install-recommends", *packages)
        except SetupError as error:
            if any(word in str(error.advice) for word in _NO_PACKAGE):
                what = f"{self.suite} has no {' or '.join(packages)} for {self.architecture}"
                raise NoSuchPackageError(what) from error
            raise
        return dict(re.findall(r"^Inst (\S+) \((\S+) ", answer, flags=re.MULTILINE))

    def unpack(self, packages: list[str], root: Path) -> None:
        """Download `packages` with the libraries they need and unpack all into `root`."""
        needed = self.versions(*packages)
        wanted = [name for name in needed if name in packages or _LIBRARY.match(name)]
        self._apt("download", *wanted)
        root.mkdir(parents=True, exist_ok=True)
        for archive in sorted((self._folder / "deb").glob("*.deb")):
            run(["dpkg-deb", "-x", archive, root], f"unpack-{self.architecture}")
            archive.unlink()

    def fetch(self, packages: list[str], sources: list[str], folder: Path) -> list[Path]:
        """Download binary `packages` and source packages as they are, without what they need."""
        self._apt("download", *packages)
        self._apt("source", "--download-only", *sources)
        folder.mkdir(parents=True, exist_ok=True)
        fetched = sorted((self._folder / "deb").iterdir())
        return [file.rename(folder / file.name) for file in fetched]

    def close(self) -> None:
        """Remove everything but what was unpacked."""
        shutil.rmtree(self._folder, ignore_errors=True)


_WRAPPER = """\
#!/bin/sh
# Written by set-up: runs a fetched program by its own loader and libraries; exec keeps the pid.
r=$(dirname "$(readlink -f "$0")")/../{root}
exec "$r/{loader}" --library-path "{libraries}" --argv0 "$0" "$r/{program}" "$@"
"""


def write_wrapper(wrapper: Path, root: Path, program: str) -> None:
    """Write an executable script that runs `program` (a path inside `root`) by the loader unpacked
    there.
    """
    loaders = sorted(
        path for path in root.rglob("ld-linux*.so.*") if path.parent.name.endswith("gnu")
    )
    loaders += sorted(path for path in root.rglob("ld-linux*.so.*") if path not in loaders)
    if not loaders or not (root / program).is_file():
        raise SetupError(
            f"the packages unpacked to {root} hold no {program} or no loader.",
            "Please report this.",
        )
    libraries = (
        path for path in sorted(root.rglob("lib*.so.*")) if "lib" in path.relative_to(root).parts
    )
    folders = dict.fromkeys(path.parent.relative_to(root) for path in libraries)
    text = _WRAPPER.format(
        root=root.relative_to(wrapper.parent.parent),
        loader=loaders[0].relative_to(root),
        libraries=":".join(f"$r/{folder}" for folder in folders),
        program=program,
    )
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    wrapper.unlink(missing_ok=True)
    wrapper.write_text(text)
    wrapper.chmod(0o755)

"""House norms that linters do not hold: sizes, floats where money is, registry names, licence."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FIRMWARE_FILE = 400
NO_FLOAT = ("firmware/pricing", "firmware/ledger", "firmware/meter")

REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("ports", "ubuntu", "com"),
        ("security", "ubuntu", "com"),
    )
)
"""Put together here, so that this file itself names none."""


def firmware_files() -> list[Path]:
    """Every Python file that goes on a charger."""
    found = [*(ROOT / "firmware").rglob("*.py"), *(ROOT / "board").rglob("*.py")]
    return sorted(
        [*found, *(path for path in (ROOT / "main.py", ROOT / "boot.py") if path.exists())]
    )


def name_of(path: Path) -> str:
    """Path inside the repository."""
    return str(path.relative_to(ROOT))


def floats(source: str) -> Iterator[int]:
    """Lines with a float literal, `float(...)`, or a true division."""
    for node in ast.walk(ast.parse(source)):
        constant = isinstance(node, ast.Constant) and isinstance(node.value, float)
        call = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float"
        division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        if constant or call or division:
            yield getattr(node, "lineno", 0)


@pytest.mark.parametrize("path", firmware_files(), ids=name_of)
def test_firmware_file_is_short_and_names_what_it_catches(path: Path) -> None:
    source = path.read_text()
    lines = len(source.splitlines())
    assert lines <= LONGEST_FIRMWARE_FILE, f"{name_of(path)} has {lines} lines: split it"
    for node in ast.walk(ast.parse(source)):
        bare = isinstance(node, ast.ExceptHandler) and node.type is None
        assert not bare, f"{name_of(path)}:{getattr(node, 'lineno', 0)}: bare except"


def test_no_file_of_the_simulator_is_longer_than_one_of_the_firmware() -> None:
    long = [
        f"{name_of(path)} has {lines} lines: split it"
        for path in sorted((ROOT / "hostsim").rglob("*.py"))
        if (lines := len(path.read_text().splitlines())) > LONGEST_FIRMWARE_FILE
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize(
    "path", [path for path in firmware_files() if name_of(path).startswith(NO_FLOAT)], ids=name_of
)
def test_no_float_carries_energy_or_money(path: Path) -> None:
    lines = list(floats(path.read_text()))
    assert not lines, f"{name_of(path)}: float, 1.5 or / in lines {lines}"


@pytest.mark.parametrize(
    ("source", "found"),
    [("a // b", 0), ("a / b", 1), ("a /= 2", 1), ("float('1')", 1), ("x = 0.5", 1), ("x = 5", 0)],
)
def test_the_search_for_floats_finds_them(source: str, found: int) -> None:
    assert len(list(floats(source))) == found


def tracked() -> list[Path]:
    """Every file git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in answer.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_tracked_file_names_a_registry_host() -> None:
    wrong = [
        f"{name_of(path)}: {host}"
        for path in tracked()
        for host in REGISTRIES
        if host.encode() in path.read_bytes()
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_built_is_tracked() -> None:
    assert not [name_of(path) for path in tracked() if path.suffix in (".mpy", ".pyc")]


def test_every_locked_package_is_pinned_by_hash() -> None:
    locks = [ROOT / "requirements.lock", *(ROOT / "hostsim" / "setup").glob("*.lock")]
    for lock in locks:
        packages = lock.read_text().replace("\\\n", " ").splitlines()
        assert packages, lock
        assert all("==" in line and "--hash=sha256:" in line for line in packages), lock

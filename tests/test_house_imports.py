"""Imports go one way (docs/architecture.md): who may import whom, held by reading every file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"firmware", "board", "hostsim"}

ROOMS = {
    "firmware/pricing": {"firmware.errors", "firmware.pricing"},
    "firmware/meter": {"firmware.errors", "firmware.ports", "firmware.serialio", "firmware.meter"},
    "firmware/terminal": {
        "firmware.errors",
        "firmware.ports",
        "firmware.serialio",
        "firmware.terminal",
    },
    "firmware/ledger": {
        "firmware.errors",
        "firmware.paper",
        "firmware.ports",
        "firmware.ledger",
    },
    "firmware/session/machine.py": {"firmware.errors", "firmware.pricing", "firmware.session"},
    "firmware/session/core.py": {"firmware.errors", "firmware.pricing", "firmware.session"},
    "firmware/sync": {"firmware.errors", "firmware.ports", "firmware.ledger", "firmware.sync"},
    "firmware/screen": {
        "firmware.errors",
        "firmware.paper",
        "firmware.ports",
        "firmware.pricing",
        "firmware.screen",
    },
    "firmware/cards": {
        "firmware.errors",
        "firmware.paper",
        "firmware.pricing",
        "firmware.session",
        "firmware.sync",
        "firmware.terminal",
        "firmware.cards",
    },
    "firmware/refunds": {
        "firmware.errors",
        "firmware.paper",
        "firmware.ledger",
        "firmware.session.data",
        "firmware.terminal",
        "firmware.refunds",
    },
    "firmware/doctor": {
        "firmware.errors",
        "firmware.paper",
        "firmware.day",
        "firmware.pricing.calendar",
        "firmware.doctor",
    },
    "firmware": {"firmware"},
    "board": {"firmware.errors", "firmware.ports", "board"},
    "hostsim": {"hostsim", "board.host_flash", "board.plan", "board.chips", "board.models"},
    "boot.py": {"board"},
    "main.py": {"board", "firmware"},
    "probe.py": {"board", "firmware"},
}
"""What of ours a file may import. Every rule that fits a file's path holds for it."""

ON_MICROPYTHON = ("_mpy.py", "/rom_start.py")
"""Scripts hostsim hands to MicroPython as a program, as it does main.py: they import firmware, and
nothing of hostsim imports them."""


def imports_of(source: str, package: str) -> Iterator[str]:
    """Full names of all modules a source imports, wherever in it, `__import__("...")` included.

    `from firmware import errors` gives `firmware.errors`; relative ones are resolved in `package`.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ("__import__", "import_module") and node.args:
                yield from _texts(node.args[0])


def _texts(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value.rstrip(".")


def forbidden(path: str, source: str) -> list[str]:
    """What of ours the file at `path` imports against the rules."""
    if path.endswith(ON_MICROPYTHON):
        return [name for name in imports_of(source, "") if name.split(".")[0] == "hostsim"]
    package = path.rpartition("/")[0].replace("/", ".")
    ours = [name for name in imports_of(source, package) if name.split(".")[0] in OURS]
    rules = [
        allowed for room, allowed in ROOMS.items() if path == room or path.startswith(f"{room}/")
    ]
    return [name for name in ours if not all(_within(name, allowed) for allowed in rules)]


def _within(name: str, allowed: set[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in allowed)


def _files() -> list[Path]:
    folders = ("firmware", "board", "hostsim")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(found) + [path for path in (ROOT / "main.py", ROOT / "boot.py") if path.exists()]


def test_every_import_goes_the_allowed_way() -> None:
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in _files()
        if (names := forbidden(str(path.relative_to(ROOT)), path.read_text()))
    }
    assert not wrong, "\n".join(f"{path} must not import {names}" for path, names in wrong.items())


def test_scripts_for_micropython_are_imported_by_nobody() -> None:
    scripts = [path for path in _files() if str(path).endswith(ON_MICROPYTHON)]
    modules = {str(path.relative_to(ROOT).with_suffix("")).replace("/", ".") for path in scripts}
    for path in _files():
        package = ".".join(path.relative_to(ROOT).parts[:-1])
        assert modules.isdisjoint(imports_of(path.read_text(), package)), path


def test_session_machine_does_no_io_and_has_no_clock() -> None:
    path = ROOT / "firmware" / "session" / "machine.py"
    if not path.exists():
        pytest.skip("no firmware/session/machine.py yet")
    names = {name.split(".")[0] for name in imports_of(path.read_text(), "firmware.session")}
    assert names <= {"firmware", "micropython"}


def test_nobody_else_looks_into_the_ledgers_ring() -> None:
    for path in _files():
        name = str(path.relative_to(ROOT))
        if name.startswith("firmware/") and not name.startswith("firmware/ledger/"):
            nodes = list(ast.walk(ast.parse(path.read_text())))
            assert "ring" not in {node.attr for node in nodes if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize(
    ("path", "source", "refused"),
    [
        ("firmware/pricing/engine.py", "from firmware.errors import PricingError", False),
        ("firmware/pricing/engine.py", "from firmware.ledger.schema import KINDS", True),
        ("firmware/pricing/engine.py", "from . import money", False),
        ("firmware/pricing/engine.py", "from ..meter import bus", True),
        ("firmware/meter/bus.py", "def f():\n    import firmware.terminal.zvt", True),
        ("firmware/session/runner.py", "from firmware.ledger.books import Books", False),
        ("firmware/session/machine.py", "from firmware.ledger.books import Books", True),
        ("firmware/app.py", "from board.host import Board", True),
        ("firmware/app.py", "from hostsim.clock import Clock", True),
        ("board/host.py", "from firmware.ports import Lines", False),
        ("board/host.py", "from firmware.app import start", True),
        ("hostsim/terminal/codec.py", "import firmware.terminal.framing", True),
        (
            "hostsim/charger.py",
            "from importlib import import_module\nimport_module('board.host')",
            True,
        ),
        ("main.py", "__import__('board.' + name)\nfrom firmware.app import start", False),
        ("main.py", "import hostsim", True),
        ("hostsim/pricing/price_mpy.py", "from firmware.pricing import money", False),
        ("hostsim/pricing/price_mpy.py", "from hostsim import clock", True),
    ],
)
def test_the_rule_itself_tells_right_from_wrong(path: str, source: str, refused: bool) -> None:
    assert bool(forbidden(path, source)) is refused

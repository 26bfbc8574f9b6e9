"""Paths and fixtures for all tests."""

import gc
import os
import sys
from collections import defaultdict
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT / "tests" / "shims", ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from tests import mpy  # noqa: E402


@pytest.fixture(scope="session")
def micropython() -> Path:
    """The 64-bit MicroPython."""
    return mpy.interpreter("micropython")


@pytest.fixture(scope="session")
def micropython32() -> Path:
    """The 32-bit MicroPython; skips, saying so, where the host has none."""
    if not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    return mpy.interpreter("micropython32")


LONG_S = 240
"""Tests that may take so long begin first."""
EARLY = set(
    "test_doctor test_front_browser test_fuzz test_meter_detect test_meter_line"
    " test_pricing_random test_rfid_reader test_supervisor test_sync_hostile test_sync_link"
    " test_technician_cuts test_terminal_driver test_terminal_driver_line"
    " test_terminal_driver_talk".split()
)
"""So do these files: what waits for lines and time-outs is in nobody's way then, and nobody is in
its; one long test at the end would run alone.
"""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several workers each begins with its share of the long files, by the time they may take,
    or the last of them would run alone: xdist's worksteal gives each worker one piece of this list
    to begin with.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    files: dict[Path, list[pytest.Item]] = defaultdict(list)
    allowed: dict[Path, float] = defaultdict(float)
    for item in items:
        mark = item.get_closest_marker("timeout")
        limit = mark.args[0] if mark is not None and mark.args else LONG_S / 2
        if limit >= LONG_S or item.path.stem in EARLY:
            files[item.path].append(item)
            allowed[item.path] += limit
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    seconds = [0.0] * workers
    for path in sorted(files, key=lambda path: allowed[path], reverse=True):
        least = seconds.index(min(seconds))
        seconds[least] += allowed[path]
        shares[least] += files[path]
    long = {item for share in shares for item in share}
    short = [item for item in items if item not in long]
    left = len(items)
    items.clear()
    for number, share in enumerate(shares):
        size = left // (workers - number)
        left -= size
        rest = max(0, size - len(share))
        items += share + short[:rest]
        del short[:rest]
    items += short


def pytest_collection() -> None:
    """Each worker compiles its share of the tests first and finds the others' compiled: all would
    do all of it at the same time.
    """
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not name or sys.dont_write_bytecode:
        return
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    for file in files[int(name.removeprefix("gw")) :: workers]:
        # What cannot be imported, or skips itself, says so when it is collected.
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """What is there now stays: the firmware collects whenever it leaves a module, and would look
    through all that the tests have imported each time.
    """
    if "hostsim.backoffice.models" in sys.modules:
        import_module("tests.made").by_copying()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """So does what a file of tests leaves behind: templates, compiled statements, imports."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()

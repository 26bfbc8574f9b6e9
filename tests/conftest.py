"""Paths and fixtures for all tests."""

import sys
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

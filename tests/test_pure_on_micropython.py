"""The pure tests once more, on both MicroPython builds: small ints of 31 and 63 bits, no CPython
library to lean on.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests import mpy

FILES = sorted((mpy.ROOT / "tests" / "pure").glob("test_*.py"))


def run_pure(which: str, module: str) -> "subprocess.CompletedProcess[str]":
    """Run one module of tests; the heap is generous, because source text is compiled on the way.
    """
    return mpy.run_mpy(which, "tests/pure/_runner.py", module, heap="8M", timeout=110)


@pytest.mark.parametrize("which", mpy.INTERPRETERS)
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_pure_file_passes_on_micropython(file: Path, which: str) -> None:
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    result = run_pure(which, f"tests.pure.{file.stem}")
    assert result.returncode == 0, f"{which} {file.name}\n{result.stdout}{result.stderr}"
    assert re.search(r"^[1-9]\d* tests, 0 failed$", result.stdout, flags=re.MULTILINE), (
        result.stdout
    )


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("x = 1\n", 2, "no test_ function"),
        ("def test_wrong():\n    assert 1 == 2\n", 1, "1 tests, 1 failed"),
        ("import no_such_module\n", 1, "ImportError"),
        ("def test_right():\n    assert 1 == 1\n", 0, "1 tests, 0 failed"),
    ],
)
def test_runner_tells_failure_from_success(
    tmp_path: Path, text: str, code: int, says: str
) -> None:
    (tmp_path / "sample.py").write_text(text)
    result = mpy.run_mpy(
        "micropython",
        "tests/pure/_runner.py",
        "sample",
        env={"MICROPYPATH": f"{tmp_path}:{mpy.ROOT}"},
    )
    assert (result.returncode, says in result.stdout + result.stderr) == (code, True), result

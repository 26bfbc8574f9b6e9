"""`make check`: all that can be judged without running the charger. Every check is run."""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hostsim.setup import BUILD, LIB, ROOT, TYPINGS, VENV
from hostsim.setup.compile import cross_compile, sources
from hostsim.setup.environment import port_of
from hostsim.setup.progress import say


def _run(*command: str | Path, env: dict[str, str] | None = None) -> tuple[bool, str]:
    answer = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode == 0, (answer.stdout + answer.stderr).strip()


def _tool(name: str) -> Path:
    return VENV / "bin" / name


def scripts_for_micropython() -> list[Path]:
    """Files of hostsim that are handed to MicroPython as a program."""
    return [*sorted((ROOT / "hostsim").rglob("*_mpy.py")), ROOT / "hostsim" / "rom_start.py"]


def lint() -> tuple[bool, str]:
    """Ruff, with the rules of pyproject.toml, firmware/ruff.toml and board/ruff.toml."""
    return _run(_tool("ruff"), "check", "--output-format", "concise", ".")


def host_types() -> tuple[bool, str]:
    """Types of hostsim and tests under CPython's typeshed."""
    return _run(_tool("mypy"), "hostsim", "tests")


def firmware_types() -> tuple[bool, str]:
    """Types of firmware and board, each board module under the stubs of its own port."""
    boards: dict[str, list[Path]] = {}
    stages = [ROOT / "boot.py", ROOT / "board" / "root_main.py"]  # before any firmware
    for path in sorted((ROOT / "board").glob("*.py")):
        if path not in stages:
            boards.setdefault(port_of(path), []).append(path)
    boards.setdefault("unix", []).extend([ROOT / "firmware", ROOT / "main.py"])
    boards["unix"].extend(scripts_for_micropython())
    results = [_firmware_types(port, paths) for port, paths in boards.items()]
    results.append(_firmware_types("rp2", stages, "--follow-imports=silent"))
    return all(good for good, _ in results), "\n".join(text for good, text in results if not good)


def _firmware_types(port: str, paths: list[Path], *options: str) -> tuple[bool, str]:
    stubs = TYPINGS / port
    return _run(
        _tool("mypy"),
        "--config-file",
        ROOT / "firmware" / "mypy.ini",
        "--custom-typeshed-dir",
        stubs,
        *options,
        *[path for path in paths if path.exists()],
        env={"MYPYPATH": f"{stubs}:{LIB}"},
    )


def micropython_syntax() -> tuple[bool, str]:
    """mpy-cross over every file that goes on a charger: the real gate."""
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, ThreadPoolExecutor(4) as pool:

        def compiled(item: tuple[int, tuple[str, Path]]) -> str:
            number, (name, source) = item
            return cross_compile(source, f"{name}.py", Path(folder) / f"{number}.mpy")

        files = {**sources(), **{path.stem: path for path in scripts_for_micropython()}}
        complaints = [text for text in pool.map(compiled, enumerate(files.items())) if text]
    return not complaints, "\n".join(complaints)


def house_rules() -> tuple[bool, str]:
    """Who imports whom, sizes, no float where money is: tests/test_house_*.py."""
    files = sorted((ROOT / "tests").glob("test_house_*.py"))
    return _run(VENV / "bin" / "python", "-m", "pytest", "-q", "--no-header", "--tb=short", *files)


def spelling() -> tuple[bool, str]:
    """Codespell over everything that is tracked or could be."""
    return _run(_tool("codespell"))


CHECKS = {
    "ruff": lint,
    "types: hostsim, tests": host_types,
    "types: firmware, board": firmware_types,
    "mpy-cross": micropython_syntax,
    "house rules": house_rules,
    "spelling": spelling,
}


def main() -> int:
    """Run all checks; 0 when all are good, 1 otherwise."""
    failed = []
    for name, check in CHECKS.items():
        start = time.monotonic()
        good, text = check()
        say(f"  {name:<24} {'good' if good else 'FAILED'} ({time.monotonic() - start:.1f} s)")
        if not good:
            failed.append(name)
            say("\n".join(f"    {line}" for line in text.splitlines()))
    say(f"check: {', '.join(failed)} FAILED" if failed else "check: all good")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

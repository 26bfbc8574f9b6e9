"""What a session costs the flash: the ledger beside a file on LittleFS, in the same run, on the
charger's interpreter.

`python -m hostsim.bench_flash [--sessions N | --capacity] [--json]`. Counts are exact; times are
this machine's, with flash in memory.
"""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from hostsim.setup import LIB, MICROPYTHON, MICROPYTHON32, POINTER_BITS32, ROOT

SESSIONS_A_DAY = 50
CYCLES = (10_000, 100_000)
CHECKPOINTS = 23  # with what else a session writes: 30 records
SHAPES = (CHECKPOINTS, 5)
REGIONS = (96, 256, 512, 1024, 2048)  # KiB; the boards' and two between


def _run(*arguments: object, heap: str = "4M") -> dict[str, Any]:
    program = MICROPYTHON32 if _bits() == 32 else MICROPYTHON
    result = subprocess.run(
        [
            str(program),
            "-X",
            f"heapsize={heap}",
            str(ROOT / "hostsim" / "flashwork_mpy.py"),
            *map(str, arguments),
        ],
        env={**os.environ, "MICROPYPATH": f"{ROOT}:{LIB}:.frozen"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(result.stdout + result.stderr)
    out: dict[str, Any] = json.loads(result.stdout)
    return out


def _bits() -> int:
    return 32 if POINTER_BITS32.exists() else 64


def capacity(regions: tuple[int, ...] = REGIONS) -> dict[str, Any]:
    """What fits into regions of so many KiB before new sessions are refused, nothing acknowledged,
    and what it costs to come back to it. Raises RuntimeError as `measure`."""
    return {
        "pointer_bits": _bits(),
        "regions": {
            str(kib): [_run("capacity", kib // 4, count, heap="16M") for count in SHAPES]
            for kib in regions
        },
    }


def measure(sessions: int = 200) -> dict[str, Any]:
    """Runs hostsim/flashwork_mpy.py with the firmware's source and adds per session and years.
    Raises RuntimeError with what the interpreter said when that fails."""
    out = _run(sessions, CHECKPOINTS)
    out["pointer_bits"] = _bits()
    for way in ("ledger", "littlefs"):
        figures = out[way]
        figures["erases_per_session"] = round(figures["erases"] / sessions, 3)
        figures["erases_per_record"] = round(figures["erases"] / figures["records"], 4)
        figures["bytes_per_session"] = round(figures["bytes"] / sessions)
        figures["bytes_per_record"] = round(figures["bytes"] / figures["records"], 1)
        for cycles in CYCLES:
            erases_a_year = figures["erases"] / sessions * SESSIONS_A_DAY * 365
            figures[f"years_at_{cycles // 1000}k"] = round(
                cycles * out["sectors"] / erases_a_year, 1
            )
    return out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hostsim.bench_flash", description=__doc__)
    parser.add_argument(
        "--sessions", type=int, default=200, help="sessions to write (default 200)"
    )
    parser.add_argument(
        "--capacity",
        action="store_true",
        help="instead: how many sessions fit that nobody acknowledged, by the region's size",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    options = parser.parse_args(arguments)
    try:
        figures = capacity() if options.capacity else measure(options.sessions)
    except (RuntimeError, OSError) as error:
        sys.stderr.write(f"bench_flash: {error}\n(has `make setup` been run?)\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    elif options.capacity:
        _show_capacity(figures)
    else:
        _show(figures)
    return 0


def _show_capacity(figures: dict[str, Any]) -> None:
    sys.stdout.write(
        f"sessions until new ones are refused, MicroPython {figures['pointer_bits']}-bit\n"
        "    KiB  records  sessions  mount us  first read   each\n"
    )
    for kib, found in figures["regions"].items():
        for one in found:
            sys.stdout.write(
                f"  {kib:>5} {one['records_a_session']:>8} {one['sessions']:>9,}"
                f" {one['mount_us']:>9} {one['first_read_us']:>11} {one['read_us']:>6}\n"
            )


def _show(figures: dict[str, Any]) -> None:
    size = figures["sectors"] * figures["sector_size"] // 1024
    sys.stdout.write(
        f"{figures['sessions']} sessions on {size} KiB,"
        f" MicroPython {figures['pointer_bits']}-bit\n"
    )
    names = [name for name in figures["ledger"] if name not in ("erases", "bytes")]
    for name in names:
        other = figures["littlefs"].get(name, "")
        sys.stdout.write(f"  {name:20} {figures['ledger'][name]!s:>10} {other!s:>10}\n")
    sys.stdout.write(f"  {'':20} {'ledger':>10} {'littlefs':>10}\n")


if __name__ == "__main__":
    sys.exit(main())

"""The firmware's Modbus master beside micropython-modbus and beside what the line can carry.

Both masters run in the same run, on the same pty, against the same slave: a thread here that
answers the moment the line allows it, with every byte paced to the baud rate. micropython-modbus
is fetched by version and hash (libraries.json) for the bench only; nothing else uses it.
"""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path
from typing import Any

from pymodbus.framer import FramerRTU

from hostsim.setup import BUILD, MICROPYTHON, MICROPYTHON32, POINTER_BITS32, ROOT
from hostsim.setup.compile import cross_compile
from hostsim.setup.environment import fetch_libraries

BAUDS = (9600, 19200, 115200)
MODELS = ("SDM630", "EM340")  # one request a poll, and four
_FOLDER = BUILD / "bench"
_HERE = Path(__file__).parent
_SECONDS = 3
_BITS = 10
_SPIN_S = 0.0006
_FIRMWARE = ("errors", "serialio", "ports", "__init__", "meter/__init__", "meter/bus",
             "meter/modbus", "meter/meter", "meter/plausible", "meter/profiles",
             "meter/rare", "meter/registers")  # fmt: skip


def char_s(baud: int) -> float:
    """One character on the wire, 8N1."""
    return _BITS / baud


def silence_s(baud: int) -> float:
    """The silence between frames (MODBUS over Serial Line V1.02, 2.5.1.1)."""
    return 3.5 * char_s(baud) if baud <= 19200 else 0.00175


def limit_per_s(baud: int, counts: list[int]) -> float:
    """Rounds a second that a line which never rests can carry; a round is one request for each of
    `counts` registers, its answer, and a silence after both.
    """
    chars = sum(8 + 5 + 2 * count for count in counts)
    return 1 / (chars * char_s(baud) + 2 * len(counts) * silence_s(baud))


class Slave:
    """Answers every read request with zeros on one end of a pty, as fast as the line allows."""

    def __init__(self, baud: int) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._baud = baud
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Slave:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _serve(self) -> None:
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            begun = time.monotonic()
            request = b""
            while len(request) < 8 and time.monotonic() < begun + 0.1:
                request += os.read(self._master, 8 - len(request))
            if len(request) == 8:
                self._answer(request, begun)

    def _answer(self, request: bytes, begun: float) -> None:
        count = request[5]
        body = request[:2] + bytes([2 * count]) + bytes(2 * count)
        frame = body + struct.pack(">H", FramerRTU.compute_CRC(body))
        at = begun + 8 * char_s(self._baud) + silence_s(self._baud)
        for i in range(0, len(frame), 16):
            piece = frame[i : i + 16]
            at += len(piece) * char_s(self._baud)
            _until(at)
            os.write(self._master, piece)


def _until(at: float) -> None:
    rest = at - time.monotonic() - _SPIN_S
    if rest > 0:
        time.sleep(rest)
    while time.monotonic() < at:
        pass


def prepare() -> None:
    """Fetch the other master and compile both to .mpy. Raises SetupError, RuntimeError."""
    fetch_libraries(_HERE / "libraries.json", _FOLDER / "download")
    shutil.rmtree(_FOLDER / "mpy", ignore_errors=True)
    wanted = {p: f"umodbus/{p.name}" for p in (_FOLDER / "download" / "umodbus").glob("*.py")}
    wanted[_HERE / "machine_mpy.py"] = "machine.py"
    wanted[ROOT / "board" / "host_uart.py"] = "board/host_uart.py"
    wanted |= {ROOT / "firmware" / f"{name}.py": f"firmware/{name}.py" for name in _FIRMWARE}
    for source, name in wanted.items():
        target = (_FOLDER / "mpy" / name).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        if complaint := cross_compile(source, name, target):
            raise RuntimeError(complaint)


def _run(interpreter: Path, *arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [str(interpreter), "-X", "heapsize=2M", str(_HERE / "modbus_mpy.py"),
         *[str(a) for a in arguments]],
        env={"MICROPYPATH": f"{_FOLDER / 'mpy'}:.frozen"},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode or not done.stdout.startswith("{"):
        raise RuntimeError(f"bench {arguments}: {(done.stderr or done.stdout)[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure() -> dict[str, Any]:
    """Figures by build ("64", "32"): import, codec, trips by baud, polls by model and baud."""
    prepare()
    builds = {"64": MICROPYTHON} | ({"32": MICROPYTHON32} if POINTER_BITS32.exists() else {})
    return {bits: _build(interpreter) for bits, interpreter in builds.items()}


def _build(interpreter: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        what: {whose: _run(interpreter, what, whose) for whose in ("ours", "peer")}
        for what in ("import", "codec")
    }
    found["trips"] = {}
    found["polls"] = {model: {} for model in MODELS}
    for baud in BAUDS:
        with Slave(baud) as slave:
            limit = limit_per_s(baud, [22])
            row: dict[str, Any] = {"limit_per_s": round(limit, 2)}
            for whose in ("ours", "peer"):
                row[whose] = _run(interpreter, "trips", whose, slave.path, baud, _SECONDS)
                row[whose]["of_limit"] = round(row[whose]["per_s"] / limit, 3)
            found["trips"][str(baud)] = row
            for model in MODELS:
                polls = _run(interpreter, "polls", "ours", slave.path, baud, _SECONDS, model)
                limit = limit_per_s(baud, [request[2] for request in polls["requests"]])
                polls["of_limit"] = round(polls["per_s"] / limit, 3)
                polls["requests"] = len(polls["requests"])
                found["polls"][model][str(baud)] = polls
    return found


def main() -> None:
    """`python -m hostsim.bench.modbus`: these figures alone, as JSON."""
    json.dump(measure(), sys.stdout, indent=1)


if __name__ == "__main__":
    main()

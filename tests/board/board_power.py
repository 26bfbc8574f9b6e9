"""An emulated board that has power, with its console on a serial device or a TCP port."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from hostsim.setup import ROOT


@contextlib.contextmanager
def powered(
    storage: Path, jumper: bool = True, cut: int = 0, pty: bool = False, rom: bool = False
) -> Iterator[str]:
    """A board that has power; gives PORT. When it is left the power is off. `rom`: its MicroPython
    has a ROMFS partition.
    """
    command = [sys.executable, "-m", "hostsim.emulator.console", str(storage), f"--cut={cut}"]
    command += ["--jumper"] * jumper + ["--pty"] * pty + ["--rom"] * rom
    board = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert board.stdout
        name = board.stdout.readline().split()[1]
        yield name if pty else f"socket://127.0.0.1:{name}"
    finally:
        board.send_signal(signal.SIGTERM)
        board.wait(60)

"""The emulated board's USB console on a TCP port, so that the real mpremote works on it:
`python -m hostsim.emulator.console STORAGE [--port N] [--uf2 FILE] [--jumper] [--cut N]`, then
`mpremote connect socket://127.0.0.1:N`.

It prints `console PORT` when it listens. SIGTERM is the power switch: the storage is written to
its file and the process ends with 0. With `--cut` the N-th flash operation is torn (pico.py), and
it ends with 3. SIGUSR1 sets the jumper, SIGUSR2 takes it away. The board's time is not held to the
wall's: it is behind it when busy, and must not run away from it when idle, because mpremote's
time-outs are the wall's.
"""

from __future__ import annotations

import argparse
import contextlib
import select
import signal
import socket
import sys
import time
from pathlib import Path

from board import plan
from hostsim.emulator.pico import Pico

_AHEAD_S = 0.002
_BEHIND_S = 0.05
_PAUSE_S = 0.01
CUT = 3
_IDLE = ("feedback", "stop", "emergency", "jumper")


class Console:
    """`storage`: the file with the board's flash, made blank when it is not there."""

    def __init__(self, uf2: Path, storage: Path, port: int, jumper: bool, cut: int) -> None:
        self._data = plan.load("pico")
        self._file = storage
        self._jumper = jumper
        before = storage.read_bytes() if storage.exists() else None
        self.pico = Pico(uf2, before, cut)
        self._wires()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._peer: socket.socket | None = None
        self._off = False
        self._began = time.monotonic()

    def set_jumper(self, there: bool) -> None:
        self._jumper = there
        self._wires()

    def _wires(self) -> None:
        for name in _IDLE:
            pin, active = self._data[name]
            there = name == "jumper" and self._jumper
            self.pico.drive(pin, bool(active) if there else not active)
        self.pico.analogue(self._data["pilot"]["adc"] - 26, 3800)  # 12 V: no vehicle

    def switch_off(self) -> None:
        self._off = True

    def run(self) -> int:
        """Until it is switched off (0) or the power is cut (CUT)."""
        while not self._off and not self.pico.dead:
            self.pico.go_on()
            self.pico.step()
            ahead = self.pico.nanos / 1e9 - (time.monotonic() - self._began)
            if ahead < -_BEHIND_S:  # busy: what is lost is not caught up with
                self._began = time.monotonic() - self.pico.nanos / 1e9
            self._talk(min(max(0.0, ahead - _AHEAD_S), _PAUSE_S))
        new = self._file.with_suffix(".new")
        new.write_bytes(self.pico.storage())
        new.replace(self._file)
        return CUT if self.pico.dead else 0

    def _talk(self, wait_s: float) -> None:
        waiting = [self._listener] + ([self._peer] if self._peer else [])
        ready = select.select(waiting, [], [], wait_s)[0]
        if self._listener in ready:
            if self._peer:
                self._peer.close()
            self._peer, _ = self._listener.accept()
            self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        elif self._peer in ready and self._peer:
            with contextlib.suppress(ConnectionError):
                data = self._peer.recv(4096)
                self.pico.to_console += data
                if data:
                    return self._say()
            self._peer.close()
            self._peer = None
        self._say()

    def _say(self) -> None:
        if self.pico.console and self._peer:
            try:
                self._peer.sendall(bytes(self.pico.console))
            except ConnectionError:
                self._peer = None
        self.pico.console.clear()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hostsim.emulator.console")
    parser.add_argument("storage", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--uf2", type=Path)
    parser.add_argument("--jumper", action="store_true")
    parser.add_argument("--cut", type=int, default=0)
    given = parser.parse_args(arguments)
    uf2 = given.uf2
    if uf2 is None:
        from hostsim.emulator.image import ensure_image

        uf2 = ensure_image()
    console = Console(uf2, given.storage, given.port, given.jumper, given.cut)
    signal.signal(signal.SIGTERM, lambda *_: console.switch_off())
    signal.signal(signal.SIGUSR1, lambda *_: console.set_jumper(True))
    signal.signal(signal.SIGUSR2, lambda *_: console.set_jumper(False))
    sys.stdout.write(f"console {console.port}\n")
    sys.stdout.flush()
    return console.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

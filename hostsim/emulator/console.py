"""The emulated board's USB console, so that the real mpremote works on it, with the simulator's
meter, terminal and vehicle at its other pins:

    python -m hostsim.emulator.console STORAGE [--port N | --pty] [--rom] [--jumper] [--cut N]

then `mpremote connect socket://127.0.0.1:N`, or with `--pty` on the serial device it names.

It prints `console` and the port or the device when it is there. SIGTERM is the power switch: the
storage is written to its file and the process ends with 0. With `--cut` the N-th flash operation
is torn (pico.py), and it ends with 3. `--rom`: its MicroPython has a ROMFS partition. SIGUSR1 sets
the jumper, SIGUSR2 takes it away. The board's time does not run ahead of the wall's, because
mpremote's time-outs are the wall's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pty
import signal
import socket
import sys
import tempfile
import tty
from pathlib import Path

from board import plan
from hostsim.emulator.image import ROM_BYTES, ensure_image
from hostsim.emulator.loop import BoardLoop
from hostsim.emulator.rig import Rig

_SAY_S = 0.001
_PIECE = 4096
CUT = 3


class TcpLine:
    """Bytes to and from whoever is connected to a port; the last to come has it."""

    def __init__(self, loop: BoardLoop, port: int) -> None:
        self._loop = loop
        self._listener = socket.create_server(("127.0.0.1", port))
        self.name = str(self._listener.getsockname()[1])
        self._peer: socket.socket | None = None
        self.heard = bytearray()
        loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        self._gone()
        self._peer, _ = self._listener.accept()
        self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._peer, self._read)

    def _gone(self) -> None:
        if self._peer is not None:
            self._loop.remove_reader(self._peer)
            self._peer.close()
            self._peer = None

    def _read(self) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            assert self._peer is not None
            data = self._peer.recv(_PIECE)
        if data:
            self.heard += data
        else:
            self._gone()

    def say(self, data: bytes) -> None:
        """Nobody there: it is lost."""
        if self._peer is not None:
            try:
                self._peer.sendall(data)
            except ConnectionError:
                self._gone()


class PtyLine:
    """Bytes to and from whoever opens the other end of a pseudo-terminal."""

    def __init__(self, loop: BoardLoop) -> None:
        self._ours, self._theirs = pty.openpty()  # theirs stays open: a reader may come and go
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.name = os.ttyname(self._theirs)
        self.heard = bytearray()
        self._pending = bytearray()
        loop.add_reader(self._ours, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.heard += os.read(self._ours, _PIECE)

    def say(self, data: bytes) -> None:
        """What does not fit waits, the oldest of it is lost at last."""
        self._pending += data
        del self._pending[:-_PIECE]
        with contextlib.suppress(BlockingIOError):
            while self._pending:
                del self._pending[: os.write(self._ours, self._pending)]


class Console:
    """`storage`: the file with the board's flash, made blank when it is not there."""

    def __init__(self, rig: Rig, line: TcpLine | PtyLine, storage: Path, cut: int) -> None:
        self._rig = rig
        self._line = line
        self._file = storage
        self._cut = cut
        self._off = False

    def switch_off(self) -> None:
        self._off = True

    async def run(self) -> int:
        """Until it is switched off (0) or the power is cut (CUT)."""
        await self._rig.start()
        board = self._rig.power_on(self._cut)
        while not self._off and not board.dead:
            board.to_console += self._line.heard
            self._line.heard.clear()
            self._line.say(bytes(board.console))
            board.console.clear()
            await asyncio.sleep(_SAY_S)
        new = self._file.with_suffix(".new")
        new.write_bytes(board.storage())
        new.replace(self._file)
        code = CUT if board.dead else 0
        await self._rig.stop()
        return code


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hostsim.emulator.console")
    parser.add_argument("storage", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pty", action="store_true")
    parser.add_argument("--rom", action="store_true")
    parser.add_argument("--jumper", action="store_true")
    parser.add_argument("--cut", type=int, default=0)
    given = parser.parse_args(arguments)
    storage = given.storage.read_bytes() if given.storage.exists() else None
    loop = BoardLoop(wall=True)
    with tempfile.TemporaryDirectory(prefix="forecourt-console-") as folder:
        rom_bytes = ROM_BYTES if given.rom else 0
        image = ensure_image(given.rom)
        rig = Rig(loop, image, plan.load("pico"), storage, Path(folder), rom_bytes=rom_bytes)
        rig.set_jumper(given.jumper)
        line = PtyLine(loop) if given.pty else TcpLine(loop, given.port)
        console = Console(rig, line, given.storage, given.cut)
        loop.add_signal_handler(signal.SIGTERM, console.switch_off)
        loop.add_signal_handler(signal.SIGUSR1, rig.set_jumper, True)
        loop.add_signal_handler(signal.SIGUSR2, rig.set_jumper, False)
        sys.stdout.write(f"console {line.name}\n")
        sys.stdout.flush()
        return loop.run_until_complete(console.run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The firmware's process as the virtual world sees it: power on, power off, what it says and
hears.

worker_mpy.py says what goes over the socket. One `Foundry` loads the firmware once; every power-on
is a fork of it.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from board.host_flash import FileFlash
from hostsim.powercut.loop import VirtualLoop
from hostsim.setup import BUILD, MICROPYTHON, MICROPYTHON32, POINTER_BITS32, ROOT

UART, OPEN, DATA, CLOSE, DATAGRAM, PROGRAM, ERASE, RESET, START, RAN, HUNGER = range(1, 12)
_HEAD = struct.Struct("<III")
_ITEM = struct.Struct("<BBI")
_PR_SET_PDEATHSIG = 1
_COPY = 0xFFFFFFFF
_SCRIPT = Path(__file__).with_name("worker_mpy.py")

Heard = Callable[[int, int, bytes], bool]


def _nothing() -> None:
    pass


def _ignored(_data: bytes) -> None:
    pass


class FoundryError(RuntimeError):
    """The firmware cannot be loaded; str() says why."""


class Foundry:
    """The loaded firmware, waiting to be powered on at `path`."""

    def __init__(
        self, directory: Path, marked: Path | None = None, rooms: Path = BUILD / "rooms"
    ) -> None:
        """`marked`: a tree of .mpy whose memory can be taken away (hostsim/starve); `rooms`: the
        firmware's modules. Raises FoundryError.
        """
        self.path = directory / "firmware"
        self._log = directory / "firmware.log"
        interpreter = MICROPYTHON32 if POINTER_BITS32.exists() else MICROPYTHON
        trees = [rooms, ROOT] if marked is None else [marked, rooms, ROOT]
        hungry = [] if marked is None else [str(_SCRIPT.parents[1] / "starve")]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(interpreter), "-X", "heapsize=1500k", str(_SCRIPT), str(self.path), *hungry],
                env={"MICROPYPATH": ":".join(map(str, trees)) + ":.frozen"},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
            )
        for _ in range(500):
            if self.path.exists() or self._process.poll() is not None:
                break
            time.sleep(0.02)
        if not self.path.exists():
            raise FoundryError(f"the firmware does not start: {self.said()}")

    def said(self) -> str:
        """What the firmware's processes printed."""
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Worker:
    """One charger's processor. `heard(kind, channel, data)` gets every item in order; False: the
    power was cut there. `arrives()` is asked before something is handed to it; False: likewise.
    """

    def __init__(
        self, loop: VirtualLoop, path: Path, heard: Heard, arrives: Callable[[], bool]
    ) -> None:
        self._loop = loop
        self._path = path
        self._heard = heard
        self._arrives = arrives
        self._socket: socket.socket | None = None
        self._in: list[bytes] = []
        self._wake_ms = 0
        self._boot_ms = 0
        self._booted = False
        self.starts = 0
        self.before_turn: Callable[[], None] = _nothing
        self.ran: Callable[[bytes], None] = _ignored  # marks that were passed (hostsim/starve)
        self.died: Callable[[], None] | None = None  # the process ended by an exception

    @property
    def running(self) -> bool:
        return self._socket is not None

    def power_on(self, environment: Mapping[str, str], flash: FileFlash, seed: int) -> None:
        self.starts += 1
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(self._path))
        given = "\n".join(f"{name}={value}" for name, value in environment.items()).encode()
        head = struct.pack("<IIII", flash.sectors, flash.sector_size, seed, len(given))
        self._in = []
        self.give(START, 0, head + given + flash.image() + flash.state())
        self._booted = False
        self._boot_ms = self._wake_ms = self._loop.now_ms

    def power_off(self) -> None:
        """Whatever it was about to say is never heard."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._in = []

    def copy(self, door: Path) -> socket.socket:
        """A connection to a copy of the firmware's process, for `become` after a fork of this one.
        Only while it waits for its turn.
        """
        assert self._socket is not None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(door))
            listener.listen(1)
            path = str(door).encode()
            self._socket.sendall(_HEAD.pack(len(path), 0, _COPY) + path)
            connection, _ = listener.accept()
        door.unlink()
        return connection

    def become(self, connection: socket.socket | None) -> None:
        """This process is a copy: the firmware's process is the other one's, ours is at
        `connection` (None: none).
        """
        if self._socket is not None:
            self._socket.close()
            self._socket = connection

    def give(self, kind: int, channel: int, data: bytes = b"") -> None:
        """Something arrives at one of its channels."""
        if self._socket is not None:
            self._in.append(_ITEM.pack(kind, channel, len(data)) + data)

    # --- the loop's partner ----------------------------------------------------------------------

    def due_ms(self) -> int | None:
        if self._socket is None:
            return None
        return self._loop.now_ms if self._in else self._wake_ms

    def turn(self, now_ms: int, horizon_ms: int) -> int:
        if self._in and self._booted and not self._arrives():
            return now_ms
        assert self._socket is not None
        self._booted = True
        self.before_turn()
        body = b"".join(self._in)
        self._in = []
        boot = self._boot_ms
        self._socket.sendall(_HEAD.pack(len(body), now_ms - boot, horizon_ms - boot) + body)
        try:
            length, stopped, wake = _HEAD.unpack(self._exactly(_HEAD.size))
        except FoundryError:
            if self.died is None:
                raise
            self.power_off()
            self.died()
            return now_ms
        said = self._exactly(length)
        self._wake_ms = boot + wake
        self._loop.arrived(boot + stopped)
        at = 0
        while at < length and self._socket is not None:
            kind, channel, size = _ITEM.unpack_from(said, at)
            at += _ITEM.size
            if kind == RAN:
                self.ran(said[at : at + size])
            elif not self._heard(kind, channel, said[at : at + size]):
                self.power_off()
            at += size
        return boot + stopped

    def _exactly(self, n: int) -> bytes:
        assert self._socket is not None
        data = bytearray()
        while len(data) < n:
            piece = self._socket.recv(n - len(data))
            if not piece:
                raise FoundryError("the firmware's process died")
            data += piece
        return bytes(data)

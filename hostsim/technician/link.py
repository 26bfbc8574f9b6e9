"""The console of a board: mpremote's serial transport, and the few functions that run there.

Nothing is installed for it: what the board needs is sent to its memory at the beginning. A
charger at work keeps its console closed; then every verb here ends with the advice to set the
service jumper. PORT is what mpremote takes: /dev/ttyACM0, COM3, socket://host:port (the emulated
board), or "" for the one board there is.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import io
import time
import zlib
from collections.abc import Iterator
from typing import Any

import serial
import serial.tools.list_ports
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

_BAUD = 115200
_PIECE = 1024
_READ = 2048
_WINDOW_BITS = 10
_LONG_S = 120
_PROMPT_S = 3
_ON_BOARD = """
import os,sys,gc,io
from binascii import a2b_base64 as _a,b2a_base64 as _e,hexlify as _x
from hashlib import sha256
from deflate import DeflateIO as _d,RAW as _r
def _z(b):return _d(io.BytesIO(_a(b)),_r,10).read()
def _h(p):
    s=sha256();b=bytearray(512)
    with open(p,'rb') as f:
        while True:
            n=f.readinto(b)
            if not n:return _x(s.digest()).decode()
            s.update(memoryview(b)[:n])
def _t(p):
    for e in os.ilistdir(p):
        q=p+'/'+e[0]
        if e[1]&0x4000:yield from _t(q)
        else:yield q
def _m(p):
    at=p.find('/',1)
    while at>0:
        try:os.mkdir(p[:at])
        except OSError:pass
        at=p.find('/',at+1)
def _c(a,b):
    _m(b);k=bytearray(512)
    with open(a,'rb') as f:
        with open(b,'wb') as g:
            while True:
                n=f.readinto(k)
                if not n:return
                g.write(memoryview(k)[:n])
def _rm(p):
    try:os.remove(p)
    except OSError:pass
"""


class TechnicianError(RuntimeError):
    """It cannot be done; str() says why, `advice` what to do."""

    def __init__(self, text: str, *advice: str) -> None:
        super().__init__(text)
        self.advice = advice


def only_port() -> str:
    """The one board that is connected by USB. Raises TechnicianError for none or several."""
    found = [port.device for port in serial.tools.list_ports.comports() if port.vid is not None]
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise TechnicianError("no board is connected by USB", "Plug it in, or give PORT=...")
    raise TechnicianError(f"there are several boards: {', '.join(found)}", "Give PORT=...")


class Link:
    """One connection. `root`: where the charger's files are, "" or a folder of a new board."""

    def __init__(self, port: str) -> None:
        """Opens the console and stops what runs. Raises TechnicianError."""
        self.port = port or only_port()
        self.root = ""
        self._open(True)

    def _open(self, fresh: bool) -> None:
        """`fresh`: with the board's memory empty."""
        noise = io.StringIO()  # mpremote prints what it did not expect
        try:
            with contextlib.redirect_stdout(noise):
                self._transport = SerialTransport(self.port, baudrate=_BAUD)
                self._enter(fresh)
        except (TransportError, OSError, serial.SerialException) as error:
            raise _no_console(self.port, error) from error
        self.run(_ON_BOARD)

    def again(self) -> None:
        """Opens the console again after another program had it. Raises TechnicianError."""
        self._open(False)

    def _enter(self, fresh: bool) -> None:
        """An emulated board (socket://) lives slower than a real one: it is asked more often."""
        for _ in range(4 if self.port.startswith("socket:") else 1):
            try:
                self._transport.enter_raw_repl(soft_reset=fresh)
                return
            except TransportError:
                self._transport.serial.write(b"\x03\x03")
        self._transport.enter_raw_repl(soft_reset=fresh)

    def run(self, code: str, timeout_s: float = _LONG_S) -> str:
        """What the code printed. Raises TechnicianError with the board's own words."""
        try:
            out, error = self._transport.exec_raw(code, timeout=timeout_s)
        except (TransportError, OSError, serial.SerialException) as gone:
            raise TechnicianError(f"the board went away: {gone}", "Run it again.") from gone
        if error:
            raise TechnicianError("the board says: " + error.decode().strip().splitlines()[-1])
        return str(out.decode())

    def lines(self, code: str, until: float | None = None) -> Iterator[str]:
        """What the code prints, line by line as it comes, until it ends or the monotonic clock
        says `until`. Raises TechnicianError when the board goes away.
        """
        try:
            self._transport.exec_raw_no_follow(code)
            pending = b""
            while until is None or time.monotonic() < until:
                waiting = self._transport.serial.inWaiting()
                if not waiting:
                    time.sleep(0.01)
                    continue
                pending += self._transport.serial.read(waiting)
                *whole, pending = pending.split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace").rstrip("\r").replace("\x04", "")
                if pending.endswith(b"\x04>"):
                    return
        except (TransportError, OSError, serial.SerialException) as gone:
            raise TechnicianError(f"the board went away: {gone}") from gone

    def value(self, expression: str) -> Any:
        """A value of the board: numbers, texts, bytes, tuples."""
        return ast.literal_eval(self.run(f"print(repr({expression}))").strip())

    # --- files -----------------------------------------------------------------------------------

    def text(self, name: str) -> str:
        """A small file's text, "" when it is not there."""
        code = f"""
try:
    with open({self.root + "/" + name!r}) as f:print(repr(f.read()))
except (OSError,ValueError):print("''")
"""
        return str(ast.literal_eval(self.run(code).strip())).strip()

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises TechnicianError when it is not there."""
        out = bytearray()
        self.run(f"_f=open({self.root + '/' + name!r},'rb')")
        while piece := base64.b64decode(self.run(f"print(_e(_f.read({_READ})).decode())")):
            out += piece
        self.run("_f.close()")
        return bytes(out)

    def hashes(self, folder: str) -> dict[str, str]:
        """SHA-256 of every file below a folder, by its path in it; {} when it is not there."""
        top = f"{self.root}/{folder}"
        code = f"""
try:
    for p in _t({top!r}):print(p,_h(p))
except OSError:pass
"""
        rows = [line.rsplit(" ", 1) for line in self.run(code, 600).splitlines()]
        return {path[len(top) + 1 :]: digest for path, digest in rows}

    def hash_of(self, name: str) -> str:
        """SHA-256 of a file, "" when it is not there."""
        path = f"{self.root}/{name}"
        return self.run(f"try:print(_h({path!r}))\nexcept OSError:pass").strip()

    def write(self, name: str, data: bytes) -> None:
        """Writes a file in its place, folders too."""
        path = f"{self.root}/{name}"
        self.run(f"_m({path!r});_f=open({path!r},'wb')")
        for at in range(0, len(data), _PIECE):
            self.run(f"_f.write(_z({packed(data[at : at + _PIECE])!r}))")
        self.run("_f.close()")

    def replace(self, name: str, data: bytes) -> None:
        """Writes a file so that it is whole or as before, whatever happens."""
        self.write(name + ".new", data)
        path = f"{self.root}/{name}"
        self.run(f"os.rename({path + '.new'!r},{path!r})")

    def put_together(self, files: dict[str, bytes]) -> None:
        """Files of the root: all written beside, all read back, then renamed in this order by one
        word to the board. Raises TechnicianError; before that word nothing has changed.
        """
        for name, body in files.items():
            self.write(name + ".new", body)
        for name, body in files.items():
            if self.hash_of(name + ".new") != hashlib.sha256(body).hexdigest():
                raise TechnicianError(f"{name} is not as it was written", "Run it again.")
        paths = [f"{self.root}/{name}" for name in files]
        self.run(f"for _p in {paths!r}:os.rename(_p+'.new',_p)")

    def copy(self, source: str, target: str) -> None:
        """Copies a file on the board."""
        self.run(f"_c({self.root + '/' + source!r},{self.root + '/' + target!r})")

    def remove(self, *names: str) -> None:
        """Removes files that may be there."""
        for name in names:
            self.run(f"_rm({self.root + '/' + name!r})")

    # --- the end ---------------------------------------------------------------------------------

    def reset(self, interrupt: bool = False) -> None:
        """Restarts the board, what runs there interrupted; the link is of no use afterwards."""
        if interrupt:
            with contextlib.suppress(OSError, serial.SerialException):
                self._transport.serial.write(b"\x03\x03")
                self._wait_for_prompt()
                self._transport.serial.write(b"import machine\nmachine.reset()\x04")
                self._transport.serial.flush()
            self._close()
            return
        with contextlib.suppress(TransportError, OSError, serial.SerialException):
            self._transport.exec_raw_no_follow("import machine;machine.reset()")
            self._transport.serial.flush()
        self._close()

    def _wait_for_prompt(self) -> None:
        """Until what ran has ended; when nothing ran the board says nothing."""
        serial_port, heard = self._transport.serial, b""
        until = time.monotonic() + _PROMPT_S
        while time.monotonic() < until and not heard.endswith(b"\x04>"):
            heard += serial_port.read(serial_port.inWaiting() or 0)
            time.sleep(0.01)

    def leave(self) -> None:
        """Back to the friendly prompt; the board stays as it is."""
        with contextlib.suppress(TransportError, OSError, serial.SerialException):
            self._transport.exit_raw_repl()
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError, serial.SerialException):
            self._transport.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


def packed(data: bytes) -> bytes:
    """Deflated for a window of 1 KB, in base64: what `_z` takes."""
    press = zlib.compressobj(9, zlib.DEFLATED, -_WINDOW_BITS)
    return base64.b64encode(press.compress(data) + press.flush())


def _no_console(port: str, error: Exception) -> TechnicianError:
    if isinstance(error, TransportError) and "raw repl" in str(error):
        return TechnicianError(
            f"{port}: the console is closed; a charger at work does not open it",
            "Set the service jumper, switch the charger off and on, and run this again.",
        )
    return TechnicianError(f"{port}: {error}", "Is it the right port, and nobody else on it?")

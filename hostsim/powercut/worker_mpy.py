"""Runs the real firmware on the real host board, in virtual time, for hostsim/powercut/worker.py:

    micropython worker_mpy.py SOCKET [FOLDER]

With the FOLDER of hunger_mpy.py the firmware's memory can be taken away (hostsim/starve).

Loads everything once and waits at the Unix socket SOCKET. Each connection is one power-on: a copy
of this process (fork) runs firmware.app.start until the connection ends. Only bytes leave and
enter: a sitting is sent with what the firmware did since the last one (items), and the answer
brings what comes in and until when nothing else can.

All numbers are little-endian. A sitting: length u32, now u32, wake u32, items. An answer: length
u32, now u32, horizon u32, items. An item: kind u8, channel u8, length u32, data.
"""

import json
import os as _os
import socket as _socket
import struct
import sys

import ffi
import loop_mpy  # type: ignore[import-not-found]

_UART, OPEN, DATA, CLOSE, DATAGRAM, PROGRAM, ERASE, RESET, START, _, HUNGER = range(1, 12)
_EAGAIN = 11
_UNSTABLE = 2  # board/host_flash.py
# what is entered and left on a charger
_RARE = (
    "compose", "config", "orders", "tariffs", "receipt", "meter.profiles", "terminal.profiles",
    "session.recovery", "session.closing", "session.extension", "day", "pricing.receipt",
    "pricing.words",
)  # fmt: skip
_COPY = b"\xff\xff\xff\xff"  # in place of a horizon: the rest is a socket's path
_libc = ffi.open("libc.so.6")
_fork = _libc.func("i", "fork", "")
_exit = _libc.func("v", "_exit", "i")
_signal = _libc.func("p", "signal", "ip")
_setrlimit = _libc.func("i", "setrlimit", "ip")
_CPU = 0  # RLIMIT_CPU
_CPU_S = 240  # then the process is ended: the firmware hangs

time = loop_mpy.install()


class Line:
    """The connection to the simulator, and what waits to be read from each channel."""

    def __init__(self):
        self.connection = None
        self.out = []
        self.streams = {}
        self.started = None
        self.random = 1

    def put(self, kind, channel, data=b"") -> None:
        self.out.append(struct.pack("<BBI", kind, channel, len(data)))
        self.out.append(data)
        time.unsent = True

    def exchange(self, wake_ms) -> None:
        if hunger:
            hunger.sitting()
        body = b"".join(self.out)
        self.out.clear()
        time.unsent = False
        self.connection.write(struct.pack("<III", len(body), time.now_ms, wake_ms) + body)
        self.take()

    def take(self) -> None:
        while True:
            head = self.connection.read(12)
            if len(head) < 12:
                _exit(0)
            if head[8:] != _COPY:
                break
            door = self.connection.read(struct.unpack("<I", head[:4])[0])
            if _fork() == 0:  # a copy goes on with another simulator
                self.connection.close()
                self.connection = _socket.socket(1, 1)
                self.connection.connect(_address(door))
        length, time.now_ms, time.horizon_ms = struct.unpack("<III", head)
        body = self.connection.read(length) if length else b""
        at = 0
        while at < length:
            kind, channel, size = struct.unpack_from("<BBI", body, at)
            at += 6
            data = body[at : at + size]
            at += size
            if kind == START:
                self.started = data
            elif kind == HUNGER:
                hunger.told(data)
            elif channel in self.streams:
                self.streams[channel].arrived(kind, data)

    def urandom(self, n) -> bytes:
        out = bytearray(n)
        for i in range(n):
            self.random = (self.random * 1103515245 + 12345) & 0x3FFFFFFF
            out[i] = (self.random >> 16) & 0xFF
        return bytes(out)


def _address(path):
    return struct.pack("H", 1) + path + b"\x00"


line = Line()
time.exchange = line.exchange
hunger = None
if len(sys.argv) > 2:
    sys.path.insert(0, sys.argv[2])
    import hunger_mpy  # type: ignore[import-not-found]

    hunger = hunger_mpy.install(line.put)


class Stream:
    """One channel, as a UART or socket of MicroPython reads: None while nothing is there."""

    def __init__(self, channel):
        self.channel = channel
        self._in = b""
        self._ended = False
        line.streams[channel] = self

    @property
    def readable(self) -> bool:
        return bool(self._in) or self._ended

    def arrived(self, kind, data) -> None:
        if kind == CLOSE:
            self._ended = True
        self._in += data

    def _take(self, n):
        if not self._in and not self._ended:
            return None
        taken = self._in[:n]
        self._in = self._in[n:]
        return taken

    def readinto(self, buf, n=-1):
        data = self._take(len(buf) if n < 0 else n)
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self):
        at = self._in.find(b"\n")
        return self._take(len(self._in) if at < 0 else at + 1)


class UART(Stream):
    """board.host_uart.UART; its path is the channel's number."""

    def __init__(self, path, baudrate=9600, bits=8, parity=None, stop=1):
        Stream.__init__(self, int(path))

    def init(self, *_) -> None:
        """Set the line anew: any speed is right here."""

    def any(self):
        return len(self._in)

    def write(self, data):
        line.put(_UART, self.channel, bytes(data))
        return len(data)


_next_channel = 16


class Socket(Stream):
    """A socket whose other end is a part of the simulator, chosen by its port."""

    def __init__(self, *_):
        global _next_channel
        _next_channel += 1
        Stream.__init__(self, _next_channel)
        self._datagrams = []
        self._closed = False

    def setblocking(self, _) -> None:
        pass

    def setsockopt(self, *_) -> None:
        pass

    def connect(self, address) -> None:
        line.put(OPEN, self.channel, str(address[1]).encode())

    def write(self, data, n=-1):
        data = data.encode() if isinstance(data, str) else bytes(data)
        if not self._closed:
            line.put(DATA, self.channel, data)
        return len(data)

    def send(self, data):
        line.put(DATAGRAM, self.channel, bytes(data))
        return len(data)

    def arrived(self, kind, data) -> None:
        if kind == DATAGRAM:
            self._datagrams.append(data)
        else:
            Stream.arrived(self, kind, data)

    def recv(self, n):
        if not self._datagrams:
            raise OSError(_EAGAIN)
        return self._datagrams.pop(0)[:n]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            line.put(CLOSE, self.channel)
            line.streams.pop(self.channel, None)


class Tls:
    """TLS is the whole system's business (--whole): here its bytes are plain."""

    PROTOCOL_TLS_CLIENT = CERT_REQUIRED = 0

    class SSLContext:
        def __init__(self, _):
            self.verify_mode = 0

        def load_verify_locations(self, _) -> None:
            pass

        def load_cert_chain(self, *_) -> None:
            pass

        def wrap_socket(self, sock, **_):
            return sock


def _getaddrinfo(host, port, family=0, kind=0):
    return [(2, kind, 0, "", (host, port))]


_environment: dict = {}
_nor: list = []


def _replace() -> None:
    """What the firmware and its board import from now on."""
    sys.modules["socket"] = loop_mpy.Module(_socket, socket=Socket, getaddrinfo=_getaddrinfo)
    sys.modules["tls"] = Tls  # type: ignore[assignment]
    sys.modules["os"] = loop_mpy.Module(_os, urandom=line.urandom, getenv=_environment.get)
    uart = loop_mpy.Module(object(), UART=UART)
    nor = loop_mpy.Module(object(), FileNor=_flash)
    sys.modules["board.host_uart"] = uart
    sys.modules["board.host_nor"] = nor


def _flash(_path, _sectors, _size):
    return _nor[0]


def _make_flash(sectors, size, seed, image, state):
    from board.host_flash import FileFlash

    class Flash(FileFlash):
        """Says every program and erase before it does it; with an erase how far into the sector
        was looked while a torn erase had left it unstable.
        """

        def readblocks(self, n, buf, off=0):
            self._look(n, off + len(buf))
            FileFlash.readblocks(self, n, buf, off)

        def writeblocks(self, n, buf, off=0):
            self._look(n, off + len(buf))
            line.put(PROGRAM, 0, struct.pack("<HH", n, off) + bytes(buf))
            FileFlash.writeblocks(self, n, buf, off)

        def ioctl(self, op, n):
            if op == 6:
                line.put(ERASE, 0, struct.pack("<HH", n, looked.get(n, 0)))
            return FileFlash.ioctl(self, op, n)

        def _look(self, n, end):
            if self._state[8 * n + 4] & _UNSTABLE and end > looked.get(n, 0):
                looked[n] = end

    looked: dict = {}
    flash = Flash("", sectors, size, seed)
    flash.load(image, state)
    return flash


def run(connection) -> None:
    """One power-on."""
    if hunger:
        hunger.begin()
    line.connection = connection
    line.take()
    given = line.started
    sectors, size, seed, length = struct.unpack_from("<IIII", given)
    environment = given[16 : 16 + length].decode()
    for entry in environment.split("\n"):
        name, _, value = entry.partition("=")
        _environment[name] = value
    image = given[16 + length : 16 + length + sectors * size]
    state = given[16 + length + sectors * size :]
    line.random = seed
    _nor.append(_make_flash(sectors, size, seed, image, state))
    line.started = given = image = state = None
    from board.host import Board
    from firmware.app import start

    if hunger:
        hunger_mpy.spare(type(_nor[0]), "readblocks", "writeblocks", "ioctl")
    try:
        start(Board())
    except SystemExit:
        if hunger:
            hunger.release()
    line.put(RESET, 0)
    line.exchange(loop_mpy.FOREVER)


def serve(path: str) -> None:
    """Waits for connections; a copy of this process serves each."""
    door = _socket.socket(1, 1)
    door.bind(_address(path.encode()))
    door.listen(16)
    _signal(17, 1)  # children are not waited for
    while True:
        connection = door.accept()[0]
        if _fork() == 0:
            door.close()
            _setrlimit(_CPU, struct.pack("LL", _CPU_S, _CPU_S))
            try:
                run(connection)
            except Exception as e:  # noqa: BLE001 - seen by whoever reads this process's output
                sys.print_exception(e)
                _exit(1)
            _exit(0)
        connection.close()


_replace()
import board.host  # noqa: E402,F401 - behind the replacements
import firmware.paper  # noqa: E402

firmware.paper.leave = lambda *modules: None  # memory is not short here, loading twice takes time
import firmware.app  # noqa: E402,F401

for name in _RARE:
    __import__("firmware." + name)


def _say(self, kind, what) -> None:
    self.send(kind + json.dumps(what))  # json.dump asks for a socket of the interpreter's own


setattr(board.host.World, "say", _say)  # noqa: B010 - mypy takes it for a method


def _spare_hardware() -> None:
    spare = hunger_mpy.spare
    spare(UART, "write", "any", "init")
    spare(Stream, "readinto", "readline")
    spare(Socket, "write", "send", "recv", "connect", "close", "setblocking")
    spare(loop_mpy.Poll, "register", "unregister", "ipoll")
    spare(loop_mpy.TaskQueue, "push", "remove")
    hunger_mpy.ends(loop_mpy.TaskQueue, "pop")
    spare(board.host.World, "send", "say", "contactor", "offer", "show", "feed")
    spare(board.host.Board, "trace", "reset")


if hunger:
    _spare_hardware()

serve(sys.argv[1])

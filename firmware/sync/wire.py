"""One TLS connection whose every step leaves the loop free: connect, handshake, read, write,
close.

asyncio's own streams poll the socket before they read; a TLS layer may hold decrypted bytes that
no poll shows, and its handshake may want to read while asyncio waits to write. Here the read or
write is tried first. Limit: a host given by name is resolved by getaddrinfo, which blocks on a
board: at the start, and when the address did not answer, at most once in five minutes. The last
address is kept for where the name server does not answer either.
"""

import asyncio
import errno
import socket
import time
from asyncio import core as _core

import tls
from micropython import const

from firmware.errors import LinkError

_STALL_MS = const(10000)
_POLL_MS = const(5)
_LOOKUP_MS = const(300000)
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)


class Wire:
    """`settings`: host, port, server_name (in the broker's certificate), ca, cert, key (files, DER
    or PEM)."""

    def __init__(self, settings: dict) -> None:
        self._settings = settings
        self._context: tls.SSLContext = None
        self._address: tuple = None
        self._good = False  # the address answered the last time
        self._looked_ms = 0
        self._sock: socket.socket = None
        self._stream: socket.socket = None

    async def open(self) -> None:
        """Connects. OSError; ValueError: a certificate or key that cannot be read."""
        settings = self._settings
        if (
            self._context is None
        ):  # made once: a board's heap is not split again at every reconnect
            context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            context.verify_mode = tls.CERT_REQUIRED  # type: ignore[attr-defined] # missing stub
            context.load_verify_locations(_contents(settings["ca"]))
            context.load_cert_chain(_contents(settings["cert"]), _contents(settings["key"]))
            self._context = context
        kind = self._look_up()
        self._sock = sock = socket.socket(kind[0], kind[1], kind[2])
        sock.setblocking(False)
        try:
            sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except OSError:
            pass  # not every port's stack knows it
        try:
            sock.connect(kind[-1])
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        await _wait(_core._io_queue.queue_write, sock)
        self._stream = self._context.wrap_socket(
            sock, server_hostname=settings["server_name"], do_handshake_on_connect=False
        )

    def _look_up(self) -> tuple:
        """The broker's address, anew when the last one did not answer. OSError."""
        good = self._good
        self._good = False
        now = time.ticks_ms()
        if self._address is None or (
            not good and time.ticks_diff(now, self._looked_ms) > _LOOKUP_MS
        ):
            self._looked_ms = now
            settings = self._settings
            try:
                self._address = socket.getaddrinfo(
                    settings["host"], settings["port"], 0, socket.SOCK_STREAM
                )[0]
            except OSError:
                if self._address is None:
                    raise
        return self._address

    async def write(self, data) -> None:
        """All of it, as one write where the buffers hold it. The first one does the handshake.
        OSError, LinkError; ValueError: a certificate that is not accepted."""
        view = memoryview(data)
        moved = time.ticks_ms()
        while view:
            n = self._stream.write(view)
            if n:
                view = view[n:]
                moved = time.ticks_ms()
            elif time.ticks_diff(time.ticks_ms(), moved) > _STALL_MS:
                raise LinkError("stalled")
            else:
                await asyncio.sleep_ms(_POLL_MS)

    async def read_into(self, view) -> int:
        """At least one byte, at most len(view). LinkError when the peer closed."""
        while True:
            n = self._stream.readinto(view)
            if n:
                self._good = True
                return n
            if n is not None:
                raise LinkError("closed by the broker")
            await _wait(_core._io_queue.queue_read, self._sock)

    def close(self) -> None:
        """Frees the socket, in whatever state; a task still reading must have been cancelled."""
        for stream in (self._stream, self._sock):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # closed with the other one
        self._stream = None
        self._sock = None


def _contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _wait(queue, sock):
    """To be awaited: asyncio's own way to sleep until the socket is ready."""
    yield queue(sock)

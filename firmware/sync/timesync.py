"""The time from the network: an SNTP client over UDP that never blocks the loop.

Source: RFC 4330, sections 3 (time stamps, the era after 2036), 4 (message) and 5 (client, checks of an answer).
The answer is not authenticated. It can move receipts' times, never money: sessions are timed by Clock.uptime_ms().
"""

import asyncio
import os
import socket
import time

from firmware.errors import FieldError
from micropython import const

_SIZE = const(48)
_REQUEST = const(0x23)  # no warning, version 4, client
_TO_UNIX_S = 2208988800  # 1900 to 1970
_ERA_S = 4294967296
_ANSWER_MS = const(2000)
_POLL_MS = const(2)
_FIRST_RETRY_MS = const(2000)
_LAST_RETRY_MS = const(64000)


def request(nonce: bytes) -> bytes:
    """A client message; its transmit time stamp is eight random bytes, so that only an answer to it is taken."""
    message = bytearray(_SIZE)
    message[0] = _REQUEST
    message[40:48] = nonce
    return bytes(message)


def transmit_ms(answer: bytes, nonce: bytes) -> int:
    """The server's transmit time in epoch ms. FieldError when it is no answer to our request, or the server has no time."""
    if len(answer) < _SIZE:
        raise FieldError("length", "must be 48 bytes", len(answer))
    if answer[0] & 7 != 4:
        raise FieldError("mode", "must be 4, server", answer[0] & 7)
    if answer[24:32] != nonce:
        raise FieldError("originate", "must be the request's")
    if answer[0] >> 6 == 3 or not 1 <= answer[1] <= 15:
        raise FieldError("stratum", "server is not synchronised", answer[1])
    seconds = int.from_bytes(answer[40:44], "big")
    fraction = int.from_bytes(answer[44:48], "big")
    if not seconds:
        raise FieldError("transmit", "is empty")
    if not seconds & 0x80000000:
        seconds += _ERA_S  # RFC 4330, section 3: from 2036-02-07 on
    return (seconds - _TO_UNIX_S) * 1000 + (fraction * 1000 >> 32)


class TimeSync:
    """`settings`: server ("": none), port, interval_s; `on_time(epoch_ms)`; `log(level, text)`."""

    def __init__(self, settings: dict, clock, network, on_time, log) -> None:
        self._settings = settings
        self._clock = clock
        self._network = network
        self._on_time = on_time
        self._log = log
        self.answers = 0

    async def run(self) -> None:
        """Asks at once, again soon while there is no answer, then every interval_s."""
        retry = _FIRST_RETRY_MS
        while self._settings["server"]:
            if self._network.ready() and await self._tried():
                retry = _FIRST_RETRY_MS
                await asyncio.sleep_ms(self._settings["interval_s"] * 1000)
            else:
                await asyncio.sleep_ms(retry)
                retry = min(retry * 2, _LAST_RETRY_MS)

    async def _tried(self) -> bool:
        try:
            epoch_ms = await self.ask()
        except (FieldError, OSError) as error:
            self._log("warning", f"no time from {self._settings['server']}: {error}")
            return False
        self.answers += 1
        self._on_time(epoch_ms)
        return True

    async def ask(self) -> int:
        """Epoch ms now, half of the way there and back added. OSError or FieldError."""
        settings = self._settings
        kind = socket.getaddrinfo(settings["server"], settings["port"], 0, socket.SOCK_DGRAM)[0]
        sock = socket.socket(kind[0], kind[1], kind[2])
        try:
            sock.setblocking(False)
            sock.connect(kind[-1])
            nonce = os.urandom(8)
            began = self._clock.uptime_ms()
            sock.send(request(nonce))
            answer = await self._answer(sock)
            return transmit_ms(answer, nonce) + (self._clock.uptime_ms() - began) // 2
        finally:
            sock.close()

    async def _answer(self, sock) -> bytes:
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < _ANSWER_MS:
            try:
                return sock.recv(_SIZE + 20)
            except OSError as error:
                if error.errno != 11:  # EAGAIN
                    raise
            await asyncio.sleep_ms(_POLL_MS)
        raise FieldError("", "no answer")

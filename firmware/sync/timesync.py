"""The time from the network: an SNTP client over UDP that never blocks the loop.

Source: RFC 4330, sections 3 (time stamps, the era after 2036), 4 (message) and 5 (client, checks
of an answer). The answer is not authenticated. Sessions are timed by Clock.uptime_ms(), so it
moves no time that is billed; but receipts and tariffs by date or hour go by it. The back office
compares each status's `at` with its own time (problem `clock`).
"""

import asyncio
import os
import socket

from micropython import const

from firmware.errors import FieldError

_SIZE = const(48)
_REQUEST = b"\x23" + bytes(39)  # no warning, version 4, client; the transmit time stamp follows
_TO_UNIX_S = const(2208988800)  # 1900 to 1970
_ERA_S = const(4294967296)
_EAGAIN = const(11)
_ETIMEDOUT = const(110)
_ANSWER_POLLS = const(1000)
_POLL_MS = const(2)
_FIRST_RETRY_MS = const(2000)
_LAST_RETRY_MS = const(64000)


def transmit_ms(answer: bytes, nonce: bytes) -> int:
    """The server's transmit time in epoch ms; `nonce`: the eight random bytes sent as our time
    stamp. FieldError when it is no answer to our request, or the server has no time: mode 4, our
    own time stamp as the originate one, no alarm, a stratum, a transmit time (section 5)."""
    if len(answer) < _SIZE or answer[0] & 7 != 4 or answer[24:32] != nonce:
        raise FieldError("", "not our answer")
    seconds = int.from_bytes(answer[40:44], "big")
    if answer[0] >> 6 == 3 or not 1 <= answer[1] <= 15 or not seconds:
        raise FieldError("", "server has no time")
    if not seconds & 0x80000000:
        seconds += _ERA_S  # section 3: from 2036-02-07 on
    return (seconds - _TO_UNIX_S) * 1000 + (int.from_bytes(answer[44:48], "big") * 1000 >> 32)


class TimeSync:
    """`settings`: server ("": none), port, interval_s; `on_time(epoch_ms)`; `log(level, text)`."""

    def __init__(self, settings: dict, clock, network, on_time, log) -> None:
        self._settings = settings
        self._clock = clock
        self._network = network
        self._on_time = on_time
        self._log = log

    async def run(self) -> None:
        """Asks at once, again soon while there is no answer, then every interval_s."""
        retry = _FIRST_RETRY_MS
        while self._settings["server"]:
            wait = retry
            if self._network.ready():
                retry = min(retry * 2, _LAST_RETRY_MS)
                try:
                    self._on_time(await self.ask())
                    wait = self._settings["interval_s"] * 1000
                    retry = _FIRST_RETRY_MS
                except (FieldError, OSError) as error:
                    self._log("warning", f"no time: {error}")
            await asyncio.sleep_ms(wait)

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
            sock.send(_REQUEST + nonce)
            answer = await _receive(sock)
            return transmit_ms(answer, nonce) + (self._clock.uptime_ms() - began) // 2
        finally:
            sock.close()


async def _receive(sock) -> bytes:
    for _ in range(_ANSWER_POLLS):
        try:
            return sock.recv(_SIZE + 20)
        except OSError as error:
            if error.errno != _EAGAIN:
                raise
        await asyncio.sleep_ms(_POLL_MS)
    raise OSError(_ETIMEDOUT)

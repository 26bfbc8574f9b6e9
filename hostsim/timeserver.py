"""An SNTP server on a loopback UDP port that tells the simulated world's time.

Source: RFC 4330, sections 3 and 4. At more than 1x the time runs on while the answer is under way;
a loopback round trip of 0.2 ms is 12 ms at x60.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, cast

from hostsim.clock import WorldClock

_TO_UNIX_S = 2_208_988_800
_HEADER = struct.Struct("!BBbbIII")
_STRATUM = 2
_REFERENCE = 0x4C4F434C  # "LOCL": an uncalibrated local clock


class TimeServer:
    """Answers on 127.0.0.1:`port` between `start()` and `stop()`. `silent` drops requests: a time
    server that is away."""

    def __init__(self, clock: WorldClock, port: int = 0) -> None:
        """`port` 0: a free one is chosen at the first start."""
        self.clock = clock
        self.port = port
        self.silent = False
        self.answers = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Bind the port. Raises OSError when it is taken."""
        if self._transport is None:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: _Protocol(self), local_addr=("127.0.0.1", self.port)
            )
            self.port = self._transport.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        """Close the port."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
            await asyncio.sleep(0)

    def answer(self, request: bytes) -> bytes | None:
        """The reply to one datagram; None for what is no client's request."""
        if self.silent or len(request) < 48 or request[0] & 7 != 3:
            return None
        self.answers += 1
        version = request[0] & 0x38
        now = ntp_time(self.clock.now_ms())
        head = _HEADER.pack(version | 4, _STRATUM, 6, -10, 0, 0, _REFERENCE)
        return head + now + request[40:48] + now + now


def ntp_time(epoch_ms: int) -> bytes:
    """Eight bytes: seconds since 1900 modulo 2^32, then the fraction."""
    seconds, ms = divmod(epoch_ms, 1000)
    return struct.pack("!II", (seconds + _TO_UNIX_S) & 0xFFFFFFFF, (ms << 32) // 1000)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: TimeServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        reply = self._server.answer(data)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)

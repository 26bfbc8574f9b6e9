"""A plain ECR for `zvt talk`: one command, and everything the terminal answers to it.

Works against a real terminal or the simulated one. Every answer of the terminal is acknowledged,
results included, so a payment made with it is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hostsim.line import BytePort, LineClosed
from hostsim.terminal import codec
from hostsim.terminal.faults import Faults
from hostsim.terminal.transport import BareLink, FramedLink, Link, NotDeliveredError, Timers

_LAST = (0x060F, 0x061E)
_ENDS_WITH_STATUS = (0x06C0,)
_NO_COMPLETION = (0x0602, 0x06B0)


class TalkError(Exception):
    """The terminal did not answer as a terminal does; the text says what to look at."""


class Ecr:
    """An ECR on a line; use as an async context."""

    def __init__(self, port: BytePort, *, framed: bool, patience_s: float = 180.0) -> None:
        """`patience_s` is T4: how long the terminal may be silent within a command."""
        self._port = port
        self._patience_s = patience_s
        self._link: Link = (FramedLink if framed else BareLink)(port, Timers(), Faults(), _ignore)
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Ecr:
        """Start reading."""
        self._pump = asyncio.create_task(self._link.pump())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        self._port.close()

    async def run(self, apdu: bytes) -> AsyncIterator[bytes]:
        """Send a command, give each APDU that comes back. Raises TalkError."""
        command = codec.split(apdu)[0]
        try:
            await self._link.send(apdu)
            answer = await self._next(self._link.timers.t3)
            yield answer
            if answer[0] == 0x84 or command in _NO_COMPLETION:
                return
            while True:
                answer = await self._next(self._patience_s)
                await self._link.send(codec.join(0x8000))
                yield answer
                code = int.from_bytes(answer[:2], "big")
                if code in _LAST or (command in _ENDS_WITH_STATUS and code == 0x040F):
                    return
        except (NotDeliveredError, LineClosed) as exc:
            raise TalkError(f"{exc}: is this the right port, and is the terminal on?") from exc

    async def _next(self, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                return await self._link.receive()
        except TimeoutError:
            raise TalkError(
                f"no answer within {seconds:g} s: is the terminal on, and the line right?"
            ) from None


def _ignore(kind: str, data: dict[str, object]) -> None:
    """The line's events are nobody's business here."""

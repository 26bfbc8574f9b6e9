"""The terminal's TCP port: one ECR at a time, the newest connection wins (a half-open old one
must not lock it out)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hostsim.line import StreamPort

if TYPE_CHECKING:
    from hostsim.terminal.pt import TerminalSim

DEFAULT_PORT = 20007


class TcpDoor:
    """A listening port of a terminal; `port` is the number it really has."""

    def __init__(self, sim: TerminalSim) -> None:
        """For this terminal; nothing is open yet."""
        self._sim = sim
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._all: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> None:
        """Listen; raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._connected, host, port)

    @property
    def port(self) -> int:
        """The port number."""
        if self._server is None:
            return 0
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        for task in list(self._all):
            task.cancel()
        await asyncio.gather(*self._all, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._talk(StreamPort(reader, writer), self._task))
        self._task = task
        self._all.add(task)
        task.add_done_callback(self._all.discard)

    async def _talk(self, port: StreamPort, earlier: asyncio.Task[None] | None) -> None:
        try:
            if earlier is not None and not earlier.done():
                earlier.cancel()
                await asyncio.wait({earlier})
            if self._sim.powered:
                self._sim.tell("line", {"what": "connected"})
                await self._sim.serve(port, framed=False)
        finally:
            await port.hang_up()

"""uvicorn inside the simulator's own loop."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

_GOODBYE_S = 2
_MAX_MESSAGE = 64 * 1024


class PortInUseError(OSError):
    """The port is taken; str() says which and what to do."""

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        super().__init__(
            f"Port {port} on {host} is in use by another program (another simulator, perhaps). "
            f"Stop that one, or choose another port with --port {port + 1}."
        )


PortInUse = PortInUseError


class _Server(uvicorn.Server):
    """Leaves the signals to the process that runs the whole simulation."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 8080,
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Serve until cancelled; closes all connections then. `on_ready` gets the port once it listens
    (port 0: any).

    Raises PortInUse.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # whoever sends them says what they like
        lifespan="on",
        ws_max_size=_MAX_MESSAGE,
        timeout_graceful_shutdown=_GOODBYE_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="front")
    try:
        if on_ready is not None:
            on_ready(listener.getsockname()[1])
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await task
        raise
    finally:
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(host, port) from error
        raise
    return listener

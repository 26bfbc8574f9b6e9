"""`python -m hostsim run`: the world with its front on a loopback address, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
from pathlib import Path
from typing import IO

from rich.console import Console

from hostsim.broker import BrokerError
from hostsim.charger import ChargerError
from hostsim.front.app import PortInUseError, create_app
from hostsim.front.app import serve as serve_page
from hostsim.world import Options, World, WorldError

_console = Console(stderr=True)
_BOOKS_EVERY_S = 2.0


async def serve_world(world: World, port: int) -> None:
    """The front page of a started world, until cancelled. Raises PortInUseError."""
    assert world.back_office
    app = create_app(world, [world.back_office.web()])
    books = asyncio.create_task(_keep_books(world))
    try:
        await serve_page(app, port=port)
    finally:
        books.cancel()


async def _keep_books(world: World) -> None:
    """The three books side by side on the page."""
    while True:
        await asyncio.to_thread(world.compare_books)
        await asyncio.sleep(_BOOKS_EVERY_S)


def _lock(directory: Path) -> IO[str]:
    directory.mkdir(parents=True, exist_ok=True)
    lock = (directory / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorldError(f"{directory} is in use by another run; stop that one or give --dir") from None
    return lock


async def serve(options: Options, port: int, fresh: bool) -> int:
    """Starts everything, prints the address, waits for the end; the exit code."""
    lock: IO[str] | None = None
    world: World | None = None
    try:
        lock = _lock(options.directory)
        if fresh:
            _forget(options.directory)
        options.receipt_url = f"http://127.0.0.1:{port}/backoffice/r/"
        with _console.status("starting ...") as status:
            world = World(options, lambda text: status.update(f"starting: {text} ..."))
            await world.start()
            await world.until(lambda: world.state != "" if world else False, 60, "the charger to start")
        page = asyncio.create_task(serve_world(world, port))
        await asyncio.sleep(0.5)
        if not page.done():
            _console.print(f"\n  The charger's front: [bold]http://127.0.0.1:{port}/[/]")
            _console.print(f"  The back office:     http://127.0.0.1:{port}/backoffice/")
            _console.print("  Ctrl-C ends everything.\n")
        await page
    except asyncio.CancelledError:
        _console.print("\nstopping ...")
    except (WorldError, BrokerError, ChargerError, PortInUseError) as e:
        _console.print(f"[bold red]forecourt:[/] {e}", highlight=False)
        return 1
    finally:
        if world:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(world.stop())
        if lock:
            lock.close()
    return 0


def _forget(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.name == ".lock":
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()

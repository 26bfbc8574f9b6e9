"""`python -m hostsim run`: the world with its front on a loopback address, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import shutil
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from fastapi import FastAPI
from rich.console import Console

from hostsim.backoffice.accounts import logins, passwords, people
from hostsim.backoffice.phone import pays
from hostsim.backoffice.web import create_app as backoffice_app
from hostsim.broker import BrokerError
from hostsim.charger import ChargerError
from hostsim.front.app import PortInUseError, create_app
from hostsim.front.app import serve as serve_page
from hostsim.gateway.peer import PeerError
from hostsim.world import Options, World, WorldError

DEMO_PERSON = "demo"
_HOST = "127.0.0.1"
_BOOKS_EVERY_S = 1.0
_KEPT = ("charger", "broker", "pki", "gateway")
_FILES = ("terminal.json", "meter.json", "clock.json", "backoffice.db")

_console = Console(stderr=True)


def page_of(world: World) -> FastAPI:
    """The front of a started world, with its back office at /backoffice."""
    assert world.back_office
    return create_app(world, [backoffice_app(world.back_office)])


def pages_url(port: int) -> str:
    """Where the back office's pages are."""
    return f"http://{_HOST}:{port}/backoffice"


def receipt_url(port: int) -> str:
    """What stands before <charger>/<receipt number>/<total> in the QR code of a receipt."""
    return pages_url(port) + "/r/"


@contextlib.asynccontextmanager
async def books_kept(world: World) -> AsyncIterator[None]:
    """The three books side by side in the world's snapshot, compared when one of them changed."""
    task = asyncio.create_task(_keep_books(world), name="books")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep_books(world: World) -> None:
    seen: object = None
    while True:
        state = (_stamp(world), world.synced(), _being_paid(world))
        if state != seen:
            found = await asyncio.to_thread(world.compare_books)
            if not found["agree"] and (not world.synced() or _being_paid(world)):
                found["agree"] = None  # one of them cannot know yet
            # The stamp may be ahead of a database's commit: a difference is looked at again.
            seen = None if found["agree"] is False else state
        await asyncio.sleep(_BOOKS_EVERY_S)


def _being_paid(world: World) -> bool:
    """A payment by phone is not at its end."""
    assert world.back_office
    return bool(pays.still_open(world.back_office.engine, world.charger_id))


def _stamp(world: World) -> tuple[int, ...]:
    """Changes whenever one of the books has."""
    assert world.back_office
    flash = world.files / "flash.bin"
    gateway = world.site.gateway
    return (
        gateway.faults.asked_for_money if gateway is not None else 0,
        flash.stat().st_mtime_ns if flash.exists() else 0,
        world.back_office.ingest.stored,
        *world.terminal_totals().values(),
    )


def _lock(directory: Path) -> IO[str]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("w")
    except OSError as e:
        raise WorldError(f"--dir {directory}: {e.strerror}") from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise WorldError(
            f"{directory} is in use by another run; stop that one or give another --dir"
        ) from None
    return lock


def _free_port(port: int) -> int:
    """The port itself when it is free; for 0 one that is. Raises PortInUseError.

    Asked before anything is started; the page takes it for good when the charger is up.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as e:
            if e.errno == errno.EADDRINUSE:
                raise PortInUseError(_HOST, port) from e
            raise WorldError(f"--port {port}: {e.strerror}") from e
        chosen: int = probe.getsockname()[1]
        return chosen


async def serve(options: Options, port: int, fresh: bool) -> int:
    """Starts everything, prints the address, waits for the end; the exit code."""
    try:
        async with contextlib.AsyncExitStack() as undo:
            port = _free_port(port)
            undo.callback(_lock(options.directory).close)
            if fresh:
                forget(options.directory)
            options.receipt_url = receipt_url(port)
            options.gateway, options.pages_url = True, pages_url(port)
            await _serve(options, port, undo)
    except asyncio.CancelledError:
        _console.print("stopped; nothing is left running.")
    except (WorldError, BrokerError, ChargerError, PeerError, PortInUseError) as e:
        _console.print(f"[bold red]forecourt:[/] {e}", highlight=False, soft_wrap=True)
        return 1
    return 0


async def _serve(options: Options, port: int, undo: contextlib.AsyncExitStack) -> None:
    began = time.monotonic()

    def tell(text: str) -> None:
        _console.print(f"  {time.monotonic() - began:5.1f} s  {text}", highlight=False)

    world = World(options, tell)
    undo.push_async_callback(_stop, world)
    await world.start()
    await world.until(lambda: world.state != "" or bool(world.refusal), 60, "the charger to start")
    tell(f"the charger says: {world.refusal}" if world.refusal else "the charger is up")
    await undo.enter_async_context(books_kept(world))
    password = await asyncio.to_thread(demo_login, world)
    await serve_page(page_of(world), _HOST, port, on_ready=lambda at: _say_where(at, password))


def demo_login(world: World) -> str:
    """A throw-away log-in to the desk; its password, new at every start."""
    assert world.back_office
    password = passwords.generated()
    people.put(world.back_office.engine, DEMO_PERSON, "admin", password, logins.now_ms())
    return password


async def _stop(world: World) -> None:
    """Also when a second Ctrl-C comes meanwhile: what was started is ended first."""
    stopping = asyncio.ensure_future(world.stop())
    while not stopping.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(stopping)
    stopping.result()


def _say_where(port: int, password: str) -> None:
    _console.print(f"\n  The charger's front: [bold]http://{_HOST}:{port}/[/]", highlight=False)
    _console.print(f"  The back office:     http://{_HOST}:{port}/backoffice/", highlight=False)
    _console.print(f"  log in there as      {DEMO_PERSON}  {password}", highlight=False)
    _console.print("  Ctrl-C ends everything.\n", highlight=False)


def forget(directory: Path) -> None:
    """Removes what earlier runs left in a run's directory, and nothing else."""
    for name in _KEPT:
        shutil.rmtree(directory / name, ignore_errors=True)
    for entry in directory.iterdir():
        if entry.name.startswith(_FILES):
            entry.unlink()

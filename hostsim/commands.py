"""The commands that need the whole world: run, demo, reconcile, bench.

The parts bring their own: terminal, meter, price, backoffice.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from hostsim.setup import BUILD

INTERRUPTED = 130
_T = TypeVar("_T")
_err = Console(stderr=True)

_Tariff = Annotated[
    Path | None, typer.Option(help="An OCPI tariff as JSON; default: the simulator's own.")
]
_Hold = Annotated[
    int, typer.Option(help="Amount to pre-authorise, minor units.", min=1, max=999_999)
]
_Speed = Annotated[int, typer.Option(help="Charger time per real time, 1 to 60.", min=1, max=60)]
_Rom = Annotated[bool, typer.Option("--rom", help="Code from a ROMFS image and a 96 KB heap.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def fail(text: str, code: int = 1) -> typer.Exit:
    """Says why on standard error; raise what it gives."""
    _err.print("[bold red]forecourt:[/] ", end="")
    _err.print(text, highlight=False, markup=False, soft_wrap=True)
    return typer.Exit(code)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(run)
    app.command()(demo)
    app.command()(reconcile)
    app.command()(bench)


def run_to_end(main: Coroutine[Any, Any, _T]) -> _T:
    """asyncio.run that ends in order at SIGTERM as at Ctrl-C; KeyboardInterrupt for both."""
    try:
        return asyncio.run(_stoppable(main))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _stoppable(main: Coroutine[Any, Any, _T]) -> _T:
    """Also where the shell made the process ignore SIGINT (a job in the background)."""
    task = asyncio.current_task()
    assert task
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await main


def _tariff_text(path: Path | None) -> str | None:
    """The file's text, when the firmware would sell by it; else the end, with the field's name."""
    from hostsim import tariffcheck
    from hostsim.pricing.cli import PriceError

    if path is None:
        return None
    try:
        text = path.read_text()
        why = tariffcheck.refusal(path.resolve())
    except (OSError, UnicodeDecodeError) as e:
        raise fail(f"--tariff {path}: {e}", 2) from e
    except PriceError as e:
        raise fail(str(e)) from e
    if why:
        raise fail(f"--tariff {path}: {why}", 2)
    return text


def demo(
    card: Annotated[str, typer.Option(help="Card to tap; `terminal --help` lists them.")] = "visa",
    tariff: _Tariff = None,
    kwh: Annotated[
        float, typer.Option(help="Energy the car wants, kWh.", min=0.01, max=100)
    ] = 2.0,
    hold: _Hold = 6000,
    speed: _Speed = 60,
    seed: Annotated[
        int, typer.Option(help="Seed of everything random, and of the time of day.")
    ] = 1,
    at: Annotated[
        str, typer.Option("--time", help="Time of day, HH:MM (UTC, today); default: the seed's.")
    ] = "",
    refund: Annotated[
        int, typer.Option(help="Minor units to give back afterwards; 0: all.", min=-1)
    ] = -1,
    method: Annotated[
        str, typer.Option(help="card, or qr: the driver's phone pays at the gateway.")
    ] = "card",
    rom: _Rom = False,
    as_json: _Json = False,
) -> None:
    """Plays one session headless on the real firmware: the driver's receipt, the three books (the
    gateway's as the fourth with --method qr).

    Exit code 0 only when the books agree; 1 when they do not or the session did not come to its
    end, 2 for a bad option or tariff.
    """
    from hostsim import demo as demo_module
    from hostsim.rfid import RFID_CARDS
    from hostsim.terminal.cards import CARDS
    from hostsim.world import Options

    if card not in CARDS and card not in RFID_CARDS:
        raise fail(f"--card {card}: there are {', '.join([*CARDS, *RFID_CARDS])}", 2)
    if method not in demo_module.METHODS:
        raise fail(f"--method {method}: there are {', '.join(demo_module.METHODS)}", 2)
    try:
        start_ms = demo_module.start_ms(seed, at)
    except ValueError as e:
        raise fail(f"--time {at}: {e}", 2) from e
    text = _tariff_text(tariff)
    with demo_module.temporary() as directory:
        options = Options(
            Path(directory),
            rom=rom,
            speed=speed,
            hold_minor=hold,
            tariff=text,
            wanted_wh=round(kwh * 1000),
            seed=seed,
            start_epoch_ms=start_ms,
            gateway=method == "qr",
            rfid=card in RFID_CARDS,
        )
        result, receipt = _play(options, card, as_json, refund)
    if as_json:
        print(json.dumps(result))
    else:
        demo_module.show(result, receipt)
    if not result["books_agree"]:
        raise fail("the books do not agree: " + "; ".join(result["books"]["differences"]))


def _play(
    options: Any, card: str, quiet: bool, refund: int
) -> tuple[dict[str, Any], list[str]]:
    from hostsim import demo as demo_module
    from hostsim.broker import BrokerError
    from hostsim.charger import ChargerError
    from hostsim.gateway.peer import PeerError
    from hostsim.world import WorldError

    try:
        if quiet:
            return run_to_end(demo_module.play(options, card, lambda text: None, refund))
        with _err.status("starting") as status:
            return run_to_end(
                demo_module.play(
                    options, card, lambda text: status.update(f"{text} ..."), refund
                )
            )
    except (WorldError, BrokerError, ChargerError, PeerError) as e:
        raise fail(str(e)) from e
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def run(
    port: Annotated[
        int, typer.Option(help="Port of the charger's front (loopback).", min=0, max=65535)
    ] = 8080,
    speed: _Speed = 1,
    tariff: _Tariff = None,
    hold: _Hold = 6000,
    rom: _Rom = False,
    rfid: Annotated[
        bool, typer.Option("--rfid", help="With an RFID reader and members' cards to tap.")
    ] = False,
    directory: Annotated[
        Path, typer.Option("--dir", help="Where ledger, books and database are kept.")
    ] = BUILD / "run",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget everything of earlier runs first.")
    ] = False,
) -> None:
    """The charger live, with its front on a web page. Ctrl-C ends everything."""
    from hostsim import live
    from hostsim.world import Options

    options = Options(
        directory, rom=rom, speed=speed, hold_minor=hold, tariff=_tariff_text(tariff), rfid=rfid
    )
    try:
        code = run_to_end(live.serve(options, port, fresh))
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


def reconcile(
    directory: Annotated[
        Path, typer.Argument(help="Directory of a world, as `run --dir` keeps it.")
    ] = BUILD / "run",
    as_json: _Json = False,
) -> None:
    """Compares the books of a world: charger's ledger, terminal's, back office's; and the payment
    gateway's where one took part.

    Exit code 0: they agree to the cent; 1: they differ; 2: there are no books.
    """
    from hostsim import books
    from hostsim.gateway.peer import PeerError
    from hostsim.terminal.books import BooksError

    try:
        result = books.of_directory(directory)
    except (OSError, ValueError, BooksError, PeerError) as e:
        raise fail(f"{directory}: {e}", 2) from e
    if as_json:
        print(json.dumps(result))
    else:
        books.show(result)
    if not result["agree"]:
        raise typer.Exit(1)


def bench(
    rom: _Rom = False,
    only: Annotated[
        str,
        typer.Option(
            help="Parts with commas between: charger, memory, pricing, modbus, flash, drain. The"
            " drain alone is of 1,000 sessions (some six minutes), else of 200."
        ),
    ] = "",
    as_json: _Json = False,
) -> None:
    """Measures the charger, as ratios to the physical limit or a peer; writes build/bench.json."""
    from hostsim.bench import measure, report

    parts = tuple(word.strip() for word in only.split(",") if word.strip()) or measure.PARTS
    for part in parts:
        if part not in measure.PARTS:
            raise fail(f"--only {part}: there are {', '.join(measure.PARTS)}", 2)
    try:
        found = run_to_end(
            measure.everything(rom, lambda text: _err.print(f"  {text} ..."), parts)
        )
    except measure.ERRORS as e:
        raise fail(str(e)) from e
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if parts == measure.PARTS:
        report.write(found)
        _err.print(f"written to {report.FILE}", highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(found))
    else:
        report.show(found)
    if found.get("drain", {}).get("failures"):
        raise fail("the drain: " + "; ".join(found["drain"]["failures"]))

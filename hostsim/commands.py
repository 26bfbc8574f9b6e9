"""The commands that need the whole world: run, demo, reconcile. The parts bring their own (terminal, meter, price, ...)."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hostsim.setup import BUILD

_err = Console(stderr=True)


def fail(text: str, code: int = 1) -> typer.Exit:
    """Says why on standard error; raise what it gives."""
    _err.print(f"[bold red]forecourt:[/] {text}", highlight=False)
    return typer.Exit(code)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(run)
    app.command()(demo)
    app.command()(reconcile)


def _tariff_text(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as e:
        raise fail(f"--tariff {path}: {e}", 2) from e


def demo(
    card: Annotated[str, typer.Option(help="Card to tap; `terminal --help` lists them.")] = "visa",
    tariff: Annotated[Path | None, typer.Option(help="An OCPI tariff as JSON; default: the simulator's own.")] = None,
    kwh: Annotated[float, typer.Option(help="Energy the car wants, kWh.", min=0.01, max=50)] = 2.0,
    hold: Annotated[int, typer.Option(help="Amount to pre-authorise, minor units.", min=1)] = 6000,
    speed: Annotated[int, typer.Option(help="Charger time per real time, 1 to 60.", min=1, max=60)] = 60,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 1,
    rom: Annotated[bool, typer.Option("--rom", help="Code from a ROMFS image and a 96 KB heap.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Plays one session headless on the real firmware and prints the driver's receipt and the three books.

    Exit code 0 only when the three books agree.
    """
    from hostsim import demo as demo_module
    from hostsim.terminal.cards import CARDS
    from hostsim.world import Options

    if card not in CARDS:
        raise fail(f"--card {card}: there are {', '.join(CARDS)}", 2)
    text = _tariff_text(tariff)
    with demo_module.temporary() as directory:
        options = Options(Path(directory), rom=rom, speed=speed, hold_minor=hold, tariff=text,
                          wanted_wh=round(kwh * 1000), seed=seed)  # fmt: skip
        result, receipt = _play(options, card, as_json)
    if as_json:
        print(json.dumps(result))
    else:
        demo_module.show(result, receipt)
    if not result["books_agree"]:
        raise fail("the three books do not agree: " + "; ".join(result["books"]["differences"]))


def _play(options: Any, card: str, quiet: bool) -> tuple[dict[str, Any], list[str]]:
    from hostsim import demo as demo_module
    from hostsim.broker import BrokerError
    from hostsim.charger import ChargerError
    from hostsim.world import WorldError

    try:
        if quiet:
            return asyncio.run(demo_module.play(options, card, lambda text: None))
        with _err.status("starting") as status:
            return asyncio.run(demo_module.play(options, card, lambda text: status.update(f"{text} ...")))
    except (WorldError, BrokerError, ChargerError) as e:
        raise fail(str(e)) from e


def run(
    port: Annotated[int, typer.Option(help="Port of the charger's front (loopback).", min=0, max=65535)] = 8080,
    speed: Annotated[int, typer.Option(help="Charger time per real time, 1 to 60.", min=1, max=60)] = 1,
    tariff: Annotated[Path | None, typer.Option(help="An OCPI tariff as JSON; default: the simulator's own.")] = None,
    hold: Annotated[int, typer.Option(help="Amount to pre-authorise, minor units.", min=1)] = 6000,
    rom: Annotated[bool, typer.Option("--rom", help="Code from a ROMFS image and a 96 KB heap.")] = False,
    directory: Annotated[Path, typer.Option("--dir", help="Where ledger, books and database are kept.")] = BUILD / "run",
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget everything of earlier runs first.")] = False,
) -> None:
    """The charger live, with its front on a web page. Ctrl-C ends everything."""
    from hostsim import live
    from hostsim.world import Options

    options = Options(directory, rom=rom, speed=speed, hold_minor=hold, tariff=_tariff_text(tariff))
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        code = asyncio.run(live.serve(options, port, fresh))
    except KeyboardInterrupt:
        code = 0
        _err.print("stopped.")
    sys.exit(code)


def reconcile(
    directory: Annotated[Path, typer.Argument(help="Directory of a world, as `run --dir` keeps it.")] = BUILD / "run",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compares the three books of a world: charger's ledger, terminal's own, back office's. Exit code 1: they differ."""
    from hostsim import books

    try:
        result = books.of_directory(directory)
    except (OSError, ValueError) as e:
        raise fail(f"{directory}: {e}", 2) from e
    if as_json:
        print(json.dumps(result))
    else:
        books.show(result)
    if not result["agree"]:
        raise typer.Exit(1)

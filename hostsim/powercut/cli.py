"""`python -m hostsim powercut`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

_err = Console(stderr=True)
_TELL_EVERY_S = 10  # where no bar can be drawn


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(powercut)


def powercut(
    every_byte: Annotated[
        bool, typer.Option("--every-byte", help="Every cut there is (the default).")
    ] = False,
    sample: Annotated[
        int, typer.Option(help="So many cuts, drawn by the seed, instead of all (0).", min=0)
    ] = 0,
    double: Annotated[
        bool, typer.Option("--double", help="Cut again while the charger recovers.")
    ] = False,
    actions: Annotated[
        bool, typer.Option("--actions", help="Only between actions, not inside flash writes.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Draws the sample and the lengths of the cuts.")] = 1,
    jobs: Annotated[int, typer.Option(help="Branches at a time.", min=1, max=64)] = 2,
    extend: Annotated[
        bool, typer.Option("--extend", help="The hold is too small and is extended.")
    ] = False,
    day: Annotated[
        bool, typer.Option("--day", help="The terminal's day ends after the session.")
    ] = False,
    keeps: Annotated[
        bool,
        typer.Option(
            "--keeps",
            help="The terminal keeps a reservation nobody acknowledged; longer darkness.",
        ),
    ] = False,
    replay: Annotated[str, typer.Option(help="One branch by its name, such as c113.7.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """A session of the real firmware in virtual time, cut at every byte of every flash write and
    between any two actions; after each cut terminal, meter and back office go on with what they
    know and all five invariants are checked. Exit code 0: no failure; 1: failures; 2: wrong usage.
    """
    from hostsim.powercut.cuts import SELL, parse
    from hostsim.powercut.ground import Wanted
    from hostsim.powercut.worker import FoundryError

    if every_byte and sample:
        raise _fail("--every-byte and --sample exclude each other", 2)
    if replay and sample:
        raise _fail("--replay and --sample exclude each other", 2)
    try:
        cuts = parse(replay.removesuffix(SELL)) if replay else []
    except ValueError as e:
        raise _fail(f"--replay: {e}", 2) from e
    again = replay.endswith(SELL)
    wanted = Wanted(sample, seed, double, not actions, True, jobs, cuts, again, extend, day, keeps)
    try:
        with tempfile.TemporaryDirectory(prefix="forecourt-powercut-") as directory:
            done = _replayed(Path(directory), wanted) if cuts else _run(Path(directory), wanted)
    except FoundryError as e:
        raise _fail(str(e)) from e
    if as_json:
        sys.stdout.write(json.dumps(done) + "\n")
    else:
        _show(done)
    raise typer.Exit(1 if done["failures"] else 0)


def _fail(text: str, code: int = 1) -> typer.Exit:
    _err.print(f"[bold red]forecourt:[/] {text}", highlight=False, soft_wrap=True)
    return typer.Exit(code)


def _run(directory: Path, wanted: Any) -> dict[str, Any]:
    from hostsim.powercut.campaign import Campaign
    from hostsim.powercut.ground import Ground

    ground = Ground(directory, wanted)
    try:
        with Progress(console=_err, transient=True) as bar:
            task = bar.add_task("cuts", total=None)
            told = time.monotonic()

            def tell(done: int, of: int, line: dict[str, Any]) -> None:
                nonlocal told
                bar.update(task, completed=done, total=of)
                if not _err.is_terminal and time.monotonic() - told > _TELL_EVERY_S:
                    told = time.monotonic()
                    _err.print(f"powercut: {done} of {of} cuts", highlight=False)
                if line["failures"]:
                    bar.console.print(f"✘ {line['cut']} {line['failures'][0]}", soft_wrap=True)

            report = Campaign(ground, wanted).run(tell)
    finally:
        ground.foundry.close()
    options = f" --seed {wanted.seed}" + ("" if wanted.flash else " --actions")
    options += " --extend" * wanted.extend + " --day" * wanted.day + " --keeps" * wanted.keeps
    for entry in report.failed:
        entry["replay"] = (
            entry["cut"] and f"python -m hostsim powercut --replay {entry['cut']}{options}"
        )
    return {
        "cuts": report.cuts,
        "failures": len(report.failed),
        **report.figures,
        "books": report.books,
        "same": report.same,
        "second_cuts": report.second,
        "sold_again": report.resold,
        "places": report.kinds,
        "seconds": round(report.took_s, 1),
        "failed": report.failed,
    }


def _replayed(directory: Path, wanted: Any) -> dict[str, Any]:
    from hostsim.powercut.campaign import replay
    from hostsim.powercut.ground import Ground

    ground = Ground(directory, wanted)
    try:
        run, verdict = replay(ground, wanted)
    finally:
        ground.foundry.close()
    if len(run.cuts) < len(wanted.replay):
        raise _fail(f"there is no such moment: {wanted.replay[len(run.cuts)]}", 2)
    name = "/".join(map(str, run.cuts))
    failed = [{"cut": name, "failures": verdict.failures}] if verdict.failures else []
    return {
        "cuts": len(run.cuts),
        "failures": len(failed),
        **verdict.figures(),
        "books": verdict.books,
        "failed": failed,
        "log": run.world.log,
        "written": [f"{seq} {kind}" for seq, kind, _ in run.world.written],
    }


def _show(done: dict[str, Any]) -> None:
    console = Console()
    for name, value in done.items():
        if name not in ("failed", "places", "books"):
            console.print(f"{name:>18}  {value}", highlight=False, soft_wrap=True)
    for what, count in done.get("places", {}).items():
        console.print(f"{what:>18}  {count}", highlight=False)
    for entry in done["failed"]:
        console.print(
            f"[red]✘[/] {entry.get('replay') or entry['cut'] or 'without any cut'}", soft_wrap=True
        )
        for text in entry["failures"]:
            console.print(f"    {text}", highlight=False, markup=False, soft_wrap=True)
    if not done["failures"]:
        console.print("[green]✔ all five invariants hold after every cut[/]")

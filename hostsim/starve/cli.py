"""`python -m hostsim starve`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

_err = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(starve)


def starve(
    every: Annotated[
        bool, typer.Option("--every", help="Each statement that runs (days of work).")
    ] = False,
    sample: Annotated[
        int, typer.Option(help="So many statements of the session, drawn by the seed.", min=0)
    ] = 0,
    seed: Annotated[int, typer.Option(help="Draws the sample.")] = 1,
    jobs: Annotated[int, typer.Option(help="Branches at a time.", min=1, max=64)] = 2,
    replay: Annotated[str, typer.Option(help="One branch by its name, such as 1234.8.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """A session of the real firmware in virtual time in which no memory can be had any more from
    one statement on: each line that runs once (the default), each statement, or a sample. The
    charger has to come back by itself and all five invariants to hold. Exit code 0: no failure;
    1: failures; 2: wrong usage.
    """
    from hostsim.powercut.worker import FoundryError
    from hostsim.setup.progress import SetupError
    from hostsim.starve.campaign import Choice, parse

    if every and sample:
        raise _fail("--every and --sample exclude each other", 2)
    try:
        only = [parse(replay)] if replay else []
    except ValueError as e:
        raise _fail(f"--replay: {e}", 2) from e
    choice = Choice(sample, seed, not every and not sample, jobs, only)
    try:
        with tempfile.TemporaryDirectory(prefix="forecourt-starve-") as directory:
            done = _done(Path(directory), choice)
    except (FoundryError, SetupError) as e:
        raise _fail(str(e)) from e
    if as_json:
        sys.stdout.write(json.dumps(done) + "\n")
    else:
        _show(done)
    raise typer.Exit(1 if done["failures"] else 0)


def _fail(text: str, code: int = 1) -> typer.Exit:
    _err.print(f"[bold red]forecourt:[/] {text}", highlight=False, soft_wrap=True)
    return typer.Exit(code)


def _done(directory: Path, choice: Any) -> dict[str, Any]:
    from hostsim.starve.campaign import MarkedGround

    ground = MarkedGround(directory)
    try:
        return _replayed(ground, choice) if choice.replay else _run(ground, choice)
    finally:
        ground.foundry.close()


def _run(ground: Any, choice: Any) -> dict[str, Any]:
    from hostsim.starve.campaign import HungerCampaign

    campaign = HungerCampaign(ground, choice)
    with Progress(console=_err, transient=True) as bar:
        task = bar.add_task("branches", total=None)

        def tell(done: int, of: int, line: dict[str, Any]) -> None:
            bar.update(task, completed=done, total=of)
            if line["failures"]:
                text = f"✘ {line['cut']} at {line['what']}: {line['failures'][0]}"
                bar.console.print(text, soft_wrap=True)

        report = campaign.run(tell)
    for entry in report.failed:
        entry["replay"] = f"python -m hostsim starve --replay {entry['cut']} --seed {choice.seed}"
    return {
        "branches": report.cuts,
        "failures": len(report.failed),
        **report.figures,
        "books": report.books,
        "sold_again": report.resold,
        "statements": campaign.statements,
        "lines": len(report.kinds),
        "seconds": round(report.took_s, 1),
        "failed": report.failed,
    }


def _replayed(ground: Any, choice: Any) -> dict[str, Any]:
    from hostsim.starve.campaign import replay

    run, verdict = replay(ground, choice.replay[0], choice.seed)
    if not run.cuts:
        raise _fail(f"there is no such statement: {choice.replay[0]}", 2)
    cut, where = str(run.cuts[0]), run.cuts[0].what
    failed = [{"cut": cut, "what": where, "failures": verdict.failures}]
    return {
        "branches": 1,
        "failures": len(verdict.failures),
        **verdict.figures(),
        "where": where,
        "resets": run.world.resets,
        "watchdog": run.bites,
        "failed": failed if verdict.failures else [],
        "log": run.world.log,
        "written": [f"{seq} {kind}" for seq, kind, _ in run.world.written],
        "firmware": ground.foundry.said(),
    }


def _show(done: dict[str, Any]) -> None:
    console = Console()
    for name, value in done.items():
        if name not in ("failed", "books"):
            console.print(f"{name:>18}  {value}", highlight=False, markup=False, soft_wrap=True)
    for entry in done["failed"]:
        head = f"{entry.get('replay', entry['cut'])} ({entry['what']})"
        console.print(f"[red]✘[/] {head}", soft_wrap=True)
        for text in entry["failures"]:
            console.print(f"    {text}", highlight=False, markup=False, soft_wrap=True)
    if not done["failures"]:
        console.print("[green]✔ the charger came back and all five invariants hold[/]")

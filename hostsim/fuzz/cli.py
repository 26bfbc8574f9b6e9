"""`python -m hostsim fuzz`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hostsim import commands
from hostsim.fuzz import run

_SAMPLE = 20  # one input in so many also on MicroPython


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(fuzz)


def fuzz(
    parser: Annotated[
        str, typer.Option(help=f"One of {', '.join(run.parsers())}; all when not given.")
    ] = "",
    inputs: Annotated[int, typer.Option(help="Generated inputs a parser.", min=1)] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 1,
    on: Annotated[
        str, typer.Option(help="cpython, micropython, or both: there a twentieth.")
    ] = "both",
    replay: Annotated[
        Path | None, typer.Option(help="Run the one input in this file (hex) and show the error.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Feeds generated inputs to the firmware's parsers: only the declared errors may come out.

    CPython is guided by the lines that inputs reach, MicroPython runs blind. Of `orders` a tenth
    of the inputs is made, of `desk`, the back office's side (CPython only), a hundredth. Exit
    code 0: nothing else came out; 1: something did, each with the command that shows it; 2: a bad
    option.
    """
    chosen = _chosen(parser, on)
    if replay is not None:
        raise typer.Exit(_replay(chosen, on, replay, seed))
    tasks = [
        run.Task(name, where, _some(inputs, name, where != on and where != "cpython"), seed)
        for where in (("cpython", "micropython") if on == "both" else (on,))
        for name in chosen
        if where == "cpython" or name not in run.ON_CPYTHON
    ]
    try:
        found = commands.run_to_end(run.campaign(tasks, os.cpu_count() or 1, _tell))
    except* (run.FuzzError, OSError) as e:
        raise commands.fail("; ".join(str(part) for part in e.exceptions)) from e
    failures = [
        {"parser": one["parser"], "on": one["on"], **f} for one in found for f in one["failures"]
    ]
    if as_json:
        print(json.dumps({"parsers": found, "failures": failures, "seed": seed}))
    else:
        _show(found)
    for failure in failures:
        sys.stderr.write(
            f"{failure['parser']} on {failure['on']}: {failure['error']} ({failure['at']})\n"
            f"  {failure['replay']}\n"
        )
    raise typer.Exit(1 if failures else 0)


def _some(inputs: int, parser: str, sample: bool) -> int:
    """As many as are wanted, fewer of what is slow and on the second interpreter."""
    return max(1, inputs // run.SLOW.get(parser, 1) // (_SAMPLE if sample else 1))


def _chosen(parser: str, on: str) -> tuple[str, ...]:
    there = run.parsers()
    if parser and parser not in there:
        raise commands.fail(f"--parser {parser}: there are {', '.join(there)}", 2)
    if on == "micropython" and parser in run.ON_CPYTHON:
        raise commands.fail(f"--parser {parser}: only --on cpython", 2)
    if on not in ("cpython", "micropython", "both"):
        raise commands.fail(f"--on {on}: must be cpython, micropython or both", 2)
    return (parser,) if parser else there


def _replay(chosen: tuple[str, ...], on: str, path: Path, seed: int) -> int:
    if len(chosen) != 1:
        raise commands.fail("--replay needs --parser", 2)
    try:
        bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as e:
        raise commands.fail(f"--replay {path}: {e}", 2) from e
    where = "cpython" if on == "both" else on
    task = run.Task(chosen[0], where, 1, seed)
    code, said = commands.run_to_end(run.replay(task, path.absolute()))
    print(said)
    return 1 if code else 0


def _tell(one: dict[str, Any]) -> None:
    lines = f", {one['lines']} of {one['of_lines']} lines" if "lines" in one else ""
    sys.stderr.write(
        f"fuzz: {one['parser']} on {one['on']}: {one['inputs']} inputs in {one['seconds']} s,"
        f" {one['accepted']} accepted{lines}, {len(one['failures'])} failures\n"
    )


def _show(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Only declared errors came out" if not any(
        one["failures"] for one in found) else "Undeclared errors came out")  # fmt: skip
    for title in ("parser", "on", "inputs", "accepted", "refused", "lines", "failures"):
        table.add_column(title, justify="left" if title in ("parser", "on") else "right")
    for one in found:
        refused = sum(one["refused"].values())
        lines = f"{one['lines']}/{one['of_lines']}" if "lines" in one else ""
        table.add_row(one["parser"], one["on"], str(one["inputs"]), str(one["accepted"]),
                      str(refused), lines, str(len(one["failures"])))  # fmt: skip
    Console().print(table)

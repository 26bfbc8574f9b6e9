"""`python -m hostsim meter` and `meters`: a simulated meter, and what the firmware can read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from hostsim.clock import WorldClock
from hostsim.line import LineError, SerialPort
from hostsim.meter.faults import FAULTS, FaultError, parse
from hostsim.meter.models import models
from hostsim.meter.sim import MeterSim
from hostsim.setup import MICROPYTHON, ROOT

_ORDER = (
    "model title function_code import_register import_type word_order import_scale_wh"
    " power_register power_function_code power_type resolution_wh serial_register serial_default"
    " serial_default_stated unit requests source"
).split()


def listing() -> list[dict[str, object]]:
    """The firmware's profiles, read by MicroPython from the firmware's own table.

    Raises RuntimeError when MicroPython is not there or the table cannot be read.
    """
    script = Path(__file__).with_name("profiles_mpy.py")
    try:
        done = subprocess.run(
            [str(MICROPYTHON), str(script)],
            env={"MICROPYPATH": f"{ROOT}:.frozen"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except OSError as exc:
        raise RuntimeError(f"MicroPython is not there ({exc.strerror}): run `make setup`") from exc
    if done.returncode:
        raise RuntimeError(f"the firmware's table cannot be read: {done.stderr.strip()[-200:]}")
    return [_entry(found) for found in json.loads(done.stdout)]


def _entry(found: dict[str, Any]) -> dict[str, object]:
    facts = models()[found["model"]]
    scale = Decimal(10) ** found["import_power_of_ten"]
    whole = {
        **found,
        "title": facts.title,
        "import_scale_wh": int(scale) if scale >= 1 else float(scale),
        "serial_default": found["serial_default"].rstrip("?"),
        "serial_default_stated": not found["serial_default"].endswith("?"),
        "unit": facts.unit,
        "source": facts.source,
    }
    return {key: whole[key] for key in _ORDER}


def register(app: typer.Typer) -> None:
    """Add the commands `meter`, `meters` and `probe`."""
    app.command("meters")(meters)
    app.command("meter")(meter)
    app.command("probe")(probe)


def meters(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON array")] = False,
    faults: Annotated[
        bool, typer.Option(help="list the faults of `meter --fault` instead")
    ] = False,
) -> None:
    """List the meters the firmware can read, with register, type and source."""
    if faults and as_json:
        listed = [{"name": f.name, "default": f.default, "help": f.help} for f in FAULTS.values()]
        typer.echo(json.dumps(listed, indent=1))
        return
    if faults:
        rows = [f"{f.name}={f.default}" for f in FAULTS.values()]
        for row, fault in zip(rows, FAULTS.values(), strict=True):
            typer.echo(f"{row:18} {fault.help}")
        return
    try:
        entries = listing()
    except RuntimeError as exc:
        typer.echo(f"meters: {exc}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(entries, indent=1))
        return
    for entry in entries:
        place = f"FC{entry['function_code']} 0x{entry['import_register']:04X}"
        typer.echo(
            f"{entry['model']:12} {entry['title']:36} {place} {entry['import_type']:8}"
            f" {entry['word_order']} {entry['resolution_wh']} Wh  {entry['serial_default']}"
        )


def probe(
    serial: Annotated[Path, typer.Option(help="tty the meter is on")],
    every_unit: Annotated[
        bool, typer.Option(help="ask units 1 to 247, not the usual ones only (minutes)")
    ] = False,
) -> None:
    """Say which meter is on a serial line, how good the line is and what to change: the firmware's
    own probe, as `make probe` runs it on a board.

    Exit code 0 when one model is certain, 1 when not, 2 when the line cannot be opened.
    """
    if not serial.exists():
        typer.echo(f"probe: --serial {serial}: there is no such device", err=True)
        raise typer.Exit(2)
    script = Path(__file__).with_name("probe_mpy.py")
    command = [str(MICROPYTHON), str(script), str(serial), *(["every"] if every_unit else [])]
    try:
        done = subprocess.run(command, env={"MICROPYPATH": f"{ROOT}:.frozen"}, check=False)
    except OSError as exc:
        typer.echo(f"probe: MicroPython is not there ({exc.strerror}): run `make setup`", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(done.returncode)


def meter(
    serial: Annotated[Path, typer.Option(help="tty to answer on; made as a pty when not there")],
    model: Annotated[str, typer.Option(help="see `meters`")] = "SDM630",
    fault: Annotated[str, typer.Option(help="e.g. crc,late=900; see `meters --faults`")] = "",
    power: Annotated[int, typer.Option(help="watts that flow", min=0)] = 0,
    start_wh: Annotated[
        int, typer.Option(help="what the register begins with", min=0)
    ] = 1_000_000,
    serial_number: Annotated[str, typer.Option(help="the meter's own number")] = "21034567",
    unit: Annotated[int | None, typer.Option(help="Modbus unit", min=1, max=247)] = None,
    baud: Annotated[int, typer.Option(help="baud rate to pace to")] = 9600,
    speed: Annotated[int, typer.Option(help="time runs N times faster", min=1, max=60)] = 1,
    quiet: Annotated[bool, typer.Option(help="do not print frames")] = False,
) -> None:
    """Simulate one energy meter on a serial line until Ctrl-C."""
    try:
        faults = parse(fault)
        port = SerialPort(str(serial), baud) if serial.exists() else None
        asyncio.run(
            _serve(
                serial,
                port,
                model,
                faults,
                power,
                start_wh,
                serial_number,
                unit,
                baud,
                speed,
                quiet,
            )
        )
    except (FaultError, LineError, ValueError) as exc:
        typer.echo(f"meter: {exc}", err=True)
        raise typer.Exit(2) from None


async def _serve(
    path: Path,
    port: SerialPort | None,
    model: str,
    faults: dict[str, int | str],
    power: int,
    start_wh: int,
    number: str,
    unit: int | None,
    baud: int,
    speed: int,
    quiet: bool,
) -> None:
    def show(kind: str, data: dict[str, object]) -> None:
        if not quiet:
            typer.echo(f"{kind:8} {data['hex']}  {data['text']}")

    sim = MeterSim(
        WorldClock(speed=speed),
        lambda: power,
        model,
        number,
        start_wh,
        unit,
        baud,
        port=port,
        on_event=show,
    )
    await sim.start()
    try:
        for name, value in faults.items():
            sim.set_fault(name, value)
        if port is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # left behind by one that was killed
            os.symlink(sim.path, path)
        typer.echo(f"{sim.device.model.title}, unit {sim.device.unit}, on {path}; Ctrl-C ends it")
        ended = asyncio.Event()
        for number_of in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number_of, ended.set)
        await ended.wait()
    finally:
        if port is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        else:
            port.close()
        await sim.stop()

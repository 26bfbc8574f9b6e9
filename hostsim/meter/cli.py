"""`python -m hostsim meter` and `meters`: a simulated meter, and what the firmware can read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from firmware.meter import registers
from firmware.meter.profiles import load, names
from hostsim.clock import WorldClock
from hostsim.line import LineError, SerialPort
from hostsim.meter.faults import FAULTS, FaultError, parse
from hostsim.meter.models import models
from hostsim.meter.sim import MeterSim

_TYPE_NAMES = {
    registers.INT16: "int16",
    registers.UINT16: "uint16",
    registers.INT32: "int32",
    registers.UINT32: "uint32",
    registers.INT64: "int64",
    registers.UINT64: "uint64",
    registers.FLOAT32: "float32",
    registers.FLOAT64: "float64",
    registers.DECADE_U: "T5",
    registers.DECADE_S: "T6",
    registers.BCD32: "bcd32",
}


def listing() -> list[dict[str, object]]:
    """The firmware's profiles as `meters --json` gives them."""
    return [_entry(name) for name in names()]


def _entry(name: str) -> dict[str, object]:
    profile = load(name)
    energy = next(field for field in profile.fields if field.quantity == "E")
    power = next(field for field in profile.fields if field.quantity == "P")
    scale = Decimal(10) ** energy.power
    serial = profile.serial
    return {
        "model": name,
        "title": models()[name].title,
        "function_code": energy.function,
        "import_register": energy.address,
        "import_type": _TYPE_NAMES[energy.kind],
        "word_order": "lsw_first" if profile.low_first else "msw_first",
        "import_scale_wh": int(scale) if scale == int(scale) else float(scale),
        "power_register": power.address,
        "power_function_code": power.function,
        "power_type": _TYPE_NAMES[power.kind],
        "resolution_wh": profile.resolution_wh,
        "serial_register": serial.address if serial else None,
        "serial_default": profile.line.rstrip("?"),
        "serial_default_stated": not profile.line.endswith("?"),
        "unit": models()[name].unit,
        "requests": [[g.function, g.address, g.count] for g in profile.groups],
        "source": models()[name].source,
    }


def register(app: typer.Typer) -> None:
    """Add the commands `meter` and `meters`."""
    app.command("meters")(meters)
    app.command("meter")(meter)


def meters(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON array")] = False,
    faults: Annotated[
        bool, typer.Option(help="list the faults of `meter --fault` instead")
    ] = False,
) -> None:
    """List the meters the firmware can read, with register, type and source."""
    if faults:
        rows = [f"{f.name}={f.default}" for f in FAULTS.values()]
        for row, fault in zip(rows, FAULTS.values(), strict=True):
            typer.echo(f"{row:18} {fault.help}")
        return
    if as_json:
        typer.echo(json.dumps(listing(), indent=1))
        return
    for entry in listing():
        place = f"FC{entry['function_code']} 0x{entry['import_register']:04X}"
        typer.echo(
            f"{entry['model']:12} {entry['title']:36} {place} {entry['import_type']:8}"
            f" {entry['word_order']} {entry['resolution_wh']} Wh  {entry['serial_default']}"
        )


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
        with contextlib.suppress(KeyboardInterrupt):
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
            os.symlink(sim.path, path)
        typer.echo(f"{sim.device.model.title}, unit {sim.device.unit}, on {path}; Ctrl-C ends it")
        await asyncio.Event().wait()
    finally:
        if port is None:
            os.unlink(path)
        else:
            port.close()
        await sim.stop()

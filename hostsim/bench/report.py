"""The figures of measure.everything as a table for a person and as a file for the next run."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from hostsim.bench import memory
from hostsim.setup import BUILD

FILE = BUILD / "bench.json"
# what, figure, unit, beside what
_ROWS = (
    ("meter polls", "meter.requests_per_s", "/s", "9600 baud carry {meter.line_limit_per_s} /s"),
    ("  of the line's limit", "meter.of_limit", "", "1 is a line that never rests"),
    ("tap to power", "tap_to_power.tap_to_power_ms", "ms", "plugged in before, median of 3"),
    (
        "  beyond the terminal's own time",
        "tap_to_power.beyond_terminal_ms",
        "ms",
        "{tap_to_power.of_terminal} of the whole",
    ),
    ("longest stall of the loop", "loop.longest_stall_ms", "ms", "over 3 sessions"),
    (
        "idle processor time",
        "idle.cpu_percent",
        "%",
        "an empty loop: {idle.empty_loop_cpu_percent} %",
    ),
    (
        "power-on to the screen",
        "start.screen_ms",
        "ms",
        "bare interpreter: {start.bare_interpreter_ms} ms",
    ),
    ("power-on to ready", "start.ready_ms", "ms", "terminal registered, meter read"),
    ("  its own reset only", "start.ready_after_reset_ms", "ms", "the terminal was reading"),
    ("power-on to online", "start.online_ms", "ms", "TLS to the broker, birth sent"),
    ("heap peak", "memory.peak_heap_bytes", "B", "{memory.peak_of_heap} of {memory.heap_bytes} B"),
    (".mpy files", "memory.mpy_bytes", "B", "ROMFS image: {memory.rom_image_bytes} B"),
    (
        "price tick, minute 1",
        "pricing.tick_ns_minute_1",
        "ns",
        "all anew: {pricing.repricing_us_minute_1} us",
    ),
    (
        "price tick, hour 20",
        "pricing.tick_ns_hour_20",
        "ns",
        "all anew: {pricing.repricing_us_hour_20} us",
    ),
    ("allocated by 10,000 ticks", "pricing.bytes_per_10000_ticks", "B", ""),
    (
        "flash erases a session",
        "flash.ledger.erases_per_session",
        "",
        "a file on LittleFS: {flash.littlefs.erases_per_session}",
    ),
    (
        "  bytes programmed a session",
        "flash.ledger.bytes_per_session",
        "B",
        "a file on LittleFS: {flash.littlefs.bytes_per_session}",
    ),
    (
        "  years at 10,000 cycles, 50 sessions a day",
        "flash.ledger.years_at_10k",
        "",
        "a file on LittleFS: {flash.littlefs.years_at_10k}",
    ),
    (
        "  years at 100,000 cycles",
        "flash.ledger.years_at_100k",
        "",
        "a file on LittleFS: {flash.littlefs.years_at_100k}",
    ),
    (
        "  append, mean",
        "flash.ledger.append_us",
        "us",
        "worst {flash.ledger.append_worst_us}; LittleFS: {flash.littlefs.append_us},"
        " worst {flash.littlefs.append_worst_us}",
    ),
    (
        "  mount, books replayed",
        "flash.ledger.mount_us",
        "us",
        "every record read ({flash.ledger.kept_records}): {flash.ledger.full_replay_us}",
    ),
    (
        "  heap of the ledger",
        "flash.ledger.heap_used",
        "B",
        "after mount on an empty flash: {flash.ledger.heap}",
    ),
    (
        "power cut while charging, to the bill",
        "recovery.priced_ms",
        "ms",
        "to the capture: {recovery.captured_ms} ms; flash in a file",
    ),
    (
        "backlog drains",
        "drain.records_per_s",
        "records/s",
        "{drain.sessions} sessions, {drain.sessions_per_minute} a minute",
    ),
    (
        "  meter polls meanwhile",
        "drain.polls_per_s_draining",
        "/s",
        "{drain.of_meter_rate} of those offline",
    ),
    ("  records lost, or twice", "drain.lost", "", "twice: {drain.duplicated}"),
)
_MODBUS = (  # what, figure, unit, all below modbus.<bits>.
    ("request encoded", "codec.{whose}.encode.us", "us"),
    ("  allocated", "codec.{whose}.encode.bytes", "B"),
    ("answer decoded", "codec.{whose}.decode.us", "us"),
    ("  allocated", "codec.{whose}.decode.bytes", "B"),
    ("imported, heap kept", "import.{whose}.bytes", "B"),
    *(
        row
        for baud in (9600, 19200, 115200)
        for row in (
            (f"{baud} baud, round trips", f"trips.{baud}.{{whose}}.per_s", "/s"),
            ("  of the line's limit", f"trips.{baud}.{{whose}}.of_limit", ""),
            ("  processor a poll", f"trips.{baud}.{{whose}}.cpu_us", "us"),
        )
    ),
)


def _modbus_rows(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Our Modbus master beside the other one of the same run, for each build."""
    rows = []
    for bits, inner in found.get("modbus", {}).items():
        for what, path, unit in _MODBUS:
            ours = f"modbus.{bits}.{path.format(whose='ours')}"
            peer = "{modbus." + f"{bits}.{path.format(whose='peer')}" + "}"
            rows.append((f"Modbus {bits}-bit: {what}", ours, unit, f"micropython-modbus: {peer}"))
        for name, by_baud in inner["polls"].items():
            for baud in by_baud:
                path = f"modbus.{bits}.polls.{name}.{baud}."
                beside = "{" + path + "per_s} polls of {" + path + "requests} requests a second"
                what = f"Modbus {bits}-bit: {name} at {baud} baud, of its limit"
                rows.append((what, path + "of_limit", "", beside))
    return rows


def value(found: dict[str, Any], path: str) -> Any:
    """The figure at a dotted path; "-" where there is none."""
    inner: Any = found
    for name in path.split("."):
        inner = inner.get(name, "-") if isinstance(inner, dict) else "-"
    return inner


def write(found: dict[str, Any]) -> None:
    """Keeps the figures in build/bench.json."""
    fresh = FILE.with_suffix(".new")
    fresh.write_text(json.dumps(found, indent=1) + "\n")
    fresh.replace(FILE)


def show(found: dict[str, Any]) -> None:
    """The table."""
    made = found["made_with"]
    title = (
        f"MicroPython {made['pointer_bits']}-bit, heap {made['heap_kb']} KB,"
        f" code in {made['code']};"
        f" {made['processors']} x {made['host']}, load {made['load']}"
    )
    table = Table(title=title)
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("beside")
    for what, path, unit, beside in [*_ROWS, *memory.rows(found), *_modbus_rows(found)]:
        if value(found, path) == "-":
            continue  # not measured this time
        table.add_row(
            _filled(what, found), f"{value(found, path)} {unit}".rstrip(), _filled(beside, found)
        )
    console = Console()
    console.print(table)


def _filled(text: str, found: dict[str, Any]) -> str:
    head, brace, rest = text.partition("{")
    if not brace:
        return text
    path, _, tail = rest.partition("}")
    return f"{head}{value(found, path)}{_filled(tail, found)}"

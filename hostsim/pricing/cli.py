"""The `price` command: price a finished charging record with the firmware's own engine."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from hostsim.pricing import zones
from hostsim.setup import MICROPYTHON, MICROPYTHON32, POINTER_BITS32, ROOT

SCRIPT = Path(__file__).with_name("price_mpy.py")
REFUSED = 2
LONGEST = timedelta(days=366)  # a longer record is refused by record_mpy.py
_MARK = "\u2063"  # around decimals that are to be JSON numbers with all their places


class PriceError(Exception):
    """Why nothing was priced, in one line; `about` is the file's part in it: "tariff", "record" or
    "" where it is neither's."""

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason)
        self.about = about


def interpreter() -> tuple[Path, str]:
    """The MicroPython to run, 32-bit if there is one, and what to say about it."""
    if POINTER_BITS32.exists() and MICROPYTHON32.exists():
        return MICROPYTHON32, ""
    if MICROPYTHON.exists():
        return MICROPYTHON, "no 32-bit MicroPython on this host: priced under the 64-bit one"
    raise PriceError(f"{MICROPYTHON32} is missing: run `make setup`")


def _span(cdr: Path) -> tuple[datetime, datetime]:
    """The record's own start and end, where they can be read; the engine refuses them if not."""
    try:
        found = json.loads(cdr.read_bytes())
        while isinstance(found, list) or "data" in found:  # as record_mpy.py unwraps it
            found = found[0] if isinstance(found, list) else found["data"]
        ends = [datetime.fromisoformat(found[key]) for key in ("start_date_time", "end_date_time")]
        if not 1900 < ends[0].year < 9900:
            raise ValueError("a year no zone has rules for")
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        now = datetime.now(UTC)
        return now, now
    start, end = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in ends)
    return start, min(max(start, end), start + LONGEST)


def run(tariff: Path, cdr: Path, tz: str, explain: bool) -> dict[str, Any]:
    """Price a record; gives what price_mpy.py printed. Raises PriceError with one line."""
    for path in (tariff, cdr):
        if not path.is_file():
            raise PriceError(f"{path}: no such file")
    try:
        zone = zones.posix(tz, *_span(cdr))
    except zones.ZoneError as error:
        raise PriceError(str(error)) from error
    python, remark = interpreter()
    if remark:
        typer.echo(remark, err=True)
    command = [str(python), "-X", "heapsize=64m", str(SCRIPT), str(tariff), str(cdr), zone]
    done = subprocess.run(
        command + (["explain"] if explain else []),
        capture_output=True,
        text=True,
        env={"MICROPYPATH": str(ROOT)},
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"MicroPython ended with {done.returncode}"]
        about, bar, reason = lines[-1].partition("|")
        if bar and about in ("tariff", "record"):
            raise PriceError(reason, about)
        raise PriceError(lines[-1])
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _file(path: Path, copy: Path) -> Path:
    """The file itself, or a copy of what comes out of a pipe. Raises PriceError."""
    if not path.is_fifo():
        return path
    try:
        copy.write_bytes(path.read_bytes())
    except OSError as exc:
        raise PriceError(f"{path}: cannot be read ({exc.strerror})") from exc
    return copy


def _number(text: str | None) -> str | None:
    return None if text is None else f"{_MARK}{text}{_MARK}"


def _line(line: dict[str, Any], places: int) -> dict[str, Any]:
    """An invoice line for a reader: kWh and hours instead of mWh and ms."""
    found: dict[str, Any] = {"kind": line["kind"]}
    if "element" in line:
        found["element"] = line["element"]
        quantity = int(line["quantity"])
        if line["unit"] == "mWh":
            found["quantity"], found["unit"] = (
                _number(f"{quantity // 10**6}.{quantity % 10**6:06d}"),
                "kWh",
            )
        elif line["unit"] == "ms":
            found["quantity"], found["unit"] = (
                _number(f"{quantity // 1000}.{quantity % 1000:03d}"),
                "s",
            )
        else:
            found["quantity"], found["unit"] = quantity, "1"
        found["unit_price"] = _number(line["unit_price"])
    found["vat"] = _number(line["vat"])
    found["gross"] = _number(_amount(line["gross_minor"], places))
    return found


def _amount(minor: int | None, places: int) -> str | None:
    if minor is None:
        return None
    text = f"{abs(minor):0{places + 1}d}"
    return ("-" if minor < 0 else "") + (f"{text[:-places]}.{text[-places:]}" if places else text)


def shown(result: dict[str, Any], explain: bool) -> dict[str, Any]:
    """The command's JSON object, fields in a fixed order."""
    receipt = result["receipt"]
    places = receipt["minor_places"]
    out: dict[str, Any] = {"tariff_id": result["tariff_id"], "currency": result["currency"]}
    for name, excl, incl in result["costs"]:
        out[name] = {"excl_vat": _number(excl), "incl_vat": _number(incl)}
    mwh = int(result["energy_mwh"])
    out["total_energy"] = _number(f"{mwh // 10**6}.{mwh % 10**6:06d}")
    out["lines"] = [_line(line, places) for line in receipt["lines"]]
    out["vat"] = [
        {
            "rate": _number(group["rate"]),
            "net": _number(_amount(group["net_minor"], places)),
            "tax": _number(_amount(group["tax_minor"], places)),
            "gross": _number(_amount(group["gross_minor"], places)),
        }
        for group in receipt["vat"]
    ]
    out["total"] = {
        name: _number(_amount(receipt[f"{name}_minor"], places))
        for name in ("net", "tax", "gross")
    }
    out["price_per_kwh"] = _number(receipt["per_kwh"])
    out["notes"] = result["notes"]
    out["engine"] = result["engine"]
    if explain:
        out["explain"] = result["explain"]
    return out


def text_of(found: dict[str, Any], indent: int | None) -> str:
    """JSON text in which decimals are numbers with all their places."""
    text = json.dumps(found, indent=indent, ensure_ascii=False)
    return re.sub(f'"{_MARK}([0-9.-]+){_MARK}"', r"\1", text)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""

    @app.command("price")
    def price(
        tariff: Annotated[
            Path, typer.Argument(help="An OCPI Tariff object (2.2.1 or 2.3.0), as JSON.")
        ],
        cdr: Annotated[Path, typer.Argument(help="An OCPI CDR object, as JSON.")],
        tz: Annotated[
            str, typer.Option(help="Time zone of the charger: IANA name or POSIX TZ.")
        ] = "UTC",
        explain: Annotated[bool, typer.Option(help="Say what priced what, when and why.")] = False,
        compact: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """Price a finished charging record with the firmware's own engine, under MicroPython
        32-bit.

        Prints JSON: totals with 4 decimals, and the invoice rounded as the receipt is. Exit code 2
        and one line on stderr when the tariff or the record is refused.
        """
        names = {"tariff": str(tariff), "record": str(cdr)}
        with tempfile.TemporaryDirectory(prefix="forecourt-price-") as folder:
            try:
                files = [_file(path, Path(folder) / part) for part, path in
                         (("tariff", tariff), ("record", cdr))]  # fmt: skip
                result = run(files[0], files[1], tz, explain)
            except PriceError as error:
                head = f"{names[error.about]}: " if error.about else ""
                typer.echo(f"{head}{error}", err=True)
                raise typer.Exit(REFUSED) from error
        typer.echo(text_of(shown(result, explain), None if compact else 2))

"""`python -m hostsim ocmf check`: is a signed meter value the meter's, and what does it say?"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from hostsim.ocmf.record import MOST_BYTES, OcmfError, Record, read, refuse
from hostsim.ocmf.session import sum_up

_TIME = {"U": "unsynchronised", "I": "informative", "S": "synchronised", "R": "relative"}
_HELP = """Read one OCMF record, or the two of a session (begin, end), verify the signature over
exactly the bytes between the first and the second pipe, and say the energy.

The key comes from the meter or its register, never with the record: a DER SubjectPublicKeyInfo
or a point (04.., 02.., 03.. or x and y alone), in hexadecimal or base64, as text or in a file (DER
and PEM files too). Without one nothing is proven and valid is null. The curves are those of the
specification (secp192k1, 192r1, 256k1, 256r1, 384r1, brainpool 256r1, 384r1) and secp521r1,
brainpool 512r1, all with SHA256.

Two records must be of the same meter, its pagination rising, and begin (TX B) and end (TX E, L, R,
A or P) the same register (RI), the first nothing but begin, the second nothing but end. In one
record the end comes after the begin. What the meter itself finds wrong (EF, ST) is under notes.

Exit code 0: valid; 1: not valid, or not proven; 2: unreadable, with the field and why.

JSON keys: valid, reason, meter, serial, pagination (a list of two where there are two records),
algorithm, readings (TM, sync, TX, RV, RI, RU, RT, EF, ST), energy_wh (null where there are not
both ends), notes.
"""


def register(app: typer.Typer) -> None:
    """Add the command to hostsim's."""
    group = typer.Typer(help="Signed meter values (OCMF).", no_args_is_help=True)
    group.callback()(_group)
    group.command("check", help=_HELP)(check)
    app.add_typer(group, name="ocmf")


def _group() -> None:
    """Signed meter values (docs/meters.md)."""


def check(
    file: Annotated[str, typer.Argument(help="File with one record or two, - for stdin.")],
    key: Annotated[
        str, typer.Option(help="Public key of the meter, or a file that holds it.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Check a record or a session."""
    try:
        found = _check(read(_content(file)), key)
    except OcmfError as exc:
        typer.echo(f"ocmf: {exc}", err=True)
        raise typer.Exit(2) from exc
    typer.echo(_json(found) if as_json else _words(found))
    if not found["valid"]:
        raise typer.Exit(1)


def _content(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(MOST_BYTES + 1)
        with Path(file).open("rb") as source:
            return source.read(MOST_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise OcmfError(f"{file}: cannot be read ({getattr(exc, 'strerror', exc)})") from exc


def _check(records: list[Record], given: str) -> dict[str, Any]:
    from hostsim.ocmf import signature

    if len(records) > 2:
        refuse("file", "must hold one record, or begin and end of a session", len(records))
    reason, energy, notes = sum_up(records)
    troubles = []
    if given:
        public = signature.key(_content(given) if _is_file(given) else given.encode())
        for at, record in enumerate(records):
            trouble = signature.trouble(record, public)
            if trouble:
                where = ("the first record: ", "the second record: ")[at]
                troubles.append((where if len(records) == 2 else "") + trouble)
    wrong = "; ".join([*troubles, reason] if reason else troubles)
    pages = [record.pagination for record in records]
    algorithms = {record.signature["SA"]: None for record in records}
    return {
        "valid": False if wrong else True if given else None,
        "reason": wrong or ("" if given else "no key was given: the signature is not checked"),
        "meter": records[0].meter,
        "serial": records[0].serial,
        "pagination": pages[0] if len(pages) == 1 else pages,
        "algorithm": ", ".join(algorithms),
        "readings": [_shown(one) for record in records for one in record.readings],
        "energy_wh": energy,
        "notes": notes,
    }


def _is_file(given: str) -> bool:
    try:
        return Path(given).exists()
    except (OSError, ValueError):
        return False  # too long, or no name at all


def _shown(reading: dict[str, str]) -> dict[str, str]:
    time, _, sync = reading["TM"].rpartition(" ")
    return {"TM": time, "sync": sync} | {k: v for k, v in reading.items() if k != "TM"}


def _plain(energy: Decimal) -> str:
    text = f"{energy:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json(found: dict[str, Any]) -> str:
    energy = found["energy_wh"]
    text = json.dumps(found | {"energy_wh": None}, ensure_ascii=False)
    if energy is None:
        return text
    head, _, tail = text.rpartition('"energy_wh": null')  # with all its places, as a number
    return f'{head}"energy_wh": {_plain(energy)}{tail}'


def _words(found: dict[str, Any]) -> str:
    verdict = {True: "valid", False: "NOT VALID", None: "not checked"}[found["valid"]]
    pages = found["pagination"]
    lines = [
        verdict + (f": {found['reason']}" if found["reason"] else ""),
        f"meter {found['meter']}, serial {found['serial']}, pagination "
        + (pages if isinstance(pages, str) else " to ".join(pages)),
    ]
    for one in found["readings"]:
        value = f"{one['RV']} {one['RU']}" if "RV" in one else "no value"
        lines.append(
            f"{one['TM']} {_TIME[one['sync']]}  {one.get('TX', '-')}  {value}"
            f"  {one.get('RI', '')}  state {one['ST']}"
        )
    if found["energy_wh"] is not None:
        lines.append(f"energy {_plain(found['energy_wh'])} Wh")
    return "\n".join(lines + found["notes"])

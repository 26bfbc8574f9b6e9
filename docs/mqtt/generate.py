"""Writes schemas/records/*.json from the rows of firmware/ledger/schema.py: `python
docs/mqtt/generate.py`.

The rows are parsed, not imported: they are data. tests/sync/test_sync_schemas.py fails when the
files do not fit the rows.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROWS_FILE = HERE.parents[1] / "firmware" / "ledger" / "schema.py"
OWN_NOTES = 2  # own notes are never synced

_U64 = 2**64 - 1
_TYPES: dict[str, dict[str, Any]] = {
    "u": {"type": "integer", "minimum": 0, "maximum": _U64},
    "i": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "s": {"type": "string", "maxLength": 255},
    "l": {"type": "array", "items": {"type": "integer"}, "maxItems": 255},
}
_SINCE = {
    "hold_asked": {"remote": 2},
    "priced": {"vat": 2},
    "refunded": {"receipt_no": 2, "net_minor": 2, "vat_minor": 2, "lines": 2},
    "refund_failed": {"amount_minor": 2, "way": 2, "state": 2},
}
"""Fields that came with a later version of their record; one of an earlier version lacks them."""

_WHAT = {
    "boot": "The charger started.",
    "hold_asked": "A hold is about to be asked of the terminal, or was authorised elsewhere or on"
    " account (`method`); opens the session. `remote`: the command `start` named it so.",
    "authorised": "The terminal approved the hold.",
    "declined": "The terminal declined the hold.",
    "energising": "The contactor is about to close.",
    "checkpoint": "How far a running session is; `state` is the price engine's.",
    "period": "A closed OCPI charging period; times since the session's start; -1 is not known.",
    "power_off": "The contactor was opened, the register read after it.",
    "priced": "The bill. `lines` are groups of five, `vat` of four; docs/mqtt/README.md says what"
    " they mean.",
    "captured": "The price was taken, the rest of the hold released. `how` gateway, app or"
    " account: not by the terminal, the back office takes exactly this.",
    "cancelled": "The whole hold was given back.",
    "settle_failed": "The terminal refused to capture or cancel; it is tried again.",
    "extend_asked": "A greater hold is about to be asked.",
    "extended": "The terminal approved more; the hold in all. Not certain before extend_done.",
    "extend_done": "What is held for certain: kept, refused, taken_back, or found at the capture;"
    " gateway, app, account: after the command extend.",
    "refund_requested": "A refund was asked for; `amount_minor` 0: all that is left.",
    "refund_asked": "The charger's rules allow the refund; it is about to be asked for.",
    "refund_sent": "The refund is with the acquirer, or approved by the terminal.",
    "refunded": "The refund was paid. `lines` are groups of four: vat_e4, net, VAT, gross.",
    "refund_failed": "The refund was refused, or failed; `state` says which.",
    "tariff": "A tariff came from the back office.",
    "command": "A command was carried out; its counter is used up.",
    "alarm": "Something a technician must look at.",
    "security": "Something that looks like an attack.",
    "day_closed": "The end of the newest end of day was seen: the terminal's day is closed.",
    "day_asked": "The terminal's day is about to be closed; what the ledger has of it.",
    "end_of_day": "The terminal's total beside the ledger's: agree, differs, late or unseen.",
}


def rows() -> list[tuple[int, str, int, list[tuple[str, str]]]]:
    """KINDS of firmware/ledger/schema.py as (number, name, version, [(field, type)]), own notes
    left out."""
    for node in ast.parse(ROWS_FILE.read_text()).body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "KINDS":
            assert node.value is not None
            kinds = ast.literal_eval(node.value)[:-OWN_NOTES]
            return [_row(number, text) for number, text in enumerate(kinds, 1) if text]
    raise LookupError(f"no KINDS in {ROWS_FILE}")


def _row(number: int, text: str) -> tuple[int, str, int, list[tuple[str, str]]]:
    """A field is `name:type`, or `name` alone for an unsigned integer."""
    name, version, fields = text.split(" ", 2)
    found = [field.partition(":") for field in fields.split()]
    return number, name, int(version), [(field, kind or "u") for field, _, kind in found]


def schema(name: str, version: int, fields: list[tuple[str, str]]) -> dict[str, Any]:
    """The JSON schema of one kind of record."""
    properties: dict[str, Any] = {
        "epoch": {"type": "integer", "minimum": 1},
        "seq": {"type": "integer", "minimum": 1},
        "type": {"const": name},
        "version": {"type": "integer", "minimum": 1, "maximum": version},
        "at": {"type": "integer", "minimum": 0},
    }
    since = _SINCE.get(name, {})
    for field, kind in fields:
        later = {"x-since": since[field]} if field in since else {}
        properties[field] = _TYPES[kind] | later
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"record {name}",
        "description": _WHAT.get(name, ""),
        "type": "object",
        "properties": properties,
        "required": ["epoch", "seq", "type", "version", "at", *(field for field, _ in fields)],
        "additionalProperties": False,
    }


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    folder = HERE / "schemas" / "records"
    return {
        folder / f"{name}.json": json.dumps(schema(name, version, fields), indent=2) + "\n"
        for _, name, version, fields in rows()
    }


def main() -> None:
    """Write them, and remove those of kinds that are no more."""
    wanted = files()
    folder = HERE / "schemas" / "records"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        if old not in wanted:
            old.unlink()
    for path, text in wanted.items():
        path.write_text(text)


if __name__ == "__main__":
    main()

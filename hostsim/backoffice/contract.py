"""The messages' contract: the JSON schemas in docs/mqtt/schemas, which this side checks everything
against.

Records of a version later than the schema's are read for the fields that are known; fields are
only ever added.
"""

from __future__ import annotations

import functools
import json
import re
import zlib
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "mqtt" / "schemas"
PREFIX = "forecourt/v1/"
OUTGOING = ("status", "session", "records", "result", "log")
INCOMING = ("ack", "tariff", "config", "command", "members")
MAX_INT = 2**63 - 1
_LOST = "lost"  # a record that flash lost: nothing but its number is known of it
_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")


class ContractError(ValueError):
    """A message does not keep to the contract; str() names the field and what is allowed."""

    @property
    def about(self) -> str:
        """What str() begins with: the field, whatever was in it."""
        return str(self).partition(":")[0].partition(".")[0]


_DEEPEST = 16
"""How deep a payload may be nested; no message has more than four levels."""


def topic(charger: str, name: str) -> str:
    """forecourt/v1/<charger>/<name>"""
    return f"{PREFIX}{charger}/{name}"


def split_topic(text: str) -> tuple[str, str]:
    """Charger and name of a topic. Raises ContractError for one that is not ours."""
    parts = text.removeprefix(PREFIX).split("/")
    if not text.startswith(PREFIX) or len(parts) != 2 or parts[1] not in OUTGOING + INCOMING:
        raise ContractError(f"topic: must be {PREFIX}<charger>/<name> (given {text})")
    return parts[0], parts[1]


def parse(payload: bytes | str) -> dict[str, Any]:
    """The JSON object in a payload; whole numbers of at most 63 bits only, no text that a database
    cannot hold (what no character can be becomes U+FFFD: a charger passes on what others sent
    it, and its queue must not stand still for that). Raises ContractError.
    """
    try:
        value = json.loads(
            payload, parse_constant=_no_constant, parse_float=_no_float, parse_int=_whole
        )
    except (ValueError, RecursionError) as exc:
        raise ContractError(f"payload: must be JSON ({exc})") from exc
    if not isinstance(value, dict):
        raise ContractError("payload: must be a JSON object")
    found: dict[str, Any] = _storable(value, _DEEPEST)
    return found


def check_value(charger_record: dict[str, Any]) -> int | None:
    """The check value of a record's message (docs/mqtt/README.md, "Delivery"), which the charger
    makes of the same record in its flash; None for one that no firmware can be sure to read alike.
    """
    head = ("epoch", "seq", "type", "version", "at")
    if charger_record["type"] in ("unknown", "lost") or "payload" in charger_record:
        return None
    parts = [str(charger_record[name]) for name in head]
    for name in sorted(charger_record.keys() - set(head)):
        value = charger_record[name]
        if isinstance(value, str):
            value = "".join(c for c in value if " " <= c <= "~")
        elif isinstance(value, list):
            value = ",".join(map(str, value))
        if value:
            parts.append(f"{name}={value}")
    return zlib.crc32("\n".join(parts).encode())


def _storable(value: Any, deepest: int) -> Any:
    """The same with every text such that SQLite and PostgreSQL take it. Raises ContractError for
    what is nested deeper than `deepest`."""
    if isinstance(value, str):
        return _NO_CHARACTER.sub("\ufffd", value)
    if isinstance(value, list | dict) and not deepest:
        raise ContractError(f"payload: must not be nested deeper than {_DEEPEST}")
    if isinstance(value, list):
        return [_storable(item, deepest - 1) for item in value]
    if isinstance(value, dict):
        return {
            _storable(name, 0): _storable(item, deepest - 1) for name, item in value.items()
        }
    return value


def check(name: str, message: dict[str, Any]) -> None:
    """Raises ContractError when the message is not what the schema `name` (status, ack, ...)
    says."""
    _raise_first(_validator(name), message)


def check_record(message: dict[str, Any]) -> str:
    """Checks a record; answers "", or what is unusual about it: "unknown" kind, or a "later"
    version."""
    for name, value in message.items():
        if isinstance(value, int) and abs(value) > MAX_INT:  # parse() refuses it, too
            raise ContractError(f"{name}: must have at most 63 bits (given {value})")
    kind = str(message.get("type"))
    if kind in _kinds() and _plainly_right(_fields_of(kind), message):
        return ""
    check("record", message)
    if kind not in _kinds():
        return "" if kind == _LOST else "unknown"
    version, known = message["version"], known_version(kind)
    _raise_first(_validator(f"records/{kind}", 0 if version == known else version), message)
    return "later" if version > known else ""


@functools.cache
def _kinds() -> frozenset[str]:
    return frozenset(path.stem for path in (SCHEMAS / "records").glob("*.json"))


@functools.cache
def _fields_of(kind: str) -> dict[str, dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = json.loads(
        (SCHEMAS / "records" / f"{kind}.json").read_text()
    )["properties"]
    return properties


def _plainly_right(schemas: dict[str, dict[str, Any]], message: dict[str, Any]) -> bool:
    """A quick yes for what the schema would take; everything else is jsonschema's to judge."""
    return message.keys() == schemas.keys() and all(
        _fits(schemas[name], value) for name, value in message.items()
    )


def _fits(schema: dict[str, Any], value: Any) -> bool:
    if type(value) is int:
        return schema.get("type") == "integer" and schema.get(
            "minimum", value
        ) <= value <= schema.get("maximum", value)
    if type(value) is str:
        if "const" in schema:
            return bool(schema["const"] == value)
        return schema.get("type") == "string" and len(value) <= schema.get("maxLength", 0)
    if type(value) is list:
        plain = schema.get("type") == "array" and len(value) <= schema.get("maxItems", 0)
        return plain and all(type(item) is int for item in value)
    return False


@functools.cache
def known_version(kind: str) -> int:
    """The newest version of a kind of record that the schemas describe."""
    schema = json.loads((SCHEMAS / "records" / f"{kind}.json").read_text())
    version = schema["properties"]["version"].get("maximum", 1)
    assert isinstance(version, int)
    return version


@functools.cache
def _validator(name: str, version: int = 0) -> jsonschema.Draft202012Validator:
    """`version`: of a record, where it is not the schema's own."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    if version:
        fields = schema["properties"]
        if version > fields["version"].pop("maximum", 1):
            schema.pop("additionalProperties", None)
        schema["required"] = [
            field for field in schema["required"] if fields[field].get("x-since", 1) <= version
        ]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _raise_first(validator: jsonschema.Draft202012Validator, message: dict[str, Any]) -> None:
    error = next(validator.iter_errors(message), None)
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "message"
        raise ContractError(f"{where}: {error.message[:200]}")


def _no_float(text: str) -> None:
    raise ValueError(f"{text} is not a whole number")


def _whole(text: str) -> int:
    value = int(text)
    if abs(value) > MAX_INT:
        raise ValueError(f"{text} must have at most 63 bits")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")

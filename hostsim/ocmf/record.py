"""One OCMF record, `OCMF|payload|signature`: read strictly, never re-formatted.

Source: SAFE-eV, Open Charge Metering Format, "JSON based OCMF Format" (tables 1 to 8), "Time
Status" (table 19), "State / Error of the Meter" (table 10). Goals: what was signed stays the bytes
it was; a reading's value stays the text it was; a field that is not as the specification has it is
refused by its name. Limit: fields the specification does not know are left out and noted, since
makers add theirs (and later versions add more).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

ENDS = "ELRAP"  # TX of a reading that ends a transaction
MOST_BYTES = 1 << 20
_TEXTS = ("FV", "GI", "GS", "GV", "MV", "MM", "MS", "MF", "IL", "IT", "ID", "TT", "CT", "CI")
_KNOWN = (*_TEXTS, "PG", "IS", "IF", "CCV", "LC", "RD")
_READING = ("TM", "TX", "RV", "RI", "RU", "RT", "CL", "EF", "ST")
_KEPT = ("TM", "TX", "RI", "RU", "RT", "EF", "ST")  # as in the reading before where left out
_TM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d),(\d{3})([+-]\d{4}) ([UISR])", re.ASCII)
_PG = re.compile(r"[TF](0|[1-9]\d{0,17})", re.ASCII)
_FV = re.compile(r"\d{1,3}\.\d{1,3}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)
_VENDOR = "UVWXYZ"
_SIGNATURE = {"SA": "ECDSA-secp256r1-SHA256", "SE": "hex", "SM": "application/x-der", "SD": None}


class OcmfError(ValueError):
    """What makes a record unreadable: str() names the field and why."""


class Number(str):
    """A number of the JSON, as it is written."""

    __slots__ = ()


@dataclass
class Record:
    """One record. `signed` are the bytes the signature is over; `payload` its fields, numbers as
    Number; `readings` with what a reading left out taken from the one before."""

    signed: bytes
    payload: dict[str, Any]
    readings: list[dict[str, str]]
    signature: dict[str, str]
    notes: list[str] = field(default_factory=list)

    @property
    def meter(self) -> str:
        """Maker and model of the meter, of the gateway where the record names no meter."""
        names = [self.payload.get(key, "") for key in ("MV", "MM")]
        return " ".join(name for name in names if name) or self.payload.get("GI", "")

    @property
    def serial(self) -> str:
        """Of the meter, or of the gateway where the record names no meter."""
        return self.payload.get("MS") or self.payload["GS"]

    @property
    def pagination(self) -> str:
        """Context letter and number."""
        return str(self.payload["PG"])


def refuse(name: str, reason: str, given: object = None) -> NoReturn:
    """Raises OcmfError."""
    shown = "" if given is None else f" (given {given!s:.60})"
    raise OcmfError(f"{name}: {reason}{shown}".encode(errors="backslashreplace").decode())


def read(data: bytes) -> list[Record]:
    """All records of a file, white space between them. Raises OcmfError."""
    if len(data) > MOST_BYTES:
        refuse("file", f"must have at most {MOST_BYTES} bytes", len(data))
    rest = data.removeprefix(b"\xef\xbb\xbf").strip()
    if not rest:
        refuse("file", "is empty")
    found = []
    while rest:
        one, rest = _one(rest)
        found.append(one)
    return found


def _one(data: bytes) -> tuple[Record, bytes]:
    header, *sections = data.split(b"|", 2)
    if header != b"OCMF":
        refuse("header", "must be OCMF", header.decode(errors="replace"))
    if len(sections) != 2:
        refuse("record", "must be OCMF|payload|signature")
    signed = sections[0]
    payload, end = _object(signed, "payload")
    if signed[end:].strip():
        refuse("payload", "must be one JSON object")
    signature, end = _object(sections[1], "signature")
    rest = sections[1][end:].strip()
    if rest and not rest.startswith(b"OCMF"):
        refuse("signature", "must be one JSON object", rest.decode(errors="replace"))
    notes: list[str] = []
    _payload(payload, notes)
    return Record(
        signed, payload, _readings(payload["RD"], notes), _signed(signature), notes
    ), rest


def _object(section: bytes, name: str) -> tuple[dict[str, Any], int]:
    """The JSON object a section begins with, and where it ends in bytes."""
    try:
        text = section.decode()
        start = len(text) - len(text.lstrip())
        value, end = _JSON.raw_decode(text, start)
    except UnicodeDecodeError as exc:
        raise OcmfError(f"{name}: must be UTF-8 ({exc.reason})") from exc
    except RecursionError as exc:
        raise OcmfError(f"{name}: nests too deeply") from exc
    except OcmfError as exc:
        raise OcmfError(f"{name}.{exc}") from exc
    except ValueError as exc:
        raise OcmfError(f"{name}: must be JSON ({exc})") from exc
    if not isinstance(value, dict):
        refuse(name, "must be one JSON object", value)
    return value, len(text[:end].encode())


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            refuse(key, "is given twice")
        if _unpaired(key) or _unpaired(value):
            refuse(key, "has half of a surrogate pair, which is no character")
        found[key] = value
    return found


def _unpaired(value: object) -> bool:
    """Whether a text (or one of a list) cannot be written; objects were looked at already."""
    if isinstance(value, list):
        return any(map(_unpaired, value))
    return isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value)


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


_JSON = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=Number, parse_int=Number, parse_constant=_constant
)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _payload(payload: dict[str, Any], notes: list[str]) -> None:
    for key in _TEXTS:
        if key in payload and not _is_text(payload[key]):
            refuse(key, "must be a text", payload[key])
    if "FV" in payload and not _FV.fullmatch(payload["FV"]):
        refuse("FV", "must be a version such as 1.0", payload["FV"])
    if "IS" in payload and not isinstance(payload["IS"], bool):
        refuse("IS", "must be true or false", payload["IS"])
    flags = payload.get("IF", [])
    if not isinstance(flags, list) or not all(_is_text(flag) for flag in flags):
        refuse("IF", "must be a list of texts", flags)
    if not _is_text(payload.get("PG")) or not _PG.fullmatch(payload["PG"]):
        refuse("PG", "must be T or F and a number without leading zeros", payload.get("PG"))
    if not payload.get("MS") and not payload.get("GS"):
        refuse("MS", "must be given, or GS")
    if not isinstance(payload.get("RD"), list) or not payload["RD"]:
        refuse("RD", "must be a list of at least one reading", payload.get("RD"))
    unknown = [key for key in payload if key not in _KNOWN and key[:1] not in _VENDOR]
    notes += [f"{key}: is no field of the specification" for key in unknown]


def _readings(given: list[Any], notes: list[str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for index, one in enumerate(given):
        path = f"RD[{index}]"
        if not isinstance(one, dict):
            refuse(path, "must be an object", one)
        before = found[-1] if found else {}
        reading = {key: before[key] for key in _KEPT if key in before}
        for key in _READING:
            if key in one:
                reading[key] = _value(key, one[key], f"{path}.{key}")
        _whole(reading, one, path)
        found.append(reading)
        unknown = [key for key in one if key not in _READING and key[:1] not in _VENDOR]
        notes += [f"{path}.{key}: is no field of the specification" for key in unknown]
    return found


def _value(key: str, value: Any, path: str) -> str:
    """A field of a reading as text, checked."""
    if key in ("RV", "CL"):  # some makers write it as a text, with spaces before it
        text = value.strip(" ") if isinstance(value, str) else ""
        if not _NUMBER.fullmatch(text):
            refuse(path, "must be a decimal number", value)
        return text
    if not _is_text(value):
        refuse(path, "must be a text", value)
    if key == "TM":
        moment(value, path)
    if key == "TX" and (len(value) != 1 or value not in "BCXELRAPST"):
        refuse(path, "must be one of B C X E L R A P S T", value)
    if key == "ST" and (len(value) != 1 or value not in "NGTDRMXIOSEF"):
        refuse(path, "must be a meter's state, one of N G T D R M X I O S E F", value)
    if key == "RT" and value not in ("", "AC", "DC"):
        refuse(path, "must be AC or DC", value)
    if key == "EF" and set(value) - set("Et"):
        refuse(path, "must be of the letters E and t", value)
    return str(value)


def _whole(reading: dict[str, str], given: dict[str, Any], path: str) -> None:
    for key in ("TM", "ST"):
        if key not in reading:
            refuse(f"{path}.{key}", "must be given")
    if "RV" in given and "RU" not in reading:
        refuse(f"{path}.RU", "must be given")
    if "RV" not in given and not reading.get("EF"):
        refuse(f"{path}.RV", "must be given")
    if "RI" in given and "RU" not in given:
        refuse(f"{path}.RU", "must be given together with RI")


def moment(text: str, path: str) -> datetime:
    """The instant a TM tells. Raises OcmfError."""
    found = _TM.fullmatch(text)
    if found is None:
        refuse(path, "must be as 2018-07-24T13:22:04,000+0200 S (U, I, S or R)", text)
    try:
        return datetime.fromisoformat(f"{found[1]}.{found[2]}{found[3]}")
    except ValueError as exc:
        raise OcmfError(f"{path}: is no time ({exc}, given {text:.40})") from exc


def _signed(signature: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, default in _SIGNATURE.items():
        value = signature.get(key, default)
        if not _is_text(value):
            refuse(key, "must be given" if value is None else "must be a text", value)
        found[key] = str(value)
    if found["SE"] not in ("hex", "base64"):
        refuse("SE", "must be hex or base64", found["SE"])
    if found["SM"] != _SIGNATURE["SM"]:
        refuse("SM", f"must be {_SIGNATURE['SM']}", found["SM"])
    return found

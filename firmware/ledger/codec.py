"""A record as bytes and back, by the rows of schema.py.

Payload: kind (1 byte), version (1 byte), `at` (u), then the fields in order. u: LEB128, at most 64 bits; i: the same,
zigzag; s: length byte and UTF-8; l: count byte and that many i. docs/reliability.md has the table and an example.

Goals: what does not fit the schema is refused before anything is written; bytes from flash give a record or RecordError,
nothing else. A record of a kind this firmware does not know is kept as "unknown" with its bytes; of a known kind in a
later version the known fields are read and the bytes after them kept in `rest`; of an earlier version the fields that
did not exist yet are 0, "" or ().
"""

import json

from micropython import const

from firmware.errors import RecordError
from firmware.ledger.schema import ROWS

NOTE = const(128)  # kinds from here are the charger's own notes: without number, never synced
UNKNOWN = "unknown"
LOST = "lost"

_EMPTY = {"u": 0, "i": 0, "s": "", "l": ()}


class Record:
    """`seq`; `kind` (name); `version`; `at` (epoch ms, 0 unknown); `fields` by the schema's names; `rest`: bytes of
    fields this firmware does not know. Kind "unknown": all bytes are in `rest`. Kind "lost": flash lost this one."""

    def __init__(self, seq: int, kind: str, version: int, at: int, fields: dict, rest: bytes = b""):
        self.seq = seq
        self.kind = kind
        self.version = version
        self.at = at
        self.fields = fields
        self.rest = rest

    def to_json(self, epoch: int) -> str:
        """The record as JSON text: epoch, seq, type, version, at, then the fields in the schema's order; `payload` (hex)
        holds what this firmware does not know."""
        parts = [
            '{"epoch":%d,"seq":%d,"type":"%s","version":%d,"at":%d'
            % (epoch, self.seq, self.kind, self.version, self.at)
        ]
        if self.fields:
            for name, _ in row_of(self.kind)[3]:
                parts.append(',"%s":%s' % (name, json.dumps(self.fields[name])))
        if self.rest:
            parts.append(',"payload":"%s"' % bytes(self.rest).hex())
        parts.append("}")
        return "".join(parts)


def row_of(kind: str) -> tuple:
    """The schema's row of a kind; RecordError when there is none."""
    for row in ROWS:
        if row[1] == kind:
            return row
    raise RecordError("%s: no such kind" % kind)


def encode(buf, at: int, row: tuple, fields: dict, version: int = 0) -> int:
    """Writes a payload to the start of `buf` (a memoryview) and gives its length; RecordError names the field that is
    missing, unknown, of the wrong type or too long. `version` 0: the schema's."""
    _known(row, fields)
    buf[0] = row[0]
    buf[1] = version or row[2]
    name = "at"
    try:
        end = _put_u(buf, 2, at)
        for name, kind in row[3]:
            end = _put(buf, end, kind, fields[name])
    except KeyError:
        raise RecordError("%s.%s: missing" % (row[1], name))
    except IndexError:
        raise RecordError("%s.%s: record too long" % (row[1], name))
    except (TypeError, ValueError, OverflowError) as e:
        raise RecordError("%s.%s: %s" % (row[1], name, e))
    return end


def _known(row: tuple, fields: dict) -> None:
    if len(fields) > len(row[3]):
        names = [name for name, _ in row[3]]
        for name in fields:
            if name not in names:
                raise RecordError("%s.%s: no such field" % (row[1], name))


def _put(buf, at: int, kind: str, value) -> int:
    if kind == "u":
        return _put_u(buf, at, value)
    if kind == "i":
        return _put_i(buf, at, value)
    if kind == "s":
        return _put_s(buf, at, value)
    if len(value) > 255:
        raise ValueError("at most 255 numbers")
    buf[at] = len(value)
    at += 1
    for v in value:
        at = _put_i(buf, at, v)
    return at


def _put_u(buf, at: int, value: int) -> int:
    if isinstance(value, bool):
        value = 1 if value else 0
    if not isinstance(value, int):
        raise TypeError("must be an integer")
    if value < 0 or value >> 64:
        raise ValueError("out of range")
    while value > 0x7F:
        buf[at] = (value & 0x7F) | 0x80
        at += 1
        value >>= 7
    buf[at] = value
    return at + 1


def _put_i(buf, at: int, value: int) -> int:
    if not isinstance(value, int):
        raise TypeError("must be an integer")
    return _put_u(buf, at, value * 2 if value >= 0 else -value * 2 - 1)


def _put_s(buf, at: int, value: str) -> int:
    if not isinstance(value, str):
        raise TypeError("must be text")
    raw = value.encode()
    n = len(raw)
    if n > 255:
        raise ValueError("at most 255 bytes")
    if at + 1 + n > len(buf):
        raise IndexError
    buf[at] = n
    buf[at + 1 : at + 1 + n] = raw
    return at + 1 + n


def decode(seq: int, data, plain: bool = True) -> Record:
    """A record from a payload (a memoryview, copied). `plain` False: the frame is of a later format, so the payload is
    kept as it is. RecordError names the field that does not fit."""
    row = _row_number(data[0]) if plain and len(data) > 2 else None
    if row is None:
        version = data[1] if len(data) > 1 else 0
        return Record(seq, UNKNOWN, version, 0, {}, bytes(data))
    version = data[1]
    name = "at"
    fields = {}
    try:
        at, pos = _get_u(data, 2)
        for name, kind in row[3]:
            if pos == len(data) and version < row[2]:
                fields[name] = _EMPTY[kind]
            else:
                fields[name], pos = _get(data, pos, kind)
    except (IndexError, ValueError):  # ValueError: not UTF-8
        raise RecordError("%s.%s: cut short or malformed" % (row[1], name))
    if pos != len(data) and version <= row[2]:
        raise RecordError("%s: bytes after the last field" % row[1])
    return Record(seq, row[1], version, at, fields, bytes(data[pos:]))


def _row_number(number: int) -> "tuple | None":
    for row in ROWS:
        if row[0] == number:
            return row
    return None


def _get(data, at: int, kind: str) -> tuple:
    if kind == "u":
        return _get_u(data, at)
    if kind == "i":
        return _get_i(data, at)
    n = data[at]
    at += 1
    if kind == "s":
        if at + n > len(data):
            raise IndexError
        return str(bytes(data[at : at + n]), "utf-8"), at + n
    out = []
    for _ in range(n):
        v, at = _get_i(data, at)
        out.append(v)
    return out, at


def _get_u(data, at: int) -> tuple:
    value = 0
    shift = 0
    while True:
        b = data[at]
        at += 1
        value |= (b & 0x7F) << shift
        if b < 0x80:
            break
        shift += 7
        if shift > 63:
            raise ValueError
    if value >> 64:
        raise ValueError
    return value, at


def _get_i(data, at: int) -> tuple:
    value, at = _get_u(data, at)
    return (-((value + 1) >> 1) if value & 1 else value >> 1), at

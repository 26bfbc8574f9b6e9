"""A record as bytes and back, by the lines of schema.py.

Payload: kind (1 byte), version (1 byte), `at` (u), then the fields in order. u: LEB128, at most 64
bits; i: the same, zigzag; s: length byte and UTF-8; l: count byte and that many i.
docs/reliability.md has the table and an example.

Goals: what does not fit the schema is refused before anything is written; bytes from flash give a
record or RecordError, nothing else. A record of a kind this firmware does not know is kept as
"unknown" with its bytes; of a known kind in a later version the known fields are read and the
bytes after them kept in `rest`; of an earlier version the fields that did not exist yet are 0, ""
or [].
"""

import json

from micropython import const

from firmware.errors import RecordError
from firmware.ledger.schema import KINDS

_NOTES = const(2)
NOTE = const(128)  # kinds from here are the charger's own notes: without number, never synced


class Record:
    """`seq`; `kind` (name); `version`; `at` (epoch ms, 0 unknown); `fields` by the schema's names;
    `rest`: bytes of fields this firmware does not know. Kind "unknown": all bytes are in `rest`.
    Kind "lost": flash lost this one."""

    def __init__(
        self, seq: int, kind: str, version: int, at: int, fields: dict, rest: bytes = b""
    ) -> None:
        self.seq = seq
        self.kind = kind
        self.version = version
        self.at = at
        self.fields = fields
        self.rest = rest

    def to_json(self, epoch: int) -> str:
        """The record as JSON text: epoch, seq, type, version, at, then the fields in the schema's
        order; `payload` (hex) holds what this firmware does not know."""
        text = '{"epoch":%d,"seq":%d,"type":"%s","version":%d,"at":%d' % (
            epoch, self.seq, self.kind, self.version, self.at)  # fmt: skip
        if self.fields:
            for word in find_row(1, self.kind)[3].split():
                name = word.split(":")[0]
                text += ',"%s":%s' % (name, json.dumps(self.fields[name]))
        if self.rest:
            text += ',"payload":"%s"' % self.rest.hex()
        return text + "}"


def find_row(column: int, value) -> tuple:
    """The schema's row (number, name, version, fields) with this number (column 0) or name (column
    1); RecordError when there is none."""
    kinds = KINDS
    notes = len(kinds) - _NOTES
    if column:
        at = 0
        while at < len(kinds) and not kinds[at].startswith(value + " "):
            at += 1
        number = at + 1 if at < notes else at - notes + NOTE
    else:
        number = value
        at = value - 1 if value <= notes else -1
        if value >= NOTE:
            at = value - NOTE + notes
    if not 0 <= at < len(kinds) or not kinds[at]:
        raise RecordError("%s: no such kind" % value)
    name, version, fields = kinds[at].split(" ", 2)
    return number, name, int(version), fields


def _name_type(word: str) -> tuple:
    name, _, kind = word.partition(":")
    return name, kind or "u"


def encode(buf, row: tuple, at: int, fields: dict) -> int:
    """Writes a payload to the start of `buf` (a memoryview) and gives its length; RecordError
    names the field that is missing, unknown, of the wrong type or too long for its type or the
    frame."""
    buf[0] = row[0]
    buf[1] = row[2]
    name = "at"
    words = row[3].split()
    try:
        end = _put_u(buf, 2, at)
        for word in words:
            name, kind = _name_type(word)
            end = _PUT[kind](buf, end, fields[name])
        if len(fields) > len(words):
            raise ValueError("and a field that is not in the schema")
    except KeyError:
        raise RecordError("%s.%s: missing" % (row[1], name))
    except (AttributeError, IndexError, TypeError, ValueError) as e:  # IndexError: frame full
        raise RecordError("%s.%s: %s" % (row[1], name, e))
    return end


def _put_u(buf, at: int, value: int) -> int:
    if value is True:
        value = 1
    if not isinstance(value, int) and value is not False:
        raise TypeError("must be an integer")
    value = value or 0
    if value < 0 or value >> 64:
        raise ValueError("out of range")
    while value > 0x7F:
        buf[at] = (value & 0x7F) | 0x80
        at += 1
        value >>= 7
    buf[at] = value
    return at + 1


def _put_i(buf, at: int, value: int) -> int:
    return _put_u(buf, at, value * 2 if value >= 0 else -value * 2 - 1)


def _put_s(buf, at: int, value: str) -> int:
    raw = value.encode()
    n = len(raw)
    if n > 255:
        raise ValueError("at most 255 bytes")
    if at + 1 + n > len(buf):
        raise IndexError("record too long")
    buf[at] = n
    buf[at + 1 : at + 1 + n] = raw
    return at + 1 + n


def cut(text: str) -> str:
    """As much of a text as a field of a record holds, whole characters."""
    raw = text.encode()
    end = 255
    if len(raw) <= end:
        return text
    while raw[end] & 0xC0 == 0x80:
        end -= 1
    return raw[:end].decode()


def _put_l(buf, at: int, value) -> int:
    if len(value) > 255:
        raise ValueError("at most 255 numbers")
    buf[at] = len(value)
    at += 1
    for v in value:
        at = _put_i(buf, at, v)
    return at


def decode(seq: int, data, plain: bool = True) -> Record:
    """A record from a payload (a memoryview, copied). `plain` False: the frame is of a later
    format, so the payload is kept as it is. RecordError names the field that does not fit."""
    version = data[1] if len(data) > 1 else 0
    try:
        row = find_row(0, data[0] if plain and version else 0)
    except RecordError:
        return Record(seq, "unknown", version, 0, {}, bytes(data))
    name = "at"
    fields = {}
    end = len(data)
    older = version < row[2]
    try:
        at, pos = get_u(data, 2)
        for word in row[3].split():
            name = word
            kind = ""
            if word[-2] == ":":
                name = word[:-2]
                kind = word[-1]
            if older and pos == end:
                fields[name] = {"": 0, "i": 0, "s": ""}.get(kind, [])
            elif kind or data[pos] > 0x7F:
                fields[name], pos = _GET[kind](data, pos)
            else:
                fields[name] = data[pos]
                pos += 1
        if pos != end and version <= row[2]:
            raise ValueError
    except (IndexError, ValueError):  # a UnicodeError is a ValueError
        raise RecordError("%s.%s: malformed" % (row[1], name))
    return Record(seq, row[1], version, at, fields, bytes(data[pos:]))


def record_of(seq: int, payload, plain: bool) -> Record:
    """Bytes that are no record (no firmware wrote them) are kept as unknown."""
    try:
        return decode(seq, payload, plain)
    except RecordError:
        return decode(seq, payload, False)


def get_u(data, at: int) -> tuple:
    """A number and the place behind it. IndexError, ValueError: it is none."""
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    shift = 7
    while True:
        b = data[at]
        at += 1
        value |= (b & 0x7F) << shift
        if b < 0x80:
            break
        shift += 7
    if value >> 64:
        raise ValueError
    return value, at


def _get_i(data, at: int) -> tuple:
    value, at = get_u(data, at)
    return (-((value + 1) >> 1) if value & 1 else value >> 1), at


def _get_s(data, at: int) -> tuple:
    end = at + 1 + data[at]
    if end > len(data):
        raise IndexError
    return str(bytes(data[at + 1 : end]), "utf-8"), end


def _get_l(data, at: int) -> tuple:
    out = []
    n = data[at]
    at += 1
    for _ in range(n):
        v = data[at]
        if v < 0x80:
            at += 1
        else:
            v, at = get_u(data, at)
        out.append(-((v + 1) >> 1) if v & 1 else v >> 1)
    return out, at


_PUT: "dict" = {"u": _put_u, "i": _put_i, "s": _put_s, "l": _put_l}
_GET: "dict" = {"": get_u, "u": get_u, "i": _get_i, "s": _get_s, "l": _get_l}

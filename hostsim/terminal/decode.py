"""An APDU in words, as JSON-ready data: for `zvt decode`, the engineer's view and the live log.

Card numbers come out masked whatever the wire carried, track data never. Nothing here raises on
bad input: what does not fit is listed under "errors" with its offset and the reason.
"""

from __future__ import annotations

import re
from typing import Any

from hostsim.terminal import codec
from hostsim.terminal import fields as f
from hostsim.terminal.codec import CodecError, Deframer, Sign
from hostsim.terminal.fields import Fields
from hostsim.terminal.names import STATUS_TEXTS, command_name

_PASSWORD_FIRST = (0x0600, 0x0610, 0x061B, 0x0620, 0x0630, 0x0631, 0x0650, 0x0693)
_CARD_NUMBER = re.compile(rb"([A-Za-z]?)(?<![0-9])([0-9]{6})[0-9]{3,9}([0-9]{4})(?![0-9])")


def decode(apdu: bytes) -> dict[str, Any]:
    """Explain one APDU."""
    out: dict[str, Any] = {}
    if len(apdu) >= 2:
        command = int.from_bytes(apdu[:2], "big")
        out = {"command": f"{command:04X}", "name": command_name(command)}
    errors: list[CodecError] = []
    try:
        command, start, body, problem = codec.split_loosely(apdu)
        if problem is not None:
            errors.append(problem)
        _explain(out, command, body, start)
    except CodecError as exc:
        errors.append(exc)
    if errors:
        out["errors"] = [{"offset": error.offset, "reason": error.reason} for error in errors]
    return out


def decode_frame(data: bytes) -> dict[str, Any]:
    """Explain what a serial line carried: one frame, or a lone ACK or NAK."""
    if data in (b"\x06", b"\x15"):
        return {"command": data.hex().upper(), "name": "ACK" if data == b"\x06" else "NAK"}
    deframer = Deframer()
    for offset in range(len(data)):
        for item in deframer.feed(data[offset : offset + 1]):
            if item.sign is Sign.BROKEN:
                return {"errors": [{"offset": offset, "reason": item.reason}]}
            if item.sign is Sign.FRAME:
                return _whole_frame(decode(item.apdu), offset, len(data))
    reason = "the frame has no end" if deframer.inside else "no frame (10 02 ... 10 03 CRC) in it"
    return {"errors": [{"offset": len(data), "reason": reason}]}


def _whole_frame(out: dict[str, Any], end: int, size: int) -> dict[str, Any]:
    if end + 1 < size:
        error = {"offset": end + 1, "reason": f"{size - end - 1} bytes after the frame"}
        out.setdefault("errors", []).append(error)
    return out


def masked_hex(apdu: bytes) -> str:
    """The APDU in hexadecimal, card data hidden; only its head if it cannot be read."""
    try:
        command, start, body, _ = codec.split_loosely(apdu)
        skip = _plain_length(command, body)
        fields = f.parse(body[skip:], start + skip)
    except CodecError:
        return apdu[:3].hex().upper() + ("..." if len(apdu) > 3 else "")
    hidden = f.hide_cards(apdu, fields)
    return _CARD_NUMBER.sub(_stars, hidden).hex().upper()


def _stars(match: re.Match[bytes]) -> bytes:
    before, head, tail = match[1], match[2], match[3]
    digits = match[0][len(before) :]
    if before and not _luhn(digits):
        return match[0]  # an application id (A0000000041010), say
    return before + head + b"*" * (len(digits) - 10) + tail


def _luhn(digits: bytes) -> bool:
    values = [byte - 0x30 for byte in reversed(digits)]
    return sum(sum(divmod(v * (1 + i % 2), 10)) for i, v in enumerate(values)) % 10 == 0


def _text(data: bytes) -> str:
    """Text as a person may see it: what looks like a card number is masked."""
    return _CARD_NUMBER.sub(_stars, data).decode("cp437")


def _plain_length(command: int, body: bytes) -> int:
    """How many bytes without a tag come before the bitmaps."""
    if command == 0x0600:
        return 6 if len(body) >= 6 and body[4] not in (0x03, 0x06) else min(4, len(body))
    if command in _PASSWORD_FIRST:
        return 0 if f.plain_bitmaps(body) else min(3, len(body))
    if command == 0x0501:
        return 3 if body and body[0] not in (0x03, 0x06) else 0
    if command == 0x04FF:
        return min(len(body), 1 if body[1:2] == b"\x06" else 2)
    if command == 0x061E:
        return 3 if body[:1] == b"\x6f" and len(body) >= 3 else min(1, len(body))
    if command == 0x060F:
        return _completion_plain(body)
    return {
        0x06C0: min(1, len(body)),
        0x06D1: len(body),
        0x0FA1: len(body),
        0x0830: len(body),
    }.get(command, 0)


def _completion_plain(body: bytes) -> int:
    """060F of a status enquiry: [version LLLVAR] status code, then bitmaps."""
    if len(body) == 1:
        return 1
    if len(body) >= 4 and all(byte & 0xF0 == 0xF0 for byte in body[:3]):
        return min(len(body), 4 + _version_length(body))
    if len(body) >= 2 and body[0] not in (0x06, 0x19, 0x27, 0x29, 0x49) and body[1] == 0x06:
        return 1
    if len(body) >= 32 and body[0] >= 0x30:
        return len(body)  # plain text of a 0FA1 answer
    return 0


def _version_length(body: bytes) -> int:
    return (body[0] & 0xF) * 100 + (body[1] & 0xF) * 10 + (body[2] & 0xF)


def _explain(out: dict[str, Any], command: int, body: bytes, start: int) -> None:
    skip = _plain_length(command, body)
    plain = _PLAIN.get(command)
    if plain is not None:
        plain(out, body[:skip], start)
    elif command in _PASSWORD_FIRST and skip == 3:
        out["password"] = body[:3].hex()
    _bitmaps(out, command, f.parse(body[skip:], start + skip))


def _registration(out: dict[str, Any], plain: bytes, start: int) -> None:
    if len(plain) < 4:
        raise CodecError(start, "a registration has a password and a config byte")
    out["password"] = plain[:3].hex()
    out["config"] = plain[3]
    if len(plain) == 6:
        out["currency"] = f.from_bcd(plain[4:6], start + 4)


def _enquiry(out: dict[str, Any], plain: bytes, start: int) -> None:
    if plain:
        out["password"] = plain.hex()


def _intermediate(out: dict[str, Any], plain: bytes, start: int) -> None:
    if not plain:
        raise CodecError(start, "an intermediate status has a status byte")
    out["status"] = out["status_byte"] = plain[0]
    out["text"] = STATUS_TEXTS.get(plain[0], f"status {plain[0]:02X}")
    if len(plain) > 1:
        out["timeout"] = f.from_bcd(plain[1:2], start + 1)


def _abort(out: dict[str, Any], plain: bytes, start: int) -> None:
    if not plain:
        raise CodecError(start, "an abort has a result code")
    out["result"] = plain[0]
    if len(plain) == 3:
        out["currency"] = f.from_bcd(plain[1:3], start + 1)


def _completion(out: dict[str, Any], plain: bytes, start: int) -> None:
    if not plain:
        return
    if len(plain) == 1:
        out["status"] = plain[0]
    elif plain[0] & 0xF0 == 0xF0 and len(plain) > 3:
        size = _version_length(plain)
        out["software"] = _text(plain[3 : 3 + size])
        if len(plain) == 4 + size:
            out["status"] = plain[-1]
        else:
            raise CodecError(
                start, f"the version should have {size} characters and a status code after it"
            )
    else:
        out["text"] = _text(plain)


def _read_card(out: dict[str, Any], plain: bytes, start: int) -> None:
    if plain:
        out["timeout"] = plain[0]


def _print_line(out: dict[str, Any], plain: bytes, start: int) -> None:
    if not plain:
        raise CodecError(start, "a print line has an attribute byte")
    out["lines"] = [_text(plain[1:])]


def _text_only(out: dict[str, Any], plain: bytes, start: int) -> None:
    if plain:
        out["data"] = plain.hex()


_PLAIN = {
    0x0600: _registration,
    0x0501: _enquiry,
    0x04FF: _intermediate,
    0x061E: _abort,
    0x060F: _completion,
    0x06C0: _read_card,
    0x06D1: _print_line,
    0x0FA1: _text_only,
    0x0830: _text_only,
}


def _bitmaps(out: dict[str, Any], command: int, fields: Fields) -> None:
    for tag, name in (
        (0x04, "amount_minor"),
        (0x49, "currency"),
        (0x0B, "trace"),
        (0x37, "original_trace"),
        (0x88, "turnover"),
    ):
        number = fields.number(tag)
        if number is not None:
            out[name] = number
    for tag, name in (
        (0x0C, "time"),
        (0x0D, "date"),
        (0x0E, "expiry"),
        (0x29, "terminal_id"),
        (0xAA, "date"),
    ):
        raw = fields.raw(tag)
        if raw is not None:
            out[name] = raw.hex()
    _codes(out, command, fields)
    _card(out, fields)
    _texts(out, command, fields)
    _receipt(out, fields)
    _end_of_day(out, fields)
    _tlvs(out, fields)


def _codes(out: dict[str, Any], command: int, fields: Fields) -> None:
    names = {
        0x27: "result",
        0x8A: "card_type",
        0x8C: "card_type_id",
        0xA0: "as_result",
        0x03: "service_byte",
        0xFC: "dialog_control",
    }
    names[0x19] = {0x060F: "status_byte", 0x06C0: "card_reader"}.get(command, "payment_type")
    for tag, name in names.items():
        raw = fields.raw(tag)
        if raw is not None:
            out[name] = raw[0]


def _card(out: dict[str, Any], fields: Fields) -> None:
    pan, track2, name = fields.raw(0x22), fields.raw(0x23), fields.raw(0x8B)
    if pan is not None or track2 is not None:
        out["pan"] = f.pan_text(pan if pan is not None else track2 or b"")
    if name is not None:
        out["card_name"] = _text(name.split(b"\x00")[0])


def _texts(out: dict[str, Any], command: int, fields: Fields) -> None:
    attribute, text, vu = fields.raw(0x3B), fields.raw(0x3C), fields.raw(0x2A)
    if attribute is not None:
        out["aid"] = _text(attribute.rstrip(b"\x00 "))
    if text is not None:
        out["text"] = _text(text)
    if vu is not None:
        out["vu_number"] = _text(vu).strip()


def _receipt(out: dict[str, Any], fields: Fields) -> None:
    raw = fields.raw(0x87)
    if raw == b"\xff\xff":
        out["receipt"] = "FFFF"
    elif raw is not None:
        out["receipt"] = fields.number(0x87)


def _end_of_day(out: dict[str, Any], fields: Fields) -> None:
    item = fields.bmps.get(0x60)
    if item is None:
        return
    value, offset = item.value, item.value_offset
    if len(value) < 4 or (len(value) - 4) % 7:
        raise CodecError(offset, f"totals of {len(value)} bytes: must be 4 and 7 per kind of card")
    out["receipts"] = [f.from_bcd(value[0:2], offset), f.from_bcd(value[2:4], offset + 2)]
    amounts = [
        f.from_bcd(value[at + 1 : at + 7], offset + at + 1) for at in range(4, len(value), 7)
    ]
    out["total_minor"] = sum(amounts)
    out["counts"] = [value[at] for at in range(4, len(value), 7)]


def _tlvs(out: dict[str, Any], fields: Fields) -> None:
    lines = [_text(item.value) for item in f.find_all(fields.tlvs, 0x07)]
    if f.find(fields.tlvs, (0x25,)) is not None:
        out["lines"] = lines
    elif lines:
        out["text"] = "\n".join(lines)
    receipts = f.find(fields.tlvs, (0x23,))
    if receipts is not None:
        out["receipts"] = [
            f.from_bcd(item.value, item.offset + 2) for item in f.find_all(receipts.children, 0x08)
        ]
    error = fields.tlv(0x1F17)
    if error is not None:
        out["text"] = _text(error)
    names = {
        0x4C: "uid",
        0x43: "aid",
        0x1F45: "ats",
        0x1F4F: "atqa",
        0x1F50: "sak",
        0x1F2B: "long_trace",
        0x1F1F: "last_receipt",
    }
    for tag, name in names.items():
        found = f.find_all(fields.tlvs, tag)
        if found and name not in out:
            out[name] = found[0].value.hex()
    _reference(out, fields)


def _reference(out: dict[str, Any], fields: Fields) -> None:
    for tag, name in ((0x1F62, "reference_prefix"), (0x1F63, "reference")):
        found = f.find_all(fields.tlvs, tag)
        if found:
            out[name] = _text(found[0].value)

"""An APDU in words, as JSON-ready data: for `zvt decode`, the engineer's view and the live log.

Card numbers come out masked whatever the wire carried, track data never. Nothing here raises on
bad input: what does not fit is listed under "errors" with its offset and the reason.
"""

from __future__ import annotations

from typing import Any

from hostsim.terminal import codec
from hostsim.terminal import fields as f
from hostsim.terminal.codec import CodecError, Deframer, Sign
from hostsim.terminal.fields import Fields
from hostsim.terminal.masking import mask_numbers, readable
from hostsim.terminal.names import command_name
from hostsim.terminal.plain import PASSWORD_FIRST, PLAIN, plain_length


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
        skip = plain_length(command, body)
        fields = f.parse(body[skip:], start + skip)
    except CodecError:
        return apdu[:3].hex().upper() + ("..." if len(apdu) > 3 else "")
    hidden = f.hide_cards(apdu, fields)
    return mask_numbers(hidden).hex().upper()


def _explain(out: dict[str, Any], command: int, body: bytes, start: int) -> None:
    skip = plain_length(command, body)
    plain = PLAIN.get(command)
    if plain is not None:
        plain(out, body[:skip], start)
    elif command in PASSWORD_FIRST and skip == 3:
        out["password"] = body[:3].hex()
    fields = Fields()
    try:
        f.parse_into(fields, body[skip:], start + skip)
    finally:
        _bitmaps(out, command, fields)


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
        out["card_name"] = readable(name.split(b"\x00")[0])


def _texts(out: dict[str, Any], command: int, fields: Fields) -> None:
    attribute, text, vu = fields.raw(0x3B), fields.raw(0x3C), fields.raw(0x2A)
    if attribute is not None:
        out["aid"] = readable(attribute.rstrip(b"\x00 "))
    if text is not None:
        out["text"] = readable(text)
    if vu is not None:
        out["vu_number"] = readable(vu).strip()


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
    lines = [readable(item.value) for item in f.find_all(fields.tlvs, 0x07)]
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
        out["text"] = readable(error)
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
            out[name] = readable(found[0].value)

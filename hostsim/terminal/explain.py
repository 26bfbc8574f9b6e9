"""What the fields of an APDU say, by name; decode.py puts it together.

A field that makes no sense is noted with its offset, the others are told all the same. Card
numbers come out masked (first six and last four digits), tracks and what else belongs to a card
only not at all. Source: PA00P015 "Summary of utilised BMPs" and "Overview of tags used".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hostsim.terminal import fields as f
from hostsim.terminal.codec import CodecError
from hostsim.terminal.codes import result_text
from hostsim.terminal.fields import Bmp, Fields, Tlv
from hostsim.terminal.masking import mask_id, packed_text, readable, scheme

Problems = list[CodecError]

_NUMBERS = {
    0x04: "amount_minor",
    0x0B: "trace",
    0x37: "original_trace",
    0x49: "currency",
    0x88: "turnover",
    0x17: "card_sequence",
}
_DIGITS = {0x0C: "time", 0x0D: "date", 0x0E: "expiry", 0x29: "terminal_id", 0xAA: "date"}
_BYTES = {
    0x01: "timeout",
    0x02: "max_status_informations",
    0x03: "service_byte",
    0x05: "pump",
    0x27: "result",
    0x72: "image_type",
    0x73: "image_encoding",
    0x74: "image_chunks",
    0x75: "image_chunk",
    0x8A: "card_type",
    0x8C: "card_type_id",
    0xA0: "as_result",
    0xD0: "algorithm_key",
    0xD2: "card_output",
    0xD3: "key_id",
    0xE0: "min_input",
    0xE9: "max_input",
    0xEA: "echo",
    0xF0: "display_s",
    0xF9: "beeps",
    0xFA: "reader_activation",
    0xFB: "confirm_input",
    0xFC: "dialog_control",
    0xFD: "display_device",
}
_TEXTS = {0x2A: "vu_number", 0x3B: "aid", 0x3C: "text"}
_RAW = {
    0xA7: "chip_ef_id",
    0xBA: "aid_parameter",
    0xEB: "mac",
    0x70: "image_id",
    0x71: "image_size",
}
_SHOWN = range(0xF1, 0xF9), range(0xE1, 0xE9)  # lines of a display text, first and second text

_TAG_NUMBERS = {
    0x12: "printer_width",
    0x1A: "max_apdu",
    0x1B: "diagnosis_type",
    0x1F04: "receipt_parameter",
    0x1F05: "transaction_parameter",
    0x1F06: "reservation_parameter",
    0x1F07: "receipt_type",
    0x1F10: "cardholder_authentication",
    0x1F11: "online",
    0x1F12: "card_technology",
    0x1F43: "device_state",
    0x1F4C: "card_kind",
    0x1F50: "sak",
    0x1F70: "partial_approval",
}
_TAG_DIGITS = {
    0x08: "receipt",
    0x1F0B: "max_hold_minor",
    0x1F0E: "date",
    0x1F0F: "time",
    0x1F1F: "last_receipt",
    0x1F2B: "trace",
    0x1F42: "serial_number",
    0x1F44: "terminal_id",
}
_AS_NUMBERS = ("receipt", "max_hold_minor", "trace")
_TAG_HEX = {
    0x1F15: "card_reading_control",
    0x1F16: "extended_error",
    0x1F45: "ats",
    0x1F4D: "card_subtype",
    0x1F4F: "atqa",
    0x1F60: "card_technologies",
    0x43: "aid",
    0x4C: "uid",
}
_TAG_TEXTS = {
    0x1F17: "text",
    0x1F40: "device",
    0x1F41: "software",
    0x1F62: "reference_prefix",
    0x1F63: "reference",
}
_NUMBER_BYTES = 6
# what a date or a time is made of (two digits each; Y: year, two or four of them)
_MOMENTS = {0x0C: "hms", 0x0D: "MD", 0x0E: "YM", 0xAA: "YMD", 0x1F0E: "YMD", 0x1F0F: "hms"}
_HIGHEST = {"Y": 99, "M": 12, "D": 31, "h": 23, "m": 59, "s": 59}


def explain(out: dict[str, Any], problems: Problems, command: int, fields: Fields) -> None:
    """Name in `out` what the bitmaps and the TLV container of `command` say."""
    seen: set[int] = set()
    for item in fields.order:
        if item.tag in seen and item.tag != 0x06:
            problems.append(CodecError(item.offset, f"bitmap {item.tag:02X} comes again"))
        seen.add(item.tag)
        _try(problems, partial(_bitmap, out, command, item))
    _card(out, fields)
    totals = fields.bmps.get(0x60)
    if totals is not None:
        _try(problems, partial(_end_of_day, out, totals))
    _display(out, fields)
    _lines(out, fields)
    _open_holds(out, problems, fields)
    for found in f.leaves(item for item in fields.tlvs if item.tag != 0x23):
        _try(problems, partial(_tag, out, found))
    commands = f.find(fields.tlvs, (0x26,))
    if commands is not None:
        out["commands"] = [
            packed_text(c.value).upper() for c in f.find_all(commands.children, 0x0A)
        ]
    if "result" in out:
        out["result_text"] = result_text(out["result"])


def _try(problems: Problems, read: Callable[[], None]) -> None:
    try:
        read()
    except CodecError as exc:
        problems.append(exc)


def _bitmap(out: dict[str, Any], command: int, item: Bmp) -> None:
    tag, value = item.tag, item.value
    if tag in _NUMBERS:
        out[_NUMBERS[tag]] = f.from_bcd(value, item.value_offset)
    elif tag in _DIGITS:
        out[_DIGITS[tag]] = value.hex()
        f.from_bcd(value, item.value_offset)
        _moment(tag, value.hex(), item.value_offset)
    elif tag in _BYTES:
        out[_BYTES[tag]] = value[0]
    elif tag in _TEXTS:
        out[_TEXTS[tag]] = readable(value).strip("\0 ")
    elif tag == 0x8B:
        out["card_name"] = scheme(value.split(b"\x00")[0])
    elif tag in _RAW:
        out[_RAW[tag]] = packed_text(value)
    elif tag == 0x19:
        name = {0x060F: "status_byte", 0x06C0: "card_reader"}.get(command, "payment_type")
        out[name] = value[0]
    elif tag == 0x87:
        none = value == b"\xff\xff"
        out["receipt"] = "FFFF" if none else f.from_bcd(value, item.value_offset)
    elif tag == 0x3D:
        out["password"] = value.hex()
        f.from_bcd(value, item.value_offset)


def _moment(tag: int, digits: str, offset: int) -> None:
    """Raises CodecError for a date or a time that there is not."""
    parts = _MOMENTS.get(tag, "")
    if not parts:
        return
    text = digits[-2 * len(parts) :]  # a year of four digits: its last two
    found = {part: int(text[2 * at : 2 * at + 2]) for at, part in enumerate(parts)}
    days = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}.get(found.get("M", 0), 31)
    over = any(number > _HIGHEST[part] for part, number in found.items())
    if over or found.get("M") == 0 or not 0 < found.get("D", 1) <= days:
        raise CodecError(offset, f"{digits} is no {'time' if 'h' in parts else 'date'}")


def _card(out: dict[str, Any], fields: Fields) -> None:
    pan, track2 = fields.raw(0x22), fields.raw(0x23)
    if pan is not None or track2 is not None:
        out["pan"] = f.pan_text(pan if pan is not None else track2 or b"")


def _end_of_day(out: dict[str, Any], item: Bmp) -> None:
    """BMP 60: first and last receipt, then number and sum for each kind of card."""
    value, offset = item.value, item.value_offset
    if len(value) < 4 or (len(value) - 4) % 7:
        raise CodecError(offset, f"totals of {len(value)} bytes: must be 4 and 7 per kind of card")
    out["receipts"] = [f.from_bcd(value[0:2], offset), f.from_bcd(value[2:4], offset + 2)]
    sums = range(4, len(value), 7)
    out["counts"] = [value[at] for at in sums]
    out["sums_minor"] = [f.from_bcd(value[at + 1 : at + 7], offset + at + 1) for at in sums]
    out["total_minor"] = sum(out["sums_minor"])


def _display(out: dict[str, Any], fields: Fields) -> None:
    shown = [
        readable(fields.raw(tag) or b"") for tags in _SHOWN for tag in tags if fields.raw(tag)
    ]
    if shown:
        out["text"] = "\n".join(shown)


def _lines(out: dict[str, Any], fields: Fields) -> None:
    """Print texts (25) are lines, display texts (24) a text."""
    lines = [readable(item.value) for item in f.find_all(fields.tlvs, 0x07)]
    if f.find(fields.tlvs, (0x25,)) is not None:
        out["lines"] = lines
        ends = [packed_text(item.value) for item in f.find_all(fields.tlvs, 0x09)]
        if ends:
            out["line_attribute"] = ends[-1]
    elif lines:
        out["text"] = "\n".join(lines)


def _open_holds(out: dict[str, Any], problems: Problems, fields: Fields) -> None:
    """TLV 23: the receipts of all open reservations."""
    holds = f.find(fields.tlvs, (0x23,))
    if holds is None:
        return
    receipts = out["receipts"] = []
    for item in f.find_all(holds.children, 0x08):
        _try(problems, partial(_hold, receipts, item))


def _sized(item: Tlv) -> None:
    """A figure longer than any is none: a card's number, perhaps, and not told."""
    size = len(item.value)
    if size > _NUMBER_BYTES:
        raise CodecError(_value_offset(item), f"TLV {item.tag:X} has a figure of {size} bytes")


def _hold(receipts: list[int], item: Tlv) -> None:
    _sized(item)
    receipts.append(f.from_bcd(item.value, _value_offset(item)))


def _value_offset(item: Tlv) -> int:
    return item.offset + len(f.tlv(item.tag, item.value)) - len(item.value)


def _tag(out: dict[str, Any], item: Tlv) -> None:
    """The first of a kind is told; a trace number of more than six digits stands for BMP 0B."""
    tag, value = item.tag, item.value
    if tag in _TAG_NUMBERS and value:
        _sized(item)
        out.setdefault(_TAG_NUMBERS[tag], int.from_bytes(value, "big"))
    elif tag in _TAG_DIGITS and value:
        name = _TAG_DIGITS[tag]
        _sized(item)
        number = f.from_bcd(value, _value_offset(item))
        if name == "trace" and not out.get("trace"):
            out["trace"] = number
        out.setdefault(name, number if name in _AS_NUMBERS else value.hex())
        _moment(tag, value.hex(), _value_offset(item))
    elif tag in _TAG_HEX:
        known = tag in f.WHOLE_TAGS
        shown = mask_id(value, tag == 0x4C).hex() if known else packed_text(value)
        out.setdefault(_TAG_HEX[tag], shown)
    elif tag in _TAG_TEXTS:
        out.setdefault(_TAG_TEXTS[tag], readable(value))
    elif tag == 0x42:
        out.setdefault("application", scheme(value))

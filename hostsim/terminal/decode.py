"""An APDU in words, as JSON-ready data: for `zvt decode`, the engineer's view and the live log.

Card numbers come out masked whatever the wire carried, track data never. Nothing here raises on
bad input: what does not fit is listed under "errors" with its offset and the reason, next to what
could be read.
"""

from __future__ import annotations

from typing import Any

from hostsim.terminal import codec
from hostsim.terminal import fields as f
from hostsim.terminal.codec import CodecError, Deframer, Sign
from hostsim.terminal.explain import explain
from hostsim.terminal.fields import Fields
from hostsim.terminal.masking import mask_numbers, mask_runs, printable
from hostsim.terminal.names import command_name
from hostsim.terminal.plain import PASSWORD_FIRST, PLAIN, password, plain_length

_FRAME = b"\x10\x02"


def decode(apdu: bytes) -> dict[str, Any]:
    """Explain one APDU. Offsets of errors count from its first byte."""
    out: dict[str, Any] = {}
    if len(apdu) >= 2:
        command = int.from_bytes(apdu[:2], "big")
        out = {"command": f"{command:04X}", "name": command_name(command)}
    errors: list[CodecError] = []
    if apdu[:2] == _FRAME:
        errors.append(CodecError(0, "10 02 begins a frame of the serial line (--serial)"))
    try:
        command, start, body, problem = codec.split_loosely(apdu)
        if problem is not None:
            errors.append(problem)
        _explain(out, errors, command, body, start)
    except CodecError as exc:
        errors.append(exc)
    if errors:
        out["errors"] = [{"offset": error.offset, "reason": error.reason} for error in errors]
    return out


def decode_frame(data: bytes) -> dict[str, Any]:
    """Explain what a serial line carried: one frame, or a lone ACK or NAK. Offsets of errors in
    the framing count from the first byte of `data`, those in the APDU from its first byte.
    """
    if data in (b"\x06", b"\x15"):
        return {"command": data.hex().upper(), "name": "ACK" if data == b"\x06" else "NAK"}
    deframer = Deframer()
    for offset in range(len(data)):
        for item in deframer.feed(data[offset : offset + 1]):
            if item.sign is Sign.BROKEN:
                # what a wrong CRC was about is still worth reading
                out = decode(item.apdu) if len(item.apdu) > 2 else {}
                return _noted(out, offset, item.reason)
            if item.sign is Sign.FRAME:
                return _whole_frame(decode(item.apdu), data, offset, deframer.noise)
    if deframer.inside:
        return _noted({}, len(data), "the frame has no end")
    return _noted({}, len(data), "no frame (10 02 ... 10 03 CRC) in it")


def _whole_frame(out: dict[str, Any], data: bytes, end: int, noise: int) -> dict[str, Any]:
    if noise:
        _noted(out, 0, f"{noise} bytes before the frame")
    if end + 1 < len(data):
        _noted(out, end + 1, f"{len(data) - end - 1} bytes after the frame")
    return out


def _noted(out: dict[str, Any], offset: int, reason: str) -> dict[str, Any]:
    out.setdefault("errors", []).append({"offset": offset, "reason": reason})
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
    if skip < len(body) or not printable(hidden[start : start + skip]):  # not all of it is a text
        hidden = hidden[:start] + mask_runs(hidden[start:], skip)
    return mask_numbers(hidden).hex().upper()


def _explain(
    out: dict[str, Any], errors: list[CodecError], command: int, body: bytes, start: int
) -> None:
    if command >> 8 == 0x84:
        out["result"] = command & 0xFF
    skip = plain_length(command, body)
    plain = PLAIN.get(command)
    fields = Fields()
    try:
        if command in PASSWORD_FIRST and skip == 3:
            password(out, body, start)
        if plain is not None:
            plain(out, body[:skip], start)
    except CodecError as exc:
        errors.append(exc)
    try:
        f.parse_into(fields, body[skip:], start + skip, errors)
    except CodecError as exc:
        errors.append(exc)
    explain(out, errors, command, fields)

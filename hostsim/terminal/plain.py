"""The bytes without a tag at the head of some APDUs: passwords, status bytes, versions.

Source: PA00P015, each command's own section; the version of 060F as captured (see facts/zvt.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostsim.terminal import fields as f
from hostsim.terminal.codec import CodecError
from hostsim.terminal.codes import result_text, status_text
from hostsim.terminal.masking import readable

PASSWORD_FIRST = (
    0x0610, 0x0612, 0x061B, 0x0620, 0x0630, 0x0631, 0x0650, 0x0651, 0x0652, 0x0693, 0x0803,
    0x0810, 0x0814,
)  # fmt: skip
Plain = Callable[[dict[str, Any], bytes, int], None]
_REVERSAL, _RECEIPT = 0x0630, 0x87


def plain_length(command: int, body: bytes) -> int:
    """How many bytes without a tag come before the bitmaps."""
    if command == 0x0600:
        return registration_length(body)
    if command in PASSWORD_FIRST:
        return _password_length(command, body)
    if command == 0x0501:
        return min(3, len(body)) if body and body[0] not in (0x03, 0x06) else 0
    if command == 0x04FF:
        return min(len(body), 1 if body[1:2] == b"\x06" else 2)
    if command == 0x061E:
        currency = body[:1] == b"\x6f" and len(body) >= 3 and body[1] not in (0x06, 0x49, 0x87)
        return 3 if currency else min(1, len(body))
    if command == 0x060F:
        return _completion_plain(body)
    return {
        0x06C0: min(1, len(body)),
        0x06D1: len(body),
        0x0FA1: len(body),
        0x0830: min(1, len(body)),
        0x0840: min(1, len(body)),
        0x0802: min(1, len(body)),
        0x0695: min(6, len(body)),
        0x0691: 6 if len(body) == 6 else 0,
    }.get(command, 0)


def registration_length(body: bytes) -> int:
    """Password, config byte and, where it is given, the currency. Currencies begin with 03 and 06
    too (HUF 0348, RUB 0643): a service byte (03) has its low bits only, and a container (06) is
    one when its length fits.
    """
    if len(body) < 6:
        return min(4, len(body))
    if body[4] == 0x03:
        bitmaps = body[5] < 0x20
    else:
        bitmaps = body[4] == 0x06 and (_fills(body[5:]) or f.plain_bitmaps(body[4:]))
    if body[4] in (0x03, 0x06) and not body[5:6].hex().isdecimal():
        bitmaps = True
    return 4 if bitmaps else 6


def _fills(data: bytes) -> bool:
    """Whether data that begin with a length (BER) are as long as it says."""
    head = data[0] - 0x7F if data[0] in (0x81, 0x82) else 1
    size = int.from_bytes(data[1:head], "big") if head > 1 else data[0]
    return head + size == len(data)


def _password_length(command: int, body: bytes) -> int:
    """The password is left out by some ECRs; what can be read as bitmaps is read so."""
    if len(body) == 3:
        return 0 if command == _REVERSAL and body[0] == _RECEIPT else 3
    return 0 if f.plain_bitmaps(body) else min(3, len(body))


def _completion_plain(body: bytes) -> int:
    """060F of a status enquiry: [version LLLVAR] status code, then bitmaps."""
    if len(body) == 1:
        return 1
    if len(body) >= 4 and all(byte & 0xF0 == 0xF0 for byte in body[:3]):
        return min(len(body), 4 + _version_length(body))
    if len(body) >= 2 and body[0] not in (0x06, 0x19, 0x27, 0x29, 0x49) and body[1] == 0x06:
        return 1
    if len(body) >= 32 and all(0x20 <= byte < 0x7F for byte in body):
        return len(body)  # plain text of a 0FA1 answer
    return 0


def _version_length(body: bytes) -> int:
    return (body[0] & 0xF) * 100 + (body[1] & 0xF) * 10 + (body[2] & 0xF)


def password(out: dict[str, Any], plain: bytes, start: int, name: str = "password") -> None:
    """The three bytes of a password, told even when they are no digits: raises CodecError then."""
    out[name] = plain[:3].hex()
    f.from_bcd(plain[:3], start)


def _registration(out: dict[str, Any], plain: bytes, start: int) -> None:
    if len(plain) < 4:
        raise CodecError(start, "a registration has a password and a config byte")
    out["config"] = plain[3]
    password(out, plain, start)
    if len(plain) == 6:
        out["currency"] = f.from_bcd(plain[4:6], start + 4)


def _enquiry(out: dict[str, Any], plain: bytes, start: int) -> None:
    if plain:
        password(out, plain, start)


def _intermediate(out: dict[str, Any], plain: bytes, start: int) -> None:
    if not plain:
        raise CodecError(start, "an intermediate status has a status byte")
    out["status"] = out["status_byte"] = plain[0]
    out["text"] = status_text(plain[0])
    if len(plain) > 1:
        out["timeout"] = f.from_bcd(plain[1:2], start + 1)


def _abort(out: dict[str, Any], plain: bytes, start: int) -> None:
    if not plain:
        raise CodecError(start, "an abort has a result code")
    out["result"] = plain[0]
    out["result_text"] = result_text(plain[0])
    if len(plain) == 3:
        out["currency"] = f.from_bcd(plain[1:3], start + 1)


def _completion(out: dict[str, Any], plain: bytes, start: int) -> None:
    if not plain:
        return
    if len(plain) == 1:
        out["status"] = plain[0]
    elif plain[0] & 0xF0 == 0xF0 and len(plain) > 3:
        size = _version_length(plain)
        out["software"] = readable(plain[3 : 3 + size])
        if len(plain) == 4 + size:
            out["status"] = plain[-1]
        else:
            raise CodecError(
                start, f"the version should have {size} characters and a status code after it"
            )
    else:
        out["text"] = readable(plain)


def _print_line(out: dict[str, Any], plain: bytes, start: int) -> None:
    if not plain:
        raise CodecError(start, "a print line has an attribute byte")
    out["attribute"] = plain[0]
    out["lines"] = [readable(plain[1:])]


def _functions(out: dict[str, Any], plain: bytes, start: int) -> None:
    if len(plain) == 5:
        out["function"] = int.from_bytes(plain[3:], "big")
        password(out, plain, start)
    elif len(plain) == 2:
        out["function"] = int.from_bytes(plain, "big")
    else:
        raise CodecError(start, "a terminal function has two bytes, a password before them")


def _one_byte(name: str) -> Plain:
    def read(out: dict[str, Any], plain: bytes, start: int) -> None:
        if not plain:
            raise CodecError(start, f"the byte for {name} is missing")
        out[name] = plain[0]

    return read


def _change_password(out: dict[str, Any], plain: bytes, start: int) -> None:
    if len(plain) != 6:
        raise CodecError(start, "a change of password has the old and the new one")
    out["new_password"] = plain[3:].hex()
    password(out, plain, start)
    password(out, plain[3:], start + 3, "new_password")


def _set_clock(out: dict[str, Any], plain: bytes, start: int) -> None:
    if plain:
        out["date"], out["time"] = plain[:3].hex(), plain[3:].hex()


PLAIN: dict[int, Plain] = {
    0x0600: _registration,
    0x0501: _enquiry,
    0x04FF: _intermediate,
    0x061E: _abort,
    0x060F: _completion,
    0x06C0: _one_byte("timeout"),
    0x06D1: _print_line,
    0x0FA1: _functions,
    0x0830: _one_byte("language"),
    0x0840: _one_byte("baud_code"),
    0x0802: _one_byte("protocol"),
    0x0695: _change_password,
    0x0691: _set_clock,
}

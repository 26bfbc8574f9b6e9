"""APDUs an ECR may send, made from plain values; what `zvt talk` offers. Source: facts/zvt.md,
table of commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hostsim.terminal import codec
from hostsim.terminal import fields as f


@dataclass(frozen=True)
class Values:
    """What the person at the keyboard gave."""

    password: int = 123456
    config: int = 0xDE
    currency: int = 978
    amount_minor: int | None = None
    receipt: int | None = None
    trace: int | None = None
    timeout_s: int = 15
    tlv: bool = False


@dataclass(frozen=True)
class Command:
    """A command by name: what it needs, and whether it moves money."""

    about: str
    make: Callable[[Values], bytes]
    needs: tuple[str, ...] = ()
    money: bool = False


def _secret(v: Values) -> bytes:
    return f.to_bcd(v.password, 3)


def _amount(v: Values) -> bytes:
    return b"" if v.amount_minor is None else f.bmp(0x04, v.amount_minor)


def _receipt(v: Values) -> bytes:
    return b"" if v.receipt is None else f.bmp(0x87, v.receipt)


def _tail(v: Values) -> bytes:
    return f.bmp(0x49, v.currency) + f.bmp(0x19, b"\x40")


def _register(v: Values) -> bytes:
    wishes = f.container(f.tlv(0x26, f.tlv(0x0A, b"\x06\xd3"))) if v.tlv else b""
    return codec.join(0x0600, _secret(v) + bytes((v.config,)) + f.to_bcd(v.currency, 2) + wishes)


def _extend(v: Values) -> bytes:
    trace = b"" if v.trace is None else f.bmp(0x0B, v.trace)
    return codec.join(0x0622, _amount(v) + _tail(v) + trace + f.container(f.tlv(0x1F06, b"\x03")))


COMMANDS: dict[str, Command] = {
    "register": Command("registration (0600)", _register),
    "status": Command("status enquiry (0501)", lambda v: codec.join(0x0501)),
    "pending": Command("open holds (0623 87 FFFF)", lambda v: codec.join(0x0623, b"\x87\xff\xff")),
    "read-card": Command(
        "read a card (06C0)", lambda v: codec.join(0x06C0, bytes((v.timeout_s,)))
    ),
    "abort": Command("abort (06B0)", lambda v: codec.join(0x06B0)),
    "diagnosis": Command("diagnosis (0670)", lambda v: codec.join(0x0670)),
    "initialise": Command("initialisation (0693)", lambda v: codec.join(0x0693, _secret(v))),
    "log-off": Command("log off (0602)", lambda v: codec.join(0x0602)),
    "reserve": Command(
        "hold an amount (0622)",
        lambda v: codec.join(0x0622, _amount(v) + _tail(v)),
        ("amount",),
        True,
    ),
    "extend": Command("extend a hold (0622, by trace)", _extend, ("amount", "trace"), True),
    "release": Command(
        "capture a hold, releasing the amount (0623)",
        lambda v: codec.join(0x0623, _receipt(v) + _tail(v) + _amount(v)),
        ("receipt",),
        True,
    ),
    "book": Command(
        "capture the amount used (0624)",
        lambda v: codec.join(0x0624, _receipt(v) + _tail(v) + _amount(v)),
        ("receipt", "amount"),
        True,
    ),
    "cancel": Command(
        "cancel a hold (0625)",
        lambda v: codec.join(0x0625, f.bmp(0x19, b"\x40") + _receipt(v) + f.bmp(0x49, v.currency)),
        ("receipt",),
        True,
    ),
    "pay": Command(
        "payment (0601)", lambda v: codec.join(0x0601, _amount(v) + _tail(v)), ("amount",), True
    ),
    "reverse": Command(
        "reverse a payment or capture (0630)",
        lambda v: codec.join(0x0630, _secret(v) + _receipt(v)),
        ("receipt",),
        True,
    ),
    "refund": Command(
        "refund, card presented again (0631)",
        lambda v: codec.join(0x0631, _secret(v) + _amount(v) + f.bmp(0x49, v.currency)),
        ("amount",),
        True,
    ),
    "end-of-day": Command("end of day (0650)", lambda v: codec.join(0x0650, _secret(v)), (), True),
}

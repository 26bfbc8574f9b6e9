"""Figures as people and OCPI read them; integers in, exact decimals or text out."""

from __future__ import annotations

import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

KINDS = (
    "ENERGY",
    "TIME",
    "PARKING_TIME",
    "FLAT",
    "RESERVATION_TIME",
    "RESERVATION_FLAT",
    "RESERVATION_EXPIRED_TIME",
    "RESERVATION_EXPIRED_FLAT",
    "CAP",
    "MAX_PRICE",
    "MIN_PRICE",
    "WAIVED",
)
"""What the first number of a bill's line says (docs/mqtt/README.md, "The bill's lines")."""

_WORDS = {
    "ENERGY": "Energy",
    "TIME": "Charging time",
    "PARKING_TIME": "Occupancy",
    "FLAT": "Session fee",
    "RESERVATION_TIME": "Reservation time",
    "RESERVATION_FLAT": "Reservation",
    "RESERVATION_EXPIRED_TIME": "Expired reservation time",
    "RESERVATION_EXPIRED_FLAT": "Expired reservation",
    "CAP": "Cap",
    "MAX_PRICE": "Price limit",
    "WAIVED": "Waived after a fault",
    "MIN_PRICE": "Minimum price",
}
_EXPONENTS = {
    "BHD": 3,
    "CLP": 0,
    "ISK": 0,
    "JOD": 3,
    "JPY": 0,
    "KRW": 0,
    "KWD": 3,
    "OMR": 3,
    "TND": 3,
    "VND": 0,
}
_SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}


def exponent(currency: str) -> int:
    """Decimals of the currency's minor unit (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def amount(minor: int, currency: str) -> Decimal:
    """Minor units as an exact amount."""
    return Decimal(minor).scaleb(-exponent(currency))


def money(minor: int, currency: str) -> str:
    """12.30 €"""
    return f"{amount(minor, currency):,} {_SYMBOLS.get(currency, currency)}".strip()


def symbol(currency: str) -> str:
    """€, or the code itself where no sign is usual."""
    return _SYMBOLS.get(currency, currency)


def kwh(wh: int) -> str:
    """12.345 kWh"""
    return f"{Decimal(wh).scaleb(-3):,} kWh"


def duration(ms: int) -> str:
    """1:02:03"""
    seconds = ms // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def moment(epoch_ms: int, zone: datetime.tzinfo = datetime.UTC) -> str:
    """2026-05-01 12:00:00 UTC; "unknown" for 0."""
    if not epoch_ms:
        return "unknown"
    return datetime.datetime.fromtimestamp(epoch_ms // 1000, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def lines(session: dict[str, Any]) -> list[dict[str, Any]]:
    """The bill's lines: kind, what, quantity (text), price (text), vat (text), gross_minor,
    vat_e4, quantity as it came."""
    numbers = session["lines"]
    found = []
    for at in range(0, len(numbers) - 4, 5):
        number, quantity, price_e4, vat_e4, gross = numbers[at : at + 5]
        kind = KINDS[number] if 0 <= number < len(KINDS) else f"kind {number}"
        found.append(
            {
                "kind": kind,
                "what": _WORDS.get(kind, kind),
                "quantity": _quantity(kind, quantity),
                "quantity_raw": quantity,
                "price": _price(kind, price_e4, session["currency"]),
                "vat": f"{plain(Decimal(vat_e4).scaleb(-4))} %" if vat_e4 >= 0 else "",
                "vat_e4": vat_e4,
                "gross_minor": gross,
            }
        )
    return found


def _quantity(kind: str, quantity: int) -> str:
    if kind == "ENERGY":
        return f"{Decimal(quantity).scaleb(-6):.3f} kWh"
    return duration(quantity) if kind.endswith("TIME") else ""


def _price(kind: str, price_e4: int, currency: str) -> str:
    if kind not in _WORDS or kind in ("CAP", "MAX_PRICE", "MIN_PRICE", "WAIVED") or price_e4 < 0:
        return ""
    unit = "/kWh" if kind == "ENERGY" else "/h" if kind.endswith("TIME") else ""
    price = plain(Decimal(price_e4).scaleb(-4), exponent(currency))
    return f"{price} {_SYMBOLS.get(currency, currency)}{unit}"


def plain(value: Decimal, least: int = 0) -> str:
    """Without trailing zeros beyond `least` decimals, never with an exponent."""
    text = f"{value:f}"
    whole, _, part = text.partition(".")
    part = part.rstrip("0").ljust(least, "0")
    return f"{whole}.{part}" if part else whole


def vat_table(session: dict[str, Any]) -> list[dict[str, Any]]:
    """Per VAT rate: rate, net_minor, tax_minor, gross_minor; half-up once per rate
    (facts/tariffs.md, "Invoice rounding"). One rate: the charger's own figures."""
    sums: dict[int, int] = {}
    for line in lines(session):
        sums[line["vat_e4"]] = sums.get(line["vat_e4"], 0) + line["gross_minor"]
    rows = []
    for vat_e4, gross in sorted(sums.items()):
        if vat_e4 < 0:
            continue
        net = session["net_minor"] if len(sums) == 1 else int(net_of(Decimal(gross), vat_e4, 0))
        rate = f"{plain(Decimal(vat_e4).scaleb(-4))} %"
        rows.append(
            {"rate": rate, "net_minor": net, "tax_minor": gross - net, "gross_minor": gross}
        )
    return rows


def credit_lines(numbers: list[int]) -> list[dict[str, Any]]:
    """A credit note's VAT lines as `vat_table` gives a receipt's; `rate` "": none is known."""
    rows = []
    for at in range(0, len(numbers) - 3, 4):
        vat_e4, net, tax, gross = numbers[at : at + 4]
        rate = f"{plain(Decimal(vat_e4).scaleb(-4))} %" if vat_e4 >= 0 else ""
        rows.append({"rate": rate, "net_minor": net, "tax_minor": tax, "gross_minor": gross})
    return rows


def net_of(gross: Decimal, vat_e4: int, places: int) -> Decimal:
    """The amount without VAT, half-up at `places` decimals."""
    net = gross * 1_000_000 / (1_000_000 + max(vat_e4, 0))
    return net.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)

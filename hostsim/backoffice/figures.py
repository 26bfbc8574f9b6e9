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
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_EXPONENTS = dict.fromkeys(_NO_DECIMALS.split(), 0) | dict.fromkeys(
    "BHD IQD JOD KWD LYD OMR TND".split(), 3
)  # as firmware/pricing/money.py has them
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
                "vat": rate_text(vat_e4),
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


def vat_groups(session: dict[str, Any]) -> list[list[int]]:
    """[rate in 1e-4 percent (-1 not known), net, VAT, gross] per rate; nets add up to the bill's.

    The charger's own where it says them (priced.vat: it rounds the exact net, half-up once per
    rate); one rate: the bill's own figures. A record of before it said them has only gross amounts
    by rate: net is worked out of them, and the cents that are then too many or too few go where
    rounding moved the most.
    """
    if session.get("vat"):
        return sorted(fours(session["vat"]))
    sums = sorted(gross_by_rate(session["lines"]).items())
    if len(sums) == 1:
        vat_e4, gross = sums[0]
        net = session["net_minor"] if vat_e4 >= 0 else gross
        return [[vat_e4, net, gross - net, gross]]
    exact = [Decimal(gross) * 1_000_000 / (1_000_000 + max(rate, 0)) for rate, gross in sums]
    nets = [int(net.quantize(Decimal(1), ROUND_HALF_UP)) for net in exact]
    taxed = [n for n, (rate, _) in enumerate(sums) if rate > 0]
    over = sum(nets) - session["net_minor"]
    step = 1 if over > 0 else -1
    for n in sorted(taxed, key=lambda n: step * (exact[n] - nets[n]))[: abs(over)]:
        nets[n] -= step
    return [[r, net, gross - net, gross] for (r, gross), net in zip(sums, nets, strict=True)]


def vat_table(session: dict[str, Any]) -> list[dict[str, Any]]:
    """`vat_groups` as they are shown: rate, net_minor, tax_minor, gross_minor; those whose rate is
    known."""
    return [
        {"rate": rate_text(rate), "net_minor": net, "tax_minor": tax, "gross_minor": gross}
        for rate, net, tax, gross in vat_groups(session)
        if rate >= 0
    ]


def gross_by_rate(numbers: list[int]) -> dict[int, int]:
    """VAT in 1e-4 percent (-1 not known) -> gross, of a bill's lines."""
    sums: dict[int, int] = {}
    for at in range(0, len(numbers) - 4, 5):
        sums[numbers[at + 3]] = sums.get(numbers[at + 3], 0) + numbers[at + 4]
    return sums


def fours(numbers: list[int]) -> list[list[int]]:
    """A flat list in groups of four: vat_e4, net, VAT, gross."""
    return [numbers[at : at + 4] for at in range(0, len(numbers) - 3, 4)]


def rate_text(vat_e4: int) -> str:
    """19 %; "" for a rate that is not known."""
    return f"{plain(Decimal(vat_e4).scaleb(-4))} %" if vat_e4 >= 0 else ""


def credit_lines(numbers: list[int]) -> list[dict[str, Any]]:
    """A credit note's VAT lines as `vat_table` gives a receipt's; `rate` "": none is known."""
    return [
        {"rate": rate_text(rate), "net_minor": net, "tax_minor": tax, "gross_minor": gross}
        for rate, net, tax, gross in fours(numbers)
    ]


def net_of(gross: Decimal, vat_e4: int, places: int) -> Decimal:
    """The amount without VAT, half-up at `places` decimals."""
    net = gross * 1_000_000 / (1_000_000 + max(vat_e4, 0))
    return net.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)

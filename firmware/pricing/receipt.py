"""The driver's receipt: as data and as text lines for a screen or printer.

Content after EU VAT directive art. 226b (simplified invoice), German MessEG/PAngV practice
(register values, unit price with VAT) and NIST HB44 3.40 S.8: supplier, number, dates, charger,
register readings, each quantity with unit and price, VAT per rate, total, payment. What the
pricing rooms do not know (supplier, numbers, card) the caller passes in `facts`.
"""

from micropython import const

from firmware.pricing import money, words
from firmware.pricing.limits import gross_price

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from firmware.pricing.bill import Bill
    from firmware.pricing.calendar import TimeZone

KINDS = (
    "ENERGY", "TIME", "PARKING_TIME", "FLAT", "RESERVATION_TIME", "RESERVATION_FLAT",
    "RESERVATION_EXPIRED_TIME", "RESERVATION_EXPIRED_FLAT", "CAP", "MAX_PRICE", "MIN_PRICE",
    "WAIVED",
)  # fmt: skip
_UNITS = ("mWh", "ms", "ms", "1", "ms", "1", "ms", "1", "", "", "", "")
# Facts as they are printed: (key in facts, English|German|French label); no label: as it is.
_HEAD = (
    ("supplier", ""), ("address", ""), ("tax_id", "VAT id|USt-IdNr.|N° TVA"),
    ("number", "Receipt|Beleg|Reçu"), ("charger", "Charger|Ladepunkt|Borne"),
    ("location", "Location|Standort|Lieu"), ("started_ms", "Start|Beginn|Début"),
    ("ended_ms", "End|Ende|Fin"),
    ("register_start_wh", "Meter start|Zähler Beginn|Compteur début"),
    ("register_end_wh", "Meter end|Zähler Ende|Compteur fin"),
    ("register_step_wh", "Meter counts in steps of|Zähler zählt in Schritten von|Pas du compteur"),
    ("max_power_w", "Maximum power|Höchstleistung|Puissance max."),
)  # fmt: skip
_FOOT = (
    ("card", "Card|Karte|Carte"), ("method", "Payment|Zahlung|Paiement"),
    ("auth_code", "Authorisation|Genehmigung|Autorisation"),
)  # fmt: skip
# by how it was authorised; all others are by an account
_METHODS = {"gateway": "online|online|en ligne", "app": "app|App|application"}
_ON_ACCOUNT = "on account|auf Rechnung|sur compte"
_LABELS = {
    "net": "Net|Netto|HT", "vat": "VAT|MwSt.|TVA", "total": "Total|Summe|Total",
    "per_kwh": "Equals|Entspricht|Soit",
}  # fmt: skip


def _label(text: str, language: str) -> str:
    texts = text.split("|")
    return texts[words.LANGUAGES.index(language)] if language in words.LANGUAGES else texts[0]


class Receipt:
    """A finished (or running) session's receipt.

    `facts` may hold supplier, address (text or list), tax_id, number, charger, location,
    started_ms, ended_ms (epoch ms), register_start_wh, register_end_wh, register_step_wh,
    max_power_w, card, method (where no card paid: data.Session's) and auth_code.
    """

    def __init__(
        self, bill: "Bill", facts: "dict[str, Any]", tz: "TimeZone", printed: "Any" = None
    ) -> None:
        """`printed`: (lines, VAT groups) instead of the bill's own (pricing/waiver.py)."""
        self.tariff = bill.tariff
        self.facts = facts
        self.tz = tz
        self.lines: list = printed[0] if printed else bill.lines()
        self.vat: list = printed[1] if printed else bill.vat_groups()
        self.per_kwh = bill.per_kwh()
        self.energy_mwh = bill.energy_mwh
        self.gross_minor = sum([line[4] for line in self.lines])
        self.net_minor = sum([group[1] for group in self.vat])

    def data(self) -> "dict[str, Any]":
        """Everything as plain values: amounts in minor units, prices and VAT as decimal text."""
        found = dict(self.facts)
        found["currency"] = self.tariff.currency
        found["lines"] = [self._line_data(line) for line in self.lines]
        found["vat"] = [
            {"rate": self._rate(vat), "net_minor": net, "tax_minor": tax, "gross_minor": gross}
            for vat, net, tax, gross in self.vat
        ]
        found["gross_minor"] = self.gross_minor
        found["net_minor"] = self.net_minor if self._tax_known() else None
        found["tax_minor"] = self.gross_minor - self.net_minor if self._tax_known() else None
        found["energy_mwh"] = self.energy_mwh
        found["per_kwh"] = None if self.per_kwh < 0 else money.fixed(self.per_kwh, 4)
        return found

    def text(self, width: int, language: str) -> list[str]:
        """The receipt as lines of at most `width` characters, amounts at the right."""
        return list(self.rows(width, language))

    def rows(self, width: int, language: str) -> "Iterator[str]":
        """The lines of text(), one at a time: all of them are more than a small charger has
        room for.
        """
        yield from self._block(_HEAD, width, language)
        yield "-" * width
        for line in self.lines:
            yield from _pair(self._what(line, language), self._money(line[4], language), width)
        yield "-" * width
        total = money.amount(self.gross_minor, self.tariff.currency, language)
        yield from _pair(_label(_LABELS["total"], language), total, width)
        taxed = (self.facts.get("method") or "app") in _METHODS  # else: monthly invoice
        for vat, net, tax, _ in self.vat:
            if vat >= 0 and taxed:
                rate = money.trimmed(vat, 4, 0, money.point(language)) + " %"
                what = _label(_LABELS["net"], language) + " " + self._money(net, language)
                name = _label(_LABELS["vat"], language)
                yield from _pair(f"{what}, {name} {rate}", self._money(tax, language), width)
        if self.per_kwh >= 0:
            each = words.price(self.per_kwh, self.tariff.currency, language, "/kWh")
            yield from _pair(_label(_LABELS["per_kwh"], language), each, width)
        yield from self._block(_FOOT, width, language)

    def _tax_known(self) -> bool:
        return self.tariff.tax != 1 or not [
            group for group in self.vat if group[0] < 0 and group[3]
        ]

    def _rate(self, vat: int) -> str | None:
        return None if vat < 0 else money.trimmed(vat, 4)

    def _money(self, minor: int, language: str) -> str:
        return money.fixed(minor, money.exponent(self.tariff.currency), money.point(language))

    def _line_data(self, line: tuple[int, ...]) -> "dict[str, Any]":
        kind, index, quantity, vat, gross = line
        found: "dict[str, Any]" = {
            "kind": KINDS[kind],
            "vat": self._rate(vat),
            "gross_minor": gross,
        }
        if index >= 0:
            found["element"] = self.tariff.components[index][4]
            found["quantity"] = quantity
            found["unit"] = _UNITS[kind]
            found["unit_price"] = money.fixed(gross_price(self.tariff, index), 4)
        return found

    def _what(self, line: tuple[int, ...], language: str) -> str:
        kind, index, quantity, _, _ = line
        name = words.say(kind, language)
        if index < 0 or kind in (3, 5, 7):
            return name
        gross = gross_price(self.tariff, index)
        if kind == 0:
            text = money.trimmed(quantity, 6, 3, money.point(language)) + " kWh"
            return f"{name} {text} x {words.price(gross, self.tariff.currency, language)}"
        seconds = quantity // 1000
        text = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} h"
        return f"{name} {text} x {words.per_time(gross, self.tariff.currency, language)}"

    def _block(
        self, fields: tuple[tuple[str, str], ...], width: int, language: str
    ) -> "Iterator[str]":
        for key, label in fields:
            value = self.facts.get(key)
            if value is None:
                continue
            if isinstance(value, list):
                for line in value:
                    yield from _wrap(str(line), width)
            elif label:
                value = self._fact(key, value, language)
                yield from _pair(_label(label, language), value, width)
            else:
                yield from _wrap(str(value), width)

    def _fact(self, key: str, value: "Any", language: str) -> str:
        if key.endswith("_ms"):
            days, second = self.tz.local(value // 1000)
            return f"{words.date(days, language)} {words.clock(second // 60)}"
        if key == "method":
            return _label(_METHODS.get(value, _ON_ACCOUNT), language)
        if key.endswith("_wh") or key.endswith("_w"):
            unit = " kWh" if key.endswith("_wh") else " kW"
            return money.fixed(value, 3, money.point(language)) + unit
        return str(value)


def _wrap(text: str, width: int) -> list[str]:
    """Break a text at spaces into lines of at most `width` characters."""
    out = [""]
    for word in text.split(" "):
        while len(word) > width:
            out.append(word[:width])
            word = word[width:]
        if not out[-1]:
            out[-1] = word
        elif len(out[-1]) + 1 + len(word) <= width:
            out[-1] += " " + word
        else:
            out.append(word)
    return out if out[0] else out[1:]


def _pair(left: str, right: str, width: int) -> list[str]:
    """A text at the left and one at the right, wrapped where both do not fit one line."""
    out = _wrap(left, width)
    gap = width - len(right) - len(out[-1]) if out else width - len(right)
    if out and gap > 0:
        out[-1] += " " * gap + right
    else:
        out.append(" " * max(width - len(right), 0) + right)
    return out
